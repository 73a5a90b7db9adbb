"""Read one folder that may be copied from another machine, half written or not a cell at all.

Nothing in it is executed or unpickled; what cannot be read raises :class:`Unreadable`.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from bfc.store.cell_rows import Columns, Unreadable, read_rows
from bfc.store.files import WrongContent, read_json
from bfc.store.lease import is_claimed
from bfc.yaml_text import parse_yaml

UNNAMED = "(no study)"
"""The study of a job without one."""
SCALARS = {"method": str, "target_name": str, "d": int, "L": int, "degree": int}
"""Keys that every config.yaml has at its top → their types."""
HEAD = ("method", "target", "d", "L", "degree")
"""Columns that say which cell a row belongs to."""
REQUIRED_COLUMNS = ("kind", "n", "seed", "risk")
FILES = (
    "config.yaml",
    "status.json",
    "trainings.parquet",
    "requests.json",
    "environment.json",
    "tuned.json",
    "trace.parquet",
)
"""What :func:`read_files` reads."""
MAX_FILE_BYTES = 4_000_000
MAX_KEYS = 2000

T = TypeVar("T")
Complete = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Adds to a stored configuration what earlier versions left out of it."""


@dataclass(frozen=True)
class CellFiles:
    """What the files of one folder hold, as plain values."""

    config: Mapping[str, Any]
    """As it is written."""
    requests: list[Mapping[str, Any]]
    status: Mapping[str, Any]
    rows: Columns
    environment: dict[str, Any] | None = None
    tuned: dict[str, Any] | None = None
    """What tuning chose and tried."""
    trace: Columns | None = None
    """What probes measured during trainings, one row per evaluation."""
    problems: list[str] = field(default_factory=list)
    """What of the last three cannot be read; each completes "<folder>: ..."."""


@dataclass(frozen=True)
class CellFolder:
    """What is read of one folder."""

    config: dict[str, Any]
    """Flattened configuration."""
    state: str
    """That of :meth:`bfc.store.cells.Cell.state`; ``interrupted`` where nobody measures on."""
    files: CellFiles

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
        for request in self.files.requests:
            eps.setdefault(study_of(request), set()).update(map(float, request["eps"]))
        return {study: tuple(sorted(values, reverse=True)) for study, values in eps.items()}


def read_cell_folder(
    folder: Path, complete: Complete, files: CellFiles | None = None
) -> CellFolder:
    """One folder; raises :class:`Unreadable`.

    ``complete`` adds to a stored configuration what earlier versions left out of it. ``files``: as
    :func:`read_files` gives them, which reads them where they are None.
    """
    files = read_files(folder) if files is None else files
    state = str(files.status.get("state", "unknown"))
    if state == "running" and not is_claimed(folder):
        state = "interrupted"
    return CellFolder(_flatten_config(files.config, complete), state, files)


def read_files(folder: Path) -> CellFiles:
    """The files of one folder; raises :class:`Unreadable` where one is missing or damaged.

    Those beside the trainings are optional.
    """
    config = _read_config(folder / "config.yaml")
    status = read_values(folder / "status.json", dict)
    rows = read_rows(folder / "trainings.parquet", REQUIRED_COLUMNS)
    requests = _requests(folder / "requests.json")
    problems: list[str] = []
    return CellFiles(
        config,
        requests,
        status,
        rows,
        _read_optional(lambda: read_values(folder / "environment.json", dict), problems),
        _read_optional(lambda: _read_if_there(folder / "tuned.json", _read_mapping), problems),
        _read_optional(lambda: _read_if_there(folder / "trace.parquet", _read_trace), problems),
        problems,
    )


def _read_optional(read: Callable[[], T], problems: list[str]) -> T | None:
    """What ``read`` returns; None where it cannot be read, which ``problems`` then say."""
    try:
        return read()
    except (Unreadable, OSError) as reason:
        problems.append(str(reason))
        return None


def _read_if_there(path: Path, read: Callable[[Path], T]) -> T | None:
    return read(path) if path.is_file() else None


def _read_mapping(path: Path) -> dict[str, Any]:
    return read_values(path, dict)


def _read_trace(path: Path) -> Columns:
    return read_rows(path, ("n", "seed"))


@dataclass(frozen=True)
class CellRequest:
    """Which studies asked for a cell, and when it was measured last."""

    studies: frozenset[str]
    """Empty where the requests cannot be read."""
    time: float
    """In seconds since 1970; -inf where it is not known."""


def read_request(folder: Path) -> CellRequest:
    """What asked for a cell, without reading what was measured."""
    try:
        time = float(read_values(folder / "status.json", dict).get("time", -math.inf))
    except (Unreadable, OSError, TypeError, ValueError):
        time = -math.inf
    return CellRequest(_list_studies(folder), -math.inf if math.isnan(time) else time)


def may_be_of_study(folder: Path, study: str) -> bool:
    """Whether a folder is of a study; also where this cannot be read."""
    studies = _list_studies(folder)
    return not studies or study in studies


def _list_studies(folder: Path) -> frozenset[str]:
    """The studies that asked for a cell; none where this cannot be read."""
    try:
        requests = read_values(folder / "requests.json", list)
        return frozenset(study_of(request) for request in requests)
    except (Unreadable, AttributeError):
        return frozenset()


def _read_config(path: Path) -> Mapping[str, Any]:
    """The configuration as it is written."""
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
    return config


def _flatten_config(config: Mapping[str, Any], complete: Complete) -> dict[str, Any]:
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
