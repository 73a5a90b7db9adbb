"""Compare a stored configuration with the present one of the same cell.

A default is no part of a cell's identity where its field was added later, so a default that was
changed over stored results shows only here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bfc.errors import UserError, format_value


def contains(stored: Any, identity: Any) -> bool:
    """Whether a stored configuration holds every value of an identity."""
    if isinstance(identity, Mapping) and isinstance(stored, Mapping):
        return all(key in stored and contains(stored[key], identity[key]) for key in identity)
    if isinstance(identity, list) and isinstance(stored, list):
        return len(stored) == len(identity) and all(map(contains, stored, identity))
    return bool(stored == identity)


def check_defaults(path: Path, stored: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse results that were measured with another default.

    ``stored`` contains the identity of ``config``, so values that differ are defaults. Keys that
    only one of them has are not compared: the other version lacks them.
    """
    for component, values in config.items():
        for key, before, now in _differences(component, stored[component], values):
            raise UserError(
                f"{path}: {key} was {format_value(before)} when this cell was measured and its "
                f"default is {format_value(now)} now; raise the version of {values['_target_']}"
            )


def _differences(key: str, stored: Any, value: Any) -> Iterator[tuple[str, Any, Any]]:
    """Innermost key, stored value and present value of what differs."""
    if isinstance(value, Mapping) and isinstance(stored, Mapping):
        for name in value:
            if name in stored:
                yield from _differences(f"{key}.{name}", stored[name], value[name])
    elif isinstance(value, list) and isinstance(stored, list) and len(value) == len(stored):
        for i, (before, now) in enumerate(zip(stored, value, strict=True)):
            yield from _differences(f"{key}[{i}]", before, now)
    elif stored != value:
        yield key, stored, value
