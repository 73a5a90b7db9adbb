"""Options of the launchers: what conf/hydra/launcher/*.yaml may say, checked before anything is
composed or written."""

from __future__ import annotations

from dataclasses import dataclass, field

from bfc.errors import require

KEY = "hydra.launcher"
TOGETHER = 32
"""Jobs side by side on a GPU, which a stack of one cell's trainings seldom fills."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What both launchers understand."""

    detach: bool
    """Return when everything is submitted; else wait until everything has ended."""
    dry_run: bool = False
    """Show the plan and launch nothing."""
    ask_above: float | None = 100.0
    """Predicted core- or GPU-hours above which a confirmation is asked for; null: never."""
    confirmed: bool = False
    """Confirm without being asked."""
    finalise: bool = True
    """Collect the tables and draw the report when everything has ended."""
    together: int | None = None
    """Jobs of one shape that a process runs side by side, in common stacks; null: :data:`TOGETHER`
    on a GPU, one on a CPU."""

    def __post_init__(self) -> None:
        require(
            self.together is None or 1 <= self.together <= 4096,
            f"{KEY}.together",
            self.together,
            f"null ({TOGETHER} on a GPU, 1 on a CPU) or an integer from 1 to 4096",
        )
        require(
            self.ask_above is None or self.ask_above >= 0,
            f"{KEY}.ask_above",
            self.ask_above,
            "null or hours >= 0",
        )


@dataclass(frozen=True, kw_only=True)
class LocalOptions(Options):
    """``hydra/launcher=local``: one process per usable core, or per GPU where there are GPUs and
    jobs use them."""

    detach: bool = False
    processes: int | None = None
    finalise: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.processes is None or 1 <= self.processes <= 4096,
            f"{KEY}.processes",
            self.processes,
            "null (one per usable core) or an integer from 1 to 4096",
        )


@dataclass(frozen=True, kw_only=True)
class SlurmOptions(Options):
    """``hydra/launcher=slurm``: what one task asks SLURM for, how cells are packed into tasks, and
    what the site needs."""

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
        for name, least in (
            ("gpus", 0),
            ("cpus", 1),
            ("time", 1),
            ("signal_seconds", 10),
            ("max_requeues", 0),
        ):
            require(
                getattr(self, name) >= least,
                f"{KEY}.{name}",
                getattr(self, name),
                f"an integer >= {least}",
            )
        for name, least in (
            ("throttle", 1),
            ("cells_per_task", 1),
            ("max_submit", 2),
            ("max_array", 2),
        ):
            value = getattr(self, name)
            require(
                value is None or value >= least,
                f"{KEY}.{name}",
                value,
                f"null or an integer >= {least}",
            )
        require(
            self.results is None or bool(self.results.strip()),
            f"{KEY}.results",
            self.results,
            "null or a folder name",
        )
        require(self.task_minutes > 0, f"{KEY}.task_minutes", self.task_minutes, "minutes > 0")
        require(
            2 * self.signal_seconds <= 60 * self.time,
            f"{KEY}.signal_seconds",
            self.signal_seconds,
            f"at most half of the time limit, {30 * self.time} seconds",
        )
