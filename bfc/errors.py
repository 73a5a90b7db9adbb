"""The one error that a user's mistake raises.

Its message is a single sentence that says what is wrong, what is allowed and the nearest valid
name, so that every entry point can print it and leave with a non-zero status, never a traceback.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable

_OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|cannot allocate memory", re.I)


class UserError(ValueError):
    """A mistake in what was asked for; its message is one sentence for the person who asked."""


def require(condition: bool, key: str, value: object, allowed: str) -> None:
    """Raise :class:`UserError` unless ``condition``: "``key=value``: must be ``allowed``"."""
    if not condition:
        raise UserError(f"{key}={format_value(value)}: must be {allowed}")


def format_value(value: object) -> str:
    """A value as it is written on the command line: ``null``, ``true``, ``[1, 2]``."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(format_value, value))}]"
    return json.dumps(value) if value is None or isinstance(value, (bool, dict)) else str(value)


def nearest(name: str, allowed: Iterable[str]) -> str:
    """The end of a sentence about an unknown ``name``: the nearest valid name, then all."""
    options = sorted(map(str, allowed))
    close = similar(name, options)
    hint = f"did you mean {close}? " if close else ""
    return f"{hint}allowed: {', '.join(options) or 'nothing'}"


def similar(name: str, allowed: Iterable[str]) -> str | None:
    """The valid name that is closest to ``name``, if any is close."""
    return next(iter(difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.5)), None)


def describe_error(error: BaseException) -> str | None:
    """The sentence for an error that the reader can do something about.

    None for a fault of this program.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'input/output'}: {error.strerror or error}"
    if _is_out_of_memory(error):
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        return (
            f"memory does not suffice ({first_line}); compute.stack, optimizer.batch, "
            "measure.test, probe.rows or target.d must be smaller"
        )
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_OUT_OF_MEMORY.search(str(error)))
