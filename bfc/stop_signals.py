"""How a running cell is asked to stop.

A signal only leaves a note, which the run reads between two chunks of a training, where it can
write a checkpoint. A handler that acted at once could store a half-stepped stack. This module
imports nothing heavy, since a cluster may send its signal while torch is still being imported.
"""

from __future__ import annotations

import signal
from types import FrameType

from bfc.streams import print_line

REQUEUE = (signal.SIGUSR1, signal.SIGUSR2)
"""Sent some time before a time limit or a preemption; the job should then ask to be run again."""


class Stopped(BaseException):
    """A cell stopped because it was asked to; what it had done is in its checkpoint.

    It is not an error, hence no :class:`Exception`.
    """


_received: list[int] = []


def install_handlers() -> None:
    """Note the signals of a scheduler from now on; to be called in the main thread."""
    for number in (*REQUEUE, signal.SIGTERM):
        signal.signal(number, _note)


def stop_requested() -> int | None:
    """The first signal that asked to stop, None so far."""
    return _received[0] if _received else None


def raise_if_requested() -> None:
    """Raise :class:`Stopped` if a signal has asked for it."""
    if _received:
        raise Stopped(signal.Signals(_received[0]).name)


def _note(number: int, _: FrameType | None) -> None:
    print_line(f"{signal.Signals(number).name}: stops at the next checkpoint")
    _received.append(number)
