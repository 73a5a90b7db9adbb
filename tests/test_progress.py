"""Progress on standard error.

A bar on a terminal, a line now and then in a log, nothing for what is over soon.
"""

import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from concurrent import futures
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import KERNEL, MAX_SECONDS, TINY, command, container, environment

from bfc.experiment import cell_progress
from bfc.experiment.cell_progress import CellProgress
from bfc.experiment.cell_runner import run_cell
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.launch import progress_bar


def on_a_terminal(arguments: list[str], cwd: Path) -> tuple[int, str, str]:
    """Exit status, standard output, and what was sent to a terminal on standard error."""
    terminal, stderr = pty.openpty()
    process = subprocess.Popen(
        arguments,
        cwd=cwd,
        env=environment(TERM="xterm", COLUMNS="120"),
        stdout=subprocess.PIPE,
        stderr=stderr,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    os.close(stderr)
    chunks: list[bytes] = []

    def read() -> None:
        while True:
            try:
                chunk = os.read(terminal, 65536)
            except OSError:  # the other end is closed
                return
            chunks.append(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    out, _ = process.communicate(timeout=MAX_SECONDS)
    reader.join()
    os.close(terminal)
    return process.returncode, out, b"".join(chunks).decode()


def test_a_single_job_has_a_bar_that_goes_when_it_is_done(tmp_path) -> None:
    status, out, screen = on_a_terminal(command(*TINY, "schedule.steps=1200"), tmp_path)
    assert status == 0 and re.search(r"\d+ +%", screen) and "0/1 cells" in screen, screen
    assert out.count("rows stored") == 1 and "\x1b" not in out
    assert screen.rstrip().endswith(("\x1b[2K", "\x1b[?25h")), "the bar is wiped"


def test_a_refusal_on_a_terminal_is_still_one_sentence(tmp_path) -> None:
    status, out, screen = on_a_terminal(command("target.d=abc"), tmp_path)
    assert (status, out, screen.strip()) == (2, "", "bfc: target.d=abc: must be an integer")


def write_status(folder: Path, **values: object) -> None:
    """The status file of a cell, with a time after the start of the test."""
    folder.mkdir(exist_ok=True)
    (folder / "status.json").write_text(json.dumps({"time": time.time() + 60, **values}))


@pytest.mark.parametrize("brief, lines", [(True, 0), (False, 1)])
def test_what_is_over_soon_says_nothing_or_how_it_ended(
    brief: bool, lines: int, tmp_path, capsys, monkeypatch
) -> None:
    write_status(tmp_path / "a", state="done", done=10, total=10, trainings=4)
    done: futures.Future = futures.Future()
    done.set_result(None)
    clock = SimpleNamespace(time=lambda: 1000.0, monotonic=lambda: 1000.0)
    monkeypatch.setattr(progress_bar, "time", clock)
    progress_bar.show_until_done([done], {tmp_path / "a": [done]}, brief)
    out, err = capsys.readouterr()
    assert not out and len(err.splitlines()) == lines
    assert not lines or err == "1/1 cells, 4 trainings stored, 100 % after 0:00 min\n"


def test_a_log_has_a_line_now_and_then_with_the_time_left(tmp_path, capsys, monkeypatch) -> None:
    """40 s by a clock that moves by the seconds that the display waits."""
    now = [1000.0]
    done: futures.Future = futures.Future()

    def move_clock(pending: list[futures.Future], timeout: float) -> object:
        now[0] += timeout
        if now[0] >= 1040:
            done.set_result(None)
        return futures.wait(pending, timeout=0)

    clock = SimpleNamespace(time=lambda: now[0], monotonic=lambda: now[0])
    monkeypatch.setattr(progress_bar, "time", clock)
    monkeypatch.setattr(progress_bar, "wait", move_clock)
    write_status(tmp_path / "a", state="running", done=1, total=4)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "status.json").write_text("half a fi")
    progress_bar.show_until_done([done], {tmp_path / "a": [done], tmp_path / "b": [done]})
    assert capsys.readouterr().err.splitlines() == [
        "0/2 cells, 0 trainings stored, 12 % after 0:15 min, about 1:45 min left",
        "0/2 cells, 0 trainings stored, 12 % after 0:30 min, about 3:30 min left",
        "0/2 cells, 0 trainings stored, 12 % after 0:40 min",
    ]


def test_the_display_ends_with_what_it_shows(tmp_path) -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), progress_bar.show_progress([tmp_path]):
        raise ZeroDivisionError
    assert threading.active_count() == before and sys.stderr is not None


def test_the_tuning_of_a_baseline_counts_curve_by_curve(tmp_path, monkeypatch) -> None:
    """2 draws with 7 ridges each, then 2 seeds."""
    shares: list[tuple[int, int]] = []

    def note(progress: CellProgress, done: int, force: bool = False) -> None:
        progress.done = done
        shares.append((done, progress.total))

    monkeypatch.setattr(CellProgress, "update", note)
    job = load_job({**container(*TINY, *KERNEL), "results": str(tmp_path)})
    run_cell(cell_specs(job)[0], job)
    assert list(dict.fromkeys(shares)) == [(done, 16) for done in range(1, 17)]


def test_on_a_slow_file_system_the_status_is_written_more_rarely(monkeypatch):
    """Writing never takes more than its share of the time; a forced update is always written."""
    now = [1000.0]
    write_times: list[float] = []

    def write_slowly(*_: object, **__: object) -> None:
        write_times.append(now[0])
        now[0] += 0.05

    progress = CellProgress(SimpleNamespace(status=write_slowly), "x")
    monkeypatch.setattr(cell_progress.time, "monotonic", lambda: now[0])
    for _ in range(1000):
        now[0] += 0.1
        progress.update(1)
    assert write_times == pytest.approx([1000.1 + 25.1 * k for k in range(4)], abs=0.2)
    progress.update(1, force=True)
    assert len(write_times) == 5
