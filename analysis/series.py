"""Series that several figures share: n* with its intervals and arrows, median curves with
quartiles, tick places, and the words beside them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis.chart import Series
from analysis.style import Look

FREE = "† validation labels not counted in n"


def nstar_series(
    rows: pd.DataFrame,
    x: str,
    look: Look,
    legend: str = "",
    shift: float = 1.0,
    offset: float = 0.0,
) -> Series:
    """n* of one line against column ``x``: censored cells are open with an arrow up (not reached)
    or down (reached below the grid), and open without one where n* lies beyond the largest n; cells
    without n* are left out. ``shift`` (a factor) and ``offset`` move the points sideways, so that
    lines do not hide each other."""
    rows = rows[rows["nstar"].notna()]
    beyond = np.where(rows["nstar"] > rows["largest_n"], "open", "")
    mark = np.where(
        rows["censored"] == "right", "up", np.where(rows["censored"] == "left", "down", beyond)
    )
    data = pd.DataFrame(
        {
            "x": rows[x] * shift + offset,
            "y": rows["nstar"],
            "lo": rows["lo"],
            "hi": rows["hi"],
            "mark": mark,
            x: rows[x],
            "note": rows["failures"] if "failures" in rows else "",
        }
    )
    return Series(rows["line"].iloc[0] if len(rows) else "", look, data, "points", legend)


def median_band(rows: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Median and quartiles of ``y`` over seeds at every ``x`` (order statistics; unknown values
    count as infinite, infinite ones are drawn at 10^6): columns ``x, y, lo, hi``."""
    values = rows.assign(**{y: rows[y].fillna(np.inf)}).groupby(x)[y]
    bands = values.quantile([0.25, 0.5, 0.75], interpolation="nearest").unstack().clip(upper=1e6)
    return pd.DataFrame(
        {
            "x": bands.index,
            "y": bands[0.5].to_numpy(),
            "lo": bands[0.25].to_numpy(),
            "hi": bands[0.75].to_numpy(),
        }
    )


def plain_ticks(values: Iterable[float]) -> dict[float, str]:
    """Those of a few values whose labels fit beside each other on a logarithmic axis, each with its
    label."""
    kept: dict[float, str] = {}
    for value in sorted(set(values)):
        if not kept or value / max(kept) > 1.18:
            kept[value] = f"{value:,g}"
    return kept


def slope_text(fit: pd.DataFrame) -> str:
    """An exponent with its interval, its bounds where it has no more, or why there are none;
    ``fit`` holds at most one row."""
    if fit.empty:
        return "–"
    row = fit.iloc[0]
    lo, hi = row["lo"], row["hi"]
    if np.isfinite(row["exponent"]):
        text = f"{row['exponent']:.2f} [{lo:.2f}, {hi:.2f}]"
    elif np.isfinite(lo) and np.isfinite(hi):
        text = f"{lo:.2f} to {hi:.2f}"
    elif np.isfinite(lo) or np.isfinite(hi):
        text = f"above {lo:.2f}" if np.isfinite(lo) else f"below {hi:.2f}"
    else:
        starts = {"never": "never (plateau)", "not": "not reached", "below": "below the grid"}
        return starts.get(row["reason"].partition(" ")[0], "no exponent")
    return text.replace("-", "−")


def free_mark(rows: pd.DataFrame) -> str:
    """`` †`` where validation labels were free, to stand behind a line's name."""
    return " †" if rows["validation"].str.contains("free").any() else ""


def free_notes(rows: pd.DataFrame) -> tuple[str, ...]:
    """What explains the mark †, where it stands anywhere."""
    return (FREE,) if free_mark(rows) else ()


def counted(rows: pd.DataFrame) -> str:
    """What n counts, for the label of an axis."""
    return (
        "labels, validation included"
        if (rows["validation"] == "inside").any() and not free_mark(rows)
        else "labels"
    )
