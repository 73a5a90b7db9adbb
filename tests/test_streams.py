"""Where nobody reads what is printed, or a character cannot be shown, results are the same.

Kinds of standard output against what prints: a line of a cell, a whole process, a command.
"""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import KERNEL, TINY, bfc, container, environment, store

from bfc import stop_signals
from bfc.cli import main as cli_main
from bfc.experiment.job import load_job
from bfc.experiment.run_job import run_job
from bfc.streams import print_line

TEXT = "n* ∝ d^1.3 — ε = 0.1"


def broken_pipe() -> io.TextIOBase:
    reading, writing = os.pipe()
    os.close(reading)
    return open(writing, "w", encoding="utf-8")


def full_disk() -> io.TextIOBase:
    return open("/dev/full", "w", encoding="utf-8")


def closed_file() -> io.TextIOBase:
    stream = open(os.devnull, "w")
    stream.close()
    return stream


def latin() -> io.TextIOBase:
    return io.TextIOWrapper(io.BytesIO(), encoding="latin-1", errors="strict")


def plain_ascii() -> io.TextIOBase:
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")


SINKS = {
    "broken pipe": broken_pipe,
    "full disk": full_disk,
    "closed": closed_file,
    "latin-1": latin,
    "ascii": plain_ascii,
    "none": lambda: None,
}


@pytest.fixture(params=SINKS)
def sink(request) -> Iterator[Any]:
    """A stream that does not take everything; what it still holds is dropped at the end."""
    stream = SINKS[request.param]()
    yield stream
    if stream is not None and not stream.closed:
        with contextlib.suppress(OSError):
            stream.close()


@contextlib.contextmanager
def printing_to(stream: Any) -> Iterator[None]:
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        yield


def test_the_sinks_are_what_they_are_called(sink) -> None:
    """Otherwise the tests below would prove nothing."""
    if sink is not None:
        with pytest.raises((OSError, ValueError)):
            print(TEXT, file=sink, flush=True)


def test_a_line_is_shown_as_far_as_it_can_be(sink) -> None:
    with printing_to(sink):
        print_line(TEXT)
        print_line(TEXT, to_stderr=True)
    if isinstance(sink, io.TextIOWrapper) and isinstance(sink.buffer, io.BytesIO):
        lines = sink.buffer.getvalue().decode(sink.encoding).splitlines()
        assert lines == ["n* ? d^1.3 ? ? = 0.1"] * 2


def test_both_cells_of_a_job_are_stored_whoever_reads(sink, tmp_path) -> None:
    overrides = [*TINY, *(text for text in KERNEL if text != "learner=none")]
    job = load_job({**container(*overrides), "results": str(tmp_path)})
    with printing_to(sink):
        cells = run_job(job)
    assert sorted(store(tmp_path)) == sorted(cells) and len(cells) == 2


def test_a_signal_is_noted_though_its_line_cannot_be_printed(sink, monkeypatch) -> None:
    monkeypatch.setattr(stop_signals, "_received", [])
    with printing_to(sink):
        stop_signals._note(10, None)
    assert stop_signals.stop_requested() == 10


PROGRAM = f"""
import sys
from bfc.streams import secure_streams
secure_streams()
with open("file", "w", encoding="utf-8") as file:
    file.write("whole")
    print({TEXT!r})
    print({TEXT!r}, file=sys.stderr)
    sys.stdout.flush()
    assert file.fileno() > 2, "no file is taken for standard output"
assert not sys.stdin.isatty()
open("done", "w").close()
"""
REDIRECTIONS = {
    ">&-": None,
    "2>&-": TEXT.encode(),
    ">&- 2>&- <&-": None,
    ">/dev/full 2>/dev/full": None,
    "2>/dev/null": TEXT.encode(),
}


@pytest.mark.parametrize("redirection", REDIRECTIONS)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_process_ends_well_whatever_its_streams_are(
    redirection: str, encoding: str, tmp_path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        ["sh", "-c", f'"$0" program.py {redirection}', sys.executable],
        cwd=tmp_path,
        env=environment(PYTHONIOENCODING=encoding, PYTHONPATH=path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert done.returncode == 0 and (tmp_path / "done").exists()
    assert (tmp_path / "file").read_text() == "whole"
    expected = REDIRECTIONS[redirection]
    if expected is not None:
        shown = expected if encoding == "utf-8" else b"n* ? d^1.3 ? ? = 0.1"
        assert done.stdout.splitlines() == [shown]


def test_a_process_whose_reader_has_gone_ends_well(tmp_path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.replace("print(", "print('x' * 10**6 + "))
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=path),
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=writing,
    )
    os.close(writing)
    assert done.returncode == 0 and (tmp_path / "done").exists()


def test_every_entry_point_secures_its_streams_first(monkeypatch) -> None:
    """What is printed before would not be safe; the command line stands for all."""

    class Secured(Exception):
        pass

    def note() -> None:
        raise Secured

    modules = {
        "bfc.cli": lambda module: module.main(),
        "bfc.train": lambda module: module.main(),
        "analysis.report": lambda module: module.main([]),
        "bfc.launch.worker_pool": lambda module: module.serve_jobs(None, 0, None, None),
        "bfc.launch.local": lambda module: module.run_detached("", 0),
        "bfc.launch.slurm.task": lambda module: module.SlurmTask("", (), 0)(),
        "bfc.launch.finalise": lambda module: module.Finalise("")(),
    }
    monkeypatch.setattr(stop_signals, "install_handlers", lambda: None)
    for name, start in modules.items():
        module = __import__(name, fromlist=["main"])
        monkeypatch.setattr(module, "secure_streams", note)
        with pytest.raises(Secured):
            start(module)
    assert cli_main.__module__ == "bfc.cli"


def test_a_command_prints_to_a_stream_that_knows_no_greek(tmp_path, monkeypatch) -> None:
    """The tables of a report have ε and ∝ in them."""
    run_job(load_job({**container(*TINY), "results": str(tmp_path / "results")}))
    status, out = bfc("report", "results", cwd=tmp_path)
    assert status == 0 and "ε" in out, "otherwise nothing is shown by the tests above"
