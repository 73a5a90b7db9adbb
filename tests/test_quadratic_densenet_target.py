"""The quadratic composition against brute force.

That is a literal implementation of its formula whose constants come from Gauss-Hermite quadrature
on a grid.
"""

from __future__ import annotations

import pytest
import torch
from target_checks import (
    assert_degree,
    assert_draw_and_degree,
    brute_force,
    rows,
)

from bfc.errors import UserError
from bfc.targets import gaussian_polynomials as gp
from bfc.targets.kernel_bound import kernel_bound
from bfc.targets.quadratic_densenet import QuadraticDenseNet

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
    return QuadraticDenseNet(**{key: as_tuples(value) for key, value in values.items()})


def as_tuples(value):
    """Lists within lists as tuples within tuples."""
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


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
        want = brute_force(variant, weights, x[r])
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
        not gp.affordable(1, draw.target.degree)
        and bool(draw.variance.isfinite())
        # In one dimension the rule is exact, and only rounding is left of the error.
        and 0 <= float(draw.variance_error) < 1e-9 * float(draw.variance)
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


def test_the_lower_bound_on_kernels_counts_coordinates_and_is_silent_where_it_is_vacuous():
    assert [kernel_bound(d, 4) for d in (8, 32, 33, 64)] == [None, 35.96, 40.92, 635.376]
    assert kernel_bound(4, 8) is None
    assert QuadraticDenseNet(d=8, L=4).kernel_order == QuadraticDenseNet(d=8, L=4).degree == 8
    squared = QuadraticDenseNet(d=64, L=3, base="x_squared")
    theory = squared.theory()["kernel"]
    assert (squared.degree, squared.kernel_order) == (8, 4)
    assert (theory.exponent, theory.nstar) == (4.0, 635.376)
    assert QuadraticDenseNet(d=16, L=3).theory()["kernel"].nstar is None
