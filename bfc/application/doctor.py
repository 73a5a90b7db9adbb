"""What works on this machine and what does not: one line per check, so that a person who cannot
start knows what to change, and one who reports a fault can paste what matters. No check sends
anything; no key is read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

OK, NOTE, FAILS = "ok", "note", "fails"
LITTLE = 2e9
"""Bytes of free disk or memory below which a check complains."""
TINY = (
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


@dataclass(frozen=True)
class Check:
    """``state``: ok, note (works, but you may want to know) or fails (this program cannot run like
    this)."""

    name: str
    state: str
    text: str


def examine(results: str) -> Iterator[Check]:
    """Every check in turn; a check that breaks is itself a finding."""
    for check in (
        _python,
        _packages,
        _source,
        _processor,
        _memory,
        lambda: _disk(results),
        _gpu,
        _slurm,
        _wandb,
        _training,
    ):
        yield from _guarded(check)


def _guarded(check: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from check()
    except Exception as error:
        yield Check(
            getattr(check, "__name__", "check").strip("_<>"),
            FAILS,
            f"{type(error).__name__}: {error}",
        )


def _python() -> Iterator[Check]:
    fine = sys.version_info >= (3, 11)
    text = f"{sys.version.split()[0]}, {sys.executable}"
    yield Check(
        "Python", OK if fine else FAILS, text if fine else f"{text}; 3.11 or newer is needed"
    )


def _packages() -> Iterator[Check]:
    """Every requirement of this distribution, extras apart, against what is installed."""
    from packaging.requirements import Requirement

    wrong, versions = [], {}
    for text in metadata.requires("bfc") or []:
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            versions[needed.name] = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{needed.name} is missing")
            continue
        if not needed.specifier.contains(versions[needed.name], prereleases=True):
            wrong.append(
                f"{needed.name} {versions[needed.name]} does not satisfy {needed.specifier}"
            )
    shown = ", ".join(
        f"{name} {versions[name]}"
        for name in ("torch", "numpy", "hydra-core", "submitit")
        if name in versions
    )
    yield Check(
        "packages",
        FAILS if wrong else OK,
        "; ".join(wrong) + "; python -m pip install -e ." if wrong else shown,
    )


def _source() -> Iterator[Check]:
    import torch

    from bfc.environment import environment

    found = environment(torch.device("cpu"))
    if found["commit"] is None:
        yield Check(
            "source", NOTE, "not a git checkout: results will not say which commit made them"
        )
    else:
        changed = (
            " with uncommitted changes, which are stored with every result" if found["diff"] else ""
        )
        yield Check("source", NOTE if changed else OK, f"commit {found['commit'][:12]}{changed}")


def _processor() -> Iterator[Check]:
    import torch

    from bfc.environment import hardware
    from bfc.launch.local import cores

    yield Check(
        "processor",
        OK,
        f"{hardware(torch.device('cpu'))}, {cores()} usable of {os.cpu_count()} cores",
    )


def _memory() -> Iterator[Check]:
    import psutil

    found = psutil.virtual_memory()
    yield Check(
        "memory",
        OK if found.available > LITTLE else NOTE,
        f"{found.available / 1e9:.1f} of {found.total / 1e9:.1f} GB free",
    )


def _disk(results: str) -> Iterator[Check]:
    """Where results would go: room, and that files can be written and moved there, without leaving
    anything."""
    place = Path(results).absolute()
    while not place.is_dir():
        place = place.parent
    room = shutil.disk_usage(place).free
    with tempfile.TemporaryDirectory(dir=place, prefix=".bfc-doctor-") as folder:
        (Path(folder) / "a").write_text("x")
        os.replace(Path(folder) / "a", Path(folder) / "b")
    yield Check(
        "disk",
        OK if room > LITTLE else NOTE,
        f"{room / 1e9:.1f} GB free where {results} is or would be ({place}), writable",
    )


def _gpu() -> Iterator[Check]:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        yield Check(
            "GPU", OK, f"{', '.join(names)}; torch {torch.__version__}, CUDA {torch.version.cuda}"
        )
    elif shutil.which("nvidia-smi") is not None:
        build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "a CPU build"
        yield Check(
            "GPU",
            NOTE,
            f"nvidia-smi is here but torch {torch.__version__} ({build}) sees no GPU; see README, GPU",
        )
    else:
        yield Check("GPU", OK, "none, and none is needed")


def _slurm() -> Iterator[Check]:
    if shutil.which("sbatch") is None:
        yield Check("SLURM", OK, "no sbatch here; hydra/launcher=local uses this machine")
        return
    done = subprocess.run(
        ["sinfo", "--noheader", "--format=%P"],
        capture_output=True,
        text=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        yield Check(
            "SLURM",
            NOTE,
            f"sbatch is here but sinfo fails: {(done.stderr.strip().splitlines() or ['no message'])[0]}",
        )
    else:
        yield Check("SLURM", OK, f"partitions: {', '.join(done.stdout.split()) or 'none'}")


def _wandb() -> Iterator[Check]:
    """How ``tracker=wandb`` would run; whether there is a key, never the key."""
    from bfc.trackers import wandb

    try:
        version = metadata.version("wandb")
    except metadata.PackageNotFoundError:
        yield Check("W&B", NOTE, "not installed; tracker=none works without")
        return
    key = wandb.has_key()
    found = (
        "a key, "
        + ("and the server answers" if wandb.answers() else "but the server does not answer")
        if key
        else "no key"
    )
    yield Check(
        "W&B", OK, f"wandb {version}; tracker=wandb would run {wandb.Wandb().resolved()} ({found})"
    )


def _training() -> Iterator[Check]:
    """A tiny cell through the whole program, in a folder that is removed."""
    import contextlib
    import io

    from bfc.experiment.run_job import run_job
    from bfc.hydra_plugins.registration import compose_sweep

    with (
        tempfile.TemporaryDirectory(prefix="bfc-doctor-") as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        (job,) = compose_sweep([*TINY, f"results={folder}"])
        began = time.perf_counter()
        run_job(job.job)
    yield Check("training", OK, f"a tiny cell ran in {time.perf_counter() - began:.1f} s")
