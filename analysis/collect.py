"""Read a results folder into plain tables. A folder may be copied from another machine, half
written or not ours at all, so nothing in it is executed or unpickled and whatever cannot be read
becomes a sentence in ``problems``, never an exception."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
import yaml

from bfc.store.cells import EARLIER_KINDS

UNNAMED = "(no study)"
SCALARS = {"method": str, "target_name": str, "d": int, "L": int, "degree": int}
NEEDED = ("kind", "n", "seed", "risk")
LARGEST_FILE = 4_000_000
MOST_KEYS = 2000


class Unreadable(Exception):
    """A folder that is not a readable cell; the message completes "<folder>: ..."."""


@dataclass
class Collected:
    """A results folder as tables.

    ``cells``: one row per (study, cell) with ``study, cell_id, method, target, d, L, degree, eps``
    (tuple), ``state`` and one column per flattened configuration key; a cell that two studies asked
    for has two rows.

    ``trainings``: one row per training with ``cell_id``, the stored columns, ``studies, method,
    target, d, L, degree`` and the flattened configuration (``config.<key>``).

    ``traces``: what probes saw on the way, one row per look with ``cell_id``. ``environments``,
    ``tuned``: cell id → stored environment, and what tuning chose and tried. ``sizes``: study → the
    sizes of it that were asked for. ``problems``: sentences about what was skipped.
    """

    cells: pd.DataFrame
    trainings: pd.DataFrame
    traces: pd.DataFrame = field(default_factory=pd.DataFrame)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    tuned: dict[str, dict[str, Any]] = field(default_factory=dict)
    sizes: dict[str, set[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def study(self, name: str) -> Collected:
        """The part that study ``name`` asked for."""
        cells = self.cells[self.cells["study"] == name].reset_index(drop=True)
        ids = set(cells["cell_id"])
        rows = {
            table: own[own["cell_id"].isin(ids)].reset_index(drop=True) if len(own) else own
            for table, own in (("trainings", self.trainings), ("traces", self.traces))
        }
        told = {
            part: {key: value for key, value in getattr(self, part).items() if key in ids}
            for part in ("environments", "tuned")
        }
        return Collected(cells, **rows, **told, sizes=self.sizes, problems=self.problems)


def collect(results: str | Path) -> Collected:
    """Read every cell below ``results``; an empty or absent folder gives empty tables. Hidden
    folders are passed over."""
    root = Path(results)
    found = Collected(pd.DataFrame(), pd.DataFrame())
    cells: list[dict[str, Any]] = []
    heads: dict[str, dict[str, Any]] = {}
    tables: list[pd.DataFrame] = []
    traces: list[pd.DataFrame] = []
    for folder in (
        sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
        if root.is_dir()
        else []
    ):
        try:
            config, requests, state, rows = _read_cell(folder, found.sizes)
        except Unreadable as reason:
            found.problems.append(f"{folder.name}: {reason}; skipped")
            continue
        if state != "done":
            found.problems.append(
                f"{folder.name}: is {state}; the {len(rows)} trainings stored so far are used"
            )
        for name, into, needed in (
            ("environment", found.environments, True),
            ("tuned", found.tuned, False),
        ):
            if needed or (folder / f"{name}.json").is_file():
                try:
                    into[folder.name] = _json(folder / f"{name}.json", dict)
                except Unreadable as reason:
                    found.problems.append(f"{folder.name}: {reason}")
        if (folder / "trace.parquet").is_file():
            try:
                traces.append(
                    _rows(folder / "trace.parquet", ("n", "seed")).assign(cell_id=folder.name)
                )
            except Unreadable as reason:
                found.problems.append(f"{folder.name}: {reason}")
        head = {
            "method": config["method"],
            "target": config["target_name"],
            **{key: config[key] for key in ("d", "L", "degree")},
        }
        keys = {key: value for key, value in config.items() if key not in SCALARS}
        for study, eps in requests.items():
            cells.append(
                {"study": study, "cell_id": folder.name, **head, "eps": eps, "state": state, **keys}
            )
        heads[folder.name] = {
            "studies": "; ".join(requests),
            **head,
            **{f"config.{key}": value for key, value in keys.items()},
        }
        tables.append(rows.astype(object).assign(cell_id=folder.name))
    if cells:
        frame = pd.DataFrame(cells).astype(object)
        found.cells = frame.where(frame.notna(), None).astype({"d": int, "L": int, "degree": int})
        settings = pd.DataFrame.from_dict(heads, orient="index").astype(object).apply(_plain)
        rows = pd.concat(tables, ignore_index=True).apply(_plain)
        names = [
            "cell_id",
            *sorted((name for name in rows if name != "cell_id"), key=lambda name: "/" in name),
        ]
        found.trainings = rows[names].join(settings, on="cell_id")
    if traces:
        found.traces = pd.concat(traces, ignore_index=True).join(
            pd.DataFrame.from_dict(heads, orient="index")[["method", "target", "d", "L", "degree"]],
            on="cell_id",
        )
    return found


def _read_cell(
    folder: Path, sizes: dict[str, set[str]]
) -> tuple[dict[str, Any], dict[str, tuple[float, ...]], str, pd.DataFrame]:
    """Flattened configuration, study → eps, state and rows of one folder; the sizes asked for are
    added to ``sizes``."""
    if not (folder / "config.yaml").is_file():
        raise Unreadable("no config.yaml, so not a result folder")
    try:
        config = yaml.safe_load(_text(folder / "config.yaml"))
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
        flat = dict(itertools.islice(_flatten(config), MOST_KEYS + 1))
    except RecursionError as error:
        raise Unreadable("config.yaml contains itself") from error
    if len(flat) > MOST_KEYS:
        raise Unreadable(f"config.yaml has more than {MOST_KEYS} keys")
    status = _json(folder / "status.json", dict)
    rows = _rows(folder / "trainings.parquet")
    return (
        flat,
        _requests(folder / "requests.json", sizes),
        str(status.get("state", "unknown")),
        rows,
    )


def _requests(path: Path, sizes: dict[str, set[str]]) -> dict[str, tuple[float, ...]]:
    asked: dict[str, set[float]] = {}
    for request in _json(path, list):
        if not isinstance(request, Mapping):
            raise Unreadable("requests.json is not a list of mappings")
        eps = request.get("eps")
        if not isinstance(eps, list) or not all(isinstance(e, (int, float)) and e > 0 for e in eps):
            raise Unreadable("requests.json names no eps")
        study = str(request.get("study") or UNNAMED)
        asked.setdefault(study, set()).update(map(float, eps))
        if request.get("size"):
            sizes.setdefault(study, set()).add(str(request["size"]))
    if not asked:
        raise Unreadable("requests.json is empty")
    return {study: tuple(sorted(eps, reverse=True)) for study, eps in asked.items()}


def _rows(path: Path, needed: tuple[str, ...] = NEEDED) -> pd.DataFrame:
    if not path.is_file():
        raise Unreadable("no trainings stored yet")
    try:
        with pyarrow.parquet.ParquetFile(
            path
        ) as file:  # opened once: a running cell may replace it meanwhile
            rows = file.read(use_threads=False).to_pandas(ignore_metadata=True)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise Unreadable(f"{path.name} cannot be read") from error
    missing = [name for name in needed if name not in rows]
    if missing or rows.empty:
        raise Unreadable(f"{path.name} has no {', '.join(missing) or 'rows'}")
    try:
        rows = rows.astype({"n": int, "seed": int})
    except (TypeError, ValueError) as error:
        raise Unreadable(f"{path.name} has an n or a seed that is no integer") from error
    numbers = [
        name for name in rows if name in ("risk", "train_risk", "seconds", "steps") or "/" in name
    ]
    rows[numbers] = rows[numbers].apply(pd.to_numeric, errors="coerce").astype(float)
    if "kind" in rows:
        rows["kind"] = rows["kind"].replace(EARLIER_KINDS)
    texts = {"kind": "training", "outcome": "unjudged", "validation": "none"}
    return rows.copy().assign(
        **{name: rows[name].fillna(text) if name in rows else text for name, text in texts.items()}
    )


def _plain(values: pd.Series) -> pd.Series:
    """The column with one type, so that it can be written: text where types are mixed."""
    kinds = {type(value) for value in values.dropna()}
    if kinds <= {int, float}:
        return values.astype(int if kinds == {int} and values.notna().all() else float)
    if kinds == {bool} and values.notna().all():
        return values.astype(bool)
    return values.map(lambda value: None if value is None or value != value else str(value)).astype(
        object
    )


def _flatten(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of a nested configuration, dotted key → number, text, bool, None, or a list of these
    as JSON."""
    for key, value in node.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{name}.")
        elif isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
            yield from _flatten(dict(enumerate(value)), f"{name}.")
        elif isinstance(value, list):
            yield name, json.dumps(value, default=str)
        else:
            yield (
                name,
                value if value is None or isinstance(value, (bool, int, float)) else str(value),
            )


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise Unreadable(f"{path.name} is larger than {LARGEST_FILE} bytes")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise Unreadable(f"no {path.name}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path.name} cannot be read") from error


def _json(path: Path, kind: type) -> Any:
    try:
        value = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path.name} is not valid JSON") from error
    if not isinstance(value, kind):
        raise Unreadable(f"{path.name} does not hold a {kind.__name__}")
    return value
