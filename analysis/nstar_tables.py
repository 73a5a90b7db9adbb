"""n* of every cell and the exponent of every line, as tables.

How they are estimated is the business of :mod:`bfc.stats`. A cell's n* comes from its own trainings
alone; a line's exponent comes from all trainings of the line together, so that censored cells count
with what they show.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from analysis.cell_estimates import READ, estimate_cells
from analysis.line_crossing import classify_crossing
from analysis.line_fits import LineFit, SizedTrainings, fit_lines_cached
from analysis.lines import find_varying_keys, label_lines
from analysis.swept_lines import VARIES, SweptLine, split_lines
from bfc.stats import swept_axis
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
LOCAL_GROWTH = ("exponent", "lo", "hi", "rate", "rate_lo", "rate_hi")
LOCAL = (*LINE, "d_lo", "d_hi", *LOCAL_GROWTH, "axis", "d", "L_lo", "L_hi")
HEAD = ("study", "cell_id", "method", "target", "d", "L", "degree", "eps")
"""What is read of a cell; the last is what its study asks for."""


def tabulate_nstar(stored: Collected, processes: int = 1) -> tuple[pd.DataFrame, list[str]]:
    """n* of every cell at every eps its study asked for, and the configuration keys that vary.

    Columns :data:`NSTAR` and one per varying key. ``failures``: how the trainings at the largest n
    fail; ``excluded``: optimisation-limited trainings, which do not count. ``processes``: those
    that compute what is not on disk.
    """
    keys: list[str] = []
    heads: list[dict[str, Any]] = []
    for _, cells in stored.cells.groupby("study", sort=False) if len(stored.cells) else []:
        varying = find_varying_keys(cells)
        keys += [key for key in varying if key not in keys]
        records = cells[[*HEAD, *varying]].to_dict("records")
        for cell, line in zip(records, label_lines(cells), strict=True):
            settings = {key: cell[key] for key in varying}
            heads.append({**{key: cell[key] for key in HEAD}, "line": line, **settings})
    requests = [(head["cell_id"], head.pop("eps")) for head in heads]
    estimates = estimate_cells(stored.trainings, requests, processes)
    rows: list[dict[str, Any]] = []
    for head, cell_rows in zip(heads, estimates, strict=True):
        rows += [{**head, **row} for row in cell_rows]
    table = pd.DataFrame(rows, columns=[*NSTAR, *keys])
    return table.sort_values(
        ["study", "target", "eps", "line", "L", "d"],
        ascending=[True, True, False, True, True, True],
        ignore_index=True,
    ), keys


def fit_lines(
    stored: Collected, nstar: pd.DataFrame, processes: int = 1
) -> dict[SweptLine, LineFit]:
    """The likelihood of every line at every eps, of studies that varied d or L.

    Lines of the same cells in two studies are fitted once. ``processes``: as in
    :func:`tabulate_nstar`.
    """
    trainings = stored.trainings
    read = [name for name in READ if name in trainings]
    places = trainings.groupby("cell_id").indices if len(trainings) else {}
    lines, sized = [], []
    for line, group in split_lines(nstar):
        cells = sorted(group["cell_id"])
        rows = trainings.iloc[np.concatenate([places[cell] for cell in cells])]
        sizes = rows["cell_id"].map(dict(zip(group["cell_id"], group[line.axis], strict=True)))
        lines.append(line)
        table = rows[read].assign(**{line.axis: sizes})
        sized.append(SizedTrainings(table, line.eps, line.axis))
    return dict(zip(lines, fit_lines_cached(sized, processes), strict=True))


def tabulate_exponents(
    nstar: pd.DataFrame, keys: list[str], fits: dict[SweptLine, LineFit]
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
    line: SweptLine, nstar: pd.DataFrame, keys: Sequence[str], fit: LineFit
) -> dict[str, Any]:
    """The row of one line."""
    no_crossing = classify_crossing(nstar).describe()
    row = line._asdict() | {
        "method": nstar["method"].iloc[0],
        "n_d": int(((nstar["censored"] == "") & nstar["nstar"].notna()).sum()),
        "censored_d": int((nstar["censored"] != "").sum()),
        "reason": no_crossing or fit.reason,
        "growth": no_crossing or fit.growth,
        **fit.columns,
    }
    for key in keys:
        row[key] = _find_common_value(nstar[key])
    return row


def tabulate_local_exponents(nstar: pd.DataFrame, fits: dict[SweptLine, LineFit]) -> pd.DataFrame:
    """How n* grows between neighbouring sizes, with 95 % intervals, columns :data:`LOCAL`.

    Along d the sizes are ``d_lo, d_hi``, along L ``L_lo, L_hi``. ``exponent``: Δ log n* / Δ log of
    the size; ``rate``: Δ log n* / Δ size, so that n* grows by the factor e^rate from level to
    level. An end is infinite where a cell is open there.
    """
    rows = []
    for line, group in split_lines(nstar):
        head = {**line._asdict(), "method": group["method"].iloc[0]}
        rows += [{**head, **step} for step in fits[line].local]
    ends = (f"{axis}_{end}" for axis, end in product(swept_axis.AXES, ("lo", "hi")))
    numbers = dict.fromkeys((*ends, *LOCAL_GROWTH), float)
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


def _find_common_value(values: pd.Series) -> object:
    """The value of all rows, or :data:`analysis.swept_lines.VARIES`."""
    return values.iloc[0] if len(set(map(repr, values))) == 1 else VARIES
