"""A tracker that cannot hurt: whatever a tracker raises costs its view of one cell and a printed line, never a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class Guarded:
    """Passes calls on to ``tracker`` (None: nowhere) until one of them fails."""

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker

    def call(self, what: str, arguments: Callable[[], tuple[Any, ...]]) -> None:
        """Call a method of the tracker; ``arguments`` gives what it is called with, and is itself only called if there is one."""
        if self._tracker is None:
            return
        try:
            getattr(self._tracker, what)(*arguments())
        except Exception as error:
            self._tracker = None
            first = (str(error).splitlines() or [""])[0]
            print(f"tracker failed in {what} ({type(error).__name__}: {first}); this cell goes on without it, results are stored as always",
                  flush=True)

    def open(self, cell_id: str, config: Mapping[str, Any], resumed: bool) -> None:
        self.call("open", lambda: (cell_id, config, resumed))

    def log(self, values: Mapping[str, float]) -> None:
        self.call("log", lambda: (values,))
