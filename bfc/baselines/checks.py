"""Checks of the fields of baselines: the same mistake is refused in the same words everywhere.

Every check raises :class:`bfc.errors.UserError` about ``baseline.<name>``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard, TypeVar

from bfc.errors import require

Value = TypeVar("Value", int, float)


def is_integer(value: object) -> TypeGuard[int]:
    """Whether it is an integer; ``True`` is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite number; ``True`` is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_positive(value: object) -> TypeGuard[float]:
    return is_number(value) and value > 0


@dataclass(frozen=True)
class Range:
    """The values that a field may take, and how a message names them."""

    contains: Callable[[object], bool]
    words: str


def integers_from(low: int, high: int | None = None) -> Range:
    """The integers from ``low`` on, up to ``high`` if that is given."""

    def contains(value: object) -> bool:
        return is_integer(value) and low <= value and (high is None or value <= high)

    return Range(
        contains, f"an integer >= {low}" if high is None else f"an integer from {low} to {high}"
    )


POSITIVE = Range(is_positive, "a number > 0")
NOT_NEGATIVE = Range(lambda value: is_number(value) and value >= 0, "a number >= 0")
OPEN_UNIT_INTERVAL = Range(
    lambda value: is_number(value) and 0 < value < 1, "a number between 0 and 1"
)


def check_value(name: str, value: object, allowed: Range) -> None:
    """Refuse a value out of range."""
    require(allowed.contains(value), f"baseline.{name}", value, allowed.words)


def check_option(name: str, value: str, options: Sequence[str]) -> None:
    """Refuse a name that is none of ``options``."""
    words = f"{', '.join(options[:-1])} or {options[-1]}"
    require(value in options, f"baseline.{name}", value, words)


def check_strength(
    name: str, value: object, grid: Sequence[float], allowed: Range
) -> tuple[float, ...]:
    """Refuse a regularisation that is neither ``auto`` nor allowed, and a grid with values <= 0.

    Returns the grid as floats.
    """
    is_allowed = value == "auto" or allowed.contains(value)
    require(is_allowed, f"baseline.{name}", value, f"auto or {allowed.words}")
    is_allowed = _is_list(grid) and len(grid) > 0 and all(map(is_positive, grid))
    require(is_allowed, f"baseline.{name}_grid", grid, "a list of numbers > 0")
    return tuple(float(strength) for strength in grid)


def check_parameter(
    name: str, value: object, grid: Sequence[Value], allowed: Range
) -> tuple[Value, ...]:
    """Refuse a parameter of a kernel, or a value of its grid, that is not allowed.

    Returns the grid as a tuple.
    """
    is_allowed = value == "auto" or allowed.contains(value)
    require(is_allowed, f"baseline.{name}", value, f"auto or {allowed.words}")
    is_allowed = _is_list(grid) and len(set(grid)) == len(grid) > 0
    require(
        is_allowed and all(map(allowed.contains, grid)),
        f"baseline.{name}_grid",
        grid,
        f"a list without repetition, of each: {allowed.words}",
    )
    return tuple(grid)


def _is_list(grid: object) -> bool:
    return isinstance(grid, Sequence) and not isinstance(grid, str)


def require_chosen(value: Value | Literal["auto"]) -> Value:
    """A parameter of a kernel, which must have been chosen by now.

    Raises ValueError where it is still ``auto``.
    """
    if isinstance(value, str):
        raise ValueError("auto: the baseline must be tuned before its kernel is computed")
    return value


def format_parameter(value: float | str) -> str:
    """A parameter in a label.

    The value of a tuned one is left out, since it differs from cell to cell.
    """
    return "tuned" if value == "auto" else f"{value:g}"
