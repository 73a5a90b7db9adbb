"""The one error a user's mistake raises: a single sentence that says what is wrong, what is allowed and the
nearest valid name, so that every entry point can print it and leave with a non-zero status, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in what was asked for; its message is one sentence meant to be read by the person who asked."""


def require(condition: bool, key: str, value: object, allowed: str) -> None:
    """Raise :class:`UserError` unless ``condition``: "``key=value``: must be ``allowed``"."""
    if not condition:
        raise UserError(f"{key}={value}: must be {allowed}")


def nearest(name: str, allowed: Iterable[str]) -> str:
    """The tail of a sentence about an unknown ``name``: the nearest valid names, then all of them."""
    options = sorted(map(str, allowed))
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}allowed: {', '.join(options) or 'nothing'}"
