"""The options of the launchers, conf/hydra/launcher/*.yaml.

They are checked before anything is composed or written.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bfc.errors import require

KEY = "hydra.launcher"
GPU_FUSE_JOBS = 32
"""Jobs fused by one process on a GPU, which the stack of a single cell seldom fills."""
MAX_PROCESSES = 4096
MAX_FUSE_JOBS = 4096


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of both launchers."""

    detach: bool
    """Return when everything is submitted; otherwise wait until everything has ended."""
    dry_run: bool = False
    """Show the plan and launch nothing."""
    ask_above: float | None = 100.0
    """Predicted core- or GPU-hours above which a confirmation is asked for; null: never."""
    confirmed: bool = False
    """Confirm without being asked."""
    finalise: bool = True
    """Collect the tables and draw the report when everything has ended."""
    fuse_jobs: int | None = None
    """Jobs with the same fusion key that one process trains in common stacks.

    null: :data:`GPU_FUSE_JOBS` on a GPU, 1 on a CPU."""

    def __post_init__(self) -> None:
        require(
            self.fuse_jobs is None or 1 <= self.fuse_jobs <= MAX_FUSE_JOBS,
            f"{KEY}.fuse_jobs",
            self.fuse_jobs,
            f"null ({GPU_FUSE_JOBS} on a GPU, 1 on a CPU) or an integer from 1 to {MAX_FUSE_JOBS}",
        )
        require(
            self.ask_above is None or self.ask_above >= 0,
            f"{KEY}.ask_above",
            self.ask_above,
            "null or hours >= 0",
        )


@dataclass(frozen=True, kw_only=True)
class LocalOptions(Options):
    """``hydra/launcher=local``: one process per usable core, or per GPU where jobs use GPUs."""

    detach: bool = False
    processes: int | None = None
    finalise: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.processes is None or 1 <= self.processes <= MAX_PROCESSES,
            f"{KEY}.processes",
            self.processes,
            f"null (one per usable core) or an integer from 1 to {MAX_PROCESSES}",
        )


MIN_SLURM_VALUES = {"gpus": 0, "cpus": 1, "time": 1, "signal_seconds": 10, "max_requeues": 0}
MIN_OPTIONAL_SLURM_VALUES = {"throttle": 1, "cells_per_task": 1, "max_submit": 2, "max_array": 2}


@dataclass(frozen=True, kw_only=True)
class SlurmOptions(Options):
    """``hydra/launcher=slurm``: what a task asks SLURM for, its jobs, and what the site needs."""

    detach: bool = True
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None
    gpus: int = 0
    cpus: int = 1
    mem: str | None = "4G"
    time: int = 240
    throttle: int | None = None
    mail_user: str | None = None
    mail_type: str | None = None
    flags: dict[str, str | int | float | bool] = field(default_factory=dict)
    task_minutes: float = 15.0
    cells_per_task: int | None = None
    signal_seconds: int = 120
    max_requeues: int = 50
    results: str | None = None
    setup: tuple[str, ...] = ()
    python: str | None = None
    scratch: str | None = None
    internet: bool = True
    max_submit: int | None = None
    max_array: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        values = vars(self)
        for name, minimum in MIN_SLURM_VALUES.items():
            value = values[name]
            require(value >= minimum, f"{KEY}.{name}", value, f"an integer >= {minimum}")
        for name, minimum in MIN_OPTIONAL_SLURM_VALUES.items():
            value = values[name]
            valid = value is None or value >= minimum
            require(valid, f"{KEY}.{name}", value, f"null or an integer >= {minimum}")
        valid_results = self.results is None or bool(self.results.strip())
        require(valid_results, f"{KEY}.results", self.results, "null or a folder name")
        require(self.task_minutes > 0, f"{KEY}.task_minutes", self.task_minutes, "minutes > 0")
        require(
            2 * self.signal_seconds <= 60 * self.time,
            f"{KEY}.signal_seconds",
            self.signal_seconds,
            f"at most half of the time limit, {30 * self.time} seconds",
        )
