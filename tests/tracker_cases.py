"""What the tests of trackers share: cells, a login that is nobody's, a server, and ``bfc``."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from commands import TINY, run, store
from typer.testing import CliRunner
from wandb_server import State, serving

from bfc.cli import application
from bfc.errors import UserError
from bfc.trackers import client

KEY = "0123456789abcdef" * 2 + "01234567"
"""Not a key of anyone, but of the form of one."""
BOTH = (
    *(override for override in TINY if override != "probe=none"),
    "baseline=rbf",
    "baseline.n_max=24",
    "baseline.ridge=0.1",
    "measure.eps=[0.9,0.5]",
)
"""A learner and a baseline."""


def log_out(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Leave W&B without a key, and without an address other than its own."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(folder / "netrc"))


def log_in(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Log in to the server at ``address``, with no proxy and nothing else of W&B."""
    for name in list(os.environ):
        if name.startswith("WANDB_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_BASE_URL", address)
    monkeypatch.setenv("WANDB_API_KEY", KEY)


def risk_points(rows: list[dict]) -> list[tuple[int, int, float]]:
    """(n, seed, risk) of the rows that hold a risk, in order."""
    return [
        (row["n"], row["seed"], float(row["risk"])) for row in rows if row.get("risk") is not None
    ]


@contextlib.contextmanager
def logged_in_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """A server, and an environment that is logged in to it."""
    with serving() as state:
        log_in(monkeypatch, state.address)
        yield state


def processes_logged_in_to(state: State) -> list[psutil.Process]:
    """The processes on this machine that were started with the server's address, its own aside."""
    processes = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            address = process.environ().get("WANDB_BASE_URL")
            if address == state.address and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
    return processes


def no_service_left() -> Iterator[None]:
    """Stop the tracker service before and after a test.

    One that was started in another environment would not see the environment of the test.
    """
    client.stop_service()
    yield
    client.stop_service()
    client._given_up = False


def run_untracked_study(folder: Path) -> Path:
    """A results folder of a learner and a baseline that a study asked for, shown nowhere."""
    assert run(*BOTH, "+study={name: later, size: demo}", cwd=folder).status == 0
    return folder / "results"


def bfc(*arguments: str, cwd: Path) -> SimpleNamespace:
    """Run ``bfc`` in this process: its status and output, where a refusal is the last line."""
    with contextlib.chdir(cwd):
        done = CliRunner().invoke(application(), list(arguments))
    if isinstance(done.exception, UserError):
        return SimpleNamespace(status=2, out=f"{done.output}{done.exception}\n")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return SimpleNamespace(status=done.exit_code, out=done.output)


def shown(state: State, results: Path) -> dict[str, list]:
    """Cell → the points that the server holds, in order."""
    cells = {}
    for (_, name), tracked in state.runs.items():
        if (results / name).is_dir():
            history = tracked["history"]
            cells[name] = risk_points([history[place] for place in sorted(history)])
    return cells


def count_shown(state: State, results: Path) -> int:
    return sum(map(len, shown(state, results).values()))


def stored(results: Path) -> dict[str, list]:
    """Cell → the points that the store holds, in order."""
    return {cell: risk_points(rows) for cell, rows in store(results).items()}


def is_probed(column: str, row: dict) -> bool:
    """Whether a column of a table of trainings holds a value of the probe in a row."""
    return "/" in column and row[column] not in (None, "nan")
