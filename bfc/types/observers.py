"""What hears how a cell gets on: an observer within the job, a tracker outside it."""

from __future__ import annotations

from typing import Protocol

from bfc.component import Component
from bfc.snapshot import Snapshot


class Observer(Protocol):
    """Hears how a cell gets on; whatever it does costs the view only, never a number."""

    def started(self) -> None:
        """The cell is about to train."""
        ...

    def stored(self) -> None:
        """New rows are stored."""
        ...

    def ended(self, error: BaseException | None) -> None:
        """The cell has ended, with ``error`` if it failed or was stopped."""
        ...


class Tracker(Component, Protocol, config_key="tracker"):
    """Shows cells and studies somewhere, each from a finished :class:`bfc.snapshot.Snapshot`.

    Trackers never own results, run in a process of their own
    (:mod:`bfc.application.tracker_service`), and take no keys: their libraries find those.
    """

    project: str
    """The project of runs whose study names none."""
    live: bool
    """Whether a cell is also shown while it runs."""
    patience: float
    """Seconds that a job waits for a snapshot to be shown."""

    def check(self) -> None:
        """Refuse where what this tracker needs is not installed."""
        ...

    def destination(self, study: str | None) -> str | None:
        """Where the runs of a study go, as a name; None where nothing is to be shown."""
        ...

    def show(self, snapshot: Snapshot) -> str | None:
        """Bring one run up to its snapshot, and end it unless the cell still runs.

        Returns an address or a path. Whatever it raises costs the view only.
        """
        ...

    def close(self) -> None:
        """End the runs of cells that will not be shown any more."""
        ...
