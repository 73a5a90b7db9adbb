"""Times in words, as plans, displays and tables show them."""

from __future__ import annotations


def format_prediction(seconds: float) -> str:
    """Predicted seconds: ``about 40 s``, or ``under 1 s``."""
    duration = format_duration(seconds)
    return duration if duration.startswith("under") else f"about {duration}"


def format_duration(seconds: float) -> str:
    """Seconds for readers: ``under 1 s``, ``40 s``, ``12 min``, ``3.4 h``."""
    if 0 < seconds < 1:
        return "under 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
