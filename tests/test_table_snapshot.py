"""Three cheap entries of the committed table, measured anew with its seeds: they may not move."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.field_table.comparison import read_snapshot
from bfc.application.table.build import build_table
from bfc.application.table.options import TableOptions

SNAPSHOT = Path(__file__).parents[1] / "docs" / "table"
COLUMN = "rbf"
ROWS = ("bfc_3", "stair4", "index_he3")
TOLERANCE = 0.05
"""Of the half width of an interval: other processors round otherwise, and nothing else differs."""


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("snapshot")
    options = TableOptions("demo", "full", str(folder), ROWS, (COLUMN,), cores=1)
    assert build_table(options) == 0
    content = json.loads((folder / "demo" / "table.json").read_text(encoding="utf-8"))
    return {entry["row"]: entry for entry in content["entries"] if entry["column"] == COLUMN}


@pytest.mark.parametrize("row", ROWS)
def test_an_entry_of_the_snapshot_is_found_again(row: str, entries: dict[str, dict]) -> None:
    snapshot = read_snapshot(SNAPSHOT, "demo")
    (before,) = (
        entry for entry in snapshot["entries"] if (entry["row"], entry["column"]) == (row, COLUMN)
    )
    after = entries[row]
    assert after["status"] == before["status"] and after["sizes"] == before["sizes"]
    for value, lo, hi in (("exponent", "lo", "hi"), ("nstar", "nstar_lo", "nstar_hi")):
        ends = [before[key] for key in (value, lo, hi)]
        if None in ends or any(isinstance(end, str) for end in ends):
            assert [after[key] for key in (value, lo, hi)] == ends
            continue
        width = 0.5 * (ends[2] - ends[1])
        for key in (value, lo, hi):
            assert after[key] == pytest.approx(before[key], abs=TOLERANCE * width), key


def test_the_snapshot_names_its_command_and_holds_every_entry() -> None:
    snapshot = read_snapshot(SNAPSHOT, "demo")
    assert snapshot["command"].startswith("bfc table --size demo") and snapshot["commits"]
    pairs = {(entry["row"], entry["column"]) for entry in snapshot["entries"]}
    assert len(pairs) == len(snapshot["entries"]) == 16
    assert all(entry["status"] != "not run" for entry in snapshot["entries"])
