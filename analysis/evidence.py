"""What a study's claims are judged from and its figures are drawn from: :class:`Evidence`, the
tables of one study. Beside it the few steps that predicates share: picking rows, and turning a
value with its interval into a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

REPRODUCED, CONTRADICTED, UNDECIDED = "reproduced", "contradicted", "undecided"


@dataclass(frozen=True)
class Evidence:
    """The tables of one study.

    ``nstar``: n* of every cell (columns :data:`analysis.nstar_tables.NSTAR`); ``exponents`` of
    every line against d (:data:`~analysis.nstar_tables.EXPONENTS`); ``local`` exponents between
    neighbouring d (:data:`~analysis.nstar_tables.LOCAL`); ``depth``: n* where L varies
    (:data:`~analysis.nstar_tables.DEPTH`). ``trainings``: every stored column of every training,
    the flattened configuration as ``config.<key>``, and ``method, line, target, d, L, degree,
    cell_id``; probes (``kind`` = ``probe``) included. ``traces``: what probes saw on the way, one
    row per look with ``cell_id, line, n, seed, step, stage`` and the probe's columns; empty where
    no probe looked. ``looks``: line → its :class:`analysis.style.Look`; ``name``: of the study."""

    nstar: pd.DataFrame
    exponents: pd.DataFrame
    trainings: pd.DataFrame
    local: pd.DataFrame = field(default_factory=pd.DataFrame)
    depth: pd.DataFrame = field(default_factory=pd.DataFrame)
    traces: pd.DataFrame = field(default_factory=pd.DataFrame)
    looks: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class Finding:
    """What was measured for a claim, its 95 % interval, the verdict, and in ``remark`` why there is
    no number where there is none, or what else a reader should know."""

    measured: float
    lo: float
    hi: float
    verdict: str
    remark: str = ""


def band(
    value: float,
    lo: float,
    hi: float,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    remark: str = "",
) -> Finding:
    """The finding for a value with its interval that is demanded to lie in [at_least, at_most]:
    reproduced where the whole interval does, contradicted where none of it does, undecided
    otherwise and where an end is NaN."""
    if math.isnan(lo) or math.isnan(hi):
        verdict, remark = UNDECIDED, f"{remark}; no interval".strip("; ")
    elif at_least <= lo and hi <= at_most:
        verdict = REPRODUCED
    else:
        verdict = CONTRADICTED if hi < at_least or lo > at_most else UNDECIDED
    return Finding(float(value), float(lo), float(hi), verdict, remark)


def nothing(why: str) -> Finding:
    """The finding where nothing was measured that the claim speaks of."""
    return Finding(math.nan, math.nan, math.nan, UNDECIDED, why)


def cells_of(evidence: Evidence, method: str, eps: float) -> pd.DataFrame:
    """The rows of ``nstar`` of one method at one eps."""
    table = evidence.nstar
    return table[(table["method"] == method) & np.isclose(table["eps"], eps)]


def values_by_seed(evidence: Evidence, method: str, column: str) -> pd.Series:
    """A column of a method's trainings at the largest d and there at the largest n, by seed; empty
    where there is none."""
    rows = evidence.trainings
    rows = rows[(rows["method"] == method) & (rows["kind"] != "confirmation")]
    if rows.empty or column not in rows:
        return pd.Series(dtype=float)
    rows = rows[rows["d"] == rows["d"].max()]
    rows = rows[rows["n"] == rows["n"].max()]
    return rows.drop_duplicates("seed").set_index("seed")[column].astype(float)
