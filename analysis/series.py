"""Series that several figures share, and the texts that go with them.

n* with its intervals and arrows, median curves with quartiles, positions of ticks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.chart import Axis, Series
from analysis.line_crossing import SHORT_TEXTS, Crossing
from analysis.style import LineStyle

FREE_VALIDATION = "† validation labels not counted in n"
DRAWN_INFINITY = 1e6
"""Where infinite risks are drawn."""
LARGEST_SPREAD = 1.12
"""Between the points of the first and the last of many lines at one place."""
LEAST_TICK_RATIO = 1.18
"""Labels of ticks closer than this on a logarithmic axis would overlap."""


def spread_lines(count: int, step: float) -> list[float]:
    """Factors in x that put the points of ``count`` lines side by side, their product 1.

    ``step``: between neighbours, as long as all lie within :data:`LARGEST_SPREAD`.
    """
    step = min(step, LARGEST_SPREAD ** (1 / max(count - 1, 1)))
    return [step ** (rank - (count - 1) / 2) for rank in range(count)]


def make_nstar_series(
    rows: pd.DataFrame,
    x: str,
    style: LineStyle,
    legend: str = "",
    shift: float = 1.0,
    offset: float = 0.0,
) -> Series:
    """n* of one line against column ``x``; cells without n* are left out.

    Censored cells are open with an arrow up (not reached) or down (reached below the grid), and
    open without one where n* lies beyond the largest n. ``shift`` (a factor) and ``offset`` move
    the points sideways, so that lines do not hide each other.
    """
    rows = rows[rows["nstar"].notna()]
    beyond = np.where(rows["nstar"] > rows["largest_n"], "open", "")
    below_or_beyond = np.where(rows["censored"] == "left", "down", beyond)
    data = pd.DataFrame(
        {
            "x": rows[x] * shift + offset,
            "y": rows["nstar"],
            "lo": rows["lo"],
            "hi": rows["hi"],
            "mark": np.where(rows["censored"] == "right", "up", below_or_beyond),
            x: rows[x],
            "note": rows["failures"] if "failures" in rows else "",
        }
    )
    return Series(rows["line"].iloc[0] if len(rows) else "", style, data, "points", legend)


def compute_median_band(rows: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Median and quartiles of ``y`` over seeds at every ``x``: columns ``x, y, lo, hi``.

    Order statistics; unknown values count as infinite, infinite ones are drawn at
    :data:`DRAWN_INFINITY`.
    """
    values = rows.assign(**{y: rows[y].fillna(np.inf)}).groupby(x)[y]
    quartiles = values.quantile([0.25, 0.5, 0.75], interpolation="nearest").unstack()
    quartiles = quartiles.clip(upper=DRAWN_INFINITY)
    return pd.DataFrame(
        {
            "x": quartiles.index,
            "y": quartiles[0.5].to_numpy(),
            "lo": quartiles[0.25].to_numpy(),
            "hi": quartiles[0.75].to_numpy(),
        }
    )


def choose_ticks(values: Iterable[float]) -> dict[float, str]:
    """Those of a few values whose labels fit next to each other, each with its label.

    For a logarithmic axis.
    """
    ticks: dict[float, str] = {}
    for value in sorted(set(values)):
        if not ticks or value / max(ticks) > LEAST_TICK_RATIO:
            ticks[value] = f"{value:,g}"
    return ticks


def make_depth_axis(rows: pd.DataFrame) -> Axis:
    """An axis of depths L, each with the degree of its target where that is a polynomial."""
    degrees = rows.groupby("L")["degree"].first()
    is_polynomial = bool((degrees > 0).all())
    label = "depth L (polynomial degree)" if is_polynomial else "depth L"
    ticks = {L: f"{L} ({degree})" if is_polynomial else f"{L}" for L, degree in degrees.items()}
    ends = (min(ticks) - 0.3, max(ticks) + 0.3)
    return Axis(label, log=False, ticks=ticks, range=ends)


def format_exponent(fit: pd.DataFrame, crossing: Crossing = Crossing.SOMEWHERE) -> str:
    """An exponent with its interval, its bounds where it has no more, or why there are none.

    ``fit`` holds at most one row; ``crossing``: where its line crosses ε.
    """
    if fit.empty:
        return "–"
    exponent, lo, hi = fit.iloc[0][["exponent", "lo", "hi"]]
    if np.isfinite(exponent):
        text = f"{exponent:.2f} [{lo:.2f}, {hi:.2f}]"
    elif np.isfinite(lo) and np.isfinite(hi):
        text = f"{lo:.2f} to {hi:.2f}"
    elif np.isfinite(lo):
        text = f"above {lo:.2f}"
    elif np.isfinite(hi):
        text = f"below {hi:.2f}"
    else:
        return SHORT_TEXTS[crossing]
    return text.replace("-", "−")


def format_level_factor(row: Mapping[str, Any]) -> str:
    """The factor e^rate by which n* grows from level to level, with its interval, as text.

    A bound where there is no more; ``–`` where there is nothing.
    """
    value, lo, hi = (np.exp(row[name]) for name in ("rate", "rate_lo", "rate_hi"))
    if np.isfinite(value):
        return f"{value:.2f} [{lo:.2f}, {hi:.2f}]"
    if np.isfinite(hi):
        return f"{lo:.2f} to {hi:.2f}" if lo > 0 else f"below {hi:.2f}"
    return f"above {lo:.2f}" if lo > 0 else "–"


def mark_free_validation(rows: pd.DataFrame) -> str:
    """`` †`` where validation labels were not counted in n, to follow a line's name."""
    return " †" if rows["validation"].str.contains("free").any() else ""


def list_validation_notes(rows: pd.DataFrame) -> tuple[str, ...]:
    """The note that explains the mark †, where it is used."""
    return (FREE_VALIDATION,) if mark_free_validation(rows) else ()


def describe_n(rows: pd.DataFrame) -> str:
    """What n counts, for the label of an axis."""
    if (rows["validation"] == "inside").any() and not mark_free_validation(rows):
        return "labels, validation included"
    return "labels"
