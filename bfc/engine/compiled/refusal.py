"""Why a step is not compiled."""

from __future__ import annotations


class CannotCompile(Exception):
    """A step has no compiled form; the message is the reason, a clause that reads after 'since'."""
