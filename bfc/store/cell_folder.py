"""Read one folder that may be copied from another machine, half written or not a cell at all.

Nothing in it is executed or unpickled; what cannot be read raises :class:`Unreadable`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow
import yaml

from bfc.store.files import EARLIER_KINDS, WrongContent, read_json, read_table
from bfc.store.lease import is_claimed
from bfc.yaml_text import parse_yaml

UNNAMED = "(no study)"
"""The study of a job without one."""
SCALARS = {"method": str, "target_name": str, "d": int, "L": int, "degree": int}
"""Keys that every config.yaml has at its top → their types."""
HEAD = ("method", "target", "d", "L", "degree")
"""Columns that say which cell a row belongs to."""
REQUIRED_COLUMNS = ("kind", "n", "seed", "risk")
NUMBERS = ("risk", "train_risk", "seconds", "steps")
"""Columns of numbers, beside those of probes (``<what>/<level>``)."""
DEFAULT_TEXTS = {"kind": "training", "outcome": "unjudged", "validation": "none"}
"""Columns of text → what an absent one stands for."""
MAX_FILE_BYTES = 4_000_000
MAX_KEYS = 2000

T = TypeVar("T")
Complete = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Adds to a stored configuration what earlier versions left out of it."""


class Unreadable(Exception):
    """A folder that is not a readable cell; the message completes "<folder>: ..."."""


@dataclass(frozen=True)
class CellFolder:
    """What is read of one folder."""

    config: dict[str, Any]
    """Flattened configuration."""
    requests: list[Mapping[str, Any]]
    state: str
    """That of :meth:`bfc.store.cells.Cell.state`; ``interrupted`` where nobody measures on."""
    rows: pd.DataFrame

    @property
    def head(self) -> dict[str, Any]:
        names = {"target": "target_name"}
        return {column: self.config[names.get(column, column)] for column in HEAD}

    @property
    def settings(self) -> dict[str, Any]:
        """The flattened configuration without what :attr:`head` holds."""
        return {key: value for key, value in self.config.items() if key not in SCALARS}

    def eps_by_study(self) -> dict[str, tuple[float, ...]]:
        """Study → the eps that it asks for, largest first."""
        eps: dict[str, set[float]] = {}
        for request in self.requests:
            eps.setdefault(study_of(request), set()).update(map(float, request["eps"]))
        return {study: tuple(sorted(values, reverse=True)) for study, values in eps.items()}


def read_cell_folder(folder: Path, complete: Complete) -> CellFolder:
    """One folder; raises :class:`Unreadable`."""
    config = _config(folder / "config.yaml", complete)
    state = str(read_values(folder / "status.json", dict).get("state", "unknown"))
    if state == "running" and not is_claimed(folder):
        state = "interrupted"
    rows = read_rows(folder / "trainings.parquet", REQUIRED_COLUMNS)
    return CellFolder(config, _requests(folder / "requests.json"), state, rows)


def may_be_of_study(folder: Path, study: str) -> bool:
    """Whether a folder is of a study; also where this cannot be read."""
    try:
        requests = read_values(folder / "requests.json", list)
        return study in {study_of(request) for request in requests}
    except (Unreadable, AttributeError):
        return True


def _config(path: Path, complete: Complete) -> dict[str, Any]:
    """The flattened configuration."""
    if not path.is_file():
        raise Unreadable("no config.yaml, so not a result folder")
    try:
        config = parse_yaml(_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise Unreadable("config.yaml is not valid YAML") from error
    if not isinstance(config, Mapping):
        raise Unreadable("config.yaml is not a mapping")
    for key, kind in SCALARS.items():
        if not isinstance(config.get(key), kind) or isinstance(config.get(key), bool):
            raise Unreadable(f"config.yaml has no {key} ({kind.__name__})")
    if min(config["d"], config["L"]) < 1:
        raise Unreadable("config.yaml has d or L below 1")
    try:
        flat = dict(itertools.islice(_flatten(complete(config)), MAX_KEYS + 1))
    except RecursionError as error:
        raise Unreadable("config.yaml contains itself") from error
    if len(flat) > MAX_KEYS:
        raise Unreadable(f"config.yaml has more than {MAX_KEYS} keys")
    return flat


def _requests(path: Path) -> list[Mapping[str, Any]]:
    """What was asked for, each with a list of eps."""
    requests = read_values(path, list)
    for request in requests:
        if not isinstance(request, Mapping):
            raise Unreadable("requests.json is not a list of mappings")
        eps = request.get("eps")
        if not isinstance(eps, list) or not all(map(_is_positive, eps)):
            raise Unreadable("requests.json names no eps")
    if not requests:
        raise Unreadable("requests.json is empty")
    return list(requests)


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and value > 0


def study_of(request: Mapping[str, Any]) -> str:
    """The study of a request."""
    return str(request.get("study") or UNNAMED)


def read_rows(path: Path, required: Sequence[str]) -> pd.DataFrame:
    """The rows of a table; numbers are numbers, and absent texts have their defaults."""
    if not path.is_file():
        raise Unreadable("no trainings stored yet")
    try:
        table, _ = read_table(path)
        rows = table.to_pandas(ignore_metadata=True)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise Unreadable(f"{path.name} cannot be read") from error
    missing = [name for name in required if name not in rows]
    if missing or rows.empty:
        raise Unreadable(f"{path.name} has no {', '.join(missing) or 'rows'}")
    try:
        rows = rows.astype({"n": int, "seed": int})
    except (TypeError, ValueError) as error:
        raise Unreadable(f"{path.name} has an n or a seed that is no integer") from error
    numbers = [name for name in rows if name in NUMBERS or "/" in name]
    for name in numbers:
        if rows[name].dtype != np.float64:
            rows[name] = pd.to_numeric(rows[name], errors="coerce").astype(float)
    if "kind" in rows:
        rows["kind"] = rows["kind"].replace(EARLIER_KINDS)
    texts = {}
    for name, default in DEFAULT_TEXTS.items():
        texts[name] = rows[name].fillna(default) if name in rows else default
    return rows.copy().assign(**texts)


def _flatten(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of a nested configuration: dotted key → number, text, bool or None.

    A list of these is one leaf, as JSON.
    """
    for key, value in node.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{name}.")
        elif isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
            yield from _flatten(dict(enumerate(value)), f"{name}.")  # type: ignore[arg-type]
        elif isinstance(value, list):
            yield name, json.dumps(value, default=str)
        elif value is None or isinstance(value, (bool, int, float)):
            yield name, value
        else:
            yield name, str(value)


def _check_size(path: Path) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise Unreadable(f"no {path.name}") from error
    except OSError as error:
        raise Unreadable(f"{path.name} cannot be read") from error
    if size > MAX_FILE_BYTES:
        raise Unreadable(f"{path.name} is larger than {MAX_FILE_BYTES} bytes")


def _text(path: Path) -> str:
    _check_size(path)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path.name} cannot be read") from error


def read_values(path: Path, kind: type[T]) -> T:
    """The mapping or list in a JSON file; raises :class:`Unreadable`."""
    _check_size(path)
    try:
        value: T = read_json(path, kind)
    except WrongContent as error:
        raise Unreadable(f"{path.name} does not hold a {kind.__name__}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path.name} cannot be read") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path.name} is not valid JSON") from error
    return value
