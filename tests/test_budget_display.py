"""The live display of a budget on a terminal, as an emulated one shows it."""

from __future__ import annotations

import math
import os
import pty
import subprocess
import sys
import time

import pyte
import pytest
from commands import ROOT

SCRIPT = """
import sys, time
from analysis.progress_message import track
from analysis.report_text import make_console
from bfc.application.budget_display import BudgetStatus, make_display

with make_display(make_console()) as display:
    display.announce("depth_floor: reproduced: " + "a long sentence " * 9)
    for decided in (1, 2):
        moves = ("bfc_robust, more seeds",) * 2 + ("bfc_deep, first look",)
        display.show(BudgetStatus(decided, 70, 3, 61, moves, 1500.0))
        for number in track(range(50), "estimating n*"):
            time.sleep(0.02)
            if (decided, number) == (2, 40):
                sys.stdin.readline()
print("end of the budget")
"""
SETTLING_SECONDS = 2.0
"""The display is drawn anew twice in a second."""
COLUMNS, LINES = 60, 24


class Terminal:
    """An emulated terminal, and all that it has shown."""

    def __init__(self) -> None:
        self.leader, self.follower = pty.openpty()
        self.history: list[str] = []
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    def show_until(self, text: str | None) -> None:
        """Show what is written until a text has been there for a while, or all of it."""
        seen_since = math.inf
        while time.monotonic() - seen_since < SETTLING_SECONDS:
            try:
                block = os.read(self.leader, 1 << 16)
            except OSError:  # the process has ended
                return
            self._stream.feed(block)
            self.history.append("\n".join(self.lines))
            if text is not None and text in self.history[-1]:
                seen_since = min(seen_since, time.monotonic())


@pytest.fixture(scope="module")
def screens() -> tuple[list[str], list[str], list[str]]:
    """What a terminal shows while the display is up, after it, and every screen before."""
    terminal = Terminal()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=subprocess.PIPE,
        stdout=terminal.follower,
        stderr=terminal.follower,
        cwd=ROOT,
        env=environment,
    )
    os.close(terminal.follower)
    terminal.show_until("bfc_deep, first look")
    during = terminal.lines
    process.communicate(b"\n", timeout=60)
    terminal.show_until(None)
    os.close(terminal.leader)
    return during, terminal.lines, terminal.history


def test_there_is_one_table_below_what_has_happened(screens) -> None:
    during, _, _ = screens
    text = "\n".join(during)
    assert text.count("time left") == 1
    assert text.index("depth_floor: reproduced") < text.index("time left")
    (counts,) = [line.split() for line in during if "25 min" in line]
    assert counts[:4] == ["2", "70", "3", "61"]
    assert "bfc_robust, more seeds (2 moves)" in during and "bfc_deep, first look" in during


def test_no_line_is_wider_than_the_terminal_or_cut(screens) -> None:
    during, _, _ = screens
    assert " ".join(during).count("a long sentence") >= 7, "sentences are wrapped between words"


def test_no_bar_of_a_step_is_drawn_over_it(screens) -> None:
    *_, history = screens
    assert len(history) > 2 and not any("estimating" in shown for shown in history)


def test_nothing_of_it_is_left_behind(screens) -> None:
    _, after, _ = screens
    lines = [line for line in after if line]
    assert lines[-1] == "end of the budget" and "depth_floor: reproduced" in lines[0]
    assert not any("time left" in line or "running" in line for line in lines)
