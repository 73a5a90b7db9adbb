"""From trainings to n* of every cell and from there to exponents with honest intervals.

Model: log n*(d) = a + b log d + v_d + e_d, with e_d normal from the width of the cell's interval and v_d ~ N(0, tau^2)
for finite-d scatter and uneven tuning. tau has a half-normal prior of scale 0.2 and a, b are flat; the posterior of b
is a mixture of normals over a grid of tau, and its quantiles are the interval (simulated sweeps: coverage .91 to
1.00). Without tau intervals are too narrow wherever the cells scatter more than their seeds say. Censored cells do not
enter the slope; they are counted beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, special

from analysis.collect import Collected
from analysis.lines import line_labels, varying_keys
from bfc.measure.nstar import estimate, failures

TAU_SCALE = 0.2
FLOOR = 0.02
"""Smallest standard error of log n* that is believed: intervals of few seeds can collapse by chance."""
NSTAR = (
    "study",
    "cell_id",
    "method",
    "target",
    "d",
    "L",
    "degree",
    "eps",
    "nstar",
    "lo",
    "hi",
    "censored",
    "outcome",
    "failures",
    "seeds",
    "largest_n",
    "validation",
    "line",
)
EXPONENTS = (
    "study",
    "method",
    "target",
    "L",
    "eps",
    "exponent",
    "lo",
    "hi",
    "n_d",
    "censored_d",
    "reason",
    "prefactor",
    "line",
)
DEPTH = (
    "study",
    "method",
    "target",
    "d",
    "L",
    "degree",
    "eps",
    "nstar",
    "lo",
    "hi",
    "censored",
    "outcome",
    "validation",
    "line",
)


@dataclass(frozen=True)
class Fit:
    """n* = prefactor * d^exponent with the 95 % interval of the exponent; NaN where ``reason`` says why there is
    none."""

    exponent: float = np.nan
    lo: float = np.nan
    hi: float = np.nan
    prefactor: float = np.nan
    reason: str = ""


def nstar_table(found: Collected) -> tuple[pd.DataFrame, list[str]]:
    """n* of every cell at every eps its study asked for: columns ``NSTAR`` and one per varying key; and those keys."""
    rows, keys = [], []
    trainings = dict(list(found.trainings.groupby("cell_id"))) if len(found.trainings) else {}
    for _, cells in found.cells.groupby("study", sort=False) if len(found.cells) else []:
        varying = varying_keys(cells)
        keys += [key for key in varying if key not in keys]
        for (_, cell), line in zip(cells.iterrows(), line_labels(cells), strict=True):
            own = trainings[cell["cell_id"]]
            measured = own[(own["kind"] != "probe") & (own["n"] > 0)]
            held_out = sorted(set(measured["validation"]))
            common = {
                **{key: cell[key] for key in ("study", "cell_id", "method", "target", "d", "L", "degree")},
                "seeds": measured["seed"].nunique(),
                "largest_n": measured["n"].max() if len(measured) else 0,
                "line": line,
                "validation": held_out[0] if len(held_out) == 1 else " and ".join(held_out),
                **{key: cell[key] for key in varying},
            }
            for crossing in estimate(own, cell["eps"]).to_dict("records"):
                failed = ", ".join(f"{count} {name}" for name, count in failures(own, crossing["eps"]).items())
                rows.append({**common, **crossing, "failures": failed})
    table = pd.DataFrame(rows, columns=[*NSTAR, *keys])
    return table.sort_values(
        ["study", "target", "eps", "line", "L", "d"], ascending=[True, True, False, True, True, True], ignore_index=True
    ), keys


def exponents(nstar: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The exponent of n* against d for every line, L and eps: columns ``EXPONENTS`` and ``keys``.

    A key that changes along a line (it follows d) reads ``varies``. ``n_d`` counts the cells that entered the slope,
    ``censored_d`` those that could not. Lines of a single d are left out where the study never varied d.
    """
    rows = []
    for (study, target, L, eps, line), group in _groups(nstar, ["study", "target", "L", "eps", "line"]):
        if nstar.loc[(nstar["study"] == study) & (nstar["target"] == target) & (nstar["L"] == L), "d"].nunique() < 2:
            continue
        good = group[(group["censored"] == "") & group["nstar"].notna()]
        lost = group[group["censored"] != ""]
        fit = power_law(good["d"], good["nstar"], good["lo"], good["hi"])
        reason = _no_crossing(group) or "; ".join(filter(None, [fit.reason, _censoring(lost)]))
        rows.append(
            {
                "study": study,
                "method": group["method"].iloc[0],
                "target": target,
                "L": L,
                "eps": eps,
                "exponent": fit.exponent,
                "lo": fit.lo,
                "hi": fit.hi,
                "n_d": len(good),
                "censored_d": len(lost),
                "reason": reason,
                "prefactor": fit.prefactor,
                "line": line,
                **{key: _common(group[key]) for key in keys},
            }
        )
    return pd.DataFrame(rows, columns=[*EXPONENTS, *keys])


def depth_table(nstar: pd.DataFrame) -> pd.DataFrame:
    """n* against L at fixed d, columns ``DEPTH``; only where a study measured more than one L at that d."""
    parts = [
        group.sort_values(["eps", "line", "L"], ascending=[False, True, True])
        for _, group in _groups(nstar, ["study", "target", "d"])
        if group["L"].nunique() > 1
    ]
    return pd.concat(parts, ignore_index=True)[list(DEPTH)] if parts else pd.DataFrame(columns=list(DEPTH))


def power_law(d: pd.Series, nstar: pd.Series, lo: pd.Series, hi: pd.Series) -> Fit:
    """Fit n* against d, four columns of equal length; ends of 0 or infinity are open, NaN ends are unknown.

    Fewer than two d: no slope. Two d: a slope without interval. Where an interval is unknown for some d, least squares
    with a t interval of the residual scatter."""
    x, y = np.log(np.asarray(d, float)), np.log(np.asarray(nstar, float))
    if len(np.unique(x)) < 2:
        return Fit(reason=f"{len(x)} uncensored d: no slope")
    error = standard_errors(y, np.asarray(lo, float), np.asarray(hi, float))
    centre = x.mean()
    design = np.stack([np.ones_like(x), x - centre], 1)
    if len(x) == 2 or np.isnan(error).any():
        (level, slope), *_ = np.linalg.lstsq(design, y, rcond=None)
        half, reason = np.nan, "2 uncensored d: slope without interval"
        if len(x) > 2:
            scatter = np.sum((y - design @ [level, slope]) ** 2) / (len(x) - 2)
            half = special.stdtrit(len(x) - 2, 0.975) * np.sqrt(scatter / np.sum((x - centre) ** 2))
            reason = "n* without interval at some d: exponent interval from the scatter alone"
        return Fit(
            float(slope), float(slope - half), float(slope + half), float(np.exp(level - slope * centre)), reason
        )
    weight, level, slope, spread = _posterior(design, y, error)
    mean = float(weight @ slope)
    bracket = (slope - 8 * spread).min(), (slope + 8 * spread).max()
    low, high = (
        optimize.brentq(lambda b, p=p: float(weight @ special.ndtr((b - slope) / spread)) - p, *bracket)
        for p in (0.025, 0.975)
    )
    return Fit(mean, low, high, float(np.exp(weight @ level - mean * centre)))


def standard_errors(y: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    """Standard error of log n* from a 95 % interval (D,): its half width / 1.96, from the closed side if one is open,
    NaN if none."""
    below = np.where(lo > 0, y - np.log(np.where(lo > 0, lo, 1.0)), np.nan)
    above = np.where(np.isfinite(hi), np.log(np.where(np.isfinite(hi), hi, 1.0)) - y, np.nan)
    both = np.where(np.isnan(below), above, np.where(np.isnan(above), below, 0.5 * (below + above)))
    return np.maximum(both / 1.96, FLOOR)


def _posterior(
    design: np.ndarray, y: np.ndarray, error: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Over a grid of tau (T,): weight, mean of the level, mean and standard deviation of the slope."""
    tau = np.linspace(0, 8 * TAU_SCALE, 161)
    precision = 1 / (error**2 + tau[:, None] ** 2)
    normal = np.einsum("di,td,dj->tij", design, precision, design)
    covariance = np.linalg.inv(normal)
    beta = np.einsum("tij,dj,td,d->ti", covariance, design, precision, y)
    residual = np.sum(precision * (y - beta @ design.T) ** 2, 1)
    log_weight = (
        0.5 * (np.log(precision).sum(1) - np.linalg.slogdet(normal)[1] - residual) - 0.5 * (tau / TAU_SCALE) ** 2
    )
    weight = np.exp(log_weight - log_weight.max())
    return weight / weight.sum(), beta[:, 0], beta[:, 1], np.sqrt(covariance[:, 1, 1])


def _groups(table: pd.DataFrame, by: list[str]) -> list[tuple[tuple, pd.DataFrame]]:
    return [(key, group.sort_values("d")) for key, group in table.groupby(by, sort=False)] if len(table) else []


def _no_crossing(group: pd.DataFrame) -> str:
    """Why a line without any crossing has none; "never" is said of plateaus only."""
    if (group["censored"] == "left").all():
        return "below the grid at every d"
    if not (group["censored"] == "right").all():
        return ""
    kinds = set(group["outcome"])
    if kinds == {"plateau"}:
        return "never reached at any d (plateau)"
    why = kinds.pop().replace("_", " ") if len(kinds) == 1 else "mixed"
    return f"not reached at any d ({why} at the largest n)"


def _censoring(lost: pd.DataFrame) -> str:
    """The censored d that the slope does not see."""
    side = {"right": "not reached", "left": "below the grid"}
    return ", ".join(f"d={d} {side[mark]}" for d, mark in zip(lost["d"], lost["censored"], strict=True))


def _common(values: pd.Series) -> object:
    return values.iloc[0] if values.map(repr).nunique() == 1 else "varies"
