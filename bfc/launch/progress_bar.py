"""How far a job or a sweep is, on standard error.

A bar on a terminal; elsewhere a line now and then, so that a log file stays short. It only reads
the status files of the cells, so that it does not slow the work down.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bfc.streams import print_line

LINE_SECONDS = 15.0
"""Between two lines where the output is not a terminal."""
REFRESH_SECONDS = 1.0
MAX_RUNNING_SHARE = 0.99
"""Share of its work that a cell shows at most before it is done."""

CellFutures = Mapping[Path, Sequence[Future[Any]]]
"""A cell's folder → the jobs that measure it."""


@contextmanager
def show_progress(folders: Sequence[Path]) -> Iterator[None]:
    """Show how far the cells in these folders are while the block runs; nothing if it is short."""
    done: Future[None] = Future()
    cells = {folder: [done] for folder in folders}
    display = threading.Thread(target=show_until_done, args=([done], cells, True), daemon=True)
    display.start()
    try:
        yield
    finally:
        done.set_result(None)
        display.join()


def show_until_done(
    futures: Sequence[Future[Any]], cells: CellFutures, brief: bool = False
) -> None:
    """Show the progress of the cells until every future has ended.

    ``brief``: without a last line.
    """
    # rich loads late: nothing that only imports this module draws
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    start = time.time()
    log = _LogLines(start)
    is_terminal = sys.stderr.isatty()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # What is printed to a file must not be drawn above the bar.
        redirect_stdout=sys.stdout.isatty(),
    )
    # Only a bar that was begun draws anything; rich before 15 would end a disabled one with a line.
    with bar if is_terminal else contextlib.nullcontext():
        task = bar.add_task("", total=len(cells))
        while True:
            pending = wait(futures, timeout=REFRESH_SECONDS).not_done
            progress = _read_progress(futures, cells, start)
            bar.update(task, completed=progress.share, description=str(progress))
            is_last = not pending and not brief
            if not is_terminal and (is_last or log.is_due()):
                log.write(progress, finished=not pending)
            if not pending:
                return


@dataclass(frozen=True)
class _Progress:
    """How far the cells are, all together."""

    cells: int
    finished: int
    trainings: int
    failed_jobs: int
    share: float
    """Cells' worth of work that is done, from 0 to ``cells``."""

    def __str__(self) -> str:
        text = f"{self.finished}/{self.cells} cells, {self.trainings} trainings stored"
        return f"{text}, {self.failed_jobs} jobs failed" if self.failed_jobs else text


class _LogLines:
    """The lines on an output that is not a terminal."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._last_line = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self._last_line >= LINE_SECONDS

    def write(self, progress: _Progress, finished: bool) -> None:
        self._last_line = time.monotonic()
        elapsed = time.time() - self._start
        percent = 100 * progress.share / progress.cells
        line = f"{progress}, {percent:.0f} % after {_format_minutes(elapsed)}"
        if not finished and progress.share > 0:
            left = elapsed * (progress.cells - progress.share) / progress.share
            line += f", about {_format_minutes(left)} left"
        print_line(line, to_stderr=True)


def _read_progress(futures: Sequence[Future[Any]], cells: CellFutures, start: float) -> _Progress:
    shares, trainings = [], 0
    for folder, jobs in cells.items():
        share, stored = _read_cell(folder, jobs, start)
        shares.append(share)
        trainings += stored
    return _Progress(
        cells=len(cells),
        finished=sum(share >= 1 for share in shares),
        trainings=trainings,
        failed_jobs=sum(future.done() and future.exception() is not None for future in futures),
        share=sum(shares),
    )


def _read_cell(folder: Path, jobs: Sequence[Future[Any]], start: float) -> tuple[float, int]:
    """Share of a cell's work that is done, and the trainings it holds, from its status file."""
    try:
        status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
        trainings = int(status.get("trainings", 0))
        is_recent = status.get("time", 0) >= start
        share = status.get("done", 0) / max(1, status.get("total", 1)) if is_recent else 0.0
        says_done = status.get("state") == "done"
    except (OSError, ValueError, AttributeError, TypeError):
        return 0.0, 0
    if says_done and (is_recent or all(job.done() for job in jobs)):
        return 1.0, trainings
    return min(MAX_RUNNING_SHARE, share), trainings


def _format_minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"
