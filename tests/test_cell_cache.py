"""A cell that is as it was is not read again, and nothing that is kept of it is out of date."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from synthetic import write_cell

from analysis import cell_cache, estimate_cache
from analysis.load import load_results
from bfc.store.cell_folder import CellFiles, read_files


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cells, of which one has traces and tuning, and a folder of estimates of its own."""
    monkeypatch.setenv(estimate_cache.SWITCH, "on")
    monkeypatch.setattr(estimate_cache, "CACHE", tmp_path / "cache")
    root = tmp_path / "results"
    write_cell(root, "one", seeds=4, floor=0.03)
    folder = write_cell(root, "two", seeds=4, d=12, probes=True, config={"measure.test": None})
    (folder / "tuned.json").write_text('{"lr": 0.1, "tried": [], "risk": NaN}')
    trace = pd.DataFrame({"n": [8, 8], "seed": [0, 0], "step": [1, 2], "level2/risk": [0.5, None]})
    trace.to_parquet(folder / "trace.parquet")
    return root


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the folders that were read, in order."""
    names: list[str] = []

    def note(folder: Path) -> CellFiles:
        names.append(folder.name)
        return read_files(folder)

    monkeypatch.setattr(cell_cache, "read_files", note)
    return names


def list_tables(root: Path) -> tuple[pd.DataFrame, ...]:
    stored = load_results(root).stored
    return stored.cells, stored.trainings, stored.traces


def assert_same(tables: tuple[pd.DataFrame, ...], expected: tuple[pd.DataFrame, ...]) -> None:
    for table, other in zip(tables, expected, strict=True):
        pd.testing.assert_frame_equal(table, other, check_exact=True)


def test_an_unchanged_cell_is_read_once(store: Path, read: list[str]) -> None:
    first = list_tables(store)
    assert read == ["one", "two"] and len(first[2]) == 2
    assert_same(list_tables(store), first)
    assert read == ["one", "two"]


@pytest.mark.parametrize("file", ["trainings.parquet", "requests.json", "tuned.json"])
def test_a_cell_whose_file_is_replaced_is_read_again(
    store: Path, read: list[str], file: str
) -> None:
    """Also where size and time of change are those of the file before."""
    list_tables(store)
    path = store / "two" / file
    before = path.stat()
    copy = path.with_suffix(".new")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(copy, path)
    list_tables(store)
    assert read == ["one", "two", "two"]


def test_a_cell_that_grows_shows_what_is_new(store: Path, read: list[str]) -> None:
    count = len(list_tables(store)[1])
    path = store / "one" / "trainings.parquet"
    rows = pd.read_parquet(path)
    pd.concat([rows, rows.assign(seed=rows["seed"] + 100)]).to_parquet(path)
    assert len(list_tables(store)[1]) == count + len(rows)
    assert read == ["one", "two", "one"]


def test_a_file_that_comes_or_goes_is_noticed(store: Path, read: list[str]) -> None:
    list_tables(store)
    (store / "two" / "trace.parquet").unlink()
    assert list_tables(store)[2].empty and read == ["one", "two", "two"]


def test_what_cannot_be_read_is_said_every_time_and_read_once_it_can_be(store: Path) -> None:
    path = store / "two" / "requests.json"
    text = path.read_text()
    path.write_text("no JSON")
    for _ in range(2):
        results = load_results(store)
        assert results.stored.problems == ["two: requests.json is not valid JSON; skipped"]
    path.write_text(text)
    assert load_results(store).stored.problems == []
    (store / "two" / "environment.json").write_text("[]")
    for _ in range(2):
        (problem,) = load_results(store).stored.problems
        assert problem == "two: environment.json does not hold a dict"


def test_a_configuration_that_json_cannot_hold_is_read_each_time(
    store: Path, read: list[str]
) -> None:
    path = store / "one" / "config.yaml"
    path.write_text(path.read_text() + "note: 2020-01-01\n")
    first = list_tables(store)
    assert "2020-01-01" in set(first[1]["config.note"].dropna())
    assert_same(list_tables(store), first)
    assert read == ["one", "two", "one"]


def test_a_damaged_cache_is_done_without(store: Path, tmp_path: Path, read: list[str]) -> None:
    first = list_tables(store)
    folder = tmp_path / "cache" / estimate_cache.FOLDER
    with sqlite3.connect(folder / "cache.db") as database:
        database.execute("UPDATE Cache SET value = x'00'")
    assert_same(list_tables(store), first)
    for path in folder.iterdir():
        if path.is_file():
            path.write_bytes(b"no database")
    assert_same(list_tables(store), first)
    assert read == ["one", "two"] * 3


def test_several_processes_read_what_one_reads(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = list_tables(store)
    monkeypatch.setattr(estimate_cache, "CACHE", store.parent / "other")
    monkeypatch.setattr(cell_cache, "FEWEST_PER_PROCESS", 1)
    stored = load_results(store, processes=2).stored
    assert_same((stored.cells, stored.trainings, stored.traces), first)
