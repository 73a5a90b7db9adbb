"""How far a cell is, in its status file, from where progress displays read it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from bfc.errors import UserError
from bfc.store.cells import Cell

SHORTEST_INTERVAL, LONGEST_INTERVAL, SHARE_OF_TIME = 1.0, 60.0, 0.002
"""Seconds between two writes: at least, at most, and such that writing takes this share of the
time.

Many cells may run side by side, on a slow file system."""


class CellProgress:
    """``done`` of ``total``, in replica-steps (learner) or learning curves (baseline)."""

    def __init__(self, cell: Cell, method: str) -> None:
        self.cell, self.method = cell, method
        self.done, self.total = 0, 1
        self._next_write = SHORTEST_INTERVAL

    def update(self, done: int, force: bool = False) -> None:
        """Note ``done``; written now if ``force``, else when it is due."""
        self.done = done
        start = time.monotonic()
        if not force and start < self._next_write:
            return
        with suppress(UserError):  # a display only
            self.write("running", method=self.method)
        end = time.monotonic()
        interval = min((end - start) / SHARE_OF_TIME, LONGEST_INTERVAL)
        self._next_write = end + max(SHORTEST_INTERVAL, interval)

    def write(self, state: str, **details: Any) -> None:
        self.cell.status(state, **details, done=self.done, total=self.total)
