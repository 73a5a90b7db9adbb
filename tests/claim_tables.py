"""Small tables of evidence, and the row that a claim has when it is judged from them."""

from __future__ import annotations

import math

import pandas as pd

from analysis.claims import COLUMNS, judge_claims
from analysis.evidence import Evidence

INF, NAN = math.inf, math.nan

NSTAR = ["method", "d", "L", "eps", "nstar", "lo", "hi", "censored", "outcome", "largest_n"]
EXPONENTS = ["method", "eps", "exponent", "lo", "hi"]
TRAININGS = ["method", "d", "n", "seed", "kind", "risk", "a", "b", "c"]


def evidence(nstar=(), exponents=(), trainings=()):
    return Evidence(
        pd.DataFrame(list(nstar), columns=NSTAR).assign(degree=4),
        pd.DataFrame(list(exponents), columns=EXPONENTS),
        pd.DataFrame(list(trainings), columns=TRAININGS),
    )


def judge(predicate, data, /, **thresholds):
    """The row of a claim in the table of judged claims."""
    claim = {"paper": "p", "statement": "s", "predicate": predicate, "thresholds": thresholds}
    table = judge_claims("none", data, [claim])
    assert list(table) == list(COLUMNS) and len(table) == 1
    return table.iloc[0]


def trainings(values, method="m", d=32, n=512, kind="training"):
    return [(method, d, n, seed, kind, *row) for seed, row in enumerate(values)]


def with_risks(risks):
    return [(risk, NAN, NAN, NAN) for risk in risks]


IN_CELL = (*TRAININGS, "target", "cell_id", "line", "config.task.size", "config.task.judge")


def in_cell(rows, target, cell, size=None):
    """The same trainings with the columns that distinguish cells."""
    cell_values = {
        "target": target,
        "cell_id": cell,
        "line": cell,
        "config.task.size": size,
        "config.task.judge": "total",
    }
    return [{**dict(zip(TRAININGS, row, strict=True)), **cell_values} for row in rows]
