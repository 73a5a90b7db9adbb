"""The exponent of one line as the tables show it: plain values, which can be stored.

A fit holds a posterior on a grid and every candidate of growth; the tables show some numbers and
sentences of it, and those are what :mod:`analysis.estimate_cache` keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.estimate_cache import CachedEstimator, Task, compute_cached, describe_rows, hash_rows
from bfc.stats.exponent_fit import ExponentFit, fit_exponent
from bfc.stats.verdict import GrowthVerdict, describe_log_factors


@dataclass(frozen=True)
class LineFit:
    """What the tables say of one line; see :func:`analysis.nstar_tables.tabulate_exponents`."""

    reason: str
    """Why there is no exponent; empty where there is one."""
    growth: str
    """The verdict on growth as a sentence."""
    columns: dict[str, Any]
    """Columns of the table of exponents that follow from the trainings alone."""
    local: list[dict[str, float]]
    """Rows of :attr:`bfc.stats.exponent_fit.ExponentFit.local`."""


@dataclass(frozen=True)
class SizedTrainings:
    """The trainings of one line, with the swept size in the column ``axis``."""

    table: pd.DataFrame
    eps: float
    axis: str


def fit_lines_cached(lines: Sequence[SizedTrainings], processes: int = 1) -> list[LineFit]:
    """The fit of every line, in order; lines of the same trainings are fitted once."""
    tasks = [
        Task(
            f"{describe_rows(hash_rows(line.table), list(line.table))} {line.eps!r} {line.axis}",
            (line.table, line.eps, line.axis),
        )
        for line in lines
    ]
    estimator = CachedEstimator(describe_fit, fewest_per_process=1)
    fits = compute_cached(estimator, tasks, "fitting exponents", processes)
    return [LineFit(**fit) for fit in fits]


def describe_fit(trainings: pd.DataFrame, eps: float, axis: str) -> dict[str, Any]:
    """The fields of :class:`LineFit` for the trainings of one line."""
    fit = fit_exponent(trainings, eps, axis=axis)
    columns: dict[str, Any] = {
        **dict(zip(("tau_lo", "tau", "tau_hi"), fit.tau, strict=True)),
        **_compare_models(fit.models),
        "excluded": fit.counts["excluded"],
        "warnings": "; ".join(fit.warnings),
        "prefactor": fit.prefactor,
        **_summarise_growth(fit.verdict, axis),
        **dict(zip(("rate", "rate_lo", "rate_hi"), fit.rate, strict=True)),
    }
    for prefix, estimator in (("", fit), ("glm_", fit.glm), ("smooth_", fit.smooth)):
        columns[f"{prefix}exponent"] = estimator.exponent
        columns[f"{prefix}lo"] = estimator.lo
        columns[f"{prefix}hi"] = estimator.hi
    return {
        "reason": fit.reason,
        "growth": fit.growth,
        "columns": {name: _to_plain(value) for name, value in columns.items()},
        "local": _list_local_exponents(fit),
    }


def _list_local_exponents(fit: ExponentFit) -> list[dict[str, float]]:
    rows = fit.local.to_dict("records")
    return [{str(name): _to_plain(value) for name, value in row.items()} for row in rows]


def _to_plain(value: Any) -> Any:
    """A number of Python in the place of one of numpy."""
    return value.item() if isinstance(value, np.generic) else value


def _summarise_growth(verdict: GrowthVerdict | None, axis: str) -> dict[str, Any]:
    """The verdict on growth in columns.

    ``exponential_gap``: held-out log score of the power law less that of the exponential.
    ``single_power``: whether one exponent fits all d. ``log_factors``: those compatible.
    """
    if verdict is None:
        return {
            "growth_verdict": "",
            "exponential_gap": np.nan,
            "single_power": "",
            "log_factors": "",
        }
    power = ""
    if verdict.curvature is not None:
        power = "compatible" if verdict.is_straight else "excluded"
    factors = ""
    if verdict.log_factors is not None:
        factors = describe_log_factors(verdict.log_factors, axis)
    return {
        "growth_verdict": verdict.growth.name.lower(),
        "exponential_gap": verdict.gap,
        "single_power": power,
        "log_factors": factors,
    }


def _compare_models(models: pd.DataFrame) -> dict[str, Any]:
    """The power law's criteria and those of its best rival."""
    criteria = ("score", "aicc", "bic")
    row: dict[str, Any] = {"rival": "", "best_model": ""}
    fitted = models[models["bic"].notna()]
    rivals = fitted[fitted["model"] != "power"]
    power = fitted[fitted["model"] == "power"]
    if len(power):
        row |= {f"power_{name}": power[name].iloc[0] for name in criteria}
    if len(rivals):
        is_scored = rivals["score"].notna().any()
        best = rivals.loc[rivals["score"].idxmax() if is_scored else rivals["bic"].idxmin()]
        row |= {"rival": best["model"], **{f"rival_{name}": best[name] for name in criteria}}
        if is_scored and len(power) and np.isfinite(row["power_score"]):
            row["best_model"] = "power" if row["power_score"] >= best["score"] else best["model"]
    return row
