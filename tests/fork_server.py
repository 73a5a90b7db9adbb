"""Processes that need not import torch, pandas and Hydra first: a start costs a fifth.

A process with these packages, and nothing of this program, forks a child per run. The child runs a
module as ``python -m`` would: with arguments, a working directory, an environment, streams and an
exit of its own. What depends on how Python itself starts (``PYTHONWARNINGS``, ``sitecustomize``,
packages that are absent) needs a real start.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PACKAGES = (
    *("hydra", "matplotlib.figure", "omegaconf", "pandas", "plotly.graph_objects", "psutil"),
    *("pyarrow.parquet", "pydantic", "pytest", "rich", "scipy.optimize", "scipy.stats", "torch"),
    *("typer", "yaml"),
)


class ForkServer:
    """The process that forks, as seen by a test."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environment),
        )
        self.received = b""

    def run(
        self,
        module: str,
        arguments: Sequence[str],
        cwd: Path,
        environment: Mapping[str, str],
        timeout: float,
    ) -> tuple[int, str, str]:
        """Exit status, as of ``subprocess``, standard output and standard error.

        Raises :class:`subprocess.TimeoutExpired`, with the child killed.
        """
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            request = {"module": module, "arguments": list(arguments), "cwd": str(cwd)}
            request |= {"environment": dict(environment), "out": str(out), "err": str(err)}
            self._send(json.dumps(request))
            child = int(self._receive(timeout))
            try:
                status = int(self._receive(timeout))
            except subprocess.TimeoutExpired:
                os.kill(child, signal.SIGKILL)
                self._receive(timeout)
                raise
            return status, out.read_text(), err.read_text()

    def stop(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def _send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def _receive(self, timeout: float) -> bytes:
        """The next line; what came with it is kept, since ``select`` sees only what is unread."""
        assert self.process.stdout is not None
        while b"\n" not in self.received:
            readable, _, _ = select.select([self.process.stdout], [], [], timeout)
            if not readable:
                raise subprocess.TimeoutExpired(self.process.args, timeout)
            received = os.read(self.process.stdout.fileno(), 4096)
            assert received, "the fork server has ended"
            self.received += received
        line, _, self.received = self.received.partition(b"\n")
        return line


def serve() -> None:
    """Fork a child for every request on standard input.

    Returns when there are no more, and raises what a child raises, in the child.
    """
    for name in PACKAGES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if not child:
            answers.close()
            run_child(json.loads(line))
            return
        print(child, file=answers, flush=True)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, file=answers, flush=True)


def run_child(request: Mapping[str, Any]) -> None:
    """Become the process that was asked for, and run its module."""
    for number, name in ((0, os.devnull), (1, request["out"]), (2, request["err"])):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(name, flags)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    here = str(Path(__file__).parent)
    sys.path[:] = [request["cwd"], *filter(None, paths), *(p for p in sys.path if p != here)]
    sys.argv = [request["module"], *request["arguments"]]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve()
