"""What a page shows of a store with more cells than it may: which studies, and the sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from synthetic import STAGED, write_cell

from analysis.cell_selection import MAX_NAMES, select_cells
from analysis.load import load_results
from analysis.report import main, write_report

CLAIM = {
    "paper": "a paper",
    "statement": "staged needs few labels",
    "predicate": "exponent",
    "thresholds": {"method": STAGED, "eps": 0.01, "at_most": 3},
}


def write_study(root: Path, study: str, times: dict[str, float]) -> None:
    """A study whose cells, named ``<study><d>``, were measured last at these times."""
    for number, (name, time) in enumerate(times.items()):
        folder = write_cell(root, name, study=study, d=8 + 4 * number, seeds=4)
        (folder / "status.json").write_text(json.dumps({"state": "done", "time": time}))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Three studies: the newest of two cells, one of three, and the oldest of one."""
    root = tmp_path / "results"
    write_study(root, "newest", {"n1": 1.0, "n2": 30.0})
    write_study(root, "middle", {"m1": 20.0, "m2": 2.0, "m3": 3.0})
    write_study(root, "oldest", {"o1": 4.0})
    return root


def list_names(store: Path, study: str | None, limit: int | None) -> list[str]:
    return [folder.name for folder in select_cells(store, study, limit).folders]


def test_a_store_within_the_limit_is_shown_whole_and_nothing_is_said(store: Path) -> None:
    for limit in (6, 7, None):
        selection = select_cells(store, None, limit)
        assert len(selection.folders) == 6
        assert selection.studies is None and selection.sentence == ""


def test_studies_are_shown_whole_those_measured_last_first(store: Path) -> None:
    selection = select_cells(store, None, 5)
    assert [folder.name for folder in selection.folders] == ["m1", "m2", "m3", "n1", "n2"]
    assert selection.studies == {"newest", "middle"} and not selection.partial
    assert selection.sentence == (
        "shows 5 of 6 cells: the studies that were measured last (newest, middle); left out: "
        "oldest; --study NAME shows one of these, --cells 6 everything"
    )
    assert list_names(store, None, 4) == ["n1", "n2"], "the next study does not fit"


def test_of_a_study_that_is_too_large_the_newest_cells_are_shown(store: Path) -> None:
    selection = select_cells(store, "middle", 2)
    assert [folder.name for folder in selection.folders] == ["m1", "m3"]
    assert selection.partial == {"middle"}
    assert "its claims are not judged" in selection.sentence
    assert selection.sentence.endswith("--cells 3 shows everything")
    assert list_names(store, "middle", 3) == ["m1", "m2", "m3"]


def test_a_cell_of_a_study_that_is_left_out_shows_nothing_of_that_study(store: Path) -> None:
    path = store / "n1" / "requests.json"
    requests = json.loads(path.read_text())
    path.write_text(json.dumps([*requests, {**requests[0], "study": "oldest"}]))
    results = load_results(store, cells=2)
    assert list(results.studies) == ["newest"] and set(results.nstar["study"]) == {"newest"}


def test_what_cannot_be_read_is_said_whatever_the_limit(store: Path) -> None:
    (store / "m1" / "requests.json").write_text("no JSON")
    (store / "n2" / "status.json").write_text('{"state": "done", "time": "late"}')
    problems = load_results(store, cells=1).stored.problems
    assert any(problem.startswith("m1: requests.json") for problem in problems)


def test_many_names_are_counted(tmp_path: Path) -> None:
    for number in range(MAX_NAMES + 3):
        write_study(tmp_path, f"study{number:02}", {f"cell{number:02}": float(number)})
    sentence = select_cells(tmp_path, None, 1).sentence
    assert "(study12); left out: study11, study10" in sentence and "and 2 more" in sentence


def test_the_page_and_the_terminal_say_what_is_left_out(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(store), "-o", str(tmp_path / "out"), "--cells", "5"]) == 0
    sentence = select_cells(store, None, 5).sentence
    assert f"the page {sentence}\n" in capsys.readouterr().out
    assert f"This page {sentence}." in (tmp_path / "out" / "index.html").read_text()
    assert set(pd.read_csv(tmp_path / "out" / "nstar.csv")["study"]) == {"newest", "middle"}
    assert main([str(store), "-o", str(tmp_path / "all")]) == 0
    assert "This page shows" not in (tmp_path / "all" / "index.html").read_text()


def test_claims_of_a_study_that_is_shown_in_part_are_not_looked_at(
    store: Path, tmp_path: Path
) -> None:
    claims = {"middle": [CLAIM]}
    part = write_report(store, tmp_path / "out", "middle", claims, cells=2)
    assert part.claims.empty and len(part.nstar) == 4 and "are not judged" in part.extent
    assert not (store / ".claims").exists()
    whole = write_report(store, tmp_path / "out", "middle", claims, cells=3)
    assert whole.claims["look"].tolist() == [1] and whole.extent == ""


@pytest.mark.parametrize("limit", ["0", "-3"])
def test_a_limit_below_one_is_refused(
    store: Path, limit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(store), "--cells", limit]) == 2
    assert f"--cells {limit}: must be at least 1" in capsys.readouterr().err
