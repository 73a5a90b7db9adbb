"""Estimates on disk are those that would be computed, and nothing in their folder is trusted."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import diskcache
import pandas as pd
import pytest
from synthetic import write_cell

from analysis import cell_estimates, estimate_cache, line_fits
from analysis.estimate_cache import (
    CachedEstimator,
    PlainDisk,
    Task,
    compute_cached,
    describe_rows,
    hash_rows,
)
from analysis.load import Results, load_results

TABLES = ("nstar", "exponents", "local", "depth")
CALLS: list[tuple[float, ...]] = []


def add(*numbers: float) -> dict[str, float]:
    """What the tests store; counts its calls."""
    CALLS.append(numbers)
    return {"sum": sum(numbers)}


ADD = CachedEstimator(add, ())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the estimates of one test."""
    monkeypatch.setenv(estimate_cache.SWITCH, "on")
    monkeypatch.setattr(estimate_cache, "CACHE", tmp_path / "cache")
    CALLS.clear()
    return tmp_path / "cache" / estimate_cache.FOLDER


def sums(*contents: Sequence[float]) -> list[float]:
    tasks = [Task(repr(content), tuple(content)) for content in contents]
    return [value["sum"] for value in compute_cached(ADD, tasks, "adding")]


def test_a_value_is_computed_once_and_found_by_its_content(folder: Path) -> None:
    assert sums((1, 2), (3, 4), (1, 2)) == [3, 7, 3] and CALLS == [(1, 2), (3, 4)]
    assert sums((3, 4), (5, 6)) == [7, 11] and CALLS[2:] == [(5, 6)]


def test_values_that_are_not_finite_are_stored(folder: Path) -> None:
    assert sums((float("inf"),)) == sums((float("inf"),)) == [float("inf")]
    assert len(CALLS) == 1


def test_another_source_or_library_is_another_entry(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ADD.key("content")
    assert key == ADD.key("content") != ADD.key("contents")
    assert CachedEstimator(add, ("bfc.stats",)).key("content") != key
    monkeypatch.setattr(pd, "__version__", "another")
    assert ADD.key("content") != key


def test_the_source_of_a_package_is_that_of_all_its_modules(tmp_path: Path) -> None:
    hashes = {estimate_cache.hash_source(name) for name in ("bfc.stats", "bfc.stats.nstar")}
    assert len(hashes) == 2


def damage_database(folder: Path) -> None:
    for path in folder.glob("cache.db*"):
        path.write_bytes(b"no database")


def truncate_entries(folder: Path) -> None:
    change_entries(folder, "UPDATE Cache SET value = substr(value, 1, 5)")


def store_pickles(folder: Path) -> None:
    with sqlite3.connect(folder / "cache.db") as database:
        pickled = pickle.dumps({"function": ADD.name, "value": {"sum": -1}})
        database.execute("UPDATE Cache SET value = ?, mode = 4", (pickled,))


def store_values_of_others(folder: Path) -> None:
    with diskcache.Cache(str(folder), disk=PlainDisk) as cache:
        for key in list(cache):
            cache[key] = {"function": "other", "value": {"sum": -1}}


def change_entries(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "cache.db") as database:
        database.execute(statement)


@pytest.mark.parametrize(
    "change", [damage_database, truncate_entries, store_pickles, store_values_of_others]
)
def test_what_is_damaged_or_foreign_is_computed_anew(
    folder: Path, change: Callable[[Path], None]
) -> None:
    assert sums((1, 2)) == [3]
    change(folder)
    assert sums((1, 2)) == [3] and len(CALLS) == 2


def test_without_a_folder_or_switched_off_all_is_computed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.parent.write_text("a file in the place of the folder")
    assert sums((1, 2)) == sums((1, 2)) == [3] and len(CALLS) == 2
    folder.parent.unlink()
    monkeypatch.setenv(estimate_cache.SWITCH, "off")
    assert sums((1, 2)) == sums((1, 2)) == [3] and len(CALLS) == 4
    assert not folder.exists()


def test_the_folder_stays_within_its_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate_cache, "MAX_BYTES", 200_000)
    for start in range(0, 2_000, 100):
        sums(*((number, 0.5) for number in range(start, start + 100)))
    with diskcache.Cache(str(folder), disk=PlainDisk) as cache:
        assert cache.volume() < 400_000 and len(cache) < 2_000


def test_several_processes_compute_what_one_does(folder: Path) -> None:
    contents = [(number, 0.5) for number in range(2 * estimate_cache.FEWEST_PER_PROCESS)]
    tasks = [Task(repr(content), content) for content in contents]
    values = compute_cached(ADD, tasks, "adding", processes=2)
    assert values == [{"sum": number + 0.5} for number, _ in contents] and not CALLS
    assert compute_cached(ADD, tasks, "adding") == values and not CALLS


def test_rows_are_told_apart_by_every_value_and_their_order() -> None:
    table = pd.DataFrame({"n": [1, 2], "risk": [0.5, None], "kind": ["a", None]})
    columns = list(table)

    def describe(rows: pd.DataFrame) -> str:
        return describe_rows(hash_rows(rows), columns)

    assert describe(table) == describe(table.set_axis([7, 8]))
    changed = [table.iloc[::-1], table.iloc[:1], table.assign(n=[1, 3]), table.assign(kind="a")]
    assert len({describe(rows) for rows in [table, *changed]}) == 5
    assert describe(table) != describe_rows(hash_rows(table), columns[::-1])


def test_the_tables_are_the_same_from_disk_from_one_process_and_from_several(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for d in (8, 16, 32):
        for method in ("staged quadratic_densenet", "kernel"):
            settings = {"d": d, "centre": 10.0 * d, "method": method}
            write_cell(tmp_path / "results", f"{method[0]}{d}", **settings)
    monkeypatch.setenv(estimate_cache.SWITCH, "off")
    plain = load_results(tmp_path / "results")
    assert plain.exponents["exponent"].notna().any()
    monkeypatch.setenv(estimate_cache.SWITCH, "on")
    assert_same_tables(load_results(tmp_path / "results", processes=2), plain)

    def fail(*_: object) -> None:
        raise AssertionError("computed in spite of an entry")

    monkeypatch.setattr(line_fits, "fit_exponent", fail)
    monkeypatch.setattr(cell_estimates, "summarise_cell", fail)
    assert_same_tables(load_results(tmp_path / "results"), plain)


def assert_same_tables(results: Results, expected: Results) -> None:
    for name in TABLES:
        pd.testing.assert_frame_equal(
            getattr(results, name), getattr(expected, name), check_exact=True
        )
