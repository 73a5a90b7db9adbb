"""A progress bar on standard error for steps that take a while.

Nothing where standard error is no terminal, so that logs stay short, nor while something else
draws on the terminal: two that move its cursor write over each other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
_is_silent: ContextVar[bool] = ContextVar("_is_silent", default=False)


@contextmanager
def hide_bars() -> Iterator[None]:
    """Show no bar while the block runs."""
    token = _is_silent.set(True)
    try:
        yield
    finally:
        _is_silent.reset(token)


def track(items: Sequence[T], description: str) -> Iterable[T]:
    """The items, with a bar that shows what is being done."""
    if _is_silent.get() or not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track as track_with_bar

    return track_with_bar(items, description, console=Console(stderr=True), transient=True)
