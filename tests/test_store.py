"""The store under failure: interrupted writes, damaged and hostile files, claims and races, a full
disk, a folder that cannot be written. An old result is never lost, and nothing that lies in a
folder is ever executed."""

import contextlib
import errno
import io
import json
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import torch
import yaml
from commands import TINY, container, environment, files, run, table

from bfc.errors import UserError
from bfc.experiment.cell_runner import run_cell
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.checkpointed_training import TrainingRequest, _parse_checkpoint
from bfc.experiment.job import load_job
from bfc.store import lease
from bfc.store.cells import Cell, Store
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


@pytest.fixture
def cell(tmp_path) -> Cell:
    return Store(tmp_path / "results").cell("0123456789abcdef")


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
    assert not cell.check_config({"a": 1})
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
        monkeypatch.setattr(pyarrow.parquet, "write_table", lambda _, path, **__: half(path))
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
    """Whoever reads while it is rewritten sees the old or the new one: the name never points to a
    file that is being written."""
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
    cell.write_config({"target": {"d": 4}})
    before = files(cell.path)
    cell.write_config({"target": {"d": 5}})
    assert files(cell.path) == before and cell.check_config({"target": {"d": 4}})
    with pytest.raises(UserError, match=r"config\.yaml: does not describe this cell"):
        cell.check_config({"target": {"d": 5}})


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
        said = run(*BOTH, *more, cwd=tmp_path)
        assert said.status == 2 and len(said.err.splitlines()) == 1, said
        assert str(path.relative_to(tmp_path)) in said.err and (
            "move it away" in said.err or "cannot be read" in said.err
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
    whole, rows, found = path.read_bytes(), cell.rows(), 0
    places = [i / 150 for i in range(150)]
    for place in places:
        path.write_bytes(flipped(whole, place))
        try:
            read = cell.rows()
        except UserError as error:
            assert "cannot be read as a results table" in str(
                error
            ) or "is not a results table" in str(error)
            found += 1
            continue
        assert (
            [row["risk"] for row in read] == [row["risk"] for row in rows]
            if "risk" in read[0]
            else True
        ), place
    assert found > len(places) / 3


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


def test_what_the_damaged_checkpoints_are_made_of_is_accepted_when_whole() -> None:
    checkpoint = _parse_checkpoint(torch.load(io.BytesIO(zipped()), weights_only=True))
    assert checkpoint is not None
    assert checkpoint.requests == [
        TrainingRequest(Training(n, seed)) for seed in (0, 1) for n in (16, 32)
    ]


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


# --- claims -------------------------------------------------------------------------------------


def claim_by(cell: Cell, age: float = 0.0, **changes) -> Path:
    """A claim as another process would have left it."""
    cell.path.mkdir(parents=True, exist_ok=True)
    path = cell.path / "claim.json"
    mine = {
        "host": socket.gethostname(),
        "space": lease.process_space(),
        "pid": os.getpid(),
        "started": lease.start_of(os.getpid()),
        "token": "theirs",
    }
    path.write_text(json.dumps({**mine, **changes}))
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_a_claim_is_held_and_given_back(cell) -> None:
    with cell.claim():
        assert json.loads((cell.path / "claim.json").read_text())["pid"] == os.getpid()
        with (
            pytest.raises(
                UserError,
                match=rf"is being measured by process {os.getpid()} on .*; wait for it or stop it",
            ),
            Cell(cell.path).claim(),
        ):
            pytest.fail("two hold it")
    assert not (cell.path / "claim.json").exists()
    with pytest.raises(ZeroDivisionError), cell.claim():
        raise ZeroDivisionError
    assert not list(cell.path.iterdir())


def test_a_second_process_is_refused_with_a_sentence(tmp_path) -> None:
    spec = cell_specs(load_job(container(*TINY)))[0]
    cell = Store(tmp_path / "results").cell(spec.cell_id)
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(cell.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout.readline() == "held\n"
        sentence = run(*TINY, cwd=tmp_path).sentence
        assert (
            f"results/{spec.cell_id}: is being measured by process {other.pid} on "
            f"{socket.gethostname()}; wait for it"
            in sentence
        )
        assert set(files(tmp_path)) == {f"results/{spec.cell_id}/claim.json"}
    finally:
        other.kill()
        other.wait()
        other.stdin.close()
        other.stdout.close()
    assert (cell.path / "claim.json").exists(), "it was killed, so it could not give its claim back"
    assert "4 rows stored, 4 new" in run(*TINY, cwd=tmp_path).out
    assert not (cell.path / "claim.json").exists()


HOLD = """
import sys
from pathlib import Path
from bfc.store.cells import Cell
with Cell(Path(sys.argv[1])).claim():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_claim_of_a_dead_process_is_taken_over(cell) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for changes in ({"pid": gone.pid, "started": "1.00"}, {"started": "1.00"}):
        claim_by(cell, **changes)
        with cell.claim():
            assert "theirs" not in (cell.path / "claim.json").read_text()


def test_a_claim_of_a_zombie_is_taken_over(cell) -> None:
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    started = lease.start_of(zombie.pid)
    for _ in range(200):
        if not lease.start_of(zombie.pid):
            break
        time.sleep(0.05)
    claim_by(cell, pid=zombie.pid, started=started or "1.00")
    with cell.claim():
        pass
    zombie.wait()


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "elsewhere"},
        {"space": "another boot or container"},
        {"host": "elsewhere", "pid": 1},
    ],
)
def test_a_claim_of_another_host_is_respected_until_its_heartbeat_is_old(
    changes: dict, cell
) -> None:
    for age in (0.0, lease.HEARTBEAT, lease.LEASE - 20):
        claim_by(cell, age, **changes)
        with pytest.raises(UserError, match="is being measured by process"), cell.claim():
            pytest.fail("taken although its heart beats")
        assert "theirs" in (cell.path / "claim.json").read_text()
    claim_by(cell, lease.LEASE + 20, **changes)
    with cell.claim():
        assert "theirs" not in (cell.path / "claim.json").read_text()


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", "{}", '{"host": 1}', '{"host": "x", "pid": "y"}']
)
def test_a_claim_that_cannot_be_read_is_respected_for_a_while(text: str, cell) -> None:
    for age, held in ((0.0, True), (lease.LEASE + 20, False)):
        path = claim_by(cell)
        path.write_text(text)
        os.utime(path, (time.time() - age, time.time() - age))
        if held:
            with pytest.raises(UserError, match="is being measured by"), cell.claim():
                pytest.fail("taken")
        else:
            with cell.claim():
                pass


def test_a_heart_beats_while_a_claim_is_held(cell, monkeypatch) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT", 0.05)
    with cell.claim():
        path = cell.path / "claim.json"
        os.utime(path, (1, 1))
        for _ in range(100):
            if path.stat().st_mtime > 1:
                break
            time.sleep(0.05)
        assert path.stat().st_mtime > time.time() - 60


def test_results_are_not_written_under_a_claim_that_was_lost(cell) -> None:
    """A process that stood still (suspended, a stalled file system) for longer than the lease has
    lost its cell to another."""
    with cell.claim():
        cell.write_rows([ROW])
        claim_by(cell)
        for write in (lambda: cell.write_rows([]), lambda: cell.save_checkpoint({})):
            with pytest.raises(UserError, match="another process has taken over this cell"):
                write()
    assert len(cell.rows()) == 1 and "theirs" in (cell.path / "claim.json").read_text(), (
        "the other's claim is left alone"
    )


def test_a_job_of_a_sweep_waits_for_a_cell_that_another_measures(
    tmp_path, monkeypatch, capsys
) -> None:
    job = load_job({**container(*TINY), "results": str(tmp_path / "results")})
    spec = cell_specs(job)[0]
    cell = Store(job.results).cell(spec.cell_id)
    path, looks = claim_by(cell, pid=1, started=lease.start_of(1)), []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            path.unlink()

    monkeypatch.setattr(lease.time, "sleep", sleep)
    assert run_cell(spec, job, wait=True).computed == 4
    assert looks == [lease.WAIT] * 3 and capsys.readouterr().out.count("waiting for it") == 1


def test_a_job_that_waited_finds_the_work_done(tmp_path, monkeypatch) -> None:
    job = load_job({**container(*TINY), "results": str(tmp_path / "results")})
    spec = cell_specs(job)[0]
    run_cell(spec, job)
    cell = Store(job.results).cell(spec.cell_id)
    whole = (cell.path / "status.json").read_text()
    cell.status("running")
    path = claim_by(cell, pid=1, started=lease.start_of(1))

    def sleep(_: float) -> None:
        (cell.path / "status.json").write_text(whole)
        path.unlink()

    monkeypatch.setattr(lease.time, "sleep", sleep)
    monkeypatch.setattr(
        "bfc.experiment.cell_runner.LearnerRun", lambda *_: pytest.fail("ran again")
    )
    assert run_cell(spec, job, wait=True).computed == 0


RACE = """
import contextlib, sys, time
from pathlib import Path
from bfc.errors import UserError
from bfc.store.cells import Cell
import psutil
root, start = Path(sys.argv[1]), float(sys.argv[2])
with contextlib.ExitStack() as held:
    won = []
    for i, folder in enumerate(sorted(root.iterdir())):
        while time.time() < start + 0.03 * i:
            pass
        try:
            held.enter_context(Cell(folder).claim())
            won.append(folder.name)
        except UserError:
            pass
    print(" ".join(won), flush=True)
    sys.stdin.read()
"""


def test_of_eight_processes_exactly_one_gets_a_claim(tmp_path) -> None:
    """Sixty cells at once, a third free, a third with the claim of a dead process and a third with
    an old one of another host."""
    root = tmp_path / "results"
    for i in range(60):
        cell = Store(root).cell(f"{i:03d}")
        cell.path.mkdir(parents=True)
        if i % 3 == 1:
            claim_by(cell, started="1.00")
        elif i % 3 == 2:
            claim_by(cell, lease.LEASE + 20, host="elsewhere")
    start = str(time.time() + 3.0)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(root), start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for _ in range(8)
    ]
    try:
        won = [racer.stdout.readline().split() for racer in racers]
    finally:
        for racer in racers:
            racer.stdin.close()
            racer.wait(60)
            racer.stdout.close()
    assert sorted(name for names in won for name in names) == [f"{i:03d}" for i in range(60)]
    assert sum(map(bool, won)) > 1, "there was no race"
    assert not list(root.rglob("*.json")) and not list(root.rglob(".*")), (
        "all claims are given back"
    )


def test_two_that_find_the_same_dead_claim_do_not_both_take_it(cell, monkeypatch) -> None:
    """The narrowest moment of the race, held open: the first is about to move the dead claim away
    when the second comes along."""
    claim_by(cell, started="1.00")
    won, plain = [], os.replace

    def second() -> None:
        with contextlib.suppress(UserError), Cell(cell.path).claim():
            won.append("second")
            done.wait(10)

    done, other = threading.Event(), threading.Thread(target=second)

    def replace(source, target) -> None:
        if not other.ident:
            other.start()
            other.join(0.5)
        plain(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with cell.claim():
        won.append("first")
        other.join(0.5)
        assert other.ident and won == ["first"]
        done.set()
    other.join()


def test_what_a_killed_process_left_half_written_is_swept_up(cell) -> None:
    cell.path.mkdir(parents=True)
    old, fresh = (cell.path / f".trainings.parquet.{age}.abcd" for age in ("old", "fresh"))
    for path in (old, fresh):
        path.write_text("half")
    os.utime(old, (time.time() - 1000, time.time() - 1000))
    with cell.claim():
        assert not old.exists() and fresh.exists()


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
        said = run(*BOTH, "results=disk/results", "measure.n=[16,32]", cwd=tmp_path)
        assert (
            said.status == 2 and said.err.count("\n") == 1 and "No space left on device" in said.err
        ), said
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
    """It fills when the second of four stacks is stored; nothing can be written from then on,
    checkpoints included."""
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
        said = run(*many, cwd=tmp_path)
        assert said.status == 2 and said.err.count("\n") == 1, said
        assert (
            "trainings.parquet: cannot be written (No space left on device); "
            "what was stored before is untouched"
            in said.err
        )
        assert (
            "checkpoint.pt: cannot be written" in said.out
            and "training goes on without a checkpoint" in said.out
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
