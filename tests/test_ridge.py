"""Exact ridge learning curves: the cumulative sum against direct solves, what must not change a
curve, the choice of λ against brute force, refusals, and the degree-2 parity oracle for the
exponent."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from bfc.baselines import panels as panels_module
from bfc.baselines import ridge as ridge_module
from bfc.baselines.features import RandomFeatures
from bfc.baselines.kernels import NTK, RBF, Polynomial
from bfc.baselines.learning_curve import BLOCK, learning_curve
from bfc.baselines.linearised import Linearised
from bfc.baselines.memory import available_memory, memory_bytes
from bfc.baselines.panels import cholesky, count_entries, gram_matrix, kernel_panels
from bfc.baselines.selection import crossing, geometric_grid
from bfc.errors import UserError
from bfc.stats.outcomes import is_saturated
from bfc.targets.parity import Parity, ParityDraw


@dataclass(frozen=True)
class Spoiled(Parity):
    """Parity of two signs plus half of a parity of five: noise to a kernel of degree below 5, so
    that the best λ is not the smallest."""

    def draw(self, seeds, dtype=torch.float32, device="cpu") -> SpoiledDraw:
        return SpoiledDraw(self, tuple(seeds), torch.arange(5).expand(len(seeds), 5), dtype)


class SpoiledDraw(ParityDraw):
    def labels(self, x: Tensor) -> Tensor:
        return (x[..., :2].prod(-1) + 0.5 * x[..., :5].prod(-1)) / math.sqrt(1.25)


def problem(n: int = 120, test: int = 70, d: int = 7) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n + test, d, dtype=torch.float64, generator=generator)
    y = x[:, 0] * x[:, 1] + 0.3 * x[:, 2]
    kernel = NTK()
    return kernel.gram(x[:n], x[:n]), kernel.gram(x[n:], x[:n]), y[:n], y[n:]


def direct(
    kernel: Tensor, cross: Tensor, y: Tensor, f_test: Tensor, variance: float, ridge: float, n: int
) -> float:
    """The textbook estimator, refitted on the first n points."""
    shifted = kernel[:n, :n] + ridge * torch.eye(n, dtype=kernel.dtype)
    prediction = cross[:, :n] @ torch.linalg.solve(shifted, y[:n])
    return ((prediction - f_test).square().mean() / variance).item()


# --- the pure functions -------------------------------------------------------------------------


@pytest.mark.parametrize("ridge", [1e-6, 1e-2, 3.0])
def test_curve_equals_direct_solves_at_every_n(ridge):
    kernel, cross, y, f_test = problem()
    curve = learning_curve(kernel, cross, y, f_test, 1.09, ridge)
    expected = [direct(kernel, cross, y, f_test, 1.09, ridge, n) for n in range(1, 121)]
    torch.testing.assert_close(
        curve, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0
    )


def test_grid_picks_from_the_whole_curve():
    kernel, cross, y, f_test = problem()
    whole = learning_curve(kernel, cross, y, f_test, 1.0, 1e-3)
    grid = geometric_grid(120, 1.2)
    picked = learning_curve(kernel, cross, y, f_test, 1.0, 1e-3, grid)
    torch.testing.assert_close(picked, whole[torch.tensor(grid) - 1], rtol=1e-12, atol=0)


def test_prefix_does_not_depend_on_what_follows():
    kernel, cross, y, f_test = problem()
    whole = learning_curve(kernel, cross, y, f_test, 1.0, 1e-3)
    prefix = learning_curve(kernel[:50, :50], cross[:, :50], y[:50], f_test, 1.0, 1e-3)
    torch.testing.assert_close(whole[:50], prefix, rtol=1e-11, atol=0)


@pytest.mark.parametrize("block", [1, 13, 70])
def test_curve_does_not_depend_on_blocks(block):
    kernel, cross, y, f_test = problem()
    before = kernel.clone(), cross.clone()
    whole = learning_curve(kernel, cross, y, f_test, 1.0, 1e-3)
    torch.testing.assert_close(
        learning_curve(kernel, cross.split(block), y, f_test, 1.0, 1e-3), whole, rtol=1e-12, atol=0
    )
    assert torch.equal(kernel, before[0]) and torch.equal(cross, before[1]), (
        "arguments were changed"
    )


def test_baseline_curve_does_not_depend_on_blocks(monkeypatch):
    baseline, target = RBF(n_max=90), Parity(5)
    whole = baseline.curve(target, 3, 64, {"ridge": 1e-4})
    monkeypatch.setattr(ridge_module, "BLOCK", 17)
    assert baseline.curve(target, 3, 64, {"ridge": 1e-4}).risk == pytest.approx(
        whole.risk, rel=1e-10
    )


@pytest.mark.parametrize("kernel", [NTK(), RBF(), Polynomial()], ids=lambda k: type(k).__name__)
@pytest.mark.parametrize("tile", [7, 30, 64])
def test_kernel_matrices_by_tiles_equal_whole_ones(kernel, tile, monkeypatch):
    monkeypatch.setattr(panels_module, "TILE", tile)
    x, z = torch.randn(30, 5, dtype=torch.float64), torch.randn(17, 5, dtype=torch.float64)
    torch.testing.assert_close(
        gram_matrix(kernel.gram, x), kernel.gram(x, x), rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(
        gram_matrix(kernel.gram, x, z), kernel.gram(x, z), rtol=1e-12, atol=1e-12
    )


def test_mismatched_shapes_are_refused():
    kernel, cross, y, f_test = problem()
    for grid in ([], [0, 3], [121]):
        with pytest.raises(ValueError, match="n must hold"):
            learning_curve(kernel, cross, y, f_test, 1.0, 1.0, grid)
    with pytest.raises(ValueError, match="rows"):
        learning_curve(kernel, cross[:-1], y, f_test, 1.0, 1.0)


def test_factor_is_that_of_the_shifted_kernel():
    kernel = problem()[0]
    ((factor, below),) = cholesky(kernel, 0.5).parts
    torch.testing.assert_close(
        factor @ factor.T, kernel + 0.5 * torch.eye(120, dtype=torch.float64)
    )
    assert torch.equal(factor, factor.tril()) and not len(below)


@pytest.mark.parametrize("width", [1, 7, 40, 119, 120])
def test_panels_give_the_curve_of_the_whole_matrix(width, monkeypatch):
    """Whatever their width; and the factor takes the place of the matrix only where it may."""
    kernel, cross, y, f_test = problem()
    whole = learning_curve(kernel, cross, y, f_test, 1.0, 1e-3)
    monkeypatch.setattr(panels_module, "PANEL", width)
    x = torch.randn(30, 7, dtype=torch.float64)
    for panel, first in zip(kernel_panels(NTK().gram, x), range(0, 30, width), strict=True):
        torch.testing.assert_close(
            panel, NTK().gram(x[first:], x[first : first + width]), rtol=1e-12, atol=1e-12
        )
    before, parts = kernel.clone(), panels_module.split(kernel.clone())
    torch.testing.assert_close(
        learning_curve(kernel, cross, y, f_test, 1.0, 1e-3), whole, rtol=1e-9, atol=0
    )
    assert torch.equal(kernel, before)
    torch.testing.assert_close(
        learning_curve(parts, cross, y, f_test, 1.0, 1e-3, overwrite=True), whole, rtol=1e-9, atol=0
    )
    assert not torch.equal(parts[0], before[:, :width])
    with pytest.raises(
        UserError, match=r"^baseline\.ridge=1e-18: too small for this kernel at n=120"
    ):
        cholesky(Polynomial(degree=2).gram(x.repeat(4, 1), x.repeat(4, 1)), 1e-18)
    assert count_entries(120) == sum(part.numel() for part in parts)
    assert count_entries(40) <= 40**2


@pytest.mark.parametrize(
    "baseline",
    [NTK(n_max=90), RandomFeatures(number=50, n_max=90), Linearised(width=20, n_max=90)],
    ids=lambda baseline: baseline.label,
)
def test_a_baseline_by_panels_has_the_same_curve(baseline, monkeypatch):
    whole = baseline.curve(Parity(5), 3, 64, {"ridge": 1e-3})
    tuned = baseline.tune(Parity(5), 64)
    monkeypatch.setattr(panels_module, "PANEL", 16)
    assert baseline.curve(Parity(5), 3, 64, {"ridge": 1e-3}).risk == pytest.approx(
        whole.risk, rel=1e-9
    )
    again = baseline.tune(Parity(5), 64)
    assert [e["risk"] for e in again["tried"]] == pytest.approx(
        [e["risk"] for e in tuned["tried"]], rel=1e-4
    )


def test_numerically_singular_kernels_are_refused_without_jitter():
    x = torch.randn(100, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    kernel = Polynomial(degree=2).gram(x, x)  # rank 10
    for ridge in (0.0, 1e-18):
        with pytest.raises(UserError, match=r"^baseline\.ridge=.*: too small .* must be larger$"):
            cholesky(kernel, ridge)
    with pytest.raises(UserError, match="too small"):
        cholesky(-kernel, 1e-3)
    assert cholesky(kernel, 1e-10).parts[0][0].isfinite().all()


@pytest.mark.parametrize(
    ("n_max", "ratio"), [(9, 1.1), (64, 2.0), (100, 1.1), (4096, 1.1), (4096, 1.001), (10, 50.0)]
)
def test_grid_is_geometric_and_ends_exactly(n_max, ratio):
    grid = geometric_grid(n_max, ratio)
    assert grid[0] == 8 and grid[-1] == n_max and all(isinstance(n, int) for n in grid)
    assert all(a < b <= max(a + 1, a * ratio + 1.0 + ratio) for a, b in itertools.pairwise(grid))


def test_crossing_interpolates_in_logarithms():
    n = [10, 20, 40, 80]
    assert crossing(n, [8.0, 4.0, 2.0, 1.0], math.sqrt(8)) == pytest.approx(20 * math.sqrt(2))
    assert crossing(n, [1.0, 0.1, 0.5, 0.1], 0.1) == 20, "the first crossing counts"
    assert crossing(n, [0.1, 1.0, 1.0, 1.0], 0.2) == 10
    assert crossing(n, [1.0, 1.0, 1.0, 0.3], 0.2) is None
    assert 10 < crossing(n, [1.0, 0.0, 0.0, 0.0], 0.2) < 20


# --- the baseline -------------------------------------------------------------------------------


def test_curve_is_a_function_of_its_seed_on_nested_sets():
    target = Parity(5)
    long, short = RBF(n_max=80), RBF(n_max=40)
    curve = long.curve(target, 0, 50, {"ridge": 1e-3})
    assert curve.n == long.grid and len(curve.risk) == len(curve.n)
    assert long.curve(target, 0, 50, {"ridge": 1e-3}) == curve
    assert long.curve(target, 1, 50, {"ridge": 1e-3}).risk != curve.risk
    common = len(short.grid) - 1
    assert short.curve(target, 0, 50, {"ridge": 1e-3}).risk[:common] == pytest.approx(
        curve.risk[:common], rel=1e-11
    )


def brute_force(
    baseline: Polynomial, target: Parity, test: int, seeds: list[int], ridge: float
) -> tuple[float, float]:
    """n* (inf if not reached) and risk at n_max by refitting at every n of the grid, and an own
    interpolation."""
    risks = []
    for seed in seeds:
        draw = target.draw([seed], dtype=torch.float64)
        x, x_test = (
            draw.inputs(role, torch.arange(rows)[None])[0]
            for role, rows in (("train", baseline.n_max), ("test", test))
        )
        data = (
            baseline.gram(x, x),
            baseline.gram(x_test, x),
            draw.labels(x),
            draw.labels(x_test),
            1.0,
        )
        risks.append([direct(*data, ridge, n) for n in baseline.grid])
    median = np.median(risks, axis=0)
    if median.min() > baseline.tuning_eps:
        return math.inf, median[-1]
    hit = int(np.argmax(median <= baseline.tuning_eps))
    ends = np.log(median[[hit, hit - 1]]), np.log([baseline.grid[hit], baseline.grid[hit - 1]])
    return math.exp(np.interp(math.log(baseline.tuning_eps), *ends)), median[-1]


@pytest.mark.parametrize(("eps", "best"), [(0.5, 0.1), (0.3, 0.3), (0.05, 0.3)])
def test_tune_minimises_nstar(eps, best):
    """Against refits by brute force. λ = 0.3 has the lowest risk at n_max, yet 0.1 reaches a risk
    of 0.5 sooner; none reaches 0.05, where the lowest risk at n_max decides."""
    target, grid = Spoiled(8), (1e-4, 0.1, 0.3, 1.0, 3.0)
    baseline = Polynomial(degree=3, ridge_grid=grid, n_max=250, tuning_draws=3, tuning_eps=eps)
    tuned = baseline.tune(target, 200)
    assert json.loads(json.dumps(tuned)) == tuned
    assert (
        tuned["seeds"] == [-1, -2, -3] and tuned["reached"] == (eps > 0.1) and tuned["eps"] == eps
    )
    expected = [brute_force(baseline, target, 200, tuned["seeds"], ridge) for ridge in grid]
    for entry, (nstar, risk) in zip(tuned["tried"], expected, strict=True):
        assert entry["nstar"] == (None if nstar == math.inf else pytest.approx(nstar, rel=1e-9))
        assert entry["risk"] == pytest.approx(risk, rel=1e-8)
    assert tuned["ridge"] == grid[expected.index(min(expected))] == best and not tuned["at_edge"]


def test_tune_says_when_the_grid_ends_too_early():
    baseline = Polynomial(degree=3, ridge_grid=(0.3, 1.0, 3.0), n_max=60, tuning_eps=0.4)
    assert baseline.tune(Parity(5), 100)["at_edge"]


def test_a_given_ridge_is_not_tuned():
    tuned = RBF(ridge=1, n_max=40).tune(Parity(5), 10)
    assert (
        tuned["ridge"] == 1.0
        and tuned["tried"] == []
        and tuned["seeds"] == []
        and tuned["trainings"] == 0
    )


def test_kernel_and_ridge_are_chosen_together():
    """Against every combination by itself: the one with the smallest n*, on the same draws; the
    curve is that of what was chosen."""
    target, options = (
        Spoiled(8),
        {"n_max": 120, "tuning_draws": 2, "tuning_eps": 0.5, "ridge_grid": (1e-3, 0.1, 1.0)},
    )
    baseline = Polynomial(
        degree="auto", degree_grid=(2, 3, 5), offset="auto", offset_grid=(0.5, 1.0), **options
    )
    assert baseline.label == "polynomial kernel (degree tuned, offset tuned)"
    tuned = baseline.tune(target, 100)
    assert json.loads(json.dumps(tuned)) == tuned
    assert tuned["trainings"] == 3 * 2 * 3 * 2 and len(tuned["tried"]) == 18
    alone = {}
    for degree in (2, 3, 5):
        for offset in (0.5, 1.0):
            for entry in Polynomial(degree=degree, offset=offset, **options).tune(target, 100)[
                "tried"
            ]:
                alone[degree, offset, entry["ridge"]] = entry["nstar"], entry["risk"]
    for entry in tuned["tried"]:
        assert (entry["nstar"], entry["risk"]) == alone[
            entry["degree"], entry["offset"], entry["ridge"]
        ]
    best = min(alone, key=lambda key: (alone[key][0] or math.inf, alone[key][1]))
    assert (tuned["degree"], tuned["offset"], tuned["ridge"]) == best
    assert set(tuned["edges"]) == {
        name
        for name, value, grid in zip(
            ("degree", "offset", "ridge"), best, ((2, 5), (0.5, 1.0), (1e-3, 1.0)), strict=True
        )
        if value in grid
    }
    chosen = Polynomial(degree=best[0], offset=best[1], **options)
    assert baseline.curve(target, 3, 50, tuned) == chosen.curve(target, 3, 50, {"ridge": best[2]})
    assert tuned["rank"] == math.comb(target.input_width + best[0], best[0])


def test_a_curve_is_flat_only_with_more_samples_than_features():
    """Degree 2 cannot learn a parity of degree 3: with 36 features the risk is flat at 144 samples.
    Degree 4 on the way is not."""
    low, high = (
        Polynomial(degree=2, ridge=1e-3, n_max=400),
        Polynomial(degree=4, ridge=1e-3, n_max=400),
    )
    target = Parity(7, degree=3)
    for kernel, expected in ((low, True), (high, False)):
        tuned = kernel.tune(target, 400)
        curve = kernel.curve(target, 0, 400, tuned)
        flat = is_saturated(curve.n, curve.risk, tuned["rank"])
        assert flat[-1] is expected and not any(
            still for n, still in zip(curve.n, flat, strict=True) if n < 144
        )
    assert low.tune(target, 50)["rank"] == 36 and RBF(ridge=1e-3).tune(target, 50)["rank"] is None
    assert Polynomial(degree=2, offset=0).rank(7) == 28
    n, level = [100, 200, 400], [0.5] * 3
    assert is_saturated(n, level, None) == [False] * 3 and is_saturated(n, level, 50) == [
        False,
        True,
        True,
    ]


def test_tune_records_singular_lambdas_and_refuses_when_all_are():
    options = {"degree": 1, "n_max": 60, "tuning_eps": 0.5}
    tuned = Polynomial(ridge_grid=(1e-18, 1e-2), **options).tune(Parity(5), 50)
    assert (
        tuned["tried"][0] == {"ridge": 1e-18, "nstar": None, "risk": None}
        and tuned["ridge"] == 1e-2
    )
    with pytest.raises(UserError, match=r"^baseline\.ridge_grid=.*singular at n=60"):
        Polynomial(ridge_grid=(1e-18,), **options).tune(Parity(5), 50)


def test_memory_is_refused_before_it_is_used(monkeypatch):
    assert memory_bytes(4096) == 8 * (4096**2 + 6 * BLOCK * 4096)
    assert memory_bytes(100, 50) - memory_bytes(100) == 8 * (50 * 100 + 100**2), (
        "the matrix stays while λ is tuned"
    )
    assert memory_bytes(100_000) == pytest.approx(8 * 100_000**2 / 2, rel=0.2), "half of a square"
    assert 0 < available_memory() < 2**50
    baseline = RBF(n_max=64)
    monkeypatch.setattr(ridge_module, "available_memory", lambda device: memory_bytes(64, 20) - 1)
    assert baseline.curve(Parity(4), 0, 20, {"ridge": 1.0}).n[-1] == 64
    with pytest.raises(UserError, match=r"^baseline\.n_max=64: must be smaller: .* GiB are free$"):
        baseline.tune(Parity(4), 20)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ridge", "fast"),
        ("ridge", -1.0),
        ("ridge", math.nan),
        ("ridge", True),
        ("ridge_grid", ()),
        ("ridge_grid", "auto"),
        ("ridge_grid", (1e-3, 0.0)),
        ("ridge_grid", ("small",)),
        ("ridge_grid", 0.1),
        ("n_max", 8),
        ("n_max", 100.0),
        ("n_ratio", 1.0),
        ("n_ratio", "x"),
        ("tuning_draws", 0),
        ("tuning_eps", 0),
        ("tuning_eps", 1.0),
    ],
)
def test_bad_values_are_refused_with_a_sentence(field, value):
    with pytest.raises(UserError, match=rf"^baseline\.{field}=.*: must be "):
        RBF(**{field: value})


def test_baselines_are_frozen_and_take_lists():
    baseline = RBF(ridge_grid=[1, 0.1])
    assert baseline.ridge_grid == (1.0, 0.1) and baseline == RBF(ridge_grid=(1.0, 0.1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        baseline.n_max = 3


# --- the oracle ---------------------------------------------------------------------------------


def test_degree_2_parity_has_exponent_2():
    """A polynomial kernel needs n of order d² for a degree-2 parity. Figure of the design notes:
    exponent 1.98–2.01, n* ≈ 1.63 C(d, 2) for the kernel (1 + x·z/d)⁴, d = 8 … 48; here n* is where
    the median over 6 seeds meets 0.25."""
    dimensions, nstar = (8, 12, 16, 24, 32, 48), []
    for d in dimensions:
        baseline = Polynomial(degree=4, ridge=0.01, n_max=math.comb(d, 2) * 2 + 10, n_ratio=1.03)
        curves = [
            baseline.curve(Parity(d), seed, 500, baseline.tune(Parity(d), 500)) for seed in range(6)
        ]
        nstar.append(
            crossing(
                baseline.grid, np.median([curve.risk for curve in curves], axis=0).tolist(), 0.25
            )
        )
    exponent = np.polyfit(np.log(dimensions), np.log(nstar), 1)[0]
    assert 1.9 < exponent < 2.1, (exponent, nstar)
    ratios = [n / math.comb(d, 2) for n, d in zip(nstar, dimensions, strict=True)]
    assert all(1.4 < ratio < 2.0 for ratio in ratios), ratios
