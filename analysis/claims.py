"""Judge a study's claims from the store. A claim is data in the study's file under ``sweeps/``: the paper, the sentence, one predicate
of this module and its thresholds; so a reader sees what was demanded, and changing a threshold retrains nothing. A verdict is
*reproduced* only where the whole 95 % interval satisfies the claim, *contradicted* where none of it does, and otherwise *undecided*."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import stats

from analysis.risks import median_interval
from bfc.errors import UserError, nearest
from bfc.launch.folders import SWEEPS

COLUMNS = ("claim", "paper", "study", "predicted", "measured", "lo", "hi", "verdict", "remark", "command")
REPRODUCED, CONTRADICTED, UNDECIDED = "reproduced", "contradicted", "undecided"


@dataclass(frozen=True)
class Evidence:
    """The tables of one study: ``nstar`` and ``exponents`` as in :mod:`analysis.scaling`, ``trainings`` with all stored columns."""

    nstar: pd.DataFrame
    exponents: pd.DataFrame
    trainings: pd.DataFrame


@dataclass(frozen=True)
class Finding:
    """What was measured for a claim, its interval, and why there is no number where there is none."""

    measured: float
    lo: float
    hi: float
    verdict: str
    remark: str = ""


def claims_of(study: str, folder: Path = SWEEPS) -> list[dict[str, Any]]:
    """The claims of a study's file; none for a study without a file."""
    path = folder / f"{study}.yaml"
    node = yaml.safe_load(path.read_text()).get("study", {}) if path.is_file() else {}
    return list(node.get("claims", []))


def judge(study: str, evidence: Evidence, claims: Sequence[Mapping[str, Any]] | None = None) -> pd.DataFrame:
    """One row per claim of ``study``, with the columns :data:`COLUMNS`. Raises :class:`UserError` for an unknown predicate."""
    rows = []
    for claim in claims_of(study) if claims is None else claims:
        name, thresholds = claim["predicate"], dict(claim.get("thresholds", {}))
        if name not in PREDICATES:
            raise UserError(f"{study}: claim predicate {name}: no such predicate; {nearest(name, PREDICATES)}")
        found = PREDICATES[name](evidence, **thresholds)
        rows.append({"claim": claim["statement"], "paper": claim["paper"], "study": study,
                     "predicted": demand(thresholds), "measured": found.measured, "lo": found.lo,
                     "hi": found.hi, "verdict": found.verdict, "remark": found.remark,
                     "command": f"python -m bfc.train -m +sweeps={study} study.size={claim.get('size', '30m')}"})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def demand(thresholds: Mapping[str, Any]) -> str:
    """Thresholds as a reader would say them: ``refit over staged, ε = 0.01, at least 1.5``."""
    said = []
    for key, value in thresholds.items():
        text = f"{value:g}" if isinstance(value, (int, float)) else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        shown = {"method": text, "over": text, "under": f"over {text}", "eps": f"ε = {text}", "from_L": f"from L = {text}",
                 "columns": " > ".join(text.split(", ")), "factors": f"by factors {text}"}
        said.append(shown.get(key, f"{key.replace('_', ' ')} {text}"))
    return ", ".join(said).replace(", over ", " over ")


def exponent(evidence: Evidence, method: str, eps: float, at_least: float = -math.inf, at_most: float = math.inf) -> Finding:
    """The exponent of n* in d lies in a band."""
    table = evidence.exponents
    rows = table[(table["method"] == method) & np.isclose(table["eps"], eps) & table["exponent"].notna()]
    if len(rows) != 1:
        return _nothing(f"{len(rows)} fitted lines of {method} at eps {eps}")
    row = rows.iloc[0]
    return _band(row["exponent"], row["lo"], row["hi"], at_least, at_most)


def never(evidence: Evidence, method: str, eps: float) -> Finding:
    """The method reaches eps at no d, and its trainings are on a plateau: neither fresh data nor more steps help."""
    rows = _select(evidence.nstar, method, eps)
    if rows.empty:
        return _nothing(f"{method} was not measured")
    reached = int(((rows["censored"] != "right") & (rows["nstar"] <= rows["largest_n"])).sum())
    plateau = int((rows["outcome"] == "plateau").sum())
    verdict = CONTRADICTED if reached else REPRODUCED if plateau == len(rows) else UNDECIDED
    return Finding(reached / len(rows), math.nan, math.nan, verdict, f"reached in {reached} of {len(rows)} cells, plateau in {plateau}")


def nstar_ratio(evidence: Evidence, over: str, under: str, eps: float, at_least: float, from_L: int = 2) -> Finding:
    """n* of one method over that of another, at every (d, L >= from_L) where both were measured; the smallest ratio is judged."""
    both = _select(evidence.nstar, over, eps).merge(_select(evidence.nstar, under, eps), on=["d", "L"], suffixes=("", "_under"))
    both = both[(both["censored_under"] == "") & both[["nstar", "nstar_under"]].notna().all(axis=1) & (both["L"] >= from_L)]
    if both.empty:
        return _nothing(f"{under} has no n* where {over} was measured")
    ratio, lo, hi = both["nstar"] / both["nstar_under"], both["lo"] / both["hi_under"], both["hi"] / both["lo_under"]
    worst = ratio.idxmin()
    remark = f"smallest at d = {both['d'][worst]}, L = {both['L'][worst]}, of {len(both)}"
    return _band(ratio[worst], lo[worst], hi[worst], at_least, math.inf, remark)


def median_value(evidence: Evidence, method: str, column: str = "risk", at_least: float = 0.0, at_most: float = math.inf) -> Finding:
    """The median over seeds of a stored column at the largest n, in a band."""
    values = _column(evidence, method, column).dropna()
    return _band(*median_interval(values.to_numpy()), at_least, at_most) if len(values) else _nothing(f"no {column} of {method}")


def median_ratio(evidence: Evidence, over: str, under: str, column: str = "risk", under_column: str | None = None,
                 at_least: float = 0.0, at_most: float = math.inf) -> Finding:
    """The median over seeds of a column of one method over one of another, seed by seed, in a band."""
    pair = pd.concat([_column(evidence, over, column), _column(evidence, under, under_column or column)], axis=1).dropna()
    if pair.empty:
        return _nothing(f"no seed with {column} of both {over} and {under}")
    return _band(*median_interval((pair.iloc[:, 0] / pair.iloc[:, 1]).to_numpy()), at_least, at_most)


def share_falling(evidence: Evidence, method: str, columns: Sequence[str], at_least: float,
                  factors: Sequence[float] | None = None) -> Finding:
    """The share of seeds in which each of ``columns`` is below the one before it, by its factor (1: strictly)."""
    parts = [_column(evidence, method, column) for column in columns]
    table = pd.concat(parts, axis=1).dropna()
    if table.empty:
        return _nothing(f"no {columns[0]} of {method}")
    values = table.to_numpy()
    fall = values[:, :-1] > values[:, 1:] * np.array(factors or [1.0] * (len(columns) - 1))
    good, count = int(fall.all(axis=1).sum()), len(values)
    interval = stats.binomtest(good, count).proportion_ci(0.95, "wilson")
    share, verdict = good / count, UNDECIDED
    if share >= at_least:
        verdict = REPRODUCED
    elif interval.high < at_least:
        verdict = CONTRADICTED
    return Finding(share, interval.low, interval.high, verdict, f"{good} of {count} seeds")


PREDICATES: dict[str, Callable[..., Finding]] = {f.__name__: f for f in
                                                 (exponent, never, nstar_ratio, median_value, median_ratio, share_falling)}


def _select(nstar: pd.DataFrame, method: str, eps: float) -> pd.DataFrame:
    return nstar[(nstar["method"] == method) & np.isclose(nstar["eps"], eps)]


def _column(evidence: Evidence, method: str, column: str) -> pd.Series:
    """A column of a method's trainings at the largest d and there at the largest n, by seed."""
    rows = evidence.trainings
    rows = rows[(rows["method"] == method) & (rows["kind"] != "probe")]
    if rows.empty or column not in rows:
        return pd.Series(dtype=float)
    rows = rows[rows["d"] == rows["d"].max()]
    rows = rows[rows["n"] == rows["n"].max()]
    return rows.drop_duplicates("seed").set_index("seed")[column].astype(float)


def _band(value: float, lo: float, hi: float, at_least: float, at_most: float, remark: str = "") -> Finding:
    ends = (value if math.isnan(lo) else lo, value if math.isnan(hi) else hi)
    if math.isnan(lo) or math.isnan(hi):
        verdict, remark = UNDECIDED, f"{remark}; no interval".strip("; ")
    elif at_least <= ends[0] and ends[1] <= at_most:
        verdict = REPRODUCED
    else:
        verdict = CONTRADICTED if ends[1] < at_least or ends[0] > at_most else UNDECIDED
    return Finding(float(value), float(lo), float(hi), verdict, remark)


def _nothing(why: str) -> Finding:
    return Finding(math.nan, math.nan, math.nan, UNDECIDED, why)
