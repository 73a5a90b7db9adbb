"""The law of the correction: H in closed form against the Hessian worked out by hand, against a
sample, and the prediction against the best level 2 found by a general optimiser; then claims and
figures of the studies that use it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import optimize

from analysis.claims import judge_claims
from analysis.evidence import Evidence
from analysis.plots.dose_response import dose_response
from analysis.plots.feature_change import feature_change
from analysis.plots.feature_correction import feature_correction
from analysis.plots.law_of_correction import law_of_correction
from analysis.plots.risk_against_depth import risk_against_depth
from analysis.plots.success_map import success_map
from analysis.style import assign_line_styles
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.probes.correction_law import CorrectionLaw, predicted_gram
from bfc.schedules import Phase, Schedule
from bfc.targets.level_moments import quadratic_part
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Training


def hessian(target: Teacher, draw, r: int) -> torch.Tensor:
    rows = {level: {j: w[r] for j, w in parts.items()} for level, parts in draw.weights.items()}
    return quadratic_part(target, rows)


def test_the_quadratic_part_equals_the_mean_hessian_by_hand():
    """L = 3, E[f (x x' - I)] = E[Hessian of f]: level 2 gives 2 W'W, unit m of level 3, b·x + Σ a_i
    ((w_i·x)² - 1) / sd_i, gives 2 (b b' + 4 Σ_ij a_i a_j (w_i·w_j) w_i w_j' / (sd_i sd_j)); the
    Hessian of a unit itself is constant and meets E z = 0."""
    target = Teacher(d=6, L=3, widths=(3, 2), alpha=(1.0, 0.7))
    draw = target.draw([0, 4], torch.float64)
    for r in range(2):
        w, a, b = (draw.weights[level][j][r].numpy() for level, j in ((2, 0), (3, 2), (3, 0)))
        a = a / draw.unit_sd[2][r].numpy()
        want = draw.scale[r, 0].item() * 2 * w.T @ w
        for m in range(2):
            inner = sum(
                4 * a[m, i] * a[m, j] * (w[i] @ w[j]) * np.outer(w[i], w[j])
                for i in range(3)
                for j in range(3)
            )
            want = want + draw.scale[r, 1].item() * 2 * (np.outer(b[m], b[m]) + inner)
        assert np.allclose(hessian(target, draw, r).numpy(), want)


def test_the_quadratic_part_of_four_levels_against_a_sample():
    target = Teacher(d=5, L=4, widths=(2, 2, 1))
    draw = target.draw([1], torch.float64)
    x = draw.inputs("train", torch.arange(1 << 18).unsqueeze(0))
    y = draw.labels(x)[0]
    terms = y.view(-1, 1, 1) * (
        x[0].unsqueeze(2) * x[0].unsqueeze(1) - torch.eye(5, dtype=torch.float64)
    )
    error = (terms.mean(0) - hessian(target, draw, 0)).abs() / (terms.std(0) / len(y) ** 0.5)
    assert float(error.max()) < 4.5


@pytest.mark.parametrize("width", [2, 3])
def test_the_prediction_is_the_minimiser(width):
    """Of E(f* - s (|K x|² - E))² = const + 2 |H / 2 - s K'K|², found by BFGS from several starts."""
    target = Teacher(d=4, L=3, widths=(3, 2), alpha=(1.0, 1.0))
    draw = target.draw([2], torch.float64)
    h, teacher, scale = hessian(target, draw, 0), draw.weights[2][0][0], float(draw.scale[0, 0])

    def loss(k: np.ndarray) -> float:
        return float(
            np.sum((h.numpy() / 2 - scale * k.reshape(width, 4).T @ k.reshape(width, 4)) ** 2)
        )

    starts = [np.random.default_rng(seed).normal(size=4 * width) for seed in range(3)]
    found = min(
        (optimize.minimize(loss, start, tol=1e-12) for start in starts), key=lambda found: found.fun
    )
    gram = found.x.reshape(width, 4).T @ found.x.reshape(width, 4)
    truth = (teacher.T @ teacher).numpy()
    assert float(predicted_gram(teacher, h, scale, width)) == pytest.approx(
        np.linalg.norm(gram - truth) / np.linalg.norm(truth), rel=1e-4
    )


def test_trained_level_2_ends_where_it_is_predicted_and_only_there_a_prediction_stands():
    schedule = Schedule(
        (Phase(("level{2..l}", "bias"), "level{l}", "level"),), "staged", steps=400, check_every=100
    )
    target = Teacher(d=6, L=3, widths=(2, 2))
    records = train(
        Recipe(
            target,
            QuadraticDenseNet(),
            schedule,
            Adam(lr=0.02, batch=256, warmup=40),
            test=1024,
            probe=CorrectionLaw(1024),
        ),
        [Training(0, seed) for seed in (0, 1, 0)],
    )
    for record in records:
        assert (
            record["level2/predicted/2"] == pytest.approx(record["level2/gram/2"], rel=0.15)
            and record["level2/predicted/2"] > 0.1
        )
        assert np.isnan(record["level3/predicted/2"])
    assert (
        records[0]["level2/predicted/2"]
        == records[2]["level2/predicted/2"]
        != records[1]["level2/predicted/2"]
    )


def test_where_the_label_cannot_be_expanded_h_is_sampled(monkeypatch):
    target = Teacher(d=4, L=3, widths=(2, 1))
    draw = target.draw([3], torch.float64)
    exact = CorrectionLaw()._hessian(target, draw)
    monkeypatch.setattr("bfc.probes.correction_law.quadratic_part", lambda target, rows: None)
    sampled = CorrectionLaw(draws=1 << 17)._hessian(target, draw)
    assert 0 < float((sampled - exact).norm() / exact.norm()) < 0.1


@pytest.mark.parametrize(
    "target, learner, words",
    [
        (
            Teacher(d=5, base="x_squared"),
            QuadraticDenseNet(),
            "needs a target whose level 2 reads Gaussian x alone",
        ),
        (Teacher(d=5), QuadraticDenseNet(alpha="trained"), "learner.alpha=trained: must be known"),
    ],
)
def test_what_has_no_prediction_is_refused(target, learner, words):
    with pytest.raises(UserError, match=words):
        CorrectionLaw().check(target, learner)


# ---- claims and figures ------------------------------------------------------------------------


def table(rows: list[dict]) -> Evidence:
    common = {
        "kind": "training",
        "n": 1000,
        "d": 8,
        "target": "t",
        "stage": "level4",
        "config.learner.widths": None,
    }
    frame = pd.DataFrame(
        [
            {
                **common,
                "line": row["method"],
                "cell_id": row["method"] + row["config.target.alpha"],
                **row,
            }
            for row in rows
        ]
    )
    return Evidence(
        pd.DataFrame(columns=["method", "line"]),
        pd.DataFrame(),
        frame,
        looks=assign_line_styles(frame[["method", "line"]].drop_duplicates()),
        name="s",
    )


def verdict(evidence: Evidence, predicate: str, **thresholds) -> pd.Series:
    claim = {"paper": "p", "statement": "s", "predicate": predicate, "thresholds": thresholds}
    return judge_claims("none", evidence, [claim]).iloc[0]


def law(exponent: float, factor: float = 1.0, noise: float = 0.01) -> Evidence:
    generator = np.random.default_rng(0)
    return table(
        [
            {
                "method": "m",
                "L": 3,
                "seed": seed,
                "config.target.alpha": json.dumps([2.0, 2 * a]),
                "risk": 0.1,
                "level2/gram/2": 0.3 * a**exponent * np.exp(noise * generator.normal()),
                "level2/predicted/2": 0.3 / factor * a**exponent,
            }
            for a in (0.1, 0.4, 1.6)
            for seed in range(16)
        ]
    )


@pytest.mark.parametrize(
    "exponent, want", [(1.0, "reproduced"), (0.8, "contradicted"), (1.05, "undecided")]
)
def test_a_power_law_is_judged_by_its_slopes(exponent, want):
    found = verdict(
        law(exponent),
        "power_law",
        method="m",
        column="level2/gram/2",
        ratio=[3, 2],
        at_least=0.95,
        at_most=1.05,
    )
    assert found["verdict"] == want and found["measured"] == pytest.approx(exponent, abs=0.01)


@pytest.mark.parametrize(
    "factor, want",
    [(1.0, "reproduced"), (1.2, "contradicted"), (0.8, "contradicted"), (1.1, "undecided")],
)
def test_agreement_is_judged_at_the_worst_cell(factor, want):
    found = verdict(
        law(1.0, factor),
        "agreement",
        method="m",
        column="level2/gram/2",
        with_column="level2/predicted/2",
        at_least=0.9,
        at_most=1.1,
    )
    assert found["verdict"] == want


def doses(*medians: float) -> Evidence:
    spread = np.exp(0.05 * np.random.default_rng(1).normal(size=16))
    return table(
        [
            {
                "method": f"m{i}",
                "L": 4,
                "seed": seed,
                "risk": median * spread[seed],
                "level4/gram/2": median,
                "config.target.alpha": "[1.0, 0.5, 0.25]",
            }
            for i, median in enumerate(medians)
            for seed in range(16)
        ]
    )


@pytest.mark.parametrize(
    "medians, want",
    [
        ((0.04, 0.005, 0.001), "reproduced"),
        ((0.04, 0.02, 0.001), "contradicted"),
        ((0.04, 0.005, 0.006), "contradicted"),
    ],
)
def test_falling_medians(medians, want):
    found = verdict(doses(*medians), "falling_medians", methods=["m0", "m1", "m2"], factors=[3, 2])
    assert found["verdict"] == want and f"{medians[1]:.2g}" in found["remark"]
    assert verdict(doses(0.1), "falling_medians", methods=["m0", "m9"])["verdict"] == "undecided"


def successes(
    good: int, alpha: str = "[1.0, 0.5, 0.25]", widths: str | None = "[4, 6, 4]"
) -> list[dict]:
    return [
        {
            "method": "m",
            "L": 4,
            "seed": seed,
            "risk": 0.001 if seed < good else 0.5,
            "config.target.alpha": alpha,
            "config.learner.widths": widths,
            "cell_id": alpha + str(widths),
        }
        for seed in range(32)
    ]


@pytest.mark.parametrize("good, want", [(31, "reproduced"), (9, "contradicted"), (25, "undecided")])
def test_success_share_of_the_cell_that_is_meant(good, want):
    rows = [*successes(good), *successes(0, "[1.0, 1.0, 1.0]"), *successes(0, widths=None)]
    found = verdict(
        table(rows),
        "success_share",
        method="m",
        risk=0.005,
        alpha=[1, 0.5, 0.25],
        widths=[4, 6, 4],
        at_least=0.75,
    )
    assert found["verdict"] == want and found["remark"] == f"{good} of 32 trainings"
    assert (
        verdict(table(rows), "success_share", method="m", risk=0.005, alpha=[9, 9, 9])["verdict"]
        == "undecided"
    )


def test_figures_hold_what_was_measured():
    (chart,) = law_of_correction(law(1.0))
    panel = chart.columns[0][0]
    points = next(s for s in panel.series if s.form == "points").data
    assert points["x"].tolist() == pytest.approx([0.1, 0.4, 1.6]) and points[
        "y"
    ].tolist() == pytest.approx([0.03, 0.12, 0.48], rel=0.02)
    assert not list(law_of_correction(doses(0.1, 0.2)))
    (chart,) = dose_response(doses(0.04, 0.005, 0.001), methods=["m2", "m0"])
    medians = chart.columns[0][0].series[1].data
    assert medians["y"].tolist() == pytest.approx([0.001, 0.04], rel=0.1) and list(
        chart.columns[0][0].x.ticks.values()
    ) == ["m2", "m0"]
    (chart,) = success_map(table([*successes(31), *successes(9, "[1.0, 1.0, 1.0]")]), risk=0.005)
    assert chart.columns[0][0].series[0].data["y"].tolist() == pytest.approx([31 / 32, 9 / 32])


def test_doses_show_samples_and_how_much_was_corrected():
    """n* where several n were measured, in the order of the dose; level 2's correction: its error
    after its own phase over the end."""
    rows = [
        {
            "method": method,
            "L": 4,
            "seed": seed,
            "n": n,
            "risk": 1 / n,
            "level2/gram/2": 0.4,
            "level4/gram/2": 0.4 / (1 + rank),
            "config.target.alpha": "[1.0, 0.5, 0.25]",
        }
        for rank, method in enumerate(("m0", "m1"))
        for seed in range(4)
        for n in (10, 100)
    ]
    cells = [
        {
            "cell_id": f"{method}[1.0, 0.5, 0.25]",
            "method": method,
            "line": method,
            "eps": eps,
            "nstar": n,
            "lo": n / 2,
            "hi": 2 * n,
            "censored": censored,
            "largest_n": 100,
            "validation": "inside",
        }
        for method, n, censored in (("m0", 100, "right"), ("m1", 50, ""))
        for eps in (0.1, 0.02)
    ]
    evidence = table(rows)
    (chart,) = dose_response(replace(evidence, nstar=pd.DataFrame(cells)), methods=["m0", "m1"])
    drawn = chart.table()
    samples = drawn[drawn["panel"].str.startswith("samples needed")]
    assert sorted(samples.loc[samples["place"] == 0, "mark"]) == ["up", "up"] and set(
        samples.loc[samples["place"] == 1, "y"]
    ) == {50}
    corrected = drawn[
        drawn["panel"].str.contains("own phase over end") & (drawn["series"] == "median")
    ]
    assert corrected["y"].tolist() == pytest.approx([1, 2])


def test_changes_of_levels_are_shown_for_the_phases_after_their_own():
    rows = [
        {
            "method": "m",
            "L": 3,
            "seed": seed,
            "config.target.alpha": None,
            "level2/correlation/2": 0.1,
            "level3/correlation/2": 0.8,
            "level3/correlation/3": 0.2,
            "joint/correlation/2": 0.9,
            "joint/correlation/3": 0.95,
        }
        for seed in range(4)
    ]
    (chart,) = feature_change(table([{**row, "config.target.alpha": ""} for row in rows]))
    points = chart.table()[lambda t: t["form"] == "points"]
    assert points[["series", "x", "y"]].to_numpy().tolist() == [
        ["level3", 2, 0.8],
        ["joint", 2, 0.9],
        ["joint", 3, 0.95],
    ]


def test_phases_stand_in_the_order_of_training():
    """Refinement from the top goes down after the last level, whatever the numbers in the names
    say."""
    phases = ("level2", "level3", "level4", "down3", "down2")
    probes = {f"{phase}/gram/2": 0.1 for phase in phases}
    rows = [
        {"method": "m", "L": 4, "seed": seed, "config.target.alpha": "", **probes}
        for seed in (0, 1)
    ]
    (chart,) = feature_correction(table(rows))
    assert tuple(chart.columns[0][0].x.ticks.values()) == phases


def test_risk_against_depth_holds_medians_of_fresh_samples_only():
    rows = [
        {
            "method": "m",
            "L": L,
            "degree": 2 ** (L - 1),
            "seed": seed,
            "risk": L * (1 + seed),
            "fresh": fresh,
            "config.target.alpha": str(L),
        }
        for L in (2, 3)
        for seed in range(3)
        for fresh in (True, False)
        if fresh or L == 3
    ]
    (chart,) = risk_against_depth(table(rows))
    assert chart.columns[0][0].series[1].data["y"].tolist() == [4, 6] and list(
        chart.columns[0][0].x.ticks.values()
    ) == ["2 (2)", "3 (4)"]
    assert not list(risk_against_depth(table([{**row, "L": 3} for row in rows])))
