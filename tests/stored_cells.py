"""Two measured cells, which the tests of the store damage, and a disk that is full."""

import errno
import os
import subprocess
from pathlib import Path

import yaml
from commands import TINY, run


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


BOTH = (
    *TINY,
    "baseline=polynomial",
    "baseline.n_max=64",
    "baseline.tuning_draws=1",
    "measure.n=16",
    "measure.seeds=1",
)


def measure_both(folder: Path) -> Path:
    """The folder, after the learner's and the baseline's cell were measured there."""
    assert run(*BOTH, cwd=folder).status == 0
    return folder


def copy_of(folder: Path, to: Path) -> dict[str, Path]:
    """A copy of a folder's results; kind → cell folder."""
    subprocess.run(["cp", "-a", str(folder / "results"), str(to)], check=True)
    return {
        yaml.safe_load((p / "config.yaml").read_text())["kind"]: p
        for p in (to / "results").iterdir()
    }
