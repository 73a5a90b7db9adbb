"""Kernel ridge regression as a baseline: curves, the choice of λ, refusals and a known exponent."""

from __future__ import annotations

import dataclasses
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
from bfc.baselines.learning_curve import BLOCK
from bfc.baselines.linearised import Linearised
from bfc.baselines.memory import available_memory, memory_bytes
from bfc.baselines.selection import crossing
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


def direct(
    kernel: Tensor, cross: Tensor, y: Tensor, f_test: Tensor, variance: float, ridge: float, n: int
) -> float:
    """The textbook estimator, refitted on the first n points."""
    shifted = kernel[:n, :n] + ridge * torch.eye(n, dtype=kernel.dtype)
    prediction = cross[:, :n] @ torch.linalg.solve(shifted, y[:n])
    return ((prediction - f_test).square().mean() / variance).item()


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


def test_baseline_curve_does_not_depend_on_blocks(monkeypatch):
    baseline, target = RBF(n_max=90), Parity(5)
    whole = baseline.curve(target, 3, 64, {"ridge": 1e-4})
    monkeypatch.setattr(ridge_module, "BLOCK", 17)
    assert baseline.curve(target, 3, 64, {"ridge": 1e-4}).risk == pytest.approx(
        whole.risk, rel=1e-10
    )


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


# --- the oracle ---------------------------------------------------------------------------------


def test_degree_2_parity_has_exponent_2():
    """A polynomial kernel needs n of order d² for a degree-2 parity. Figure of a prototype:
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
