"""How the tests of the command line run it: in this process where that is enough, as a process of
its own where it is not. Every run has a folder of its own as working directory, so that what it
leaves behind can be seen."""

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.parquet
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from bfc.engine.stack_request import TrainResult
from bfc.hydra_plugins import expansion, registration
from bfc.hydra_plugins import sweeper as sweeping
from bfc.hydra_plugins.composer import Composer
from bfc.paths import CONF
from bfc.train import main

ROOT = Path(__file__).parents[1]
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


@dataclass
class Done:
    """What a run came to."""

    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The refusal, after checking that it is one sentence and nothing else."""
        lines = self.err.splitlines()
        assert self.status == 2 and len(lines) == 1 and lines[0].startswith("bfc: "), (
            self.status,
            self.err,
        )
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


def command(*arguments: str) -> list[str]:
    """What a shell would be given."""
    return [sys.executable, "-m", "bfc.train", *arguments]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process: nothing of W&B, SLURM or Hydra that the tests run under."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WANDB_", "SLURM_", "HYDRA_"))
    }
    return {**kept, "OMP_NUM_THREADS": "1", **changes}


def process(*arguments: str, cwd: Path, timeout: float = 120, **changes: str) -> Done:
    """The command line as a process."""
    cwd.mkdir(exist_ok=True)
    done = subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@cache
def _composed(choices: tuple[str, ...]) -> str:
    registration.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return json.dumps(OmegaConf.to_container(compose("config", list(choices)), resolve=True))


def container(*choices: str) -> dict:
    """A fresh copy of the composed job, as ``config.load`` takes it."""
    return json.loads(_composed(choices))


def table(folder: Path, *, drop: tuple[str, ...] = ("seconds",)) -> list[dict]:
    """The rows of one cell without the columns that may differ between runs, NaN as text so that
    rows compare."""
    with pyarrow.parquet.ParquetFile(folder / "trainings.parquet") as file:
        rows = file.read().to_pylist()
    plain = {True: "nan"}
    return [{k: plain.get(v != v, v) for k, v in row.items() if k not in drop} for row in rows]


def store(results: Path) -> dict[str, list[dict]]:
    """Cell id → rows of a whole results folder."""
    return {
        folder.name: table(folder)
        for folder in sorted(results.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    }


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder: its modification time and content."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in found
    }


def plan(*arguments: str) -> list[dict]:
    """The jobs that a sweep with these arguments launches, as containers."""
    registration.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", list(arguments), return_hydra_config=True)
        sweeper = sweeping.StudySweeper()
        sweeper.config, sweeper.loader, sweeper.launcher = (
            config,
            GlobalHydra.instance().config_loader(),
            mock.Mock(),
        )
        sweeper.launcher.launch.side_effect = lambda overrides, initial_job_idx: [
            JobReturn(overrides=o, status=JobStatus.COMPLETED) for o in overrides
        ]
        composer = Composer(sweeper.loader, config)
        with mock.patch.object(expansion, "Composer", lambda *_: composer):
            sweeper.sweep(list(arguments))
        return [
            composer.job(o) for call in sweeper.launcher.launch.call_args_list for o in call.args[0]
        ]


def same(found: Any, want: Any, rel: float = 1e-9) -> None:
    """Records, however nested, are equal up to the rounding of sums, which grows with the steps."""
    if isinstance(want, TrainResult):
        same(found.records, want.records, rel)
    elif isinstance(want, dict):
        assert found.keys() == want.keys()
        for name in want:
            same(found[name], want[name], rel)
    elif isinstance(want, (list, tuple)):
        assert len(found) == len(want)
        for one, other in zip(found, want, strict=True):
            same(one, other, rel)
    else:
        assert found == (
            pytest.approx(want, rel=rel, abs=1e-12, nan_ok=True)
            if isinstance(want, float)
            else want
        )
