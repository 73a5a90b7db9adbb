"""The board of verdicts as a forest plot: one line per claim on an axis of its own.

Claims speak of exponents, ratios, risks and shares, so they share no scale. What they share is the
question whether the interval that judges lies within what is demanded. Every line is therefore
drawn on its own scale, shifted such that the threshold is the same vertical line, with larger
numbers to the right: the demanded region lies to the right of the line for "at least" and to the
left for "at most", and a claim with two thresholds has a region with two ends in the middle. An
interval wholly within the region is *reproduced*, wholly outside *contradicted*, and one that
crosses an end of the region is *undecided*.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.display_table import format_number

REACH = 0.92
"""How far from the threshold the most distant number of a line is drawn; the axis ends at ±1."""
LEAST_RATIO = 1.02
"""A logarithmic axis shows at least this factor on either side of the threshold."""
TWO_SIDED = 0.33
"""Where the ends of a region with two thresholds are drawn."""

Ends = tuple[float, float]


@dataclass(frozen=True)
class ForestLine:
    """Positions between −1 (left) and 1 (right), as the template draws them.

    ``None``: not there. ``judged_open``: whether the lower or the upper end of the interval that
    judges lies beyond the axis, where an arrow is drawn.
    """

    region: Ends
    thresholds: tuple[float, ...]
    demand: str
    """The thresholds as text, such as ``≥ 2.7``."""
    estimate: float | None
    plain: Ends | None
    judged: Ends | None
    judged_open: tuple[bool, bool] = (False, False)


def make_forest_line(row: Mapping[str, Any]) -> ForestLine | None:
    """The line of one claim; None where nothing was measured or no threshold is a number.

    ``row``: columns ``measured, lo, hi, judged_lo, judged_hi, at_least, at_most`` of the table of
    claims; unknown numbers are NaN, an open end is infinite.
    """
    at_least, at_most = float(row["at_least"]), float(row["at_most"])
    names = ("measured", "lo", "hi", "judged_lo", "judged_hi")
    numbers = [float(row[name]) for name in names]
    known = [value for value in numbers if math.isfinite(value)]
    thresholds = [value for value in (at_least, at_most) if math.isfinite(value)]
    if not known or not thresholds:
        return None
    scale = math.log if min([*known, *thresholds]) > 0 else float
    if len(thresholds) == 2:
        place = _place_between(at_least, at_most, scale)
        region: Ends = (-TWO_SIDED, TWO_SIDED)
        demand = f"{format_number(at_least)} – {format_number(at_most)}"
    else:
        place = _place_beyond(thresholds[0], known, scale)
        is_lower = math.isfinite(at_least)
        region = (0.0, 1.0) if is_lower else (-1.0, 0.0)
        demand = f"{'≥' if is_lower else '≤'} {format_number(thresholds[0])}"
    measured, lo, hi, judged_lo, judged_hi = numbers
    return ForestLine(
        region=region,
        thresholds=region if len(thresholds) == 2 else (0.0,),
        demand=demand,
        estimate=_clip(place(measured)) if math.isfinite(measured) else None,
        plain=_place_ends(lo, hi, place),
        judged=_place_ends(judged_lo, judged_hi, place),
        judged_open=_find_open_ends(judged_lo, judged_hi, place),
    )


def _place_between(
    at_least: float, at_most: float, scale: Callable[[float], float]
) -> Callable[[float], float]:
    """Both thresholds at fixed places around the middle."""
    middle = (scale(at_least) + scale(at_most)) / 2.0
    half = (scale(at_most) - scale(at_least)) / 2.0 or 1.0
    return lambda value: TWO_SIDED * (scale(value) - middle) / half


def _place_beyond(
    threshold: float, known: list[float], scale: Callable[[float], float]
) -> Callable[[float], float]:
    """The threshold in the middle, the number that is farthest from it at :data:`REACH`."""
    distances = [abs(scale(value) - scale(threshold)) for value in known]
    least = math.log(LEAST_RATIO) if scale is math.log else 1e-12
    unit = max([*distances, least]) / REACH
    return lambda value: (scale(value) - scale(threshold)) / unit


def _place_ends(lo: float, hi: float, place: Callable[[float], float]) -> Ends | None:
    """The ends of an interval from left to right, an infinite one at the edge of the axis."""
    if math.isnan(lo) or math.isnan(hi):
        return None
    return _clip(_place_end(lo, place)), _clip(_place_end(hi, place))


def _place_end(end: float, place: Callable[[float], float]) -> float:
    return place(end) if math.isfinite(end) else end


def _find_open_ends(lo: float, hi: float, place: Callable[[float], float]) -> tuple[bool, bool]:
    if math.isnan(lo) or math.isnan(hi):
        return False, False
    return _place_end(lo, place) < -1.0, _place_end(hi, place) > 1.0


def _clip(position: float) -> float:
    return round(max(-1.0, min(1.0, position)), 4)
