"""n* of every cell and the exponent of every line, as tables.

How they are estimated is the business of :mod:`bfc.stats`. A cell's n* comes from its own trainings
alone; a line's exponent comes from all trainings of the line together, so that censored cells count
with what they show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.line_crossing import classify_crossing
from analysis.lines import find_varying_keys, label_lines
from analysis.progress_message import track
from analysis.swept_lines import VARIES, SweptLine, split_lines
from analysis.training_kinds import select_measured
from bfc.stats import swept_axis
from bfc.stats.exponent_fit import ExponentFit, fit_exponent
from bfc.stats.nstar import count_failures, estimate
from bfc.stats.training_table import build_training_table
from bfc.stats.verdict import GrowthVerdict, describe_log_factors
from bfc.store.reading import Collected

LINE = ("study", "method", "target", "L", "eps", "line")
"""What a row about a line begins with."""
PLACE = ("target", "d", "L", "degree", "eps", "nstar", "lo", "hi", "censored", "outcome")
NSTAR = (
    "study",
    "cell_id",
    "method",
    *PLACE,
    "failures",
    "excluded",
    "seeds",
    "largest_n",
    "validation",
    "line",
)
DEPTH = ("study", "method", *PLACE, "largest_n", "validation", "line", "fixed_d")
EXPONENTS = (
    *LINE[:5],
    "exponent",
    "lo",
    "hi",
    "n_d",
    "censored_d",
    "reason",
    "growth",
    "tau",
    "tau_lo",
    "tau_hi",
    "glm_exponent",
    "glm_lo",
    "glm_hi",
    "smooth_exponent",
    "smooth_lo",
    "smooth_hi",
    "power_score",
    "power_aicc",
    "power_bic",
    "rival",
    "rival_score",
    "rival_aicc",
    "rival_bic",
    "best_model",
    "excluded",
    "warnings",
    "prefactor",
    "line",
    "growth_verdict",
    "exponential_gap",
    "single_power",
    "log_factors",
    "axis",
    "d",
    "rate",
    "rate_lo",
    "rate_hi",
)
LOCAL = (*LINE, "d_lo", "d_hi", "exponent", "lo", "hi")
READ = ("n", "seed", "risk", "outcome", "kind", "diverged", "train_risk", "fresh")
"""Stored columns that the estimators read, besides the swept size."""


def estimate_nstar(stored: Collected) -> tuple[pd.DataFrame, list[str]]:
    """n* of every cell at every eps its study asked for, and the configuration keys that vary.

    Columns :data:`NSTAR` and one per varying key. ``failures``: how the trainings at the largest n
    fail; ``excluded``: optimisation-limited trainings, which do not count.
    """
    rows: list[dict[str, Any]] = []
    keys: list[str] = []
    trainings: dict[str, pd.DataFrame] = {}
    if len(stored.trainings):
        trainings = dict(list(stored.trainings.groupby("cell_id")))
    for _, cells in stored.cells.groupby("study", sort=False) if len(stored.cells) else []:
        varying = find_varying_keys(cells)
        keys += [key for key in varying if key not in keys]
        labelled = list(zip(cells.to_dict("records"), label_lines(cells), strict=True))
        for cell, line in track(labelled, "estimating n*"):
            rows += _estimate_cell(cell, line, trainings[cell["cell_id"]], varying)
    table = pd.DataFrame(rows, columns=[*NSTAR, *keys])
    return table.sort_values(
        ["study", "target", "eps", "line", "L", "d"],
        ascending=[True, True, False, True, True, True],
        ignore_index=True,
    ), keys


def _estimate_cell(
    cell: Mapping[str, Any], line: str, trainings: pd.DataFrame, varying: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows of one cell, one per eps."""
    measured = select_measured(trainings)
    head = {key: cell[key] for key in ("study", "cell_id", "method", "target", "d", "L", "degree")}
    settings = {key: cell[key] for key in varying}
    rows = []
    for estimate_row in estimate(trainings, cell["eps"]).to_dict("records"):
        eps = estimate_row["eps"]
        counts = count_failures(trainings, eps)
        rows.append(
            {
                **head,
                "seeds": measured["seed"].nunique(),
                "largest_n": measured["n"].max() if len(measured) else 0,
                "line": line,
                "validation": " and ".join(sorted(set(measured["validation"]))),
                **settings,
                **estimate_row,
                "failures": ", ".join(f"{count} {outcome}" for outcome, count in counts.items()),
                "excluded": int(build_training_table(trainings, eps).excluded.sum()),
            }
        )
    return rows


def fit_lines(stored: Collected, nstar: pd.DataFrame) -> dict[SweptLine, ExponentFit]:
    """The likelihood of every line at every eps, of studies that varied d or L.

    Lines of the same cells in two studies are fitted once.
    """
    fits: dict[SweptLine, ExponentFit] = {}
    fits_of_cells: dict[tuple[tuple[str, ...], float, str], ExponentFit] = {}
    trainings = stored.trainings
    read = [name for name in READ if name in trainings]
    places = stored.trainings.groupby("cell_id").indices if len(trainings) else {}
    for line, group in track(list(split_lines(nstar)), "fitting exponents"):
        cells = tuple(sorted(group["cell_id"]))
        key = cells, line.eps, line.axis
        if key not in fits_of_cells:
            rows = trainings.iloc[np.concatenate([places[cell] for cell in cells])]
            sizes = rows["cell_id"].map(dict(zip(group["cell_id"], group[line.axis], strict=True)))
            sized = rows[read].assign(**{line.axis: sizes})
            fits_of_cells[key] = fit_exponent(sized, line.eps, axis=line.axis)
        fits[line] = fits_of_cells[key]
    return fits


def tabulate_exponents(
    nstar: pd.DataFrame, keys: list[str], fits: dict[SweptLine, ExponentFit]
) -> pd.DataFrame:
    """The exponent of n* against d, or against L, for every line and eps.

    Columns :data:`EXPONENTS` and ``keys``; what changes along a line, ``d``, ``L`` or a key, reads
    ``varies``. ``axis``: the size that n* was fitted against, which is called d here. ``n_d``
    counts the cells that bracket n*, ``censored_d`` those that bound it on one side; ``excluded``
    the trainings that say nothing about data. ``rival``: the best alternative to the power law by
    held-out score (by BIC where the d are too few for a score); ``best_model``: the better of the
    two by held-out score, empty without scores. ``prefactor``: of the fitted line. ``rate``: b of
    the exponential e^(b d), so that n* grows by e^rate per level along L. Lines of a single d are
    left out where the study never varied d.
    """
    rows = [_tabulate_line(line, group, keys, fits[line]) for line, group in split_lines(nstar)]
    return pd.DataFrame(rows, columns=[*EXPONENTS, *keys])


def _tabulate_line(
    line: SweptLine, nstar: pd.DataFrame, keys: Sequence[str], fit: ExponentFit
) -> dict[str, Any]:
    """The row of one line."""
    no_crossing = classify_crossing(nstar).describe()
    row = line._asdict() | {
        "method": nstar["method"].iloc[0],
        "n_d": int(((nstar["censored"] == "") & nstar["nstar"].notna()).sum()),
        "censored_d": int((nstar["censored"] != "").sum()),
        "reason": no_crossing or fit.reason,
        "growth": no_crossing or fit.growth,
        **dict(zip(("tau_lo", "tau", "tau_hi"), fit.tau, strict=True)),
        **_compare_models(fit.models),
        "excluded": fit.counts["excluded"],
        "warnings": "; ".join(fit.warnings),
        "prefactor": fit.prefactor,
        **_summarise_growth(fit.verdict, line.axis),
        **dict(zip(("rate", "rate_lo", "rate_hi"), fit.rate, strict=True)),
    }
    for key in keys:
        row[key] = _find_common_value(nstar[key])
    for prefix, estimator in (("", fit), ("glm_", fit.glm), ("smooth_", fit.smooth)):
        row[f"{prefix}exponent"] = estimator.exponent
        row[f"{prefix}lo"] = estimator.lo
        row[f"{prefix}hi"] = estimator.hi
    return row


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


def tabulate_local_exponents(
    nstar: pd.DataFrame, fits: dict[SweptLine, ExponentFit]
) -> pd.DataFrame:
    """Δ log n* / Δ log d between neighbouring d with its 95 % interval, columns :data:`LOCAL`.

    An end is infinite where a cell is open there.
    """
    rows = []
    for line, group in split_lines(nstar):
        if line.axis == swept_axis.DIMENSION.name:
            head = {**line._asdict(), "method": group["method"].iloc[0]}
            rows += [{**head, **step} for step in fits[line].local.to_dict("records")]
    numbers = dict.fromkeys(("d_lo", "d_hi", "exponent", "lo", "hi"), float)
    return pd.DataFrame(rows, columns=list(LOCAL)).astype(numbers)


def select_depth_rows(nstar: pd.DataFrame) -> pd.DataFrame:
    """n* against L, columns :data:`DEPTH`; ``fixed_d``: the d of the line, or ``varies``.

    Only where a study measured more than one L at that d, or d follows L.
    """
    parts = [
        group.assign(fixed_d=line.d)
        for line, group in split_lines(nstar)
        if line.axis == swept_axis.DEPTH.name
    ]
    if not parts:
        return pd.DataFrame(columns=list(DEPTH))
    table = pd.concat(parts, ignore_index=True)[list(DEPTH)]
    order = ["study", "target", "d", "eps", "line", "L"]
    return table.sort_values(order, ascending=[True, True, True, False, True, True])


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


def _find_common_value(values: pd.Series) -> object:
    """The value of all rows, or :data:`analysis.swept_lines.VARIES`."""
    return values.iloc[0] if values.map(repr).nunique() == 1 else VARIES
