"""What a user sees while a budget is spent: where the claims stand, what runs, the time left.

A live display on a terminal; elsewhere plain lines, so that a log file stays short.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from analysis.progress_message import hide_bars
from bfc.durations import format_duration

LINE_SECONDS = 15.0
"""Between two lines about the status where the output is not a terminal."""


@dataclass(frozen=True)
class BudgetStatus:
    """Where the claims stand."""

    decided: int
    undecided: int
    """Looked at, and something runs for them or may be run."""
    stuck: int
    """Not decided, and nothing that could be run is likely to decide them."""
    unseen: int
    """Before their first look."""
    running: tuple[str, ...]
    """What runs or waits for a core."""
    seconds_left: float

    def __str__(self) -> str:
        parts = [
            f"{self.decided} decided",
            f"{self.undecided} undecided",
            f"{self.stuck} cannot be decided now",
        ]
        if self.unseen:
            parts.append(f"{self.unseen} not looked at yet")
        return ", ".join(parts)


class Display(Protocol):
    """What the spending of a budget is shown on."""

    def announce(self, text: str) -> None:
        """Something has happened."""
        ...

    def show(self, status: BudgetStatus) -> None:
        """This is how things stand."""
        ...


def format_seconds_left(seconds: float) -> str:
    """The time that is left, for a reader."""
    return "any time" if math.isinf(seconds) else format_duration(max(0.0, seconds))


class LineDisplay:
    """Plain lines: what happens at once, the status now and then."""

    def __init__(
        self,
        write: Callable[[str], None] = lambda line: print(line, flush=True),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._clock = write, clock
        self._last_line = -math.inf
        self._last_status = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def announce(self, text: str) -> None:
        self._write(text)

    def show(self, status: BudgetStatus) -> None:
        if self._clock() - self._last_line >= LINE_SECONDS and str(status) != self._last_status:
            self._last_line, self._last_status = self._clock(), str(status)
            left = format_seconds_left(status.seconds_left)
            running = "; ".join(dict.fromkeys(status.running)) or "nothing"
            self._write(f"{status}; runs: {running}; {left} left")


class LiveDisplay:
    """A table at the bottom of a terminal, below the lines about what happens."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, transient=True, refresh_per_second=2)
        self._without_bars = ExitStack()

    def __enter__(self) -> Self:
        self._without_bars.enter_context(hide_bars())
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        self._without_bars.close()

    def announce(self, text: str) -> None:
        self._live.console.print(text, markup=False, highlight=False)

    def show(self, status: BudgetStatus) -> None:
        self._live.update(draw_status(status))


def draw_status(status: BudgetStatus) -> Group:
    """The counts of claims in a row, and below it what runs, as many lines as there are moves."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name in ("decided", "undecided", "cannot be decided", "not looked at", "time left"):
        table.add_column(name, justify="right")
    counts = (status.decided, status.undecided, status.stuck, status.unseen)
    table.add_row(*map(str, counts), format_seconds_left(status.seconds_left))
    moves = Counter(status.running)
    lines = [name if count == 1 else f"{name} ({count} moves)" for name, count in moves.items()]
    running = Text("\n".join(lines) or "nothing", overflow="ellipsis", no_wrap=True)
    return Group(table, Text("running:"), running)


def make_display(console: Console) -> LiveDisplay | LineDisplay:
    """The display that suits an output."""
    return LiveDisplay(console) if console.is_terminal else LineDisplay()
