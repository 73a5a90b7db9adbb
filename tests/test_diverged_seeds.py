"""What predicates make of trainings that diverged: none of them is judged without them.

A probe's column is missing where a training diverged. To leave such seeds out would judge by those
that went well; here they make intervals wider, up to the point where nothing is decided.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.evidence import Evidence
from analysis.registry import call_part, load_part
from analysis.verdicts import Measurement, judge
from bfc.stats.claim_verdicts import Verdict

SEEDS = 12
PREDICATES: dict[str, dict[str, Any]] = {
    "median_value": {"method": "m", "column": "x", "at_most": 0.5},
    "median_ratio": {"over": "m", "under": "k", "column": "x", "at_most": 0.5},
    "falling_medians": {"methods": ["k", "m"], "column": "x"},
    "agreement": {"method": "m", "column": "x", "with_column": "one", "at_most": 0.5},
    "risk_at_every_d": {"method": "m", "column": "x", "at_most": 0.5},
    "risk_ratio_at_every_d": {"over": "k", "under": "m", "column": "x", "at_least": 2.0},
    "trace_bound": {"method": "m", "column": "x", "at": "last", "at_most": 0.5},
}
"""Claims that hold by a wide margin where no training diverges."""
SLOPES: dict[str, dict[str, Any]] = {
    "log_slope": {"against": "learner.width", "at_least": -0.9, "at_most": -0.1},
    "power_law": {"ratio": [3, 2], "at_least": -0.9, "at_most": -0.1},
}
WIDTHS = (64, 256, 1024)


def trainings(method: str, x: np.ndarray, cell: str = "") -> pd.DataFrame:
    """One cell; a value that is missing is that of a training that diverged."""
    return pd.DataFrame(
        {
            "cell_id": method + cell,
            "method": method,
            "line": method,
            "kind": "training",
            "d": 8,
            "L": 2,
            "degree": 4,
            "n": 64,
            "seed": range(len(x)),
            "risk": np.where(np.isnan(x), np.nan, 0.1),
            "x": x,
            "one": 1.0,
            "diverged": np.isnan(x),
            "config.target.alpha": "[1.0, 0.5]",
        }
    )


def draw(num_diverged: int, seed: int = 0) -> np.ndarray:
    x = 0.1 * np.exp(0.1 * np.random.default_rng(seed).normal(size=SEEDS))
    x[:num_diverged] = np.nan
    return x


def measure(predicate: str, num_diverged: int) -> Measurement:
    rows = trainings("m", draw(num_diverged))
    other = trainings("k", np.ones(SEEDS))
    ends = [rows.assign(fresh=False, step=step, x=x) for step, x in ((0, 0.1), (9, rows["x"]))]
    evidence = Evidence(
        pd.DataFrame(), pd.DataFrame(), pd.concat([rows, other]), traces=pd.concat(ends)
    )
    function = load_part("predicates", predicate, "test")
    return call_part(function, evidence, PREDICATES[predicate], "test")


def measure_slope(predicate: str, num_diverged: int) -> Measurement:
    """A column that falls as width^-0.5; trainings of the first width diverge."""
    tables = []
    for i, width in enumerate(WIDTHS):
        x = draw(num_diverged if i == 0 else 0, seed=i) * float(width) ** -0.5
        table = trainings("m", x, cell=str(width))
        table["config.learner.width"] = width
        table["config.target.alpha"] = f"[1.0, {float(width)}]"
        tables.append(table)
    evidence = Evidence(pd.DataFrame(), pd.DataFrame(), pd.concat(tables))
    function = load_part("predicates", predicate, "test")
    options = {"method": "m", "column": "x", **SLOPES[predicate]}
    return call_part(function, evidence, options, "test")


CASES = [(name, measure) for name in PREDICATES] + [(name, measure_slope) for name in SLOPES]


@pytest.mark.parametrize(("predicate", "make"), CASES)
def test_a_claim_is_not_reproduced_by_the_seeds_that_went_well(predicate, make) -> None:
    """One seed of twelve does not move the median far; half of them may move it anywhere."""
    none, few, half = (make(predicate, count) for count in (0, 1, SEEDS // 2))
    assert judge(none).verdict is judge(few).verdict is Verdict.REPRODUCED
    assert judge(half).verdict is Verdict.UNDECIDED
    assert none.source.seeds == few.source.seeds == half.source.seeds == SEEDS
    lo, hi = half.parts[0].estimate.interval(0.95)
    assert lo <= 0.0 or math.isinf(hi), "unknown values may lie on either side"


@pytest.mark.parametrize(("predicate", "make"), CASES)
def test_with_few_seeds_one_that_diverged_leaves_no_interval(monkeypatch, predicate, make) -> None:
    monkeypatch.setitem(globals(), "SEEDS", 4)
    assert judge(make(predicate, 0)).verdict is Verdict.REPRODUCED
    assert math.isnan(judge(make(predicate, 1)).lo)


def test_what_was_not_measured_is_left_out() -> None:
    """A value that is missing of a training that did not diverge says nothing about it."""
    rows = trainings("m", draw(3)).assign(diverged=False, risk=0.1)
    evidence = Evidence(pd.DataFrame(), pd.DataFrame(), rows)
    function = load_part("predicates", "median_value", "test")
    measurement = call_part(function, evidence, PREDICATES["median_value"], "test")
    assert len(measurement.parts[0].estimate.values) == SEEDS - 3
    assert judge(measurement).verdict is Verdict.REPRODUCED


def test_the_first_evaluation_of_a_training_that_diverges_later_is_known() -> None:
    rows = trainings("m", draw(6))
    ends = [rows.assign(fresh=False, step=step, x=x) for step, x in ((0, 0.1), (9, rows["x"]))]
    evidence = Evidence(pd.DataFrame(), pd.DataFrame(), rows, traces=pd.concat(ends))
    function = load_part("predicates", "trace_bound", "test")
    options = {**PREDICATES["trace_bound"], "at": "first"}
    measurement = call_part(function, evidence, options, "test")
    assert list(measurement.parts[0].estimate.values) == [0.1] * SEEDS
