"""Trackers that fail cost a printed line and their view, never a number.

The server is one on loopback; it is slow, services are killed, packages are missing.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import TINY, environment, run, store, table, wait_until
from tracker_cases import (
    BOTH,
    KEY,
    bfc,
    count_shown,
    logged_in_server,
    no_service_left,
    processes_logged_in_to,
    risk_points,
    run_untracked_study,
    shown,
    stored,
)

from bfc.errors import UserError
from bfc.trackers import client
from bfc.trackers.protocol import Answer, RequestStatus
from bfc.trackers.service import Service
from bfc.trackers.upload_log import UploadRecord

BROKEN = """
import os

class Settings:
    def __init__(self, **named): pass

class Run:
    step, starting_step, url, dir, summary = 0, 0, "http://nowhere", ".", {}
    settings = type("", (), {"sync_file": "nowhere"})

    def __getattr__(self, name):
        def call(*_, **__):
            if name == os.environ["FAILS"]:
                raise ConnectionError(f"no {name} today\\nand more lines")
        return call

def Table(**named): pass
def setup(settings): pass

def init(**named):
    print("chatter on standard output")
    if os.environ["FAILS"] == "killed":
        os.kill(os.getpid(), 9)
    if os.environ["FAILS"] == "init":
        raise ConnectionError("no init today")
    return Run()
"""
"""A package wandb that fails at a chosen place."""
OPTIONAL_PACKAGES = ("wandb", "trackio", "wandb_workspaces")


@pytest.fixture(autouse=True)
def _no_service_left():
    """Stop the service, since one that was started in another environment would not see this."""
    yield from no_service_left()


@pytest.fixture(scope="module")
def untracked(tmp_path_factory) -> dict:
    """The rows of a cell that was measured without a tracker."""
    folder = tmp_path_factory.mktemp("untracked")
    assert run(*TINY, cwd=folder).status == 0
    return store(folder / "results")


@pytest.fixture(scope="module")
def untracked_study(tmp_path_factory) -> Path:
    """A results folder of a learner and a baseline that a study asked for, shown nowhere."""
    return run_untracked_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def server(monkeypatch):
    with logged_in_server(monkeypatch) as state:
        yield state


@pytest.fixture
def plain_installation(monkeypatch) -> None:
    """Without the optional packages."""
    for name in OPTIONAL_PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)


# --- a tracker that is absent or fails ----------------------------------------------------------


def test_a_plain_installation_trains_and_reports(plain_installation, tmp_path) -> None:
    assert run(*TINY, cwd=tmp_path).status == 0
    done = bfc("report", "results", cwd=tmp_path)
    assert done.status == 0 and (tmp_path / "report" / "index.html").is_file(), done


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_tracker_that_is_not_installed_is_refused_before_anything_runs(
    name: str, plain_installation, tmp_path
) -> None:
    remedy = f"pip install 'bfc[{name}]' or set tracker=none"
    message = f"tracker={name}: the package {name} is not installed; {remedy}"
    assert run(*TINY, f"tracker={name}", cwd=tmp_path).sentence == message
    assert not list(tmp_path.iterdir())
    (tmp_path / "results").mkdir()
    assert bfc("sync", "--tracker", name, cwd=tmp_path).out == f"{message}\n"


@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        ("init", "failed (ConnectionError: no init today)"),
        pytest.param(
            "define_metric",
            "failed (ConnectionError: no define_metric today and more lines)",
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            "log",
            "failed (ConnectionError: no log today and more lines)",
            marks=pytest.mark.exhaustive,
        ),
        ("finish", "failed (ConnectionError: no finish today and more lines)"),
        ("killed", "ended with status -9 (chatter on standard output)"),
    ],
)
def test_a_tracker_that_fails_loses_no_result(
    fails: str, reason: str, untracked, tmp_path, monkeypatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "wandb.py").write_text(BROKEN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    monkeypatch.setenv("FAILS", fails)
    tracker = ("tracker=wandb", "tracker.mode=offline", "tracker.figures=false")
    done = run(*TINY, *tracker, cwd=tmp_path / "job")
    assert done.status == 0 and not done.err, done
    line = (
        f"tracker {reason}; results are stored as always, and `bfc sync results` shows them later"
    )
    assert done.out.splitlines().count(line) == 1, done.out
    assert store(tmp_path / "job" / "results") == untracked
    states = {json.loads(path.read_text())["state"] for path in tmp_path.rglob("status.json")}
    assert states == {"done"}
    assert not list(tmp_path.rglob("claim.json"))
    assert not list(tmp_path.rglob(".uploads/*/*/*.json"))


def test_a_server_that_does_not_answer_costs_no_more_than_patience(
    server, untracked_study, tmp_path
) -> None:
    """The sweep ends while the server is still silent, and the second cell does not wait again."""
    server.answering.clear()
    done = run(*BOTH, "tracker=wandb", "tracker.patience=2", cwd=tmp_path)
    line = (
        "tracker gave no answer within 2 s and is not used again in this process; "
        "results are stored as always, and `bfc sync results` shows them later"
    )
    assert done.status == 0 and done.out.splitlines().count(line) == 1, done.out
    assert not server.requests
    assert store(tmp_path / "results") == store(untracked_study)
    wait_until(lambda: not processes_logged_in_to(server))


def test_a_service_that_is_killed_costs_the_view_only(
    server, untracked, tmp_path, monkeypatch
) -> None:
    """It is killed as soon as W&B talks to the server."""
    server.delay = 0.5
    receive = Service.receive

    def kill_and_receive(self: Service, seconds: float) -> Answer | None:
        server.wait_until(lambda: bool(server.requests))
        os.kill(self.process.pid, signal.SIGKILL)
        return receive(self, seconds)

    monkeypatch.setattr(Service, "receive", kill_and_receive)
    done = run(*TINY, "tracker=wandb", cwd=tmp_path)
    assert done.status == 0 and done.out.count("tracker ended with status -9") == 1, done.out
    assert store(tmp_path / "results") == untracked


def test_a_slow_server_changes_no_number_and_is_given_everything(
    server, untracked, tmp_path
) -> None:
    server.delay = 0.2
    done = run(*TINY, "tracker=wandb", cwd=tmp_path)
    assert done.status == 0 and "tracker" not in done.out, done
    assert store(tmp_path / "results") == untracked
    assert shown(server, tmp_path / "results") == stored(tmp_path / "results")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert server.keys and not [path for path in files if KEY.encode() in path.read_bytes()]


# --- online --------------------------------------------------------------------------


def test_a_cell_that_grows_goes_on_with_its_run(server, tmp_path) -> None:
    """The second time only what is new is sent, at the steps where the first ended."""
    line = [*TINY, "tracker=wandb", "tracker.figures=false"]
    for seeds, rows in ((2, 4), (3, 6)):
        assert run(*line, f"measure.seeds={seeds}", cwd=tmp_path).status == 0
        [tracked] = server.runs.values()
        assert tracked["exit"] == 0 and tracked["jobType"] == "learner"
        assert shown(server, tmp_path / "results") == stored(tmp_path / "results")
        steps = [tracked["history"][place]["_step"] for place in sorted(tracked["history"])]
        assert steps == list(range(1, rows + 1))
        assert tracked["summary"]["trainings"] == rows


def test_a_cell_is_sent_again_only_where_something_is_new(server, tmp_path) -> None:
    """A new level of risk changes tables and summary, and adds no step."""
    line = [*TINY, "tracker=wandb", "tracker.figures=false"]
    assert run(*line, cwd=tmp_path).status == 0
    [tracked] = server.runs.values()
    starts = tracked["starts"]
    assert run(*line, cwd=tmp_path).status == 0
    assert tracked["starts"] == starts
    assert run(*line, "measure.eps=[0.9]", cwd=tmp_path).status == 0
    assert tracked["starts"] > starts
    assert "nstar/eps_0_9" in tracked["summary"] and len(tracked["history"]) == 4


def test_live_shows_trainings_while_the_cell_runs(server, tmp_path, monkeypatch) -> None:
    """The points at the server grow stack by stack, and end equal to the store.

    The last point waits for the tables, so that they are logged together.
    """
    show_stored = client.CellTracker.stored
    counts = []

    def show_and_count(self: client.CellTracker) -> None:
        show_stored(self)
        assert client.get_service().receive(60) == Answer(RequestStatus.SHOWN)
        rows = len(table(Path(self.results) / self.cell_id))
        server.wait_until(lambda: count_shown(server, tmp_path / "results") >= rows - 1)
        counts.append(count_shown(server, tmp_path / "results"))

    monkeypatch.setattr(client.CellTracker, "stored", show_and_count)
    tracker = ("tracker=wandb", "tracker.live=true", "tracker.figures=false")
    assert run(*TINY, "compute.stack=2", *tracker, cwd=tmp_path).status == 0
    assert counts == [1, 3]
    assert shown(server, tmp_path / "results") == stored(tmp_path / "results")
    assert [tracked["exit"] for tracked in server.runs.values()] == [0]


def test_an_upload_record_is_held_by_one_process_at_a_time(tmp_path) -> None:
    record = UploadRecord(tmp_path / "there", "cell")
    with (
        record.locked(),
        pytest.raises(UserError, match="is being shown by another process"),
        record.locked(),
    ):
        pass


def test_an_upload_record_matches_what_is_still_there(tmp_path) -> None:
    record = UploadRecord(tmp_path / "there", "cell")
    record.write("mark", str(tmp_path / "gone"))
    assert not record.matches("mark")
    record.write("mark", "https://somewhere")
    assert record.matches("mark") and not record.matches("another")


# --- trackio ------------------------------------------------------------------------------------

READ_TRACKIO = """
import json, trackio
from trackio.sqlite_storage import SQLiteStorage

runs = {}
for run in trackio.Api().runs("here"):
    logs = SQLiteStorage.get_logs("here", run.name, run_id=run.id)
    runs[run.name.split()[-1]] = [logs, run.config]
print(json.dumps(runs, default=str))
"""


def test_trackio_holds_what_the_store_holds(tmp_path, monkeypatch) -> None:
    """Its own database is read back; a cell that grew is written anew, so that it is there once."""
    pytest.importorskip("trackio")
    home = str(tmp_path / "trackio")
    monkeypatch.setenv("TRACKIO_DIR", home)
    for seeds in (2, 3):
        tracker = ("tracker=trackio", "tracker.project=here")
        done = run(*BOTH, f"measure.seeds={seeds}", *tracker, cwd=tmp_path)
        assert done.status == 0 and "tracker" not in done.out, done
    read = subprocess.run(
        [sys.executable, "-c", READ_TRACKIO],
        capture_output=True,
        text=True,
        env=environment(TRACKIO_DIR=home),
        timeout=60,
    )
    tracked = json.loads(read.stdout.splitlines()[-1])
    assert set(tracked) == set(store(tmp_path / "results"))
    for cell, (logs, config) in tracked.items():
        rows = table(tmp_path / "results" / cell)
        assert risk_points([log for log in logs if "risk" in log]) == risk_points(rows)
        assert config["d"] == 4
        assert any("tables/nstar" in log for log in logs)
        assert any("nstar/eps_0_9" in log for log in logs)
