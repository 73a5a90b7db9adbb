"""Studies that are judged and described in several processes, and the table of trainings."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import STAGED, write_cell

from analysis import report_writer, study_report
from analysis.report import write_report
from analysis.trainings_csv import write_trainings
from bfc.errors import UserError
from bfc.store.reading import Collected, read_store

THRESHOLDS = {"method": STAGED, "eps": 0.01, "at_most": 3}
CLAIM = {"paper": "a paper", "predicate": "exponent", "thresholds": THRESHOLDS}
STUDIES = ("first", "second", "third")


def write_studies(root: Path) -> Path:
    for number, study in enumerate(STUDIES):
        for d in (8, 12, 16):
            settings = {"study": study, "seeds": 4, "probes": number == 1, "centre": 20.0 * d}
            write_cell(root, f"{study}{d}", d=d, **settings)
    (root / "first8" / "requests.json").unlink()
    (root / ".claims").mkdir()
    (root / ".claims" / "second.json").write_text("no JSON")
    return root


def read_files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_several_processes_write_what_one_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages, tables and looks, byte for byte, and the problems in the same order."""
    claims = {study: [{**CLAIM, "statement": study}] for study in STUDIES}
    monkeypatch.setattr(study_report, "FEWEST_PER_PROCESS", 1)
    written = {}
    for processes in (1, 3):
        monkeypatch.setattr(report_writer, "usable_cores", lambda count=processes: count)
        root = write_studies(tmp_path / "results")
        made = write_report(root, tmp_path / "out", claims=claims)
        written[processes] = read_files(tmp_path / "out"), read_files(root / ".claims")
        shutil.rmtree(root)
        assert made.claims["claim"].tolist() == list(STUDIES)
        assert [problem.split(":")[0] for problem in made.problems] == ["first8", "second"]
    for one, several in zip(written[1], written[3], strict=True):
        assert [name for name in one if one[name] != several.get(name)] == []
        assert one.keys() == several.keys()
    assert {"first.json", "second.json", "third.json"} == set(written[1][1])


@pytest.mark.parametrize("processes", [1, 3])
def test_a_wrong_claim_is_refused_whoever_judges_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setattr(study_report, "FEWEST_PER_PROCESS", 1)
    monkeypatch.setattr(report_writer, "usable_cores", lambda: processes)
    claims = {"second": [{**CLAIM, "statement": "", "predicate": "exponnent"}]}
    with pytest.raises(UserError, match="exponnent: no such predicate"):
        write_report(write_studies(tmp_path / "results"), tmp_path / "out", claims=claims)
    assert not (tmp_path / "out").exists()


def test_a_study_has_the_columns_that_its_cells_have(tmp_path: Path) -> None:
    """As if nothing else were in the store, settings that are null in all of them included."""
    write_cell(tmp_path, "plain", study="plain", config={"learner.clip": None})
    write_cell(tmp_path, "probed", study="probed", probes=True, config={"optimizer.beta": 0.5})
    stored = read_store(tmp_path)
    for name in ("plain", "probed"):
        alone = read_store(tmp_path, study=name).trainings
        assert set(stored.study(name).trainings) == set(alone)
    assert "config.learner.clip" in stored.study("plain").trainings
    assert not any("/" in column for column in stored.study("plain").trainings)
    assert "level3/gram/2" in stored.study("probed").trainings


def test_trainings_are_written_as_pandas_writes_them(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "cell_id": ["a", "a", "b"],
            "n": [8, 16, 8],
            "risk": [1e-05, np.inf, 1e16],
            "overlap/x": [np.nan, 0.1, np.nan],
            "fresh": [True, False, True],
            "studies": ['with "quotes", comma', "two\nlines", None],
            "config.lr": [np.nan, np.nan, 3.0],
        }
    )
    columns = {"b": frozenset({*table.columns} - {"overlap/x", "studies"})}
    for known in ({}, columns):
        write_trainings(Collected(pd.DataFrame(), table, columns=known), tmp_path / "trainings.csv")
        table.to_csv(tmp_path / "pandas.csv", index=False)
        written = (tmp_path / "trainings.csv").read_bytes()
        assert written == (tmp_path / "pandas.csv").read_bytes()
