"""A progress bar on standard error for steps that take a while.

Nothing where standard error is no terminal, so that logs stay short.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def track(items: Sequence[T], description: str) -> Iterable[T]:
    """The items, with a bar that shows what is being done."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track as track_with_bar

    return track_with_bar(items, description, console=Console(stderr=True), transient=True)
