"""What works on this machine and what does not: one line per check.

A person who cannot start learns what to change, and one who reports a fault can paste what matters.
No check sends anything; no key is read. Packages are imported inside the checks, so that one that
is missing or broken is a failed check.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement


OLDEST_PYTHON = (3, 11)
ENOUGH_BYTES = 2e9
"""Free disk or memory below which a check complains."""
NAMED_PACKAGES = ("torch", "numpy", "hydra-core", "submitit")
"""Packages whose versions are shown where all is well."""
SINFO_SECONDS = 20
TINY_CELL = (
    "target.d=4",
    "schedule.steps=20",
    "schedule.check_every=10",
    "optimizer.warmup=2",
    "optimizer.batch=8",
    "measure.seeds=1",
    "measure.n=[16]",
    "measure.test=64",
    "measure.confirm=0",
    "probe=none",
    "compute.device=cpu",
)
"""A cell of one training that takes a tenth of a second."""


class CheckState(StrEnum):
    """How a check ends."""

    OK = "ok"
    NOTE = "note"
    """The program runs, but its user may want to know."""
    FAILS = "fails"
    """The program cannot run like this."""


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str
    state: CheckState
    text: str


def examine(results: str) -> Iterator[Check]:
    """Run every check in turn; one that raises is a failure itself."""
    checks: dict[str, Callable[[], Check]] = {
        "Python": _check_python,
        "packages": _check_packages,
        "source": _check_source,
        "processor": _check_processor,
        "compiled steps": _check_compiled_steps,
        "memory": _check_memory,
        "disk": lambda: _check_disk(results),
        "GPU": _check_gpu,
        "SLURM": _check_slurm,
        "W&B": _check_wandb,
        "training": _check_training,
    }
    for name, check in checks.items():
        try:
            yield check()
        except Exception as error:
            yield Check(name, CheckState.FAILS, f"{type(error).__name__}: {error}")


def _check_python() -> Check:
    text = f"{sys.version.split()[0]}, {sys.executable}"
    if sys.version_info >= OLDEST_PYTHON:
        return Check("Python", CheckState.OK, text)
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Check("Python", CheckState.FAILS, f"{text}; {oldest} or newer is needed")


def _check_packages() -> Check:
    """Compare every requirement of this distribution, extras apart, with what is installed."""
    from packaging.requirements import Requirement

    from bfc.extras import OPTIONAL

    problems = []
    absent = []
    for text in metadata.requires("bfc") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name in OPTIONAL and not _is_installed(requirement.name):
            absent.append(requirement.name)
        else:
            problems += _requirement_problems(requirement)
    if problems:
        return Check(
            "packages", CheckState.FAILS, "; ".join([*problems, "python -m pip install -e ."])
        )
    named = [name for name in NAMED_PACKAGES if name not in absent]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in named)
    if absent:
        return Check("packages", CheckState.NOTE, f"{versions}; without {', '.join(absent)}")
    return Check("packages", CheckState.OK, versions)


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _requirement_problems(requirement: Requirement) -> list[str]:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return [f"{requirement.name} is missing"]
    if requirement.specifier.contains(version, prereleases=True):
        return []
    return [f"{requirement.name} {version} does not satisfy {requirement.specifier}"]


def _check_source() -> Check:
    from bfc.environment import code_origin

    origin = code_origin()
    if origin["commit"] is None:
        return Check(
            "source",
            CheckState.NOTE,
            "not a git checkout: results will not say which commit made them",
        )
    commit = f"commit {origin['commit'][:12]}"
    if origin["diff"]:
        return Check(
            "source",
            CheckState.NOTE,
            f"{commit} with uncommitted changes, which are stored with every result",
        )
    return Check("source", CheckState.OK, commit)


def _check_processor() -> Check:
    import torch

    from bfc.environment import hardware
    from bfc.launch.devices import usable_cores

    name = hardware(torch.device("cpu"))
    text = f"{name}, {usable_cores()} usable of {os.cpu_count()} cores"
    return Check("processor", CheckState.OK, text)


def _check_compiled_steps() -> Check:
    """Say whether steps of small networks are compiled here, and whether the code is kept."""
    import torch

    from bfc.engine.compiled.compilation import hardware
    from bfc.engine.compiled.refusal import CannotCompile
    from bfc.paths import CACHE, find_obstacle

    name = "compiled steps"
    try:
        lanes = hardware(torch.device("cpu")).group_size(torch.float32)
    except CannotCompile as reason:
        text = f"none, since {reason}: training is several times slower for small networks"
        return Check(name, CheckState.NOTE, text)
    text = f"{lanes} replicas at a time"
    obstacle = find_obstacle(CACHE)
    if obstacle is not None:
        text = f"{text}, compiled anew in every process, since {obstacle}; set BFC_CACHE"
        return Check(name, CheckState.NOTE, text)
    return Check(name, CheckState.OK, f"{text}, kept in {CACHE}")


def _check_memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    state = CheckState.OK if memory.available > ENOUGH_BYTES else CheckState.NOTE
    text = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free"
    return Check("memory", state, text)


def _check_disk(results: str) -> Check:
    """Check the free space where results would go, and that files can be written and moved there.

    Leaves nothing behind.
    """
    folder = Path(results).absolute()
    while not folder.is_dir():
        folder = folder.parent
    free_bytes = shutil.disk_usage(folder).free
    with tempfile.TemporaryDirectory(dir=folder, prefix=".bfc-doctor-") as work:
        (Path(work) / "a").write_text("x")
        os.replace(Path(work) / "a", Path(work) / "b")
    state = CheckState.OK if free_bytes > ENOUGH_BYTES else CheckState.NOTE
    text = f"{free_bytes / 1e9:.1f} GB free where {results} is or would be ({folder}), writable"
    return Check("disk", state, text)


def _check_gpu() -> Check:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        text = f"{', '.join(names)}; torch {torch.__version__}, CUDA {torch.version.cuda}"
        return Check("GPU", CheckState.OK, text)
    if shutil.which("nvidia-smi") is None:
        return Check("GPU", CheckState.OK, "none, and none is needed")
    cuda = torch.version.cuda
    build = f"built for CUDA {cuda}" if cuda else "a CPU build"
    text = f"nvidia-smi is here but torch {torch.__version__} ({build}) sees no GPU"
    return Check("GPU", CheckState.NOTE, f"{text}; see docs/gpu.md")


def _check_slurm() -> Check:
    if shutil.which("sbatch") is None:
        return Check(
            "SLURM", CheckState.OK, "no sbatch here; hydra/launcher=local uses this machine"
        )
    done = subprocess.run(
        ["sinfo", "--noheader", "--format=%P"],
        capture_output=True,
        text=True,
        timeout=SINFO_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode == 0:
        partitions = ", ".join(done.stdout.split()) or "none"
        return Check("SLURM", CheckState.OK, f"partitions: {partitions}")
    message = (done.stderr.strip().splitlines() or ["no message"])[0]
    return Check("SLURM", CheckState.NOTE, f"sbatch is here but sinfo fails: {message}")


def _check_wandb() -> Check:
    """Say how ``tracker=wandb`` would run, and whether there is a key; the key is not read."""
    from bfc.trackers import wandb_login
    from bfc.trackers.wandb import Wandb

    try:
        version = metadata.version("wandb")
    except metadata.PackageNotFoundError:
        return Check("W&B", CheckState.NOTE, "not installed; tracker=none works without")
    if not wandb_login.has_key():
        login = "no key"
    elif wandb_login.is_server_reachable():
        login = "a key, and the server answers"
    else:
        login = "a key, but the server does not answer"
    mode = Wandb().resolve_mode()
    text = f"wandb {version}; tracker=wandb would run {mode} ({login})"
    return Check("W&B", CheckState.OK, text)


def _check_training() -> Check:
    """Run a tiny cell through the whole program, in a folder that is removed."""
    from bfc.experiment.run_job import run_job
    from bfc.hydra_plugins.registration import compose_sweep

    with (
        tempfile.TemporaryDirectory(prefix="bfc-doctor-") as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        (job,) = compose_sweep([*TINY_CELL, f"results={folder}"])
        start = time.perf_counter()
        run_job(job.job)
        seconds = time.perf_counter() - start
    return Check("training", CheckState.OK, f"a tiny cell ran in {seconds:.1f} s")
