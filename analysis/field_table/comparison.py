"""What moved between two versions of the table: a snapshot and the one of today."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.field_table.files import JSON
from bfc.errors import UserError

EXPONENT_KEYS = ("exponent", "lo", "hi")
NSTAR_KEYS = ("nstar", "nstar_lo", "nstar_hi")


@dataclass(frozen=True)
class EntryChange:
    """An entry that is not what it was."""

    row: str
    column: str
    sentence: str


def read_snapshot(path: Path, size: str) -> dict[str, Any]:
    """The content of ``table.json``, or of the one in a folder.

    Raises :class:`UserError` where it is none, or is of another size.
    """
    file = path / JSON if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"--compare {path}: cannot be read as a table ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("entries"), list):
        raise UserError(f"--compare {path}: is no table; must be a table.json of bfc table")
    if content.get("size") != size:
        raise UserError(f"--compare {path}: must be of size {size}, not {content.get('size')}")
    return content


def list_shown(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the rows and columns that the table in a folder shows; none without one."""
    try:
        entries = json.loads((folder / JSON).read_text(encoding="utf-8"))["entries"]
        rows = [str(entry["row"]) for entry in entries]
        columns = [str(entry["column"]) for entry in entries]
    except (OSError, ValueError, LookupError, TypeError):
        return [], []
    return rows, columns


def list_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[EntryChange]:
    """The entries of both tables that moved outside of their joint interval, or changed status.

    Exponents are compared where both have one, and n* at the reference otherwise, then n* of
    features: values differ where their distance exceeds the half widths of both intervals, added in
    quadrature. Entries that either table did not run are passed over.
    """
    old = {(entry["row"], entry["column"]): entry for entry in before["entries"]}
    changes = []
    for entry in after["entries"]:
        earlier = old.get((entry["row"], entry["column"]))
        if earlier is None or "not run" in (earlier["status"], entry["status"]):
            continue
        sentence = _compare(earlier, entry)
        if sentence:
            changes.append(EntryChange(entry["row"], entry["column"], sentence))
    return changes


def _compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if _has_moved(before, after, EXPONENT_KEYS, is_log=False):
        return (
            f"the exponent was {_format(before, EXPONENT_KEYS)} and is "
            f"{_format(after, EXPONENT_KEYS)}"
        )
    has_exponents = None not in (before["exponent"], after["exponent"])
    if not has_exponents and _has_moved(before, after, NSTAR_KEYS, is_log=True):
        return f"n* was {_format(before, NSTAR_KEYS)} and is {_format(after, NSTAR_KEYS)}"
    if before["status"] != after["status"]:
        return f"the status was {before['status']} and is {after['status']}"
    return _compare_features(before, after)


def _compare_features(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The first feature of both entries whose n* moved; versions without features have none."""
    old = {feature["feature"]: feature for feature in before.get("features", [])}
    for feature in after.get("features", []):
        earlier = old.get(feature["feature"])
        if earlier is not None and _has_moved(earlier, feature, NSTAR_KEYS, is_log=True):
            return (
                f"n* of {feature['feature']} was {_format(earlier, NSTAR_KEYS)} and is "
                f"{_format(feature, NSTAR_KEYS)}"
            )
    return ""


def _has_moved(
    before: Mapping[str, Any], after: Mapping[str, Any], keys: Sequence[str], is_log: bool
) -> bool:
    """Whether two values with finite intervals differ by more than both widths explain."""
    intervals = []
    for entry in (before, after):
        ends = [entry[key] for key in keys]
        if any(isinstance(end, str) or end is None for end in ends):
            return False
        if is_log and min(ends) <= 0:
            return False
        intervals.append([math.log(end) if is_log else float(end) for end in ends])
    (old, old_lo, old_hi), (new, new_lo, new_hi) = intervals
    if new > old:
        joint = math.hypot(old_hi - old, new - new_lo)
    else:
        joint = math.hypot(old - old_lo, new_hi - new)
    return abs(new - old) > joint


def _format(entry: Mapping[str, Any], keys: Sequence[str]) -> str:
    value, lo, hi = (entry[key] for key in keys)
    return f"{value:.3g} [{lo:.3g}, {hi:.3g}]"
