"""The store under failure: interrupted writes, concurrent readers, full and read-only disks.

An old result is never lost.
"""

import contextlib
import os
import subprocess
import threading
from pathlib import Path

import pyarrow.parquet
import pytest
import torch
from commands import TINY, files, run, table
from stored_cells import BOTH, full_disk, measure_both

from bfc.errors import UserError
from bfc.store.cells import Cell

ROW = {
    "kind": "training",
    "n": 16,
    "seed": 0,
    "risk": 0.5,
    "fresh": False,
    "diverged": False,
    "train_risk": 0.25,
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    return measure_both(tmp_path_factory.mktemp("measured"))


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int, monkeypatch: pytest.MonkeyPatch):
    """A file system of its own, or a skip where none can be mounted."""
    folder.mkdir()
    monkeypatch.setattr(
        "bfc.environment.code_origin", dict
    )  # an uncommitted diff may be larger than the disk
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)],
        capture_output=True,
    ).returncode:
        pytest.skip(
            "a full disk needs a file system of its own, and mounting one is not allowed here"
        )
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_reading_creates_nothing(cell) -> None:
    assert (
        cell.rows() == []
        and cell.requests() == []
        and cell.read_json("status.json", {}) == {}
        and cell.load_checkpoint() is None
    )
    assert not cell.check_config({"a": 1}, {"a": 1})
    assert not cell.path.parent.exists()


def test_rows_come_back_as_they_went_in(cell) -> None:
    rows = [
        ROW,
        {**ROW, "seed": 1, "risk": float("inf"), "level2/risk": 0.125},
        {**ROW, "seed": 2**61, "train_risk": None},
    ]
    cell.write_rows(rows)
    columns = {**dict.fromkeys(ROW), "level2/risk": None}
    assert cell.rows() == [columns | row for row in rows]
    cell.write_rows([{**ROW, "risk": float("nan")}])
    assert cell.rows()[0]["risk"] != cell.rows()[0]["risk"]


WRITERS = {
    "trainings.parquet": lambda cell, value: cell.write_rows([{**ROW, "seed": value}]),
    "status.json": lambda cell, value: cell.status("running", done=value),
    "tuned.json": lambda cell, value: cell.write_json("tuned.json", {"ridge": value}),
    "checkpoint.pt": lambda cell, value: cell.save_checkpoint({"x": torch.full((1000,), value)}),
    "requests.json": lambda cell, value: cell.add_request({"seeds": [value]}),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("moment", ["open", "halfway", "sync", "rename"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    name: str, moment: str, cell, monkeypatch, capsys
) -> None:
    WRITERS[name](cell, 1)
    before = files(cell.path)
    assert set(before) == {name}
    if moment == "open":
        plain = Path.open
        monkeypatch.setattr(
            Path,
            "open",
            lambda path, mode="r", *a, **k: (
                full_disk() if "w" in mode else plain(path, mode, *a, **k)
            ),
        )
        monkeypatch.setattr(pyarrow.parquet, "write_table", full_disk)
    elif moment == "halfway":

        def half(path, *_, **__):
            with open(path, "wb") as file:
                file.write(b"half of a file")
            full_disk()

        monkeypatch.setattr(Path, "write_text", half)
        monkeypatch.setattr(Path, "write_bytes", half)
        monkeypatch.setattr(pyarrow.parquet, "write_table", lambda _, file, **__: half(file.name))
    else:
        monkeypatch.setattr(os, {"sync": "fsync", "rename": "replace"}[moment], full_disk)
    if name == "checkpoint.pt":
        WRITERS[name](cell, 2)
        assert "No space left on device" in capsys.readouterr().out
    else:
        with pytest.raises(
            UserError,
            match=rf"{name}: cannot be written \(No space left on device\); "
            "what was stored before is untouched",
        ):
            WRITERS[name](cell, 2)
    monkeypatch.undo()
    assert files(cell.path) == before
    WRITERS[name](cell, 2)
    assert files(cell.path) != before and set(files(cell.path)) == {name}


def test_a_file_is_complete_at_every_moment(cell, monkeypatch) -> None:
    """A reader sees the old or the new file: the name never points to an unfinished one."""
    cell.write_rows([ROW])
    plain, seen = os.replace, []

    def replace(source, target):
        seen.append((len(cell.rows()), pyarrow.parquet.read_table(source).num_rows))
        plain(source, target)

    monkeypatch.setattr(os, "replace", replace)
    cell.write_rows([ROW, {**ROW, "seed": 1}])
    assert seen == [(1, 2)] and len(cell.rows()) == 2


def test_reading_while_another_process_writes_gives_one_state_or_the_other(cell) -> None:
    many = [
        [{**ROW, "seed": seed, "risk": float(kind)} for seed in range(kind * 400)]
        for kind in (1, 2)
    ]
    cell.write_rows(many[0])
    stop, writer = threading.Event(), Cell(cell.path)

    def write() -> None:
        while not stop.is_set():
            for rows in many:
                writer.write_rows(rows)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        seen, reads = set(), 0
        while reads < 150 or len(seen) < 2:
            rows = cell.rows()
            seen.add((len(rows), *{row["risk"] for row in rows}))
            reads += 1
            assert reads < 20_000, "nothing was written"
    finally:
        stop.set()
        thread.join()
    assert seen == {(400, 1.0), (800, 2.0)}


def test_a_request_is_remembered_once(cell) -> None:
    for request in ({"n": [1], "study": "a"}, {"study": "a", "n": [1]}, {"n": [1], "study": "b"}):
        cell.add_request(request)
    assert cell.requests() == [{"n": [1], "study": "a"}, {"n": [1], "study": "b"}]


def test_the_configuration_is_written_once_and_never_changed(cell) -> None:
    written, other = {"target": {"d": 4}}, {"target": {"d": 5}}
    cell.write_config(written)
    before = files(cell.path)
    cell.write_config(other)
    assert files(cell.path) == before and cell.check_config(written, written)
    with pytest.raises(UserError, match=r"config\.yaml: does not describe this cell"):
        cell.check_config(other, other)


def test_a_default_that_was_changed_is_noticed(cell) -> None:
    """Within lists, too; what only one of the two configurations has is not compared."""
    target = {"_target_": "bfc.targets.staircase.Staircase", "numerics": 1, "d": 4}
    stored = {**target, "steps": [{"height": 3, "width": 1}], "removed": 1}
    now = {**target, "steps": [{"height": 3, "added": 0}], "added": 0}
    cell.write_config({"target": stored})
    identity = {"target": {**target, "steps": [{}]}}
    assert cell.check_config(identity, {"target": now})
    now["steps"] = [{"height": 2}]
    sentence = (
        r"config\.yaml: target\.steps\[0\]\.height was 3 when this cell was measured and its "
        r"default is 2 now; raise the version of bfc\.targets\.staircase\.Staircase$"
    )
    with pytest.raises(UserError, match=sentence):
        cell.check_config(identity, {"target": now})


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError), open(disk / "ballast", "ab") as file:
        while True:
            file.write(bytes(512))
            file.flush()


def test_a_full_disk_is_a_sentence_and_loses_nothing(measured, tmp_path, monkeypatch) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 512, monkeypatch):
        assert run(*BOTH, "results=disk/results", cwd=tmp_path).status == 0
        fill(disk)
        before = files(disk / "results")
        failed = run(*BOTH, "results=disk/results", "measure.n=[16,32]", cwd=tmp_path)
        assert (
            failed.status == 2
            and failed.err.count("\n") == 1
            and "No space left on device" in failed.err
        ), failed
        after = files(disk / "results")
        assert {name: value for name, value in after.items() if name in before} == before
        assert not [name for name in after if "claim" in name or "/." in name]
        (disk / "ballast").unlink()
        assert (
            "2 rows stored, 1 new"
            in run(*BOTH, "results=disk/results", "measure.n=[16,32]", cwd=tmp_path).out
        )
        cells = {p.name: table(p) for p in (disk / "results").iterdir()}
    for name in cells:
        reference = table(measured / "results" / name)
        assert cells[name][: len(reference)] == reference


def test_a_disk_that_fills_during_training_loses_only_the_stack(tmp_path, monkeypatch) -> None:
    """The disk fills when the second of four stacks is stored.

    From then on nothing can be written, checkpoints included.
    """
    disk, stored = tmp_path / "disk", []
    many = (
        *TINY,
        "results=disk/results",
        "measure.seeds=40",
        "measure.n=16",
        "compute.stack=10",
        "compute.checkpoint_seconds=0",
    )
    plain = Cell.drop_checkpoint

    def drop(cell: Cell) -> None:
        plain(cell)
        stored.append(len(cell.rows()))
        if len(stored) == 2:
            fill(disk)

    with small_disk(disk, 512, monkeypatch):
        monkeypatch.setattr(Cell, "drop_checkpoint", drop)
        failed = run(*many, cwd=tmp_path)
        assert failed.status == 2 and failed.err.count("\n") == 1, failed
        assert (
            "trainings.parquet: cannot be written (No space left on device); "
            "what was stored before is untouched" in failed.err
        )
        assert (
            "checkpoint.pt: cannot be written" in failed.out
            and "training goes on without a checkpoint" in failed.out
        )
        monkeypatch.setattr(Cell, "drop_checkpoint", plain)
        cell = next((disk / "results").iterdir())
        assert stored == [10, 20] and len(Cell(cell).rows()) == 20
        (disk / "ballast").unlink()
        assert "40 rows stored, 20 new" in run(*many, cwd=tmp_path).out
        grown = table(cell)
    run(*many, "results=results", cwd=tmp_path)
    assert grown == table(next((tmp_path / "results").iterdir()))


def test_a_store_that_can_only_be_read_serves_what_it_has(tmp_path, monkeypatch) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 1024, monkeypatch):
        run(*TINY, "results=disk/results", cwd=tmp_path)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        before = files(disk)
        assert "4 rows stored, 0 new" in run(*TINY, "results=disk/results", cwd=tmp_path).out
        for more in ("measure.seeds=3", "target.d=5", "measure.seeds=[1]"):
            sentence = run(*TINY, "results=disk/results", more, cwd=tmp_path).sentence
            assert (
                "disk/results/" in sentence
                and "cannot be written (Read-only file system)" in sentence
            )
        assert files(disk) == before
