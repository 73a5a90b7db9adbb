"""The board of verdicts as a forest plot: one line per claim on an axis of its own.

Claims speak of exponents, ratios, risks and shares, so they share no scale. What they share is the
question whether the interval that judges lies within what is demanded. Every line is therefore
drawn on its own scale, turned and shifted such that the demanded region begins at the same vertical
line and lies to the right of it: an interval wholly to the right is *reproduced*, wholly to the
left *contradicted*, and one that crosses the line is *undecided*. A claim with two thresholds has a
region with two ends in the middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
    else:
        place = _place_beyond(thresholds[0], math.isfinite(at_least), known, scale)
        region = (0.0, 1.0)
    measured, lo, hi, judged_lo, judged_hi = numbers
    return ForestLine(
        region=region,
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
    threshold: float, is_lower: bool, known: list[float], scale: Callable[[float], float]
) -> Callable[[float], float]:
    """The threshold in the middle, what is demanded to the right, the farthest number at
    :data:`REACH`."""
    sign = 1.0 if is_lower else -1.0
    distances = [abs(scale(value) - scale(threshold)) for value in known]
    least = math.log(LEAST_RATIO) if scale is math.log else 1e-12
    unit = max([*distances, least]) / REACH
    return lambda value: sign * (scale(value) - scale(threshold)) / unit


def _place_ends(lo: float, hi: float, place: Callable[[float], float]) -> Ends | None:
    """The ends of an interval from left to right, an infinite one at the edge of the axis."""
    if math.isnan(lo) or math.isnan(hi):
        return None
    ends = sorted(_place_end(end, place) for end in (lo, hi))
    return _clip(ends[0]), _clip(ends[1])


def _place_end(end: float, place: Callable[[float], float]) -> float:
    if math.isfinite(end):
        return place(end)
    return math.copysign(math.inf, end) * _direction(place)


def _direction(place: Callable[[float], float]) -> float:
    """1 where larger numbers stand to the right, −1 where to the left."""
    return 1.0 if place(2.0) >= place(1.0) else -1.0


def _find_open_ends(lo: float, hi: float, place: Callable[[float], float]) -> tuple[bool, bool]:
    if math.isnan(lo) or math.isnan(hi):
        return False, False
    left, right = sorted(_place_end(end, place) for end in (lo, hi))
    return left < -1.0, right > 1.0


def _clip(position: float) -> float:
    return round(max(-1.0, min(1.0, position)), 4)
