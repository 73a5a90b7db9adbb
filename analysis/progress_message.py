"""A progress bar on standard error for what takes longer than a glance; nothing where that is no
terminal, so that logs stay short."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def track(items: Sequence[T], doing: str) -> Iterable[T]:
    """The items, with a bar that says what is being done."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track as bar

    return bar(items, doing, console=Console(stderr=True), transient=True)
