"""Claims and figures of the studies of backward feature correction."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.claims import judge_claims
from analysis.correction import QUARTILES, tabulate_corrections
from analysis.evidence import Evidence
from analysis.plots.dose_response import dose_response
from analysis.plots.feature_change import feature_change
from analysis.plots.feature_correction import feature_correction
from analysis.plots.law_of_correction import law_of_correction
from analysis.plots.risk_against_depth import risk_against_depth
from analysis.plots.success_map import success_map
from analysis.style import assign_line_styles
from analysis.training_tables import make_correction_table


def table(rows: list[dict]) -> Evidence:
    """Evidence of these trainings and nothing else."""
    common = {
        "kind": "training",
        "n": 1000,
        "d": 8,
        "target": "t",
        "stage": "level4",
        "config.learner.widths": None,
    }
    complete = []
    for row in rows:
        cell_id = row["method"] + row["config.target.alpha"]
        complete.append({**common, "line": row["method"], "cell_id": cell_id, **row})
    frame = pd.DataFrame(complete)
    return Evidence(
        pd.DataFrame(columns=["method", "line"]),
        pd.DataFrame(),
        frame,
        styles=assign_line_styles(frame[["method", "line"]].drop_duplicates()),
        name="s",
    )


def verdict(evidence: Evidence, predicate: str, **thresholds) -> pd.Series:
    claim = {"paper": "p", "statement": "s", "predicate": predicate, "thresholds": thresholds}
    return judge_claims("none", evidence, [claim]).iloc[0]


def law(exponent: float, factor: float = 1.0, noise: float = 0.01) -> Evidence:
    """Errors that grow as a power of alpha_3 / alpha_2, ``factor`` times the prediction."""
    generator = np.random.default_rng(0)
    rows = []
    for a, seed in itertools.product((0.1, 0.4, 1.6), range(16)):
        row = {
            "method": "m",
            "L": 3,
            "seed": seed,
            "config.target.alpha": json.dumps([2.0, 2 * a]),
            "risk": 0.1,
            "level2/gram/2": 0.3 * a**exponent * np.exp(noise * generator.normal()),
            "level2/predicted/2": 0.3 / factor * a**exponent,
        }
        rows.append(row)
    return table(rows)


@pytest.mark.parametrize(
    "exponent, want", [(1.0, "reproduced"), (0.8, "contradicted"), (1.05, "undecided")]
)
def test_a_power_law_is_judged_by_its_slopes(exponent, want):
    row = verdict(
        law(exponent),
        "power_law",
        method="m",
        column="level2/gram/2",
        ratio=[3, 2],
        at_least=0.95,
        at_most=1.05,
    )
    assert row["verdict"] == want and row["measured"] == pytest.approx(exponent, abs=0.01)


@pytest.mark.parametrize(
    "factor, want",
    [(1.0, "reproduced"), (1.2, "contradicted"), (0.8, "contradicted"), (1.1, "undecided")],
)
def test_agreement_is_judged_at_the_worst_cell(factor, want):
    row = verdict(
        law(1.0, factor),
        "agreement",
        method="m",
        column="level2/gram/2",
        with_column="level2/predicted/2",
        at_least=0.9,
        at_most=1.1,
    )
    assert row["verdict"] == want


def doses(*medians: float) -> Evidence:
    """Methods m0, m1, ... whose risks have these medians."""
    spread = np.exp(0.05 * np.random.default_rng(1).normal(size=16))
    rows = []
    for (i, median), seed in itertools.product(enumerate(medians), range(16)):
        row = {
            "method": f"m{i}",
            "L": 4,
            "seed": seed,
            "risk": median * spread[seed],
            "level4/gram/2": median,
            "config.target.alpha": "[1.0, 0.5, 0.25]",
        }
        rows.append(row)
    return table(rows)


@pytest.mark.parametrize(
    "medians, want",
    [
        ((0.04, 0.005, 0.001), "reproduced"),
        ((0.04, 0.02, 0.001), "contradicted"),
        ((0.04, 0.005, 0.006), "contradicted"),
    ],
)
def test_falling_medians(medians, want):
    row = verdict(doses(*medians), "falling_medians", methods=["m0", "m1", "m2"], factors=[3, 2])
    assert row["verdict"] == want and f"{medians[1]:.2g}" in row["remark"]
    assert verdict(doses(0.1), "falling_medians", methods=["m0", "m9"])["verdict"] == "not run"


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
    row = verdict(
        table(rows),
        "success_share",
        method="m",
        risk=0.005,
        alpha=[1, 0.5, 0.25],
        widths=[4, 6, 4],
        at_least=0.75,
    )
    assert row["verdict"] == want and row["remark"] == f"{good} of 32 trainings"
    absent = verdict(table(rows), "success_share", method="m", risk=0.005, alpha=[9, 9, 9])
    assert absent["verdict"] == "not run"


def test_figures_hold_what_was_measured():
    (chart,) = law_of_correction(law(1.0))
    panel = chart.columns[0][0]
    points = next(s for s in panel.series if s.form == "points").data
    assert points["x"].tolist() == pytest.approx([0.1, 0.4, 1.6])
    assert points["y"].tolist() == pytest.approx([0.03, 0.12, 0.48], rel=0.02)
    assert not list(law_of_correction(doses(0.1, 0.2)))
    (chart,) = dose_response(doses(0.04, 0.005, 0.001), methods=["m2", "m0"])
    panel = chart.columns[0][0]
    assert panel.series[1].data["y"].tolist() == pytest.approx([0.001, 0.04], rel=0.1)
    assert list(panel.x.ticks.values()) == ["m2", "m0"]
    (chart,) = success_map(table([*successes(31), *successes(9, "[1.0, 1.0, 1.0]")]), risk=0.005)
    assert chart.columns[0][0].series[0].data["y"].tolist() == pytest.approx([31 / 32, 9 / 32])


def test_doses_show_samples_and_how_much_was_corrected():
    """n* where several n were measured, in the order of the dose, and level 2's correction.

    The correction is its error after its own phase over that at the end.
    """
    evidence = replace(table(dose_trainings()), nstar=pd.DataFrame(dose_nstar()))
    (chart,) = dose_response(evidence, methods=["m0", "m1"])
    drawn = chart.to_table()
    samples = drawn[drawn["panel"].str.startswith("samples needed")]
    assert sorted(samples.loc[samples["place"] == 0, "mark"]) == ["up", "up"]
    assert set(samples.loc[samples["place"] == 1, "y"]) == {50}
    is_correction = drawn["panel"].str.contains("own phase over end")
    corrected = drawn[is_correction & (drawn["series"] == "median")]
    assert corrected["y"].tolist() == pytest.approx([1, 2])


def dose_trainings() -> list[dict]:
    """Two methods of which only m1 corrects level 2, by half."""
    rows = []
    for (rank, method), seed, n in itertools.product(enumerate(("m0", "m1")), range(4), (10, 100)):
        row = {
            "method": method,
            "L": 4,
            "seed": seed,
            "n": n,
            "risk": 1 / n,
            "level2/gram/2": 0.4,
            "level4/gram/2": 0.4 / (1 + rank),
            "config.target.alpha": "[1.0, 0.5, 0.25]",
        }
        rows.append(row)
    return rows


def dose_nstar() -> list[dict]:
    """Their n*, that of m0 beyond the largest n."""
    cells = []
    measured = (("m0", 100, "right"), ("m1", 50, ""))
    for (method, n, censored), eps in itertools.product(measured, (0.1, 0.02)):
        cell = {
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
        cells.append(cell)
    return cells


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
    points = chart.to_table()[lambda t: t["form"] == "points"]
    assert points[["series", "x", "y"]].to_numpy().tolist() == [
        ["level3", 2, 0.8],
        ["joint", 2, 0.9],
        ["joint", 3, 0.95],
    ]


def test_phases_stand_in_the_order_of_training():
    """Refinement from the top goes down after the last level, whatever the names' numbers."""
    phases = ("level2", "level3", "level4", "down3", "down2")
    probes = {f"{phase}/gram/2": 0.1 for phase in phases}
    rows = [
        {"method": "m", "L": 4, "seed": seed, "config.target.alpha": "", **probes}
        for seed in (0, 1)
    ]
    (chart,) = feature_correction(table(rows))
    assert tuple(chart.columns[0][0].x.ticks.values()) == phases


def test_the_table_of_corrections_shows_two_groups_of_seeds_and_the_learning_rate():
    """Seven of ten seeds lie high at one d, whose cell was tuned to a larger learning rate."""
    rows = []
    for d, rate, errors in ((8, 0.03, [0.02] * 10), (12, 0.1, [0.01] * 3 + [0.4] * 7)):
        for seed, error in enumerate(errors):
            probes = {"level2/gram/2": 0.35, "level3/gram/2": error}
            head = {"method": "m", "L": 3, "seed": seed, "config.target.alpha": f"{d}"}
            rows.append({**head, "d": d, "lr": rate, **probes})
    trainings = table(rows).trainings
    corrections = tabulate_corrections(trainings).set_index(["d", "phase"])
    assert corrections.loc[(12, "level3"), list(QUARTILES)].tolist() == [0.1075, 0.4, 0.4]
    shown = make_correction_table(tabulate_corrections(trainings))
    rates = [row[shown.columns.index("learning rate")].text for row in shown.rows]
    assert rates == ["0.03", "0.1"]
    assert shown.rows[1][-1].text == "level2 0.35 (0.35–0.35) → level3 0.4 (0.107–0.4)"


def test_risk_against_depth_holds_medians_of_fresh_samples_only():
    rows = []
    for (L, fresh), seed in itertools.product(((2, True), (3, True), (3, False)), range(3)):
        row = {
            "method": "m",
            "L": L,
            "degree": 2 ** (L - 1),
            "seed": seed,
            "risk": L * (1 + seed),
            "fresh": fresh,
            "config.target.alpha": str(L),
        }
        rows.append(row)
    (chart,) = risk_against_depth(table(rows))
    panel = chart.columns[0][0]
    assert panel.series[1].data["y"].tolist() == [4, 6]
    assert list(panel.x.ticks.values()) == ["2 (2)", "3 (4)"]
    assert not list(risk_against_depth(table([{**row, "L": 3} for row in rows])))
