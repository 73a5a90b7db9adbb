"""Targets.

A battery over every YAML of conf/target; then the quadratic composition against brute force: a
literal implementation of its formula whose constants come from Gauss-Hermite quadrature on a grid.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import roots_hermitenorm
from torch import Tensor

from bfc.baselines.monomials import products
from bfc.errors import UserError
from bfc.targets import gaussian_polynomials as gp
from bfc.targets.inputs import Inputs, Mixture
from bfc.targets.kernel_bound import kernel_bound
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.targets.random_polynomial import RandomPolynomial

SEEDS = (0, 1, 12345, 2**40)


def rows(count: int, replicas: int, start: int = 0) -> Tensor:
    return torch.arange(start, start + count).expand(replicas, -1)


# ---- every YAML --------------------------------------------------------------------------------


@pytest.fixture
def target(build, every_target):
    return build("target", every_target)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_draw_is_a_function_of_its_seed(target, dtype):
    stack = target.draw(SEEDS, dtype)
    assert stack.seeds == SEEDS
    x = stack.inputs("train", rows(50, len(SEEDS)))
    y = stack.labels(x)
    features = stack.features(x)
    assert x.dtype == y.dtype == dtype
    assert x.shape == (len(SEEDS), 50, target.d)
    assert y.shape == (len(SEEDS), 50)
    assert stack.variance.shape == stack.variance_error.shape == (len(SEEDS),)
    assert stack.variance.dtype == stack.variance_error.dtype == torch.float64
    assert set(features) == set(target.levels)
    order = [2, 0, 0, 1]
    others = [([i], target.draw([seed], dtype)) for i, seed in enumerate(SEEDS)]
    others.append((order, stack.select(order)))
    for index, other in others:
        assert other.seeds == tuple(SEEDS[i] for i in index)
        again = other.inputs("train", rows(50, len(index)))
        assert torch.equal(again, x[index])
        assert torch.equal(other.variance, stack.variance[index])
        torch.testing.assert_close(other.labels(again), y[index])
        for name, value in stack.revealed.items():
            torch.testing.assert_close(other.revealed[name], value[index])
        for level, z in other.features(again).items():
            torch.testing.assert_close(z, features[level][index])
    assert not torch.allclose(y[0], y[1])


def test_rows_are_nested_and_roles_differ(target):
    draw = target.draw(SEEDS[:2])
    x = draw.inputs("train", rows(64, 2))
    assert torch.equal(draw.inputs("train", rows(10, 2)), x[:, :10])
    assert torch.equal(draw.inputs("train", rows(14, 2, 50)), x[:, 50:])
    assert torch.equal(
        draw.inputs("train", torch.tensor([[5, 5, 0], [63, 1, 2]])),
        torch.stack([x[0, [5, 5, 0]], x[1, [63, 1, 2]]]),
    )
    roles = ("train", "test", "validation", "reference", "probe")
    for role, other in itertools.combinations(roles, 2):
        assert not torch.equal(draw.inputs(role, rows(64, 2)), draw.inputs(other, rows(64, 2)))


def test_labels_are_a_function_of_the_row(target):
    draw = target.draw(SEEDS[:2], torch.float64)
    x = draw.inputs("train", rows(32, 2))
    torch.testing.assert_close(
        draw.labels(x[:, 7:8]), draw.labels(x)[:, 7:8], rtol=1e-12, atol=1e-12
    )


def test_population_mean_and_variance(target):
    if target.outputs > 1:
        pytest.skip("classes are no numbers")
    assert_population(target)


def assert_population(target) -> None:
    """Against 2^18 rows in standard errors: those of the sample, and the one the draw states."""
    draw = target.draw(SEEDS, torch.float64)
    chunks = [rows(1 << 15, len(SEEDS), k << 15) for k in range(8)]
    y = torch.cat([draw.labels(draw.inputs("test", chunk)) for chunk in chunks], 1)
    n = y.shape[1]
    mean, squared = y.mean(1), (y - y.mean(1, keepdim=True)).square()
    error = (squared.var(1) / n + draw.variance_error.square()).sqrt()
    assert bool((error < 0.05 * draw.variance).all()), "too blunt to see a wrong constant"
    assert float((mean.abs() / (draw.variance / n).sqrt()).max()) < 4.5
    assert float(((squared.mean(1) - draw.variance).abs() / error.clamp(min=1e-3)).max()) < 4.5


def test_degree(target):
    if target.degree == 0:
        pytest.skip("no polynomial")
    assert_degree(target)


def assert_degree(target) -> None:
    """Along a line a polynomial of degree D has vanishing divided differences of order D + 1.

    On almost every line those of order D do not vanish: far out, where the top degree dominates,
    they are as large as those of t^D.
    """
    draw, degree = target.draw(SEEDS[:2], torch.float64), target.degree
    t = 1000 * torch.cos(
        math.pi * (torch.arange(degree + 2, dtype=torch.float64) + 0.5) / (degree + 2)
    )
    direction, offset = (draw.inputs(role, rows(1, 2)) for role in ("train", "test"))
    direction = direction / direction.norm(dim=2, keepdim=True)
    y = draw.labels(offset + t.view(1, -1, 1) * direction)

    def difference(y: Tensor, count: int) -> Tensor:
        nodes = t[:count]
        weights = 1 / (nodes.unsqueeze(1) - nodes + torch.eye(count, dtype=torch.float64)).prod(1)
        terms = y[:, :count] * weights
        return terms.sum(1).abs() / terms.abs().sum(1)

    assert float(difference(y, degree + 2).max()) < 1e-12
    like = float(difference(t.unsqueeze(0) ** degree, degree + 1))
    assert like > 1e-10 and float(difference(y, degree + 1).min()) > 0.1 * like


def test_theory_names_its_sources(target):
    for name, theory in target.theory().items():
        assert name and theory.source
        assert theory.exponent > 0
        assert theory.bound in ("upper", "lower", "rate")


@pytest.mark.parametrize(
    "kind, changes, words",
    [
        ("quadratic_densenet", {"d": 0}, ["target.d=0", "1048576"]),
        ("quadratic_densenet", {"L": 1}, ["target.L=1", "2 to 8"]),
        ("quadratic_densenet", {"L": 9}, ["target.L=9", "2 to 8"]),
        ("quadratic_densenet", {"widths": [4]}, ["target.widths=[4]", "2 integers", "k_2..k_3"]),
        ("quadratic_densenet", {"widths": [4, 0]}, ["target.widths", ">= 1"]),
        ("quadratic_densenet", {"widths": [17, 2]}, ["target.widths", "k_2 <= target.d = 16"]),
        ("quadratic_densenet", {"alpha": [1.0]}, ["target.alpha=[1.0]", "2 numbers"]),
        ("quadratic_densenet", {"alpha": [1.0, 0.0]}, ["target.alpha", "> 0"]),
        ("quadratic_densenet", {"alpha": [1.0, float("inf")]}, ["target.alpha", "finite"]),
        ("quadratic_densenet", {"gamma": -0.5}, ["target.gamma=-0.5", "> 0"]),
        ("quadratic_densenet", {"gamma": None}, ["target.gamma", "> 0"]),
        ("quadratic_densenet", {"rho": 1.0}, ["target.rho=1.0", "[0, 1)"]),
        ("quadratic_densenet", {"rho": -0.1}, ["target.rho=-0.1", "[0, 1)"]),
        ("quadratic_densenet", {"quadrature": 100}, ["target.quadrature=100", "4096"]),
        ("quadratic_densenet", {"base": "y"}, ["target.base=y", "x or x_squared"]),
        ("quadratic_densenet", {"links": "all"}, ["target.links=all", "chain", "skip", "dense"]),
        ("quadratic_densenet", {"links": [[0]]}, ["target.links=[[0]]", "2 lists"]),
        ("quadratic_densenet", {"links": [[0], [0]]}, ["target.links", "level 3 reads 2"]),
        ("quadratic_densenet", {"links": [[0], [2, 3]]}, ["target.links", "level 3", "[0, 1, 2]"]),
        (
            "quadratic_densenet",
            {"links": [[0], [2]], "base": "x_squared"},
            ["target.links", "level 2 reads 1"],
        ),
        ("quadratic_densenet", {"width_power": [0.5]}, ["target.width_power=[0.5]", "2 numbers"]),
        ("quadratic_densenet", {"width_power": [2.0, 0.5]}, ["target.width_power", "-8 to 1"]),
        (
            "quadratic_densenet",
            {"width_power": [1.0, 0.5], "widths": [2, 2]},
            ["target.widths=[32, 8]", "k_2 <= target.d = 16"],
        ),
        (
            "quadratic_densenet",
            {"width_power": [0.5, 0.5], "widths": [0, 2]},
            ["target.widths=[0, 8]", ">= 1"],
        ),
        (
            "quadratic_densenet",
            {"law": "student"},
            ["target.law=student", "laplace", "exponential"],
        ),
        (
            "quadratic_densenet",
            {"law": "sign", "base": "x_squared"},
            ["target.law=sign", "x^2 - 1 is zero"],
        ),
        (
            "quadratic_densenet",
            {"law": {"component": 3}},
            ["target.law.component: no such key", "did you mean components?"],
        ),
        (
            "quadratic_densenet",
            {"law": {"components": 0}},
            ["target.law.components=0", "1 to 1024"],
        ),
        ("quadratic_densenet", {"law": {"spread": 0.5}}, ["target.law.spread=0.5", ">= 1"]),
        ("quadratic_densenet", {"law": {"separation": -1}}, ["target.law.separation=-1", ">= 0"]),
        ("parity", {"degree": 17}, ["target.degree=17", "16"]),
        ("parity", {"degree": 0}, ["target.degree=0"]),
        ("parity", {"d": 0}, ["target.d=0"]),
        ("parity", {"law": "cauchy"}, ["target.law=cauchy", "sign or gaussian"]),
    ],
)
def test_bad_values_cost_one_sentence(build, kind, changes, words):
    with pytest.raises(UserError) as caught:
        build("target", kind, **changes)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


# ---- the quadratic composition against brute force ---------------------------------------------

VARIANTS = {
    "L2": {"L": 2},
    "L3": {"L": 3},
    "L4": {"L": 4},
    "L5": {"L": 5},
    "L6": {"L": 6, "d": 2, "widths": [2, 2, 2, 2, 2]},
    "d1": {"d": 1, "L": 4, "widths": [1, 1, 1]},
    "squared L2": {"L": 2, "base": "x_squared"},
    "squared L3": {"L": 3, "base": "x_squared"},
    "squared L5": {"L": 5, "base": "x_squared", "d": 2, "widths": [2, 2, 2, 2]},
    "chain": {"L": 4, "links": "chain"},
    "squared chain": {"L": 3, "links": "chain", "base": "x_squared"},
    "dense": {"L": 4, "links": "dense"},
    "squared dense": {"L": 4, "links": "dense", "base": "x_squared", "d": 2, "widths": [2, 2, 2]},
    "lists": {"L": 4, "links": [[0], [2, 0], [2, 3]]},
    "lists with x^2": {"L": 4, "links": [[1, 0], [1, 2], [3, 2, 1, 0]]},
    "squared lists": {"L": 3, "base": "x_squared", "links": [[1], [0, 1, 2]]},
    "widening": {"L": 4, "widths": [2, 3, 5]},
    "widening chain": {"L": 3, "widths": [1, 4], "links": "chain"},
    "narrow": {"L": 4, "widths": [1, 1, 1]},
    "high d": {"d": 16, "L": 3, "widths": [2, 1]},
    "higher d": {"d": 64, "L": 4, "widths": [1, 1, 1]},
    "rho 0": {"L": 3, "rho": 0.0},
    "rho .8": {"L": 4, "rho": 0.8, "links": "dense"},
    "gamma": {"L": 4, "gamma": 2.0},
    "alpha": {"L": 4, "alpha": [0.3, 1.7, 0.01]},
}


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def variant(request) -> QuadraticDenseNet:
    values = {"d": 3, **request.param}
    return QuadraticDenseNet(
        **{
            k: tuple(tuple(i) if isinstance(i, list) else i for i in v)
            if isinstance(v, list)
            else v
            for k, v in values.items()
        }
    )


def grid(d: int, degree: int) -> tuple[Tensor, Tensor]:
    """Nodes (N, d) and weights (N,) that integrate polynomials up to this degree exactly against
    N(0, I_d)."""
    nodes, weights = roots_hermitenorm(degree // 2 + 1)
    weights = weights / weights.sum()
    x = np.stack(np.meshgrid(*[nodes] * d, indexing="ij"), -1).reshape(-1, d)
    w = np.array([1.0])
    for _ in range(d):
        w = np.multiply.outer(w, weights).ravel()
    return torch.tensor(x), torch.tensor(w)


def literal(target: QuadraticDenseNet, weights: dict[int, dict[int, Tensor]], at: Tensor) -> dict:
    """The formula of the class, with every constant from a grid on the span of what is read.

    Returns the variances per unit, the standard deviations per unit and per level, the population
    mean and variance, and the labels at the rows ``at`` (N, d). ``weights`` are those of one
    replica.
    """
    forms = torch.cat(
        [parts[0] for parts in weights.values() if 0 in parts]
        or [torch.eye(target.d, dtype=torch.float64)]
    )
    everything = any(1 in parts for parts in weights.values()) or len(forms) >= target.d
    basis = (
        torch.eye(target.d, dtype=torch.float64) if everything else torch.linalg.qr(forms.T)[0].T
    )
    x, w = grid(len(basis), 2 * target.degree)
    x = x @ basis
    mean = lambda values: w @ values  # noqa: E731
    total_at, total = (
        torch.zeros(len(at), dtype=torch.float64),
        torch.zeros(len(x), dtype=torch.float64),
    )
    u, u_at = ({0: v, 1: (v**2 - 1) / math.sqrt(2)} for v in (x, at))
    result = {"unit": {}, "unit_sd": {}, "level_sd": []}
    for level, alpha in zip(range(2, target.L + 1), target.alpha, strict=True):
        z = sum(u[j] @ row.T for j, row in weights[level].items())
        z_at = sum(u_at[j] @ row.T for j, row in weights[level].items())
        sd = (mean(z**4) - mean(z**2) ** 2).sqrt()
        u[level], u_at[level] = (z**2 - 1) / sd, (z_at**2 - 1) / sd
        size = (z**2).sum(1) - z.shape[1]
        c = mean(size**2).sqrt()
        total, total_at = (
            total + alpha * size / c,
            total_at + alpha * ((z_at**2).sum(1) - z.shape[1]) / c,
        )
        result["unit"][level], result["unit_sd"][level] = mean(z**2), sd
        result["level_sd"].append(c)
    return {
        **result,
        "mean": mean(total),
        "variance": mean(total**2) - mean(total) ** 2,
        "labels": total_at,
    }


def test_constants_and_labels_equal_brute_force(variant):
    draw = variant.draw([0, 7], torch.float64)
    assert float(draw.variance_error.max()) == 0, "every variant here is small enough to be exact"
    x = draw.inputs("test", rows(20, 2))
    y = draw.labels(x)
    close = {"rtol": 1e-9, "atol": 1e-9}
    for r in range(2):
        weights = {
            level: {j: w[r] for j, w in parts.items()} for level, parts in draw.weights.items()
        }
        want = literal(variant, weights, x[r])
        for level in variant.levels:
            torch.testing.assert_close(
                want["unit"][level], torch.ones(variant.width(level), dtype=torch.float64), **close
            )
            torch.testing.assert_close(draw.unit_sd[level][r], want["unit_sd"][level], **close)
        torch.testing.assert_close(draw.moments.level_sd[r], torch.stack(want["level_sd"]), **close)
        torch.testing.assert_close(
            draw.scale[r],
            torch.tensor(variant.alpha, dtype=torch.float64) / draw.moments.level_sd[r],
            **close,
        )
        torch.testing.assert_close(draw.variance[r], want["variance"], **close)
        torch.testing.assert_close(y[r], want["labels"], **close)
        assert abs(float(want["mean"])) < 1e-9


def test_degree_of_every_variant(variant):
    assert variant.degree == 2 ** (variant.L - (variant.base == "x" and 1 not in variant.below(2)))
    assert_degree(variant)


def test_links_widths_and_shares_of_the_weights(variant):
    """Which levels are read; A orthonormal, B of unit rows, in shares 1 - rho and rho / m (before
    each row is rescaled)."""
    draw = variant.draw([0, 7], torch.float64)
    base = 0 if variant.base == "x" else 1
    for i, (level, parts) in enumerate(draw.weights.items()):
        below = level - 1 if level > 2 else base
        if isinstance(variant.links, str):
            want = {
                "chain": {below},
                "skip": {below, 0},
                "dense": {below, 0, base, *range(2, level)},
            }[variant.links]
        else:
            want = set(variant.links[i])
        assert set(parts) == want
        assert all(
            w.shape[1:] == (variant.widths[i], variant.d if j < 2 else variant.widths[j - 2])
            for j, w in parts.items()
        )
        others = sorted(want - {below})
        norms = {j: parts[j].norm(dim=2, keepdim=True) for j in parts}
        if others and variant.rho:
            factor = norms[others[0]] * (len(others) / variant.rho) ** 0.5
            for j in others:
                torch.testing.assert_close(norms[j], norms[others[0]])
            a = parts[below] / factor / (1 - variant.rho) ** 0.5
        else:
            a = parts[below] / norms[below]
            if a.shape[1] > a.shape[2]:
                continue
        gram = a @ a.mT if a.shape[1] <= a.shape[2] else a.mT @ a
        torch.testing.assert_close(
            gram, torch.eye(gram.shape[1], dtype=torch.float64).expand_as(gram), rtol=0, atol=1e-10
        )


def test_an_uncertain_variance_is_refused():
    """Few directions at degree 32, where the top level carries most of the variance."""
    target = QuadraticDenseNet(d=16, L=6, alpha=(0.1, 0.1, 0.1, 0.1, 1.0), quadrature=1 << 12)
    with pytest.raises(
        UserError,
        match=r"target.quadrature=4096: leaves Var f\* of seed 0 uncertain by \d+%, more than 10%",
    ):
        target.draw([0])


def test_gamma_is_a_short_form_of_alpha():
    assert QuadraticDenseNet(d=4, L=4, gamma=0.25) == QuadraticDenseNet(
        d=4, L=4, gamma=None, alpha=(1.0, 0.25, 0.0625)
    )
    assert QuadraticDenseNet(d=16, L=5).widths == (4, 3, 2, 2) and QuadraticDenseNet(
        d=2, L=3
    ).widths == (2, 2)
    assert QuadraticDenseNet(d=4, L=3, links=((0,), (2, 0, 2))) == QuadraticDenseNet(
        d=4, L=3, links=((0,), (0, 2))
    )


@pytest.mark.parametrize("terms", [4, 1000], ids=["all levels", "upper levels"])
@pytest.mark.parametrize(
    "values",
    [
        {"d": 8, "L": 3},
        {"d": 8, "L": 4, "widths": (3, 2, 2)},
        {"d": 4, "L": 3, "base": "x_squared"},
        {"d": 4, "L": 3, "links": ((0, 1), (2,))},
        {"d": 2, "L": 5},
        {"d": 3, "L": 5, "widths": (3, 2, 2, 2)},
    ],
    ids=str,
)
def test_quadrature_agrees_with_the_exact_constants_within_its_stated_error(
    monkeypatch, terms, values
):
    target = QuadraticDenseNet(**values, quadrature=1 << 18)
    exact = target.draw(range(8)).moments
    monkeypatch.setattr(gp, "MAX_PRODUCT_TERMS", terms)
    sampled = target.draw(range(8)).moments
    assert not exact.variance_error.any() and not exact.level_sd_error.any()
    assert bool((sampled.variance_error > 0).all())
    assert bool((sampled.level_sd_error[:, 0] == 0).all()) == gp.affordable(
        target.d, 1 if target.base == "x" else 2
    )
    for name in ("level_sd", "variance"):
        gap, error = (
            getattr(sampled, name) - getattr(exact, name),
            getattr(sampled, f"{name}_error"),
        )
        above = error > 1e-12 * getattr(exact, name)
        score = gap[above] / error[above]
        assert float(score.abs().max()) < 4.5 and float(score.square().mean().sqrt()) < 2
        torch.testing.assert_close(getattr(sampled, name)[~above], getattr(exact, name)[~above])


def test_large_dimensions_stay_cheap():
    """Constants depend on the few linear forms that are read, so they are exact and free in d."""
    draw = QuadraticDenseNet(d=4096, L=4, widths=(4, 3, 2)).draw([0], torch.float64)
    assert float(draw.variance_error) == 0


def test_a_degree_whose_factorial_no_float_holds_is_measured_instead():
    draw = QuadraticDenseNet(d=1, L=8, base="x_squared", quadrature=4096).draw([0], torch.float64)
    assert (
        draw.target.degree == 256
        and bool(draw.variance.isfinite())
        and float(draw.variance_error) > 0
    )


def test_widths_that_grow_with_d():
    """k_l = round(c_l d^p_l); the same target as with the numbers written out."""
    for d, want in ((8, (3, 1)), (64, (8, 2)), (512, (23, 3))):
        assert QuadraticDenseNet(d=d, width_power=(0.5, 1 / 6)) == QuadraticDenseNet(
            d=d, widths=want
        )
    assert QuadraticDenseNet(d=64, width_power=(0.5, 0), widths=(2, 3)) == QuadraticDenseNet(
        d=64, widths=(16, 3)
    )
    assert QuadraticDenseNet(d=2, width_power=(-3, 1)).widths == (1, 2)


@pytest.mark.parametrize("base", ["x", "x_squared"])
def test_six_levels(base):
    """The deepest target of the paper notes, whose top levels are measured."""
    assert_draw_and_degree(
        QuadraticDenseNet(d=16, L=6, widths=(5, 4, 3, 2, 2), base=base, quadrature=1 << 17),
        32 if base == "x" else 64,
    )


def assert_draw_and_degree(target, degree) -> None:
    draw = target.draw([0], torch.float64)
    assert target.degree == degree and 0 < float(draw.variance_error) < 0.1 * float(draw.variance)
    assert bool(draw.labels(draw.inputs("test", rows(50, 1))).isfinite().all())


# ---- the control without hierarchy -------------------------------------------------------------


def by_degree(draw, degree: int) -> Tensor:
    """Variance of the first seed's label by degree 0 ... ``degree`` of the Hermite products in d
    coordinates, by projection on a grid."""
    x, w = grid(draw.target.d, 2 * degree)
    phi = products(x, degree, "hermite")
    squares = ((w * draw.labels(x[None])[0]) @ phi).square()
    ends = [math.comb(draw.target.d + k, k) for k in range(degree + 1)]
    return torch.stack([squares[a:b].sum() for a, b in itertools.pairwise([0, *ends])])


@pytest.mark.parametrize(
    "values",
    [
        {"L": 3, "widths": (2, 1)},
        {"L": 3, "widths": (1, 1), "base": "x_squared", "d": 2},
        {"L": 3, "widths": (1, 1), "terms": 1},
        {"L": 4, "widths": (1, 1, 1), "links": "chain"},
    ],
    ids=str,
)
def test_the_control_has_the_variance_of_its_twin_in_every_degree_and_nothing_else(values):
    values = {"d": 3, **values}
    control = RandomPolynomial(**values)
    twin = QuadraticDenseNet(**{k: v for k, v in values.items() if k != "terms"})
    for spectrum, span in (("matched", "twin"), ("matched", "all"), ("top", "all")):
        draw, other = (
            dataclasses.replace(control, spectrum=spectrum, span=span).draw([5], torch.float64),
            twin.draw([5], torch.float64),
        )
        want = by_degree(other, twin.degree)
        torch.testing.assert_close(want.sum(), other.variance[0])
        if spectrum == "top":
            want = torch.zeros_like(want).index_fill_(
                0, torch.tensor([twin.degree]), float(other.variance[0])
            )
        torch.testing.assert_close(by_degree(draw, twin.degree), want, rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(draw.variance, other.variance)


def test_the_control_reads_the_linear_forms_of_its_twin_and_no_more():
    """Moving x along what the twin does not read changes nothing, unless the control varies in all
    directions; the two are hardly correlated, on average over seeds."""
    draw, twin = (
        RandomPolynomial(d=12, span="twin").draw([0], torch.float64),
        QuadraticDenseNet(d=12).draw([0], torch.float64),
    )
    x = draw.inputs("test", rows(1 << 15, 1))
    assert torch.equal(x, twin.inputs("test", rows(1 << 15, 1)))
    forms = torch.cat([parts[0][0] for parts in twin.weights.values() if 0 in parts])
    free = torch.eye(12, dtype=torch.float64) - torch.linalg.pinv(forms) @ forms
    assert round(float(free.trace())) == 12 - 7
    moved = (
        x
        + 3 * torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(0)) @ free
    )
    torch.testing.assert_close(draw.labels(moved), draw.labels(x))
    everywhere = RandomPolynomial(d=12).draw([0], torch.float64)
    assert not torch.allclose(everywhere.labels(moved), everywhere.labels(x), rtol=0.1)
    seeds = range(8)
    control, twin = (
        target.draw(seeds, torch.float64)
        for target in (RandomPolynomial(d=12, span="twin"), QuadraticDenseNet(d=12))
    )
    x = twin.inputs("test", rows(1 << 14, 8))
    pairs = torch.stack([control.labels(x), twin.labels(x)], 1)
    assert torch.stack([torch.corrcoef(pair)[0, 1].abs() for pair in pairs]).mean() < 0.3


@pytest.mark.parametrize(
    "values, words",
    [
        ({"law": "uniform"}, "target.law=uniform: must be gaussian"),
        ({"terms": 0}, "target.terms=0"),
    ],
)
def test_controls_that_cannot_be_exact_are_refused(values, words):
    with pytest.raises(UserError, match=words):
        RandomPolynomial(d=16, **values)


def test_a_control_of_a_large_twin_puts_its_variance_at_the_top():
    with pytest.raises(
        UserError,
        match=r"target\.spectrum=matched: a composition of degree 16 in 11 variables is too large",
    ):
        RandomPolynomial(d=16, L=5, quadrature=1 << 14).draw([0])
    assert (
        float(
            RandomPolynomial(d=16, L=5, quadrature=1 << 17, spectrum="top", terms=8)
            .draw([0])
            .variance_error
        )
        == 0
    )


# ---- the lower bound on kernels ----------------------------------------------------------------


def test_the_lower_bound_on_kernels_counts_coordinates_and_is_silent_where_it_is_vacuous():
    assert [kernel_bound(d, 4) for d in (8, 32, 33, 64)] == [None, 35.96, 40.92, 635.376]
    assert kernel_bound(4, 8) is None
    assert QuadraticDenseNet(d=8, L=4).kernel_order == QuadraticDenseNet(d=8, L=4).degree == 8
    squared = QuadraticDenseNet(d=64, L=3, base="x_squared")
    theory = squared.theory()["kernel"]
    assert (squared.degree, squared.kernel_order) == (8, 4)
    assert (theory.exponent, theory.nstar) == (4.0, 635.376)
    assert QuadraticDenseNet(d=16, L=3).theory()["kernel"].nstar is None


# ---- other input laws --------------------------------------------------------------------------

LAWS = {
    "uniform": "uniform",
    "sign": "sign",
    "laplace": "laplace",
    "exponential": "exponential",
    "mixture": Mixture(),
    "one skewed Gaussian": Mixture(components=1, skew=-2.0),
    "Gaussian mixture": Mixture(components=4, separation=2.0, skew=0.0),
}


@pytest.fixture(params=LAWS.values(), ids=LAWS.keys())
def law(request):
    return request.param


def test_inputs_are_white(law):
    x = torch.cat(
        [
            Inputs(law, (0, 5), 3, torch.float64).rows(role, rows(1 << 17, 2))
            for role in ("train", "test")
        ],
        1,
    )
    n = x.shape[1]
    spread = (x.unsqueeze(3) * x.unsqueeze(2)).std(1).clamp(min=1e-9) / n**0.5
    assert float((x.mean(1).abs() * n**0.5).max()) < 4.5
    assert (
        float(
            (
                (x.mT @ x / n - torch.eye(3, dtype=torch.float64)).abs() / spread.clamp(min=1e-6)
            ).max()
        )
        < 4.5
    )


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("uniform", stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))),
        ("laplace", stats.laplace(scale=0.5**0.5)),
        ("exponential", stats.expon(loc=-1)),
    ],
)
def test_product_laws_against_scipy(name, peer):
    for dtype in (torch.float32, torch.float64):
        x = Inputs(name, (3,), 5, dtype).rows("train", rows(4000, 1))
        assert stats.kstest(x.flatten().numpy(), peer.cdf).pvalue > 1e-3 and bool(
            x.isfinite().all()
        )


def test_a_mixture_of_one_component_has_the_skewness_of_the_skew_normal():
    x = (
        Inputs(Mixture(components=1, spread=1.0, skew=3.0), (0,), 2, torch.float64)
        .rows("train", rows(1 << 18, 1))
        .flatten()
    )
    assert float((x**3).mean()) == pytest.approx(float(stats.skewnorm(3.0).stats("s")), abs=0.02)


def test_components_of_a_mixture_keep_their_distance():
    """Far apart and hardly scattered, rows fall into as many heaps of equal size as there are
    components."""
    x = Inputs(Mixture(components=3, separation=1000.0, skew=0.0), (0,), 2, torch.float64).rows(
        "train", rows(3000, 1)
    )[0]
    for _ in range(3):
        near = (x - x[0]).norm(dim=1) < 0.5
        assert 880 < near.sum() < 1120
        x = x[~near]
    assert len(x) == 0


def test_targets_on_other_laws_have_the_variance_they_state(law):
    assert_population(QuadraticDenseNet(d=4, L=3, widths=(3, 2), law=law, quadrature=1 << 18))


def test_targets_on_other_laws_are_functions_of_their_seed(law):
    target = QuadraticDenseNet(d=5, law=law, quadrature=1 << 15)
    test_a_draw_is_a_function_of_its_seed(target, torch.float64)
    test_rows_are_nested_and_roles_differ(target)


def law_grid(name: str, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """One-dimensional nodes and weights that are exact for polynomials of this degree under the
    law."""
    count = degree // 2 + 1
    if name == "sign":
        return np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    if name == "uniform":
        nodes, weights = np.polynomial.legendre.leggauss(count)
        return nodes * math.sqrt(3), weights / 2
    nodes, weights = np.polynomial.laguerre.laggauss(count)
    if name == "exponential":
        return nodes - 1, weights
    return np.concatenate([-nodes, nodes]) / math.sqrt(2), np.concatenate([weights, weights]) / 2


@pytest.mark.parametrize("values", [{"L": 3}, {"L": 4}, {"L": 3, "base": "x_squared"}], ids=str)
@pytest.mark.parametrize("name", ["uniform", "sign", "laplace", "exponential"])
def test_constants_of_product_laws_against_exact_grids(monkeypatch, name, values):
    """At degree 8 an exponential input has a kurtosis of the label beyond any plain sample; the
    importance nodes see it."""
    if name == "sign" and "base" in values:
        return
    target = QuadraticDenseNet(
        d=3, widths=(2,) * (values["L"] - 1), law=name, quadrature=1 << 17, **values
    )
    draw = target.draw([0, 7], torch.float64)

    def tensor_grid(d: int, degree: int) -> tuple[Tensor, Tensor]:
        nodes, weights = law_grid(name, degree)
        x = np.stack(np.meshgrid(*[nodes] * d, indexing="ij"), -1).reshape(-1, d)
        return torch.tensor(x), torch.tensor(
            functools.reduce(np.multiply.outer, [weights] * d).ravel()
        )

    monkeypatch.setitem(globals(), "grid", tensor_grid)
    monkeypatch.setattr(torch.linalg, "qr", None)
    for r in range(2):
        weights = {
            level: {j: w[r] for j, w in parts.items()} for level, parts in draw.weights.items()
        }
        want = literal(target, weights, draw.inputs("test", rows(5, 2))[r])
        score = (draw.variance[r] - want["variance"]) / draw.variance_error[r]
        assert abs(float(score)) < 4.5, (float(score), draw.variance_error)
        assert draw.variance[r] == pytest.approx(float(want["variance"]), rel=0.2)
        for level, c in zip(target.levels, want["level_sd"], strict=True):
            assert float(draw.moments.level_sd[r, level - 2]) == pytest.approx(float(c), rel=0.1)
            torch.testing.assert_close(
                want["unit"][level], torch.ones(2, dtype=torch.float64), rtol=0.1, atol=0
            )


# ---- polynomials of a Gaussian vector ----------------------------------------------------------


@pytest.mark.parametrize("r, degree", [(1, 5), (2, 4), (3, 3), (3, 0), (4, 2)])
def test_polynomials_against_points_and_quadrature(r, degree):
    """Every operation against values at points, every moment against the grid; coefficients of a
    lower degree are a prefix."""
    generator = np.random.default_rng(r + 10 * degree)
    p, q, a = (
        generator.normal(size=gp.size(r, degree)),
        generator.normal(size=gp.size(r, degree + 1)),
        generator.normal(size=r),
    )
    x = generator.normal(size=(30, r))
    at_p = gp.evaluate(p, x, degree)
    np.testing.assert_allclose(
        gp.evaluate(gp.square(p, r, degree), x, 2 * degree), at_p**2, rtol=1e-10
    )
    np.testing.assert_allclose(
        gp.evaluate(gp.add(p, q), x, degree + 1),
        at_p + gp.evaluate(q, x, degree + 1),
        rtol=1e-10,
        atol=1e-10,
    )
    np.testing.assert_allclose(
        gp.evaluate(np.append(p, np.zeros(gp.size(r, degree + 2) - len(p))), x, degree + 2),
        at_p,
        rtol=1e-10,
    )
    np.testing.assert_allclose(gp.evaluate(gp.linear(a), x, 1), x @ a, rtol=1e-12)
    nodes, weights = (t.numpy() for t in grid(r, 2 * degree))
    values = gp.evaluate(p, nodes, degree)
    mean = weights @ values
    np.testing.assert_allclose(
        gp.mean_and_variance(p, r, degree),
        (mean, weights @ (values - mean) ** 2),
        rtol=1e-9,
        atol=1e-12,
    )


def test_monomials_are_each_power_once():
    """In three variables up to degree 3: the 20 exponents, each once, by total degree."""
    points = np.array([[2.0, 3.0, 5.0]])
    values = [round(float(gp.evaluate(row, points, 3)[0])) for row in np.eye(gp.size(3, 3))]
    degree = {
        2**i * 3**j * 5**k: i + j + k
        for i in range(4)
        for j in range(4)
        for k in range(4)
        if i + j + k <= 3
    }
    assert sorted(values) == sorted(degree)
    assert [degree[v] for v in values] == sorted(degree.values())


def test_parity_is_the_product_of_its_coordinates():
    for law, dimension in (("sign", 9), ("gaussian", 4)):
        target = Parity(d=dimension, degree=3, law=law)
        draw = target.draw([0, 5, 6], torch.float64)
        x = draw.inputs("train", rows(40, 3))
        for r, chosen in enumerate(draw.coordinates.tolist()):
            assert len(set(chosen)) == 3
            want = [math.prod(x[r, b, i].item() for i in chosen) for b in range(40)]
            torch.testing.assert_close(draw.labels(x)[r], torch.tensor(want, dtype=torch.float64))
        assert (law == "sign") == bool((x.abs() == 1).all())
