"""How the tests of the command line run it.

In this process where that is enough, as a process of its own where it is not. Every run has its own
working directory, so that what it leaves behind can be seen.
"""

import atexit
import contextlib
import hashlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pyarrow.parquet
import pytest
import yaml
from fork_server import ForkServer
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from temporary_folder import FOLDER_VARIABLE
from typer.testing import CliRunner

from bfc.cli import application
from bfc.engine.stack_request import TrainResult
from bfc.errors import UserError
from bfc.hydra_plugins import expansion, registration
from bfc.hydra_plugins.composer import Composer
from bfc.launch.job import PlannedJob
from bfc.paths import CONF
from bfc.train import main

ROOT = Path(__file__).parents[1]
MAX_SECONDS = 600.0
"""For which a test waits for anything; only a fault takes so long."""
POLL_SECONDS = 0.02
TINY = (
    "target.d=4",
    "schedule.steps=20",
    "schedule.check_every=10",
    "optimizer.warmup=2",
    "optimizer.batch=8",
    "measure.seeds=2",
    "measure.n=[16,32]",
    "measure.test=64",
    "measure.confirm=0",
    "probe=none",
    "compute.device=cpu",
)
"""A cell of four trainings that takes a tenth of a second."""
KERNEL = ("learner=none", "baseline=rbf", "baseline.n_max=48", "baseline.bandwidth=1e8")
"""So wide a kernel is singular where baseline.ridge=0."""


@dataclass
class Done:
    """The outcome of a run."""

    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The refusal, after checking that it is one sentence and nothing else."""
        lines = self.err.splitlines()
        is_refusal = len(lines) == 1 and lines[0].startswith("bfc: ")
        assert self.status == 2 and is_refusal, (self.status, self.err)
        assert not self.out, self.out
        return lines[0].removeprefix("bfc: ")


def run(*arguments: str, cwd: Path) -> Done:
    """The command line in this process."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    cwd.mkdir(exist_ok=True)
    with (
        mock.patch.object(sys, "argv", ["bfc-train", *arguments]),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stopped:
            status = stopped.code or 0
    return Done(status, out.getvalue(), err.getvalue())


def bfc(*arguments: str, cwd: Path) -> tuple[int, str]:
    """A ``bfc`` command in this process: its exit status and everything it printed."""
    with contextlib.chdir(cwd):
        result = CliRunner().invoke(application(), list(arguments))
    if isinstance(result.exception, UserError):
        return 2, str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def command(*arguments: str) -> list[str]:
    """The command line as a shell would be given it."""
    return [sys.executable, "-m", "bfc.train", *arguments]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process: nothing of W&B, SLURM or Hydra that the tests run under."""
    prefixes = ("WANDB_", "SLURM_", "HYDRA_")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}
    return {**inherited, "OMP_NUM_THREADS": "1", **changes}


def process(*arguments: str, cwd: Path, **changes: str) -> Done:
    """The command line as a process."""
    return process_of("bfc.train", *arguments, cwd=cwd, **changes)


def process_of(module: str, *arguments: str, cwd: Path, **changes: str) -> Done:
    """A module as a process: a fork of one that has imported what takes long to import."""
    cwd.mkdir(exist_ok=True)
    return Done(*fork_server().run(module, arguments, cwd, environment(**changes), MAX_SECONDS))


@cache
def fork_server() -> ForkServer:
    """The fork server of this process; it ends with it."""
    server = ForkServer({k: v for k, v in environment().items() if k != "PYTHONPATH"})
    atexit.register(server.stop)
    return server


def real_process(*arguments: str, cwd: Path, **changes: str) -> Done:
    """The command line as a process that a shell would start, with Python's own start."""
    cwd.mkdir(exist_ok=True)
    done = subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def heed_interrupts() -> None:
    """Undo what a shell does to processes in the background: they, and what they start, ignore
    interrupts, so a suite that runs there could interrupt nothing."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def running(*arguments: str, cwd: Path, **changes: str) -> Iterator[subprocess.Popen[str]]:
    """The command line as a process in a session of its own, which ends with the block."""
    cwd.mkdir(exist_ok=True)
    with subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    ) as started:
        try:
            yield started
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)


def wait_until(
    condition: Callable[[], object], running_process: subprocess.Popen[str] | None = None
) -> None:
    """Return when ``condition`` holds, however busy the machine is.

    Fails where the process that should bring it about ends before.
    """
    end = time.monotonic() + MAX_SECONDS
    while not condition():
        ended = running_process is not None and running_process.poll() is not None
        assert not ended or condition(), "the process ended before"
        assert time.monotonic() < end, f"not within {MAX_SECONDS} s"
        time.sleep(POLL_SECONDS)


def stop_at_checkpoints(folder: Path, count: int, name: str = "checkpoint.pt") -> dict[str, str]:
    """Environment of a process that stops itself (SIGSTOP) once ``count`` checkpoints are there.

    It stops when it is about to write its next one, and only the first process that gets so far
    does. Python reads sitecustomize.py when it starts and reports every rename to audit hooks.
    ``name``: of the files that count as checkpoints.
    """
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(STOP_AT_CHECKPOINTS.format(count=count, name=name))
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}


STOP_AT_CHECKPOINTS = """
import os, pathlib, signal, sys

written = set()
marker = pathlib.Path(__file__).with_name("stopped")

def stop(event, arguments):
    if event != "os.rename" or not str(arguments[1]).endswith({name!r}):
        return
    if len(written) == {count} and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    written.add(str(arguments[1]))

sys.addaudithook(stop)
"""


def workers(launcher: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes of a sweep on this machine."""
    workers_alive = []
    for child in psutil.Process(launcher.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            if "spawn_main" in " ".join(child.cmdline()):
                workers_alive.append(child)
    return workers_alive


def has_stopped(process: psutil.Process) -> bool:
    """Whether a process is stopped by SIGSTOP."""
    return process.status() == psutil.STATUS_STOPPED


@cache
def _composed(choices: tuple[str, ...]) -> str:
    """The composed job as JSON; what one worker of a run has composed, the others read."""
    if FOLDER_VARIABLE not in os.environ:
        return _compose(choices)
    key = json.dumps([str(CONF), *choices])
    file = Path(os.environ[FOLDER_VARIABLE], "composed", hashlib.sha256(key.encode()).hexdigest())
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        written = file.with_suffix(f".{os.getpid()}")
        written.write_text(_compose(choices))
        written.replace(file)
    return file.read_text()


def _compose(choices: Sequence[str]) -> str:
    registration.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return json.dumps(OmegaConf.to_container(compose("config", list(choices)), resolve=True))


def container(*choices: str) -> dict:
    """A fresh copy of the composed job, as ``load_job`` takes it."""
    return json.loads(_composed(choices))


def table(folder: Path, *, drop: tuple[str, ...] = ("seconds",)) -> list[dict]:
    """The rows of one cell without the columns that may differ between runs, NaN as text so that
    rows compare."""
    with pyarrow.parquet.ParquetFile(folder / "trainings.parquet") as file:
        rows = file.read().to_pylist()
    return [{k: _comparable(v) for k, v in row.items() if k not in drop} for row in rows]


def _comparable(value: Any) -> Any:
    is_nan = isinstance(value, float) and math.isnan(value)
    return "nan" if is_nan else value


def store(results: Path) -> dict[str, list[dict]]:
    """Cell id → rows of a whole results folder."""
    return {
        folder.name: table(folder)
        for folder in sorted(results.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    }


def good(results: Path) -> dict[str, list[dict]]:
    """Cell id → rows of the cells of a results folder that have stored something."""
    folders = sorted(results.iterdir())
    return {p.name: table(p) for p in folders if (p / "trainings.parquet").exists()}


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder: its modification time and content."""
    contents = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(folder))
            contents[name] = (path.stat().st_mtime_ns, path.read_bytes())
    return contents


def plan(*arguments: str) -> list[dict]:
    """The jobs that a sweep with these arguments launches, as composed containers."""
    (planned,) = plan_sweeps([arguments])
    return [dict(job.container) for job in planned]


def plan_sweeps(sweeps: Sequence[Sequence[str]]) -> list[list[PlannedJob]]:
    """The jobs of several sweeps, each given by its arguments.

    The sweeps share one composer, which composes every choice of options once.
    """
    registration.register()
    jobs = []
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        composer = Composer(loader, compose("config", return_hydra_config=True))
        for arguments in sweeps:
            config = compose("config", list(arguments), return_hydra_config=True)
            with mock.patch.object(expansion, "Composer", lambda *_: composer):
                jobs.append(expansion.expand_study(config, loader, (), arguments))
    return jobs


def assert_same_records(actual: Any, expected: Any, rel: float = 1e-9) -> None:
    """Nested records are equal up to the rounding of sums, which grows with the steps."""
    if isinstance(expected, TrainResult):
        assert_same_records(actual.records, expected.records, rel)
    elif isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for name in expected:
            assert_same_records(actual[name], expected[name], rel)
    elif isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected)
        for actual_item, expected_item in zip(actual, expected, strict=True):
            assert_same_records(actual_item, expected_item, rel)
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, rel=rel, abs=1e-12, nan_ok=True)
    else:
        assert actual == expected


def cell_folder(results: Path, kind: str) -> Path:
    """The folder of the one cell of a kind."""
    [folder] = [
        path
        for path in results.iterdir()
        if yaml.safe_load((path / "config.yaml").read_text())["kind"] == kind
    ]
    return folder
