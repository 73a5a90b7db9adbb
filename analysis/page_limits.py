"""How much a page shows, kept apart so that the help of a command can say it without pandas."""

from __future__ import annotations

MAX_SHOWN_CELLS = 500
"""Cells that a page shows unless it is asked for another number."""
