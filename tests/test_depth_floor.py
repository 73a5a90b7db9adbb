"""The certified two-layer floor: its atoms against Monte-Carlo and quadrature, its optimum against
LARS, its certificate against networks that exist and against a finer grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import typer.testing
from scipy import integrate
from sklearn.linear_model import lars_path

from bfc import cli
from bfc.bounds.two_layer import (
    Certificate,
    bound_error,
    bound_norm,
    build_problem,
    certify_norms,
    ridge_averages,
)
from bfc.errors import UserError
from bfc.targets.radial import Radial
from bfc.targets.radius_laws import sphere_constant


def hinge(d: int, radii: int = 120, **changes):
    return build_problem(Radial(d=d, law="limit"), radii, 800, **changes)


@pytest.mark.parametrize("d", [2, 3, 5, 40, 1024])
def test_ridge_averages_equal_an_integral(d):
    """E (r u_1 − b)_+ over the angle, whose density is ∝ sin^{d−2}."""
    r, b = np.array([0.6, 1.0, 4.0]), np.array([0.0, 0.05, 0.3, 0.59, 2.0])
    weight = lambda a: math.exp((d - 2) * math.log(max(math.sin(a), 1e-300)))  # noqa: E731
    total = integrate.quad(weight, 0, math.pi, points=[math.pi / 2], limit=400, epsabs=1e-13)[0]

    def mean(radius: float, offset: float) -> float:
        excess = lambda a: weight(a) * max(radius * math.cos(a) - offset, 0)  # noqa: E731
        return integrate.quad(excess, 0, math.pi / 2, limit=400, epsabs=1e-13)[0] / total

    want = math.sqrt(2 * math.pi * d) * np.array(
        [[mean(radius, offset) for offset in b] for radius in r]
    )
    np.testing.assert_allclose(ridge_averages(r, b, d), want, atol=1e-7)


def test_ridge_averages_have_the_gaussian_limit():
    r, b = np.linspace(0.5, 5, 7), np.linspace(0, 8, 9)
    near = ridge_averages(r, b / math.sqrt(1024), 1024)
    np.testing.assert_allclose(near, ridge_averages(r, b, math.inf), atol=5e-3)
    np.testing.assert_allclose(ridge_averages(r, np.zeros(1), math.inf)[:, 0], r)
    np.testing.assert_allclose(
        ridge_averages(r, np.zeros(1), 9)[:, 0], math.sqrt(18 * math.pi) * sphere_constant(9) * r
    )


def network(d: int, seed: int, width: int = 30):
    generator = np.random.default_rng(seed)
    return (
        generator.normal(size=(width, d)),
        generator.normal(size=width),
        generator.normal(size=width),
        generator,
    )


def test_the_rotation_average_of_a_network_is_a_combination_of_the_atoms_with_its_norm():
    """Monte-Carlo over directions against Σ a ‖w‖ / √(2πd) h_{|b|/‖w‖}(r), and a constant.

    The constant is what positive biases leave.
    """
    d, (w, b, a, generator) = 6, network(6, 0)
    norms = np.linalg.norm(w, axis=1)
    r = np.array([0.5, 1.0, 3.0])
    u = generator.normal(size=(400_000, d))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    average = (
        ridge_averages(r, np.abs(b) / norms, d) @ (a * norms) / math.sqrt(2 * math.pi * d)
        + (a * np.maximum(b, 0)).sum()
    )
    for i, radius in enumerate(r):
        out = np.maximum(radius * u @ w.T + b, 0) @ a
        error = out.std() / math.sqrt(len(out))
        assert abs(out.mean() - average[i]) < 4.5 * error < 0.05 * np.abs(average).max()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("d", [2, 16])
@pytest.mark.parametrize("eps", [0.3, 0.1, 0.02])
def test_both_sides_agree_with_lars(d, eps):
    p = hinge(d)
    floor = bound_norm(p, eps)
    _, _, path = lars_path(p.atoms[:, :: len(p.b) // 100], p.y, method="lasso")
    between = np.linspace(
        0, path.shape[1] - 1, 100 * path.shape[1]
    )  # coefficients are linear between knots
    knots = np.arange(path.shape[1])
    path = np.array([np.interp(between, knots, coefficients) for coefficients in path])
    norms, errors = (
        np.abs(path).sum(0),
        ((p.y[:, None] - p.atoms[:, :: len(p.b) // 100] @ path) ** 2).sum(0) / p.total,
    )
    lars = norms[np.argmax(errors <= eps)]
    assert 0 < floor.lower <= floor.upper <= 1.012 * floor.lower
    assert lars == pytest.approx(floor.upper, rel=0.03) and lars > 0.995 * floor.lower


@pytest.mark.parametrize("eps", [1e-3, 1e-4])
def test_the_gap_is_small_where_the_norm_explodes(eps):
    floor = bound_norm(hinge(16), eps)
    assert floor.lower > {1e-3: 20, 1e-4: 500}[eps] and 0 <= floor.gap < 0.02


def test_a_certificate_is_checked_on_enough_offsets():
    """A grid four times finer takes away less than half a percent."""
    coarse, fine = (build_problem(Radial(d=16, law="limit"), 120, checks) for checks in (800, 3200))
    for eps in (0.1, 0.01, 0.001):
        a, b = (bound_norm(p, eps) for p in (coarse, fine))
        assert b.upper >= 0.995 * a.lower and b.lower <= 1.005 * a.upper


def test_it_grows_with_the_accuracy_and_saturates_in_d():
    problems = {d: hinge(2, limit=True) if d == 0 else hinge(d) for d in (2, 8, 64, 0)}
    rows = {
        (d, eps): bound_norm(p, eps).lower
        for d, p in problems.items()
        for eps in (0.1, 0.01, 0.001)
    }
    for d in (2, 8, 64, 0):
        assert rows[d, 0.1] < rows[d, 0.01] < rows[d, 0.001]
    assert (
        rows[64, 0.01] == pytest.approx(rows[0, 0.01], rel=0.05)
        and rows[64, 0.001] > 5 * rows[2, 0.001]
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_no_network_is_below_the_floor_of_its_norm():
    """Random ones, and one that solves the LASSO itself, at many norms; on the law that the
    certificate is about."""
    d = 8
    p = hinge(d)
    known = certify_norms(p, (0.5, 0.1, 0.01, 0.001))
    for seed in range(20):
        w, b, a, _ = network(d, seed)
        norms = np.linalg.norm(w, axis=1)
        norm = np.abs(a) @ norms / math.sqrt(2 * math.pi * d)
        average = (
            ridge_averages(p.r, np.abs(b) / norms, d) @ (a * norms) / math.sqrt(2 * math.pi * d)
        )
        average -= average.mean()
        best = float(average @ p.y / (average @ average))
        error = ((p.y - best * average) ** 2).sum() / p.total
        assert error >= bound_error(abs(best) * norm, known) - 1e-12
    _, _, path = lars_path(p.atoms[:, ::8], p.y, method="lasso", max_iter=30)
    for coefficients in path.T:
        error = ((p.y - p.atoms[:, ::8] @ coefficients) ** 2).sum() / p.total
        assert error >= bound_error(float(np.abs(coefficients).sum()), known) - 1e-12
    assert bound_error(0.0, known) > 0.5 and bound_error(1e9, known) == 0.0


def test_any_direction_is_a_certificate():
    p = hinge(8)
    truth = bound_norm(p, 0.05).upper
    for seed in range(20):
        rho = p.y + 0.1 * np.random.default_rng(seed).normal(size=len(p.y))
        rho -= rho.mean()
        certificate = Certificate(
            float(rho @ p.y),
            float(np.linalg.norm(rho)),
            float(np.abs(rho @ p.atoms).max()),
            p.total,
        )
        assert certificate.norm(0.05) <= truth


def test_it_is_deterministic():
    assert bound_norm(hinge(16), 0.003) == bound_norm(hinge(16), 0.003)


def test_a_trained_network_lies_above_its_floor(build):
    from bfc.engine.recipe import Recipe
    from bfc.engine.trainer import train
    from bfc.types import Training

    target = Radial(d=8)
    learner = build("learner", "mlp", widths=[64], input_scale="sqrt_d", weight_sd=1.0, bias_sd=1.0)
    recipe = Recipe(
        target,
        learner,
        build("schedule", "joint", steps=200),
        build("optimizer", "adam", batch=128, warmup=10),
        probe=build("probe", "radial", rows=512),
        test=4096,
    )
    known = certify_norms(build_problem(target, 120, 800), (0.3, 0.1, 0.03, 0.01))
    for record in train(recipe, [Training(0, seed) for seed in range(3)]):
        floor = bound_error(record["all/norm"], known)
        assert record["risk"] > floor and record["all/norm"] > 0.5


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: bound_norm(hinge(4), 0.0), "eps=0.0: must be a number between 0 and 1"),
        (lambda: bound_norm(hinge(4), 1.0), "eps=1.0"),
        (lambda: build_problem(Radial(d=4), 3, 800), "radii=3"),
        (lambda: build_problem(Radial(d=4), 100, 10), "checks=10"),
        (
            lambda: build_problem(Radial(d=4), limit=True),
            "law=bessel: must be limit or uniform with d=inf",
        ),
    ],
)
def test_bad_values_cost_one_sentence(call, words):
    with pytest.raises(UserError) as caught:
        call()
    assert words in str(caught.value) and "\n" not in str(caught.value)


def floor_command(*arguments: str) -> typer.testing.Result:
    return typer.testing.CliRunner().invoke(cli.application(), ["floor", *arguments])


def test_the_command_prints_and_writes_what_the_library_computes(tmp_path):
    done = floor_command(
        "--d",
        "4,inf",
        "--eps",
        "0.1,0.05",
        "--radii",
        "60",
        "--checks",
        "300",
        "--out",
        str(tmp_path / "floor.csv"),
    )
    assert done.exit_code == 0, done.output
    rows = (tmp_path / "floor.csv").read_text().splitlines()
    assert rows[0] == "d,eps,lower,upper,gap" and len(rows) == 5 and rows[3].startswith("inf,0.1,")
    want = bound_norm(build_problem(Radial(d=4, law="limit"), 60, 300), 0.05)
    assert (
        float(rows[2].split(",")[2]) == pytest.approx(want.lower, rel=1e-5)
        and f"{want.upper:.5g}" in done.output
    )


def test_the_command_takes_every_law(tmp_path):
    """A shell, and an inner edge, which moves the kink to where the limit law has less mass."""
    small = ("--d", "8", "--eps", "0.1", "--radii", "60", "--checks", "300")
    shell_target = Radial(d=8, law="uniform", inner=0.7, outer=1.3)
    shell = bound_norm(build_problem(shell_target, 60, 300), 0.1)
    narrow = bound_norm(build_problem(Radial(d=8, law="limit", edge_ratio=3.0), 60, 300), 0.1)
    for floor, options in (
        (shell, ("--law", "uniform", "--inner", "0.7", "--outer", "1.3")),
        (narrow, ("--edge-ratio", "3")),
    ):
        done = floor_command(*small, *options)
        assert done.exit_code == 0 and f"{floor.lower:.5g}" in done.output, done.output


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--d", "1"), "target.d=1: must be an integer from 2 to 1024"),
        (("--d", "2.5"), "--d=2.5"),
        (("--d", "two"), "--d=two"),
        (("--eps", "0"), "--eps=0.0"),
        (("--eps", "x"), "--eps=x"),
        (("--law", "cauchy"), "target.law=cauchy"),
        (("--radii", "1"), "radii=1"),
        (("--inner", "0.5"), "target.inner=0.5"),
        (("--edge-ratio", "0"), "target.edge_ratio=0"),
        (("--out", "/nowhere/at/all.csv"), "--out=/nowhere/at/all.csv"),
    ],
)
def test_the_command_refuses_in_a_sentence(arguments, words):
    done = floor_command(*arguments)
    assert (
        isinstance(done.exception, UserError) and words in str(done.exception) and not done.output
    )


def test_quantiles_carry_the_law():
    """400 radii give the moments of the target to a percent."""
    target = Radial(d=16)
    p = build_problem(target)
    assert p.total / len(p.y) == pytest.approx(target.moments[1], rel=0.01)
    assert isinstance(target.value(torch.zeros(1)), torch.Tensor)
