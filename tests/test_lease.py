"""Claims on cells: one process measures a cell at a time, and takes over what a dead one held.

Races between processes are tested with processes.
"""

import contextlib
import fcntl
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import MAX_SECONDS, TINY, container, environment, files, run, wait_until

from bfc.errors import UserError
from bfc.experiment.cell_runner import run_cell
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.store import lease
from bfc.store.cells import Cell, Store

ROW = {"kind": "training", "n": 16, "seed": 0, "risk": 0.5, "fresh": False, "diverged": False}


def claim_by(cell: Cell, age: float = 0.0, **changes) -> Path:
    """A claim as another process would have left it."""
    cell.path.mkdir(parents=True, exist_ok=True)
    path = cell.path / "claim.json"
    claim = {
        "host": socket.gethostname(),
        "space": lease.process_space(),
        "pid": os.getpid(),
        "started": lease.start_of(os.getpid()),
        "token": "theirs",
    }
    path.write_text(json.dumps({**claim, **changes}))
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
            f"{socket.gethostname()}; wait for it" in sentence
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
    wait_until(lambda: not lease.start_of(zombie.pid))
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


def test_a_reader_tells_a_training_that_runs_from_one_that_was_killed(cell) -> None:
    assert not lease.is_claimed(cell.path)
    claim_by(cell)
    assert lease.is_claimed(cell.path)
    claim_by(cell, started="1.00")
    assert not lease.is_claimed(cell.path), "its process is dead"
    claim_by(cell, host="elsewhere")
    assert lease.is_claimed(cell.path)
    claim_by(cell, age=3 * lease.LEASE, host="elsewhere")
    assert not lease.is_claimed(cell.path), "its heart does not beat"


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
    start = time.time()
    with cell.claim():
        path = cell.path / "claim.json"
        os.utime(path, (1, 1))
        wait_until(lambda: path.stat().st_mtime > 1)
        assert path.stat().st_mtime > start - 1


def test_results_are_not_written_under_a_claim_that_was_lost(cell) -> None:
    """A process that was suspended for longer than the lease has lost its cell to another."""
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
    path, waits = claim_by(cell, pid=1, started=lease.start_of(1)), []
    plain_sleep = time.sleep

    def sleep(seconds: float) -> None:
        if seconds != lease.WAIT:  # of something else, such as a process that is waited for
            return plain_sleep(seconds)
        waits.append(seconds)
        if len(waits) == 3:
            path.unlink()

    monkeypatch.setattr(lease.time, "sleep", sleep)
    assert run_cell(spec, job, wait=True).computed == 4
    assert waits == [lease.WAIT] * 3 and capsys.readouterr().out.count("waiting for it") == 1


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
import contextlib, fcntl, sys
from pathlib import Path
from bfc.errors import UserError
from bfc.store.cells import Cell
import psutil
root, gates = map(Path, sys.argv[1:])
with contextlib.ExitStack() as held:
    won = []
    for folder in sorted(root.iterdir()):
        with open(gates / folder.name) as gate:
            print("ready", flush=True)
            fcntl.flock(gate, fcntl.LOCK_SH)
        try:
            held.enter_context(Cell(folder).claim())
            won.append(folder.name)
        except UserError:
            pass
    print(" ".join(won), flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def racer(root: Path, gate_folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that claims the cells of ``root`` and holds what it got until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", RACE, str(root), str(gate_folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    with process:
        try:
            yield process
            process.stdin.close()
            process.wait(MAX_SECONDS)
        finally:
            process.kill()


def test_of_eight_processes_exactly_one_gets_a_claim(tmp_path) -> None:
    """Sixty cells: free, claimed by a dead process, or long ago on another host.

    All processes wait for a lock (the gate) before they claim a cell, and go on when it is opened.
    """
    root, gate_folder = tmp_path / "results", tmp_path / "gates"
    gate_folder.mkdir()
    names = [f"{i:03d}" for i in range(60)]
    for i, name in enumerate(names):
        cell = Store(root).cell(name)
        cell.path.mkdir(parents=True)
        if i % 3 == 1:
            claim_by(cell, started="1.00")
        elif i % 3 == 2:
            claim_by(cell, lease.LEASE + 20, host="elsewhere")
    with contextlib.ExitStack() as opened:
        gates = [opened.enter_context(open(gate_folder / name, "w")) for name in names]
        for gate in gates:
            fcntl.flock(gate, fcntl.LOCK_EX)
        racers = [opened.enter_context(racer(root, gate_folder)) for _ in range(8)]
        for gate in gates:
            assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 8
            fcntl.flock(gate, fcntl.LOCK_UN)
        won = [racer.stdout.readline().split() for racer in racers]
    assert sorted(itertools.chain(*won)) == names
    assert sum(map(bool, won)) > 1, "there was no race"
    assert not list(root.rglob("*.json")) and not list(root.rglob(".*")), (
        "all claims are given back"
    )


def test_two_that_find_the_same_dead_claim_do_not_both_take_it(cell, monkeypatch) -> None:
    """The second arrives just as the first is about to move the dead claim away."""
    claim_by(cell, started="1.00")
    winners: list[str] = []
    at_lock, decided, first_is_done = threading.Event(), threading.Event(), threading.Event()

    def claim_second() -> None:
        with contextlib.suppress(UserError), Cell(cell.path).claim():
            winners.append("second")
            at_lock.set()
            decided.set()
            first_is_done.wait(MAX_SECONDS)
        at_lock.set()
        decided.set()

    second = threading.Thread(target=claim_second)
    plain_flock, plain_replace = fcntl.flock, os.replace

    def flock(handle: int, operation: int) -> None:
        try:
            plain_flock(handle, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            at_lock.set()
            plain_flock(handle, operation)

    def replace(source: Path, target: Path) -> None:
        if not second.ident and Path(source).name == "claim.json":
            second.start()
            assert at_lock.wait(MAX_SECONDS)
        plain_replace(source, target)

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(os, "replace", replace)
    with cell.claim():
        winners.append("first")
        assert second.ident and decided.wait(MAX_SECONDS)
        first_is_done.set()
    second.join()
    assert winners == ["first"]


def test_what_a_killed_process_left_half_written_is_swept_up(cell) -> None:
    cell.path.mkdir(parents=True)
    old, fresh = (cell.path / f".trainings.parquet.{age}.abcd" for age in ("old", "fresh"))
    for path in (old, fresh):
        path.write_text("half")
    os.utime(old, (time.time() - 1000, time.time() - 1000))
    with cell.claim():
        assert not old.exists() and fresh.exists()
