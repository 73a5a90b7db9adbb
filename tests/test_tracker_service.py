"""Trackers that fail: slow, refusing, killed, broken or absent ones cost a line and their view,
never a number; and `bfc sync`, which makes up for it later, once and not twice. The server is one
on loopback."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from commands import TINY, environment, run, store, table
from test_tracker import BOTH, KEY, points
from typer.testing import CliRunner
from wandb_server import State, serving

from bfc.cli import application
from bfc.errors import UserError
from bfc.trackers import client as watch
from bfc.trackers import sync
from bfc.trackers.upload_log import Receipt

BROKEN = """
import os
class Settings:
    def __init__(self, **named): pass
class Run:
    step, starting_step, url, dir, summary, settings = 0, 0, "http://nowhere", ".", {}, type("", (), {"sync_file": "nowhere"})
    def __getattr__(self, name):
        def call(*_, **__):
            if name == os.environ["FAILS"]: raise ConnectionError(f"no {name} today\\nand more lines")
        return call
def Table(**named): pass
def setup(settings): pass
def init(**named):
    print("chatter on standard output")
    if os.environ["FAILS"] == "killed": os.kill(os.getpid(), 9)
    if os.environ["FAILS"] == "init": raise ConnectionError("no init today")
    return Run()
"""
"""A package wandb that fails at a chosen place."""


@pytest.fixture(autouse=True)
def _no_service_left():
    """One that was started under another environment would not see this test's."""
    watch.put_away()
    yield
    watch.put_away()
    watch._given_up = False


@pytest.fixture(scope="module")
def untracked(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("untracked")
    assert run(*TINY, cwd=folder).status == 0
    return store(folder / "results")


@pytest.fixture
def finished(untracked_study, tmp_path) -> Path:
    """A results folder of a learner and a baseline that a study asked for, shown nowhere."""
    return Path(shutil.copytree(untracked_study, tmp_path / "results"))


@pytest.fixture(scope="module")
def untracked_study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    assert run(*BOTH, "+study={name: later, size: demo}", cwd=folder).status == 0
    return folder / "results"


@pytest.fixture
def server(monkeypatch):
    """A server, and an environment that is logged in to it."""
    with serving() as state:
        for name in [
            name
            for name in os.environ
            if name.startswith("WANDB_") or name.lower().endswith("_proxy")
        ]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("WANDB_BASE_URL", state.address)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield state


def bfc(*arguments: str, cwd: Path) -> SimpleNamespace:
    """The command ``bfc`` in this process: status and what it printed, a refusal as the last line."""
    before = Path.cwd()
    os.chdir(cwd)
    try:
        done = CliRunner().invoke(application(), list(arguments))
    finally:
        os.chdir(before)
    refusal = f"{done.exception}\n" if isinstance(done.exception, UserError) else ""
    if done.exception is not None and not isinstance(done.exception, (UserError, SystemExit)):
        raise done.exception
    return SimpleNamespace(status=2 if refusal else done.exit_code, out=done.output + refusal)


def shown(state: State, results: Path) -> dict[str, list]:
    """Cell → the points that the server holds, in order."""
    return {
        cell: points([run["history"][i] for i in sorted(run["history"])])
        for (_, cell), run in state.runs.items()
        if (results / cell).is_dir()
    }


def stored(results: Path) -> dict[str, list]:
    return {cell: points(rows) for cell, rows in store(results).items()}


# --- a tracker that fails -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fails, why",
    [
        ("init", "failed (ConnectionError: no init today)"),
        ("define_metric", "failed (ConnectionError: no define_metric today)"),
        ("log", "failed (ConnectionError: no log today)"),
        ("finish", "failed (ConnectionError: no finish today)"),
        ("killed", "ended with status -9 (chatter on standard output)"),
    ],
)
def test_a_tracker_that_fails_loses_no_result(
    fails: str, why: str, untracked, tmp_path, monkeypatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "wandb.py").write_text(BROKEN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    monkeypatch.setenv("FAILS", fails)
    done = run(
        *TINY,
        "tracker=wandb",
        "tracker.mode=offline",
        "tracker.figures=false",
        cwd=tmp_path / "job",
    )
    assert done.status == 0 and not done.err, done
    line = f"tracker {why}; results are stored as always, and `bfc sync results` shows them later"
    assert done.out.splitlines().count(line) == 1, done.out
    assert store(tmp_path / "job" / "results") == untracked
    assert {json.loads(p.read_text())["state"] for p in tmp_path.rglob("status.json")} == {"done"}
    assert not list(tmp_path.rglob("claim.json")) and not list(
        tmp_path.rglob(".uploads/*/*/*.json")
    )


def test_a_tracker_that_is_not_installed_is_refused_before_anything_runs(
    tmp_path, monkeypatch
) -> None:
    find = __import__("importlib.util").util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *rest: None if name in ("wandb", "trackio") else find(name, *rest),
    )
    for name, remedy in (("wandb", "install it"), ("trackio", "pip install 'bfc[trackio]'")):
        refusal = run(*TINY, f"tracker={name}", cwd=tmp_path).sentence
        assert (
            refusal
            == f"tracker={name}: the package {name} is not installed; {remedy} or set tracker=none"
        )
    assert not list(tmp_path.iterdir())


def test_a_server_that_does_not_answer_costs_no_more_than_patience(
    server, untracked_study, tmp_path
) -> None:
    server.delay = 30.0
    began = time.monotonic()
    done = run(*BOTH, "tracker=wandb", "tracker.patience=2", cwd=tmp_path)
    line = (
        "tracker gave no answer within 2 s and is left alone from here on; results are stored as always, and `bfc sync results` shows "
        "them later"
    )
    assert done.status == 0 and done.out.splitlines().count(line) == 1, (
        "the second cell does not wait again"
    )
    assert time.monotonic() - began < 30 and store(tmp_path / "results") == store(untracked_study)
    assert not [
        child for child in psutil.Process().children(recursive=True) if "wandb" in child.name()
    ]


def test_the_service_killed_in_mid_run_costs_the_view_only(
    server, untracked, tmp_path, monkeypatch
) -> None:
    """W&B's processes are killed as soon as they talk to the server."""
    server.delay = 0.5
    real = watch.Service.answer

    def kill_first(self, seconds):
        until = time.monotonic() + 60
        while not server.requests and time.monotonic() < until:
            time.sleep(0.01)
        assert server.requests
        os.kill(self.process.pid, signal.SIGKILL)
        return real(self, seconds)

    monkeypatch.setattr(watch.Service, "answer", kill_first)
    done = run(*TINY, "tracker=wandb", cwd=tmp_path)
    assert done.status == 0 and done.out.count("tracker ended with status -9") == 1, done.out
    assert store(tmp_path / "results") == untracked


def test_a_slow_server_changes_no_number_and_is_given_everything(
    server, untracked, tmp_path
) -> None:
    server.delay = 0.2
    done = run(*TINY, "tracker=wandb", cwd=tmp_path)
    assert done.status == 0 and "tracker" not in done.out, done
    assert store(tmp_path / "results") == untracked and shown(
        server, tmp_path / "results"
    ) == stored(tmp_path / "results")
    assert server.keys and not [
        path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]


# --- online, and later --------------------------------------------------------------------------


def test_a_cell_that_grows_goes_on_with_its_run(server, tmp_path) -> None:
    """The second time only what is new is sent, at the steps where the first ended."""
    line = [*TINY, "tracker=wandb", "tracker.figures=false"]
    for seeds, rows in ((2, 4), (3, 6)):
        assert run(*line, f"measure.seeds={seeds}", cwd=tmp_path).status == 0
        [(_, told)] = server.runs.items()
        assert (
            told["exit"] == 0
            and len(told["history"]) == rows
            and shown(server, tmp_path / "results") == stored(tmp_path / "results")
        )
        assert [told["history"][i]["_step"] for i in sorted(told["history"])] == list(
            range(1, rows + 1)
        )
        assert told["summary"]["trainings"] == rows and told["jobType"] == "learner"
    starts = told["starts"]
    assert run(*line, "measure.seeds=3", cwd=tmp_path).status == 0 and told["starts"] == starts, (
        "nothing new, nothing sent"
    )
    assert run(*line, "measure.seeds=3", "measure.eps=[0.9]", cwd=tmp_path).status == 0
    assert "nstar/eps_0_9" in told["summary"] and len(told["history"]) == 6, (
        "a new level changes tables, no step"
    )


def test_live_shows_trainings_while_the_cell_runs(server, tmp_path, monkeypatch) -> None:
    """The points at the server grow stack by stack (the last waits for the tables), and end equal
    to the store."""
    real, seen = watch.CellTracker.stored, []

    def stored_and_shown(self) -> None:
        real(self)
        assert watch.service().answer(60) == {"shown": None}
        until = time.monotonic() + 60
        while (
            sum(map(len, shown(server, tmp_path / "results").values())) <= sum(seen)
            and time.monotonic() < until
        ):
            time.sleep(0.02)  # W&B sends what it was told in its own time
        seen.append(sum(map(len, shown(server, tmp_path / "results").values())))

    monkeypatch.setattr(watch.CellTracker, "stored", stored_and_shown)
    assert (
        run(
            *TINY,
            "compute.stack=2",
            "tracker=wandb",
            "tracker.live=true",
            "tracker.figures=false",
            cwd=tmp_path,
        ).status
        == 0
    )
    assert seen == [1, 3] and shown(server, tmp_path / "results") == stored(tmp_path / "results")
    assert [told["exit"] for told in server.runs.values()] == [0], "one run, which has ended"


def test_sync_uploads_what_was_not_shown_and_nothing_twice(server, finished, tmp_path) -> None:
    listed = bfc("sync", "results", "--dry-run", cwd=tmp_path)
    assert (
        listed.status == 0
        and listed.out.endswith("3 runs; 0 cells are still running\n")
        and not server.runs
    )
    done = bfc("sync", "results", "--per-minute", "6000", cwd=tmp_path)
    assert (done.status, done.out) == (
        0,
        "3 runs shown, 0 as before, 0 cells still running, 0 runs failed\n",
    )
    assert shown(server, tmp_path / "results") == stored(tmp_path / "results")
    assert set(server.runs) == {("later", cell) for cell in store(tmp_path / "results")} | {
        ("later", "study")
    }
    assert (
        server.runs["later", "study"]["jobType"] == "study"
        and server.runs["later", "study"]["exit"] == 0
    )
    sent = len(server.requests)
    assert (
        bfc("sync", "results", cwd=tmp_path).out
        == "0 runs shown, 3 as before, 0 cells still running, 0 runs failed\n"
    )
    assert len(server.requests) == sent, "nothing is asked of the server when there is nothing new"
    for receipt in (tmp_path / "results").rglob(".uploads/*/*/*.json"):
        if receipt.stem != "study":
            receipt.unlink()
    assert bfc("sync", "results", "--per-minute", "6000", cwd=tmp_path).status == 0
    assert shown(server, tmp_path / "results") == stored(tmp_path / "results"), (
        "without receipts the server's own history decides"
    )


def test_sync_waits_for_a_server_that_is_busy(server, tmp_path, monkeypatch) -> None:
    """429 for a while: W&B's client waits and asks again; what it gives up on, sync asks again,
    waiting longer each time."""
    monkeypatch.setattr(sync, "FIRST_WAIT", 0.5)
    assert run(*TINY, cwd=tmp_path).status == 0
    server.busy = 3
    done = bfc("sync", "results", "--per-minute", "6000", "--patience", "60", cwd=tmp_path)
    assert done.status == 0 and shown(server, tmp_path / "results") == stored(
        tmp_path / "results"
    ), done.out
    assert server.count("refused with 429") == 3


def test_sync_says_at_once_when_the_key_is_refused(server, finished, tmp_path) -> None:
    server.status = 401
    done = bfc("sync", "results", cwd=tmp_path)
    assert (
        done.status == 2 and "3 of 3 runs could not be shown" in done.out and KEY not in done.out
    ), done.out


def test_sync_spaces_uploads_and_backs_off(tmp_path, monkeypatch) -> None:
    """The pace and the waits, with a clock that only counts."""
    clock, slept, asked = [0.0], [], []
    fake = SimpleNamespace(
        sleep=lambda s: (slept.append(s), clock.__setitem__(0, clock[0] + s)),
        monotonic=lambda: clock[0],
    )
    monkeypatch.setattr(sync, "time", fake)
    answers = iter(
        [
            {"shown": "x"},
            {"error": "HTTP 429"},
            {"error": "HTTP 429"},
            {"shown": "y"},
            {"as_before": True},
            {"error": "down"},
            {"error": "down"},
            {"error": "down"},
        ]
    )

    class Scripted:
        def ask(self, request):
            asked.append((clock[0], request["cells"]))

        def answer(self, _):
            return next(answers)

        def stop(self):
            """Nothing to stop."""

        close = stop

    monkeypatch.setattr(sync, "Service", Scripted)
    monkeypatch.setattr(
        sync, "request", lambda tracker, results, study, cells, whole: {"cells": cells}
    )
    wanted, tally, told = [sync.Item("s", (name,)) for name in "abcd"], sync.Tally(), []
    for _ in sync.sync(
        SimpleNamespace(patience=1),
        tmp_path,
        wanted,
        tally,
        per_minute=10,
        tries=3,
        tell=told.append,
    ):
        pass
    assert (tally.shown, tally.as_before, list(tally.failed)) == (2, 1, ["s, d"]) and len(told) == 4
    times = [when for when, _ in asked]
    assert [cells for _, cells in asked] == [
        ("a",),
        ("b",),
        ("b",),
        ("b",),
        ("c",),
        ("d",),
        ("d",),
        ("d",),
    ]
    assert all(
        later - earlier >= 6 for (earlier, later) in pairwise(times) if later not in times[5:6]
    ), times
    assert [s for s in slept if s in (5.0, 10.0)] == [5.0, 10.0, 5.0, 10.0]


def test_sync_refuses_what_is_not_there(finished, tmp_path, monkeypatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert bfc("sync", "nothing", cwd=tmp_path).out == "nothing: holds no measured cell\n"
    assert (
        "no such tracker; did you mean wandb?"
        in bfc("sync", "--tracker", "wandbb", cwd=tmp_path).out
    )
    refusal = bfc("sync", "results", "--study", "latr", cwd=tmp_path).out
    assert refusal == "study latr: is not in results; did you mean later? allowed: later\n"
    assert "not logged in to W&B" in bfc("sync", "results", cwd=tmp_path).out


def test_a_receipt_is_held_by_one_process_at_a_time(tmp_path) -> None:
    receipt = Receipt(tmp_path / "there", "cell")
    with (
        receipt.locked(),
        pytest.raises(UserError, match="is being shown by another process"),
        receipt.locked(),
    ):
        pass
    receipt.write("mark", str(tmp_path / "gone"))
    assert not receipt.holds("mark"), "what was written has vanished"
    receipt.write("mark", "https://somewhere")
    assert receipt.holds("mark") and not receipt.holds("another")


# --- trackio ------------------------------------------------------------------------------------


def test_trackio_holds_what_the_store_holds(tmp_path, monkeypatch) -> None:
    """Its own database is read back; a cell that grew is written anew, so that it is there once."""
    pytest.importorskip("trackio")
    home = str(tmp_path / "trackio")
    monkeypatch.setenv("TRACKIO_DIR", home)
    for seeds in (2, 3):
        done = run(
            *BOTH, f"measure.seeds={seeds}", "tracker=trackio", "tracker.project=here", cwd=tmp_path
        )
        assert done.status == 0 and "tracker" not in done.out, done
    code = (
        "import json, trackio\nfrom trackio.sqlite_storage import SQLiteStorage as S\n"
        "runs = trackio.Api().runs('here')\n"
        "print(json.dumps({r.name.split()[-1]: [S.get_logs('here', r.name, run_id=r.id), r.config] for r in runs}, default=str))"
    )
    read = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(TRACKIO_DIR=home),
        timeout=60,
    )
    found = json.loads(read.stdout.splitlines()[-1])
    assert set(found) == set(store(tmp_path / "results"))
    for cell, (logs, config) in found.items():
        rows = table(tmp_path / "results" / cell)
        assert points([log for log in logs if "risk" in log]) == points(rows) and config["d"] == 4
        assert any("tables/nstar" in log for log in logs) and any(
            "nstar/eps_0_9" in log for log in logs
        )
