"""Progress on standard error: a bar on a terminal, a line now and then in a log, nothing for what
is over soon."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import TINY, command, environment

from bfc.experiment import cell_progress
from bfc.experiment.cell_progress import CellProgress
from bfc.launch import progress_bar as progress


def on_a_terminal(arguments: list[str], cwd: Path) -> tuple[int, str, str]:
    """Status, standard output and what a terminal on standard error was sent."""
    ours, theirs = pty.openpty()
    worker = subprocess.Popen(
        arguments,
        cwd=cwd,
        env=environment(TERM="xterm", COLUMNS="120"),
        stdout=subprocess.PIPE,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    os.close(theirs)
    parts = []

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                return
            parts.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    out, _ = worker.communicate(timeout=120)
    reader.join()
    os.close(ours)
    return worker.returncode, out, b"".join(parts).decode()


def test_a_single_job_has_a_bar_that_goes_when_it_is_done(tmp_path) -> None:
    status, out, told = on_a_terminal(command(*TINY, "schedule.steps=1200"), tmp_path)
    assert status == 0 and re.search(r"\d+ +%|\d+ %", told) and "0/1 cells" in told, told
    assert out.count("rows stored") == 1 and "\x1b" not in out
    assert told.rstrip().endswith(("\x1b[2K", "\x1b[?25h")), "the bar is wiped"


def test_a_refusal_on_a_terminal_is_still_one_sentence(tmp_path) -> None:
    status, out, told = on_a_terminal(command("target.d=abc"), tmp_path)
    assert (status, out, told.strip()) == (2, "", "bfc: target.d=abc: must be an integer")


def write(folder: Path, **values: object) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "status.json").write_text(json.dumps({"time": time.time() + 60, **values}))


@pytest.mark.parametrize("brief, lines", [(True, 0), (False, 1)])
def test_what_is_over_soon_says_nothing_or_how_it_ended(
    brief: bool, lines: int, tmp_path, capsys
) -> None:
    write(tmp_path / "a", state="done", done=10, total=10, trainings=4)
    done: Future = Future()
    done.set_result(None)
    progress.show_until_done([done], {tmp_path / "a": [done]}, brief)
    told = capsys.readouterr()
    assert not told.out and len(told.err.splitlines()) == lines
    assert not lines or told.err == "1/1 cells, 4 trainings stored, 100 % after 0:00 min\n"


def test_a_log_has_a_line_now_and_then_with_the_time_left(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    write(tmp_path / "a", state="running", done=1, total=4)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "status.json").write_text("half a fi")
    with progress.show_progress([tmp_path / "a", tmp_path / "b"]):
        time.sleep(1.3)
    first, *rest = capsys.readouterr().err.splitlines()
    assert (
        re.fullmatch(
            r"0/2 cells, 0 trainings stored, 12 % after 0:01 min, about 0:0\d min left", first
        )
        and len(rest) <= 1
    )


def test_the_display_ends_with_what_it_shows(tmp_path) -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), progress.show_progress([tmp_path]):
        raise ZeroDivisionError
    assert threading.active_count() == before and sys.stderr is not None


def test_a_slow_file_system_is_told_more_rarely(monkeypatch):
    """Telling never takes more than its share of the time; each force is told."""
    clock, told = [1000.0], []

    def status(*_: object, **__: object) -> None:
        told.append(clock[0])
        clock[0] += 0.05

    cell = CellProgress(SimpleNamespace(status=status), "x")
    monkeypatch.setattr(cell_progress.time, "monotonic", lambda: clock[0])
    for _ in range(1000):
        clock[0] += 0.1
        cell.update(1)
    assert told == pytest.approx([1000.1 + 25.1 * k for k in range(4)], abs=0.2)
    cell.update(1, force=True)
    assert len(told) == 5
