"""What a budget is: its seconds, and the sizes of studies that it considers."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

from bfc.errors import UserError
from bfc.studies import SIZES

UNLIMITED = "full"
"""The budget without a limit, named like the largest size that it considers."""
UNIT_SECONDS = {"m": 60, "h": 3600}


def budget_seconds(text: str) -> float:
    """The seconds of a budget such as ``30m`` or ``4h``; infinite for ``full``.

    Any number of minutes or hours will do. Raises :class:`UserError` for anything else.
    """
    if text == UNLIMITED:
        return math.inf
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([mh])", text)
    if match is None or float(match[1]) <= 0:
        raise UserError(f"--budget {text}: must be full, or minutes or hours such as 30m or 4h")
    return float(match[1]) * UNIT_SECONDS[match[2]]


def considered_sizes(available: Collection[str], budget: str) -> list[str]:
    """The sizes of a study that a budget considers, small to large; the smallest in any case.

    The largest is the size named like the budget, else the smallest one named after at least as
    much time: composing the thousands of jobs of a size that cannot fit takes minutes.
    """
    sizes = [size for size in SIZES if size in available]
    affordable = SIZES[: _largest_size_index(budget) + 1]
    return [size for size in sizes if size in affordable] or sizes[:1]


def _largest_size_index(budget: str) -> int:
    if budget in SIZES:
        return SIZES.index(budget)
    for place, size in enumerate(SIZES):
        is_duration = size not in ("demo", UNLIMITED)
        if is_duration and budget_seconds(size) >= budget_seconds(budget):
            return place
    return len(SIZES) - 1
