"""Standard output and error that never decide about results.

What reads the output of a program may be gone (``| head``), closed (``>&-``), full, or unable to
show a character. Results are stored all the same, so nothing that is printed may raise.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from typing import TextIO

STANDARD_DESCRIPTORS = (0, 1, 2)


def print_line(text: str, to_stderr: bool = False) -> None:
    """Print a line at once; where nobody can read it, it is dropped."""
    stream = sys.stderr if to_stderr else sys.stdout
    if stream is None:  # closed before Python began
        return
    try:
        print(text, file=stream, flush=True)
    except UnicodeEncodeError as error:
        plain = text.encode(error.encoding, "replace").decode(error.encoding)
        with contextlib.suppress(OSError, ValueError):
            print(plain, file=stream, flush=True)
    except (OSError, ValueError, RuntimeError):  # no reader, a closed stream, or a signal's handler
        return


def secure_streams() -> None:
    """Make the standard streams of this process safe to print to; entry points call it first.

    Closed ones are replaced by nothing, so that no file opened later is taken for standard output.
    Streams that something else has put in place, such as a notebook's, are left alone.
    """
    _open_closed_descriptors()
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = _secure(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _secure(sys.stderr, sys.__stderr__, 2)


def _open_closed_descriptors() -> None:
    for descriptor in STANDARD_DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            os.set_inheritable(descriptor, True)


def _secure(stream: TextIO | None, original: TextIO | None, descriptor: int) -> TextIO:
    """A stream to the same place that drops what cannot be written."""
    if stream is not None and stream is not original:
        return stream
    if stream is not None:
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_DroppingWriter(descriptor)),
        encoding=stream.encoding if stream is not None else "utf-8",
        errors="replace",
        line_buffering=descriptor == 2 or os.isatty(descriptor),
        write_through=isinstance(stream, io.TextIOWrapper) and stream.write_through,
    )


class _DroppingWriter(io.RawIOBase):
    """Writes to a descriptor; what it does not take is dropped."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        position = 0
        while position < len(view):
            try:
                position += os.write(self._descriptor, view[position:])
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError:  # the reader is gone, or the disk is full
                break
        return len(view)
