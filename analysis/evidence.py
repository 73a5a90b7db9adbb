"""What a study's claims are judged from and its figures are drawn from.

:class:`Evidence` holds the tables of one study. The functions are the steps that predicates share:
selecting rows, and turning a value with its interval into a :class:`Finding`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pandas as pd

from analysis.style import LineStyle


class Verdict(StrEnum):
    """What the evidence says about a claim; the values stand in ``claims.csv``."""

    REPRODUCED = "reproduced"
    """The whole 95 % interval satisfies the claim."""
    CONTRADICTED = "contradicted"
    """No part of the interval satisfies it."""
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Evidence:
    """The tables of one study."""

    nstar: pd.DataFrame
    """n* of every cell, columns :data:`analysis.nstar_tables.NSTAR`."""
    exponents: pd.DataFrame
    """Of every line against d, columns :data:`analysis.nstar_tables.EXPONENTS`."""
    trainings: pd.DataFrame
    """Every stored column of every training, confirming runs included.

    Besides: the flattened configuration as ``config.<key>``, and ``method, line, target, d, L,
    degree, cell_id``.
    """
    local: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Local exponents between neighbouring d, columns :data:`analysis.nstar_tables.LOCAL`."""
    depth: pd.DataFrame = field(default_factory=pd.DataFrame)
    """n* where L varies, columns :data:`analysis.nstar_tables.DEPTH`."""
    traces: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Probes evaluated during training, one row per evaluation; empty where there were none.

    Columns ``cell_id, line, n, seed, step, stage`` and those of the probe.
    """
    styles: Mapping[str, LineStyle] = field(default_factory=dict)
    """Line or method → how it is drawn."""
    name: str = ""
    """The name of the study."""


@dataclass(frozen=True)
class Finding:
    """What was measured for a claim, its 95 % interval and the verdict.

    ``remark`` explains a missing number, or adds what else a reader should know.
    """

    measured: float
    lo: float
    hi: float
    verdict: Verdict
    remark: str = ""


def judge_interval(
    value: float,
    lo: float,
    hi: float,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    remark: str = "",
) -> Finding:
    """The finding for a value with its interval that must lie in [at_least, at_most].

    Reproduced where the whole interval does, contradicted where none of it does; undecided
    otherwise, and where an end is NaN.
    """
    verdict = Verdict.UNDECIDED
    if math.isnan(lo) or math.isnan(hi):
        remark = f"{remark}; no interval".strip("; ")
    elif at_least <= lo and hi <= at_most:
        verdict = Verdict.REPRODUCED
    elif hi < at_least or lo > at_most:
        verdict = Verdict.CONTRADICTED
    return Finding(float(value), float(lo), float(hi), verdict, remark)


def no_data(reason: str) -> Finding:
    """The finding where nothing was measured that the claim is about."""
    return Finding(math.nan, math.nan, math.nan, Verdict.UNDECIDED, reason)


def select_cells(evidence: Evidence, method: str, eps: float) -> pd.DataFrame:
    """The rows of ``nstar`` of one method at one eps."""
    table = evidence.nstar
    return table[(table["method"] == method) & np.isclose(table["eps"], eps)]


def select_values_by_seed(evidence: Evidence, method: str, column: str) -> pd.Series:
    """A column of a method's trainings at the largest d and there at the largest n, by seed.

    Empty where there is none; confirming runs are left out.
    """
    rows = evidence.trainings
    rows = rows[(rows["method"] == method) & (rows["kind"] != "confirmation")]
    if rows.empty or column not in rows:
        return pd.Series(dtype=float)
    rows = rows[rows["d"] == rows["d"].max()]
    rows = rows[rows["n"] == rows["n"].max()]
    return rows.drop_duplicates("seed").set_index("seed")[column].astype(float)
