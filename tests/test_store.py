"""The store under failure: interrupted writes, damaged and hostile files, full disks.

An old result is never lost, and nothing that lies in a folder is ever executed.
"""

import contextlib
import errno
import io
import os
import pickle
import subprocess
import threading
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import torch
import yaml
from commands import TINY, files, run, table

from bfc.engine.stack_request import train_stack
from bfc.errors import UserError
from bfc.experiment.checkpointed_training import CheckpointedTraining, TrainingRequest
from bfc.store.cells import Cell
from bfc.types import Training

ROW = {
    "kind": "training",
    "n": 16,
    "seed": 0,
    "risk": 0.5,
    "fresh": False,
    "diverged": False,
    "train_risk": 0.25,
}


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


# --- writing and reading ------------------------------------------------------------------------


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


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


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


# --- damaged files ------------------------------------------------------------------------------

BOTH = (
    *TINY,
    "baseline=polynomial",
    "baseline.n_max=64",
    "baseline.tuning_draws=1",
    "measure.n=16",
    "measure.seeds=1",
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    assert run(*BOTH, cwd=folder).status == 0
    return folder


def copy_of(folder: Path, to: Path) -> dict[str, Path]:
    """A copy of a folder's results; kind → cell folder."""
    subprocess.run(["cp", "-a", str(folder / "results"), str(to)], check=True)
    return {
        yaml.safe_load((p / "config.yaml").read_text())["kind"]: p
        for p in (to / "results").iterdir()
    }


def flipped(data: bytes, place: float) -> bytes:
    at = int(place * len(data))
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "cut at the end": lambda data: data[:-5],
    "zeros": lambda data: bytes(len(data)),
    "text": lambda data: b"nothing of the kind\n\xff\xfe",
    "another kind of value": lambda data: b"[[1]]" if data.lstrip().startswith(b"{") else b"7",
}


@pytest.mark.parametrize(
    "name", ["trainings.parquet", "status.json", "requests.json", "config.yaml", "tuned.json"]
)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_a_sentence_and_stays_as_it_is(
    name: str, damage: str, measured, tmp_path
) -> None:
    folders = copy_of(measured, tmp_path)
    path = folders["baseline" if name == "tuned.json" else "learner"] / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    if (
        name == "config.yaml"
        and damage == "cut at the end"
        and isinstance(yaml.safe_load(path.read_bytes()), dict)
    ):
        path.write_bytes(path.read_bytes()[:-30])
    before = files(tmp_path)
    for more in ((), ("measure.seeds=2",)):
        if name == "tuned.json" and not more:
            continue
        refused = run(*BOTH, *more, cwd=tmp_path)
        assert refused.status == 2 and len(refused.err.splitlines()) == 1, refused
        assert str(path.relative_to(tmp_path)) in refused.err and (
            "move it away" in refused.err or "cannot be read" in refused.err
        )
    after = files(tmp_path)
    assert all(
        after[key] == value
        for key, value in before.items()
        if path.parent.name in key and path.name in key
    )
    assert (
        after[str((path.parent / "trainings.parquet").relative_to(tmp_path))]
        == before[str((path.parent / "trainings.parquet").relative_to(tmp_path))]
    )
    assert not list(tmp_path.rglob("claim.json")) and not list(tmp_path.rglob(".*"))


def test_a_flipped_bit_in_the_results_is_found_or_harmless(measured, tmp_path) -> None:
    cell = Cell(copy_of(measured, tmp_path)["baseline"])
    path = cell.path / "trainings.parquet"
    whole, rows, refusals = path.read_bytes(), cell.rows(), 0
    places = [i / 150 for i in range(150)]
    for place in places:
        path.write_bytes(flipped(whole, place))
        try:
            read = cell.rows()
        except UserError as error:
            assert "cannot be read as a results table" in str(
                error
            ) or "is not a results table" in str(error)
            refusals += 1
            continue
        assert (
            [row["risk"] for row in read] == [row["risk"] for row in rows]
            if "risk" in read[0]
            else True
        ), place
    assert refusals > len(places) / 3


def test_a_table_of_something_else_is_not_taken_for_results(measured, tmp_path) -> None:
    path = copy_of(measured, tmp_path)["learner"] / "trainings.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), path)
    assert (
        "trainings.parquet: is not a results table, it has no kind, n, seed, risk"
        in run(*BOTH, cwd=tmp_path).sentence
    )


def test_a_changed_configuration_is_noticed(measured, tmp_path) -> None:
    path = copy_of(measured, tmp_path)["learner"] / "config.yaml"
    path.write_text(path.read_text().replace("  d: 4", "  d: 5"))
    assert (
        "config.yaml: does not describe this cell, so it was changed; move it away"
        in run(*BOTH, cwd=tmp_path).sentence
    )


def test_a_hostile_stored_configuration_is_not_executed(measured, tmp_path) -> None:
    path = copy_of(measured, tmp_path)["learner"] / "config.yaml"
    hostile = f"target: !!python/object/apply:os.system ['touch {tmp_path}/pwned']\n"
    path.write_text(hostile)
    assert "config.yaml: cannot be read" in run(*BOTH, cwd=tmp_path).sentence
    path.write_text(f"target: {{_target_: os.system, command: 'touch {tmp_path}/pwned'}}\n")
    assert "config.yaml: does not describe this cell" in run(*BOTH, cwd=tmp_path).sentence
    assert not (tmp_path / "pwned").exists()


# --- checkpoints --------------------------------------------------------------------------------


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def good_checkpoint(**changes) -> dict:
    stack = 4
    state = {
        "params": {"bias": torch.zeros(stack, 1)},
        "best": {"bias": torch.zeros(stack, 1)},
        "optimizer": {},
        "counters": {"phase": torch.zeros(stack, dtype=torch.int64)},
        "risks": {"train": torch.zeros(stack)},
        "records": [{}] * stack,
    }
    trainings = [(n, seed, "training", None) for seed in (0, 1) for n in (16, 32)]
    return {"trainings": trainings, "longer": 1, "seconds": 0.0, "state": state, **changes}


def saved(value) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def zipped(**changes) -> bytes:
    return saved(good_checkpoint(**changes))


CHECKPOINTS = {
    "empty": b"",
    "text": b"not a checkpoint",
    "cut": zipped()[:-200],
    "first half": zipped()[: len(zipped()) // 2],
    "zeros": bytes(5000),
    "a list": saved([1, 2]),
    "a tensor": saved(torch.zeros(3)),
    "nothing": saved({}),
    "no state": zipped(state={}),
    "no trainings": zipped(trainings=[]),
    "trainings that are none": zipped(trainings=[(1, 2, 3, 4, 5)]),
    "another state": zipped(state={**good_checkpoint()["state"], "momentum": {}}),
    "fewer replicas": zipped(trainings=good_checkpoint()["trainings"][:3]),
    "seconds as text": zipped(seconds="soon"),
    "an old pickle": pickle.dumps({"trainings": []}),
}


def test_what_the_damaged_checkpoints_are_made_of_is_accepted_when_whole(cell, capsys) -> None:
    """It is dropped once all of its trainings are stored, which asks for each of them."""
    cell.path.mkdir(parents=True)
    (cell.path / "checkpoint.pt").write_bytes(zipped())
    cpu = torch.device("cpu")
    training = CheckpointedTraining(cell, cpu, "auto", 60.0, train_stack, lambda done: None)
    requests: list[TrainingRequest] = []
    training.drop_finished(lambda request: requests.append(request) is None)
    assert requests == [TrainingRequest(Training(n, seed)) for seed in (0, 1) for n in (16, 32)]
    assert not capsys.readouterr().out and not (cell.path / "checkpoint.pt").exists()


@pytest.mark.parametrize("damage", CHECKPOINTS)
def test_a_damaged_checkpoint_costs_its_work_only(damage: str, measured, tmp_path, capsys) -> None:
    folder = copy_of(measured, tmp_path)["learner"]
    (folder / "checkpoint.pt").write_bytes(CHECKPOINTS[damage])
    before = table(folder, drop=())
    done = run(*BOTH, "measure.seeds=2", cwd=tmp_path)
    assert (
        done.status == 0
        and "2 rows stored, 1 new" in done.out
        and "its stack starts again" in done.out
    ), done
    assert table(folder, drop=())[:1] == before and not (folder / "checkpoint.pt").exists()


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_hostile_checkpoint_is_not_executed(form: str, measured, tmp_path) -> None:
    folder = copy_of(measured, tmp_path)["learner"]
    hostile = {"trainings": Hostile(tmp_path / "pwned")}
    (folder / "checkpoint.pt").write_bytes(
        saved(hostile) if form == "torch" else pickle.dumps(hostile)
    )
    pickle.loads(pickle.dumps(Hostile(tmp_path / "proof")))
    assert (tmp_path / "proof").exists(), "the attack itself works"
    done = run(*BOTH, "measure.seeds=2", cwd=tmp_path)
    assert (
        done.status == 0
        and "its stack starts again" in done.out
        and "2 rows stored, 1 new" in done.out
    )
    assert not (tmp_path / "pwned").exists()


def test_a_checkpoint_that_cannot_be_written_does_not_stop_the_training(
    tmp_path, monkeypatch
) -> None:
    plain = Path.write_bytes
    monkeypatch.setattr(
        Path,
        "write_bytes",
        lambda path, data: full_disk() if "checkpoint" in path.name else plain(path, data),
    )
    done = run(*TINY, "compute.checkpoint_seconds=0", cwd=tmp_path)
    assert (
        done.status == 0
        and "training goes on without a checkpoint" in done.out
        and "4 rows stored, 4 new" in done.out
    )


# --- disks --------------------------------------------------------------------------------------


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
