"""The settings that every tracker has, checked alike."""

from __future__ import annotations

from bfc.errors import require
from bfc.types import Tracker

LONGEST_PATIENCE = 86400.0
"""A day, in seconds."""


def check_shared_settings(tracker: Tracker) -> None:
    """Refuse a tracker without a project's name, or whose patience is no number of seconds."""
    require(bool(tracker.project.strip()), "tracker.project", tracker.project, "a project name")
    require(
        0 < tracker.patience <= LONGEST_PATIENCE,
        "tracker.patience",
        tracker.patience,
        "a number of seconds > 0, at most a day",
    )
