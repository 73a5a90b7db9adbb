"""Estimates on disk, so that what was computed from the same trainings is not computed again.

A page is made many times of a store that grows, and most of its cells and lines are as they were
the last time. An entry is found by all that its value follows from: the content of the trainings,
the arguments, the source code of the estimators and the versions of the libraries below them. So
none is ever out of date, and those that are not read any more make room for others
(:data:`MAX_BYTES`), the least recently used first.

Values are numbers, texts, lists and mappings, stored as JSON: nothing in the folder is executed or
unpickled. An entry that cannot be read is computed anew, and a folder that cannot be used is done
without. ``BFC_ESTIMATES=off`` in the environment does without it, too.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diskcache
import numpy as np
import pandas as pd
import scipy
from diskcache.core import MODE_BINARY, MODE_RAW

from analysis.progress_message import track
from bfc.paths import CACHE

SWITCH = "BFC_ESTIMATES"
"""Environment variable; ``off``: nothing is read or stored."""
FOLDER = "estimates"
"""Below :data:`bfc.paths.CACHE`."""
MAX_BYTES = 500_000_000
TIMEOUT = 5.0
"""Seconds after which an entry that another process holds counts as missing."""
UNUSABLE = (sqlite3.Error, diskcache.Timeout, OSError, ValueError, zlib.error)
"""What a damaged, foreign or read-only folder raises."""
FEWEST_PER_PROCESS = 8
"""Values for which starting another process pays where each takes some hundredths of a second."""
ENTRIES_PER_TRANSACTION = 50
LIBRARIES = (np, scipy, pd)


@dataclass(frozen=True)
class CachedEstimator:
    """A function whose values are stored.

    ``packages``: those whose source code its values follow from, besides its own file.
    ``fewest_per_process``: values for which starting another process pays. The function is
    picklable by name, and returns what JSON can hold.
    """

    function: Callable[..., Any]
    packages: tuple[str, ...] = ("bfc.stats",)
    fewest_per_process: int = FEWEST_PER_PROCESS

    @property
    def name(self) -> str:
        return f"{self.function.__module__}.{self.function.__qualname__}"

    def key(self, content: str) -> str:
        """The key of its value for arguments of this content."""
        modules = (self.function.__module__, *self.packages)
        sources = [hash_source(module) for module in modules]
        versions = [library.__version__ for library in LIBRARIES]
        text = repr((self.name, sources, versions, content))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Task:
    """One value to find or to compute.

    ``content`` names all that the arguments hold (:func:`hash_rows` for tables).
    """

    content: str
    arguments: tuple[Any, ...]


class PlainDisk(diskcache.JSONDisk):  # type: ignore[misc]  # it is untyped
    """Entries as JSON; whatever else a folder may hold is not read."""

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode not in (MODE_RAW, MODE_BINARY):
            raise ValueError(f"mode {mode}: is not that of a plain entry")
        return super().fetch(mode, filename, value, read)


def compute_cached(
    estimator: CachedEstimator, tasks: Sequence[Task], description: str, processes: int = 1
) -> list[Any]:
    """The value of every task, in order: found on disk, or computed now and stored.

    A value that is None is not stored. ``description``: for the progress bar. ``processes``: what
    is missing is computed in as many where there is enough of it.
    """
    keys = [estimator.key(task.content) for task in tasks]
    with _open_cache() as cache:
        values = dict(_read_entries(cache, estimator.name, keys))
        missing = {key: task for key, task in zip(keys, tasks, strict=True) if key not in values}
        computed = _compute(estimator, list(missing.values()), description, processes)
        values |= zip(missing, computed, strict=True)
        _write_entries(cache, estimator.name, {key: values[key] for key in missing})
    return [values[key] for key in keys]


def hash_rows(table: pd.DataFrame) -> np.ndarray:
    """A number per row that follows from its content, (N,), whatever its place.

    Equal for rows whose values are equal in every column; missing values are equal.
    """
    hashes: np.ndarray = pd.util.hash_pandas_object(table, index=False).to_numpy()
    return hashes


def describe_rows(hashes: np.ndarray, columns: Sequence[str]) -> str:
    """Some rows in this order as a text, from their hashes (N,) and the names of their columns."""
    digest = hashlib.sha256(" ".join(columns).encode())
    digest.update(np.ascontiguousarray(hashes).tobytes())
    return digest.hexdigest()


@functools.cache
def hash_source(module: str) -> str:
    """The source code of a module, or of all modules of a package, as a text."""
    file = importlib.import_module(module).__file__
    assert file is not None
    path = Path(file)
    paths = sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]
    digest = hashlib.sha256()
    for source in paths:
        digest.update(source.read_bytes())
    return digest.hexdigest()


@contextmanager
def _open_cache() -> Iterator[diskcache.Cache | None]:
    """The cache; None where it is switched off or its folder cannot be used."""
    cache: diskcache.Cache | None = None
    if os.environ.get(SWITCH) != "off":
        with suppress(*UNUSABLE):
            folder = str(CACHE / FOLDER)
            cache = diskcache.Cache(folder, TIMEOUT, PlainDisk, size_limit=MAX_BYTES)
    try:
        yield cache
    finally:
        if cache is not None:
            cache.close()


def _read_entries(
    cache: diskcache.Cache | None, name: str, keys: Sequence[str]
) -> Iterator[tuple[str, Any]]:
    """Key and value of the entries that are there and were written for this function."""
    if cache is None:
        return
    for key in dict.fromkeys(keys):
        try:
            entry = cache.get(key)
        except UNUSABLE:
            continue
        if isinstance(entry, dict) and entry.get("function") == name and "value" in entry:
            yield key, entry["value"]


def _write_entries(cache: diskcache.Cache | None, name: str, values: Mapping[str, Any]) -> None:
    """Store what was computed, several entries in one transaction."""
    if cache is None:
        return
    entries = [(key, value) for key, value in values.items() if value is not None]
    for start in range(0, len(entries), ENTRIES_PER_TRANSACTION):
        with suppress(*UNUSABLE), cache.transact():
            for key, value in entries[start : start + ENTRIES_PER_TRANSACTION]:
                cache.set(key, {"function": name, "value": value})


def _compute(
    estimator: CachedEstimator, tasks: Sequence[Task], description: str, processes: int
) -> list[Any]:
    """The values of the tasks, in this process or in several."""
    function = estimator.function
    processes = min(processes, len(tasks) // estimator.fewest_per_process)
    if processes < 2:
        return [function(*task.arguments) for task in track(tasks, description)]
    with ProcessPoolExecutor(processes) as pool:
        pending = [pool.submit(function, *task.arguments) for task in tasks]
        return [future.result() for future in track(pending, description)]
