"""How far a job or a sweep is, on standard error: a bar on a terminal, elsewhere a line now and
then, so that a log file stays short. It only reads what the cells' status files say, so that
watching costs the work nothing."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LINE_SECONDS = 15.0
"""Between two lines where the output is not a terminal."""


@contextmanager
def shown(folders: Sequence[Path]) -> Iterator[None]:
    """Show how far the cells in these folders are while this process works on them; what is over
    soon says nothing."""
    done: Future[None] = Future()
    display = threading.Thread(
        target=follow, args=([done], {folder: [done] for folder in folders}, True), daemon=True
    )
    display.start()
    try:
        yield
    finally:
        done.set_result(None)
        display.join()


def follow(
    futures: Sequence[Future[Any]], cells: Mapping[Path, Sequence[Future[Any]]], brief: bool = False
) -> None:
    """Show cells done, the share of all work done and the time left until every future has ended;
    ``brief``: without a last line."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    began, told = time.time(), time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    terminal = sys.stderr.isatty()
    console, together = (
        Console(stderr=True),
        sys.stdout.isatty(),
    )  # lines that go elsewhere must not be drawn above the bar
    with Progress(
        *columns, console=console, disable=not terminal, transient=True, redirect_stdout=together
    ) as progress:
        bar = progress.add_task("", total=len(cells))
        while True:
            pending = wait(futures, timeout=1.0).not_done
            shares = [_share(folder, mine, began) for folder, mine in cells.items()]
            share, finished = sum(s for s, _ in shares), sum(s >= 1 for s, _ in shares)
            trainings = sum(count for _, count in shares)
            failed = sum(future.done() and future.exception() is not None for future in futures)
            text = f"{finished}/{len(cells)} cells, {trainings} trainings stored{f', {failed} jobs failed' if failed else ''}"
            progress.update(bar, completed=share, description=text)
            if not terminal and (
                (not pending and not brief) or time.monotonic() - told >= LINE_SECONDS
            ):
                told = time.monotonic()
                left = (
                    f", about {_minutes((time.time() - began) * (len(cells) - share) / share)} left"
                    if pending and share > 0
                    else ""
                )
                print(
                    f"{text}, {100 * share / len(cells):.0f} % after {_minutes(time.time() - began)}{left}",
                    file=sys.stderr,
                    flush=True,
                )
            if not pending:
                return


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


def _share(folder: Path, futures: Sequence[Future[Any]], began: float) -> tuple[float, int]:
    """Share of a cell's work that is done, and the trainings it holds, from its status file."""
    try:
        status = json.loads((folder / "status.json").read_text())
        count, told = int(status.get("trainings", 0)), status.get("time", 0) >= began
        done = status.get("state") == "done" and (told or all(future.done() for future in futures))
        part = status.get("done", 0) / max(1, status.get("total", 1)) if told else 0.0
    except (OSError, ValueError, AttributeError, TypeError):
        return 0.0, 0
    return 1.0 if done else min(0.99, part), count
