"""`bfc sync` shows at a tracker what a store holds, once and not twice.

It waits for a server that is busy, stops where a key is refused, and keeps to its rate.
"""

import shutil
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import TINY, run, store
from tracker_cases import (
    KEY,
    bfc,
    log_out,
    logged_in_server,
    no_service_left,
    run_untracked_study,
    shown,
    stored,
)

from bfc.trackers import sync
from bfc.trackers.protocol import Answer, RequestStatus

SYNC = ("sync", "results", "--per-minute", "6000")


@pytest.fixture(autouse=True)
def _no_service_left():
    yield from no_service_left()


@pytest.fixture(scope="module")
def untracked_study(tmp_path_factory) -> Path:
    return run_untracked_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def finished(untracked_study, tmp_path) -> Path:
    """A copy of the results folder of a study that was shown nowhere."""
    return Path(shutil.copytree(untracked_study, tmp_path / "results"))


@pytest.fixture
def server(monkeypatch):
    with logged_in_server(monkeypatch) as state:
        yield state


def test_sync_lists_runs_without_sending_anything(server, finished, tmp_path) -> None:
    done = bfc("sync", "results", "--dry-run", cwd=tmp_path)
    assert done.status == 0 and done.out.endswith("3 runs; 0 cells are still running\n")
    assert not server.requests


def test_a_dry_run_names_the_cell_that_is_damaged(server, finished, tmp_path) -> None:
    table = next(finished.glob("*/trainings.parquet"))
    table.write_bytes(b"PAR1")
    done = bfc("sync", "results", "--dry-run", cwd=tmp_path)
    assert f"damaged: {table.parent.name}: trainings.parquet cannot be read\n" in done.out
    assert done.out.endswith("3 runs; 0 cells are still running; 1 cells are damaged\n")


def test_sync_uploads_what_was_not_shown_and_nothing_twice(server, finished, tmp_path) -> None:
    done = bfc(*SYNC, cwd=tmp_path)
    assert done.status == 0
    assert done.out == "3 runs shown, 0 as before, 0 cells still running, 0 runs failed\n"
    assert shown(server, finished) == stored(finished)
    names = [*store(finished), "study"]
    assert set(server.runs) == {("later", name) for name in names}
    study = server.runs["later", "study"]
    assert study["jobType"] == "study" and study["exit"] == 0
    sent = len(server.requests)
    again = bfc("sync", "results", cwd=tmp_path)
    assert again.out == "0 runs shown, 3 as before, 0 cells still running, 0 runs failed\n"
    assert len(server.requests) == sent


def test_without_records_the_history_of_the_server_decides(server, finished, tmp_path) -> None:
    assert bfc(*SYNC, cwd=tmp_path).status == 0
    for record in finished.rglob(".uploads/*/*/*.json"):
        if record.stem != "study":
            record.unlink()
    done = bfc(*SYNC, cwd=tmp_path)
    assert done.out == "2 runs shown, 1 as before, 0 cells still running, 0 runs failed\n"
    assert shown(server, finished) == stored(finished)


def test_sync_waits_for_a_server_that_is_busy(server, tmp_path, monkeypatch) -> None:
    """On a 429, W&B's client waits and asks again; what it gives up on, sync tries again."""
    monkeypatch.setattr(sync, "FIRST_WAIT", 0.5)
    assert run(*TINY, cwd=tmp_path).status == 0
    server.busy = 3
    done = bfc(*SYNC, "--patience", "60", cwd=tmp_path)
    assert done.status == 0, done.out
    assert shown(server, tmp_path / "results") == stored(tmp_path / "results")
    assert server.count("refused with 429") == 3


def test_sync_stops_at_once_when_the_key_is_refused(server, finished, tmp_path) -> None:
    server.status = 401
    done = bfc("sync", "results", cwd=tmp_path)
    assert done.status == 2 and "3 of 3 runs could not be shown" in done.out, done.out
    assert KEY not in done.out


def test_sync_refuses_what_is_not_there(finished, tmp_path, monkeypatch) -> None:
    log_out(monkeypatch, tmp_path)
    assert bfc("sync", "nothing", cwd=tmp_path).out == "nothing: there is no such folder\n"
    unknown = bfc("sync", "--tracker", "wandbb", cwd=tmp_path)
    assert "no such tracker; did you mean wandb?" in unknown.out
    refusal = bfc("sync", "results", "--study", "latr", cwd=tmp_path).out
    assert refusal == "study latr: is not in results; did you mean later? allowed: later\n"
    no_entity = bfc("sync", "--tracker", "trackio", "--entity", "me", cwd=tmp_path)
    assert no_entity.out == "--entity me: trackio knows none\n"
    assert "not logged in to W&B" in bfc("sync", "results", cwd=tmp_path).out


class Clock:
    """Time that only passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


class ScriptedService:
    """Stands for :class:`bfc.trackers.service.Service`: its answers are written beforehand."""

    def __init__(self, clock: Clock, answers: list[Answer]) -> None:
        self.clock = clock
        self.answers = answers
        self.requests: list[tuple[float, str]] = []
        """When which cell was asked for."""

    def send(self, cell: str) -> None:
        self.requests.append((self.clock.now, cell))

    def receive(self, seconds: float) -> Answer:
        return self.answers.pop(0)

    def stop(self) -> None:
        """There is nothing to stop."""

    close = stop


def sync_with_script(answers: list[Answer], tries: int, monkeypatch: pytest.MonkeyPatch):
    """Show the cells a to d, ten a minute, to a service that gives these answers."""
    clock = Clock()
    service = ScriptedService(clock, answers)
    monkeypatch.setattr(sync, "time", clock)
    monkeypatch.setattr(sync, "Service", lambda: service)
    monkeypatch.setattr(
        sync, "build_request", lambda tracker, results, study, cells, whole_study: cells[0]
    )
    runs = [sync.TrackerRun("s", (cell,)) for cell in "abcd"]
    summary = sync.SyncSummary()
    messages: list[str] = []
    rate = sync.UploadRate(per_minute=10, tries=tries)
    tracker = SimpleNamespace(patience=1)
    done = list(sync.show_runs(tracker, Path("results"), runs, summary, rate, messages.append))
    return SimpleNamespace(
        clock=clock, requests=service.requests, summary=summary, messages=messages, done=done
    )


def test_sync_spaces_uploads_and_backs_off(monkeypatch) -> None:
    busy, down = (
        Answer(RequestStatus.FAILED, error="HTTP 429"),
        Answer(RequestStatus.FAILED, error="down"),
    )
    uploaded, unchanged = Answer(RequestStatus.SHOWN, "x"), Answer(RequestStatus.UNCHANGED)
    answers = [uploaded, busy, busy, uploaded, unchanged, down, down, down]
    outcome = sync_with_script(answers, 3, monkeypatch)
    summary = outcome.summary
    assert (summary.shown, summary.unchanged, summary.failed) == (2, 1, {"s, d": "down"})
    assert len(outcome.messages) == 4 and len(outcome.done) == 4
    assert "".join(cell for _, cell in outcome.requests) == "abbbcddd"
    times = [seconds for seconds, _ in outcome.requests]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    after_unchanged = gaps.pop(4)
    assert after_unchanged == 0 and all(gap >= 6 for gap in gaps), times
    assert [wait for wait in outcome.clock.sleeps if wait in (5, 10)] == [5, 10, 5, 10]


def test_sync_stops_where_the_tracker_refuses_the_credentials(monkeypatch) -> None:
    refused = Answer(RequestStatus.FAILED, error="HTTP 401")
    outcome = sync_with_script([Answer(RequestStatus.SHOWN, "x"), refused], 3, monkeypatch)
    assert outcome.summary.shown == 1 and not outcome.messages
    assert outcome.summary.failed == {f"s, {cell}": "HTTP 401" for cell in "bcd"}
