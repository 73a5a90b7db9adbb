"""How a running cell is asked to stop: a signal only leaves a note, which the run reads between two
chunks of a training, where it can write a checkpoint. A handler that acted at once could store a
half-stepped stack. Imports nothing heavy, since a cluster may send its signal while torch is still
being imported."""

from __future__ import annotations

import signal
from types import FrameType

REQUEUE = (signal.SIGUSR1, signal.SIGUSR2)
"""Sent some time before a time limit or a preemption: whoever gets one should ask to be run again.
"""


class Stopped(BaseException):
    """A cell stopped because it was asked to; what it had done is in its checkpoint. Not an error,
    hence no :class:`Exception`."""


_asked: list[int] = []


def install_handlers() -> None:
    """Take notes of the signals of a scheduler from now on; main thread only."""
    for number in (*REQUEUE, signal.SIGTERM):
        signal.signal(number, _note)


def stop_requested() -> int | None:
    """The first signal that asked to stop, None so far."""
    return _asked[0] if _asked else None


def raise_if_requested() -> None:
    """Raise :class:`Stopped` if a signal has asked for it."""
    if _asked:
        raise Stopped(signal.Signals(_asked[0]).name)


def _note(number: int, _: FrameType | None) -> None:
    print(f"{signal.Signals(number).name}: stops at the next checkpoint", flush=True)
    _asked.append(number)
