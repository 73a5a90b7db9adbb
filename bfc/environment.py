"""Where a number is made.

The device that is asked for, and what is stored beside every result: versions, commit, uncommitted
changes and hardware.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bfc.errors import UserError

if TYPE_CHECKING:
    import torch

PACKAGES = (
    "torch",
    "numpy",
    "hydra-core",
    "omegaconf",
    "submitit",
    "wandb",
    "pandas",
    "pyarrow",
    "matplotlib",
)
MAX_DIFF = 200_000
"""Characters of uncommitted changes that are stored."""
ORIGIN = "origin.json"
"""The file beside a copy of the package (:mod:`bfc.launch.code_copy`) with its commit and changes.
"""
SLURM = ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID", "RESTART_COUNT", "JOB_PARTITION", "JOB_NAME")
SECRET = re.compile(r"(API_?KEY|TOKEN|SECRET|PASSWORD)$")


def environment(device: torch.device) -> dict[str, Any]:
    """What environment.json holds: plain values."""
    import torch

    versions = {name: _version(name) for name in PACKAGES}
    slurm = {name.lower(): os.environ.get(f"SLURM_{name}") for name in SLURM}
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "hardware": hardware(device),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "packages": {name: version for name, version in versions.items() if version},
        **code_origin(),
        "slurm": {name: value for name, value in slurm.items() if value},
        "node": os.environ.get("SLURMD_NODENAME") or platform.node(),
        "visible_gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }


@functools.cache
def code_origin() -> dict[str, str | None]:
    """``commit`` and uncommitted ``diff`` of the running code, None where it is no checkout.

    Asked once, since what a process has loaded does not change with its files.
    """
    copied = Path(__file__).parents[1] / ORIGIN
    if copied.is_file():
        origin: dict[str, str | None] = json.loads(copied.read_text(encoding="utf-8"))
        return origin
    commit, diff = _git()
    return {"commit": commit, "diff": diff}


def resolve_device(name: str) -> torch.device:
    """The torch device of a name.

    Raises :class:`UserError` for a GPU that torch cannot see, also where SLURM has granted one and
    ``auto`` would pass it over.
    """
    import torch

    granted = os.environ.get("CUDA_VISIBLE_DEVICES") if "SLURM_JOB_ID" in os.environ else None
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        if name.startswith("cuda:") and int(name[5:]) >= count:
            raise UserError(
                f"compute.device={name}: must be below cuda:{count}, torch sees {count} GPU(s)"
            )
        return torch.device("cuda" if name == "auto" else name)
    if name.startswith("cuda") or (
        name == "auto" and granted not in (None, "", "-1", "NoDevFiles")
    ):
        granted_text = f"SLURM granted GPU {granted} but " if granted else ""
        raise UserError(
            f"compute.device={name}: {granted_text}torch {torch.__version__} sees no GPU; install "
            "a CUDA build of torch (docs/gpu.md) or set compute.device=cpu"
        )
    return torch.device("cpu")


@functools.cache
def hardware(device: torch.device) -> str:
    """The GPU's or processor's name."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(
            line.partition(":")[2].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git() -> tuple[str | None, str | None]:
    """Commit and uncommitted diff of the checkout this package runs from; None outside one."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here), *arguments],
                capture_output=True,
                text=True,
                timeout=10,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD") if git("ls-files", "--error-unmatch", __file__) else None
    diff = git("diff", "HEAD") if commit else None
    return commit, scrub(diff[:MAX_DIFF]) if diff else None


def scrub(text: str) -> str:
    """``text`` without the value of any environment variable that is named as a secret.

    A key that stands in a changed file or in an error is then neither stored nor shown.
    """
    for name, value in os.environ.items():
        if len(value) >= 8 and SECRET.search(name):
            text = text.replace(value, f"<{name}>")
    return text
