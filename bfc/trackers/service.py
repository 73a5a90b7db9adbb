"""The tracker service as its caller sees it: a process that shows runs, asked through pipes.

It is a process of its own so that an error, a kill or a server that never answers cannot reach the
process that trains.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import IO

import psutil

from bfc.trackers.protocol import Answer, ShowRequest

MODULE = "bfc.application.tracker_service"
"""What the process runs; it stands above this package and is started by name."""


class ServiceError(Exception):
    """The service ended, failed or was too slow; the message completes "tracker ..."."""


class Service:
    """One service process and the requests that it has not answered yet."""

    def __init__(self) -> None:
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            start_new_session=True,
            bufsize=0,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._input: IO[bytes] = self.process.stdin
        self._output: IO[bytes] = self.process.stdout
        self._buffer = b""
        self.owner = os.getpid()
        self.pending = 0

    def send(self, request: ShowRequest) -> None:
        """Send a request; requests are answered in order."""
        try:
            self._input.write(request.to_json().encode() + b"\n")
        except OSError as error:
            raise ServiceError(self._explain_exit()) from error
        self.pending += 1

    def receive(self, seconds: float) -> Answer | None:
        """The next answer; None if there is none within ``seconds``."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            time_left = max(0.0, deadline - time.monotonic())
            readable, _, _ = select.select([self._output], [], [], time_left)
            if not readable:
                return None
            chunk = os.read(self._output.fileno(), 65536)
            if not chunk:
                raise ServiceError(self._explain_exit())
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        self.pending -= 1
        return Answer.from_json(line)

    def close(self, seconds: float = 10.0) -> None:
        """Let the process end by itself, which it does when its input ends."""
        with suppress(OSError, subprocess.TimeoutExpired):
            self._input.close()
            self.process.wait(seconds)
        self.stop()

    def stop(self) -> None:
        """End the process at once, with everything that the tracker has started.

        It is suspended first, so that it starts nothing after its children are listed.
        """
        with suppress(psutil.Error):
            process = psutil.Process(self.process.pid)
            process.suspend()
            for child in process.children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
        self.process.kill()
        self._close_streams()

    def _explain_exit(self) -> str:
        """How the process ended, with the last line that it wrote."""
        status = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        self._close_streams()
        last_line = f" ({lines[-1]})" if lines else ""
        return f"ended with status {status}{last_line}"

    def _close_streams(self) -> None:
        self.process.wait()
        for stream in (self._input, self._output, self.errors):
            with suppress(OSError):
                stream.close()
