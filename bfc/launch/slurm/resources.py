"""What a task asks SLURM for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bfc.errors import UserError
from bfc.launch.job import PlannedJob
from bfc.launch.options import GPU_FUSE_JOBS, SlurmOptions


def sbatch_parameters(options: SlurmOptions) -> dict[str, Any]:
    """The flags of sbatch by their long names; None where a flag is not given."""
    return {
        "partition": options.partition,
        "account": options.account,
        "qos": options.qos,
        "constraint": options.constraint,
        "gres": options.gres,
        "mem": options.mem,
        "time": options.time,
        "mail_user": options.mail_user,
        "mail_type": options.mail_type,
        "cpus_per_task": options.cpus,
        "gpus_per_node": options.gpus or None,
        **options.flags,
    }


def sbatch_flags(options: SlurmOptions) -> list[str]:
    """The flags of sbatch as on a command line."""
    flags = []
    for name, value in sbatch_parameters(options).items():
        if value is not None:
            argument = "" if value is True else f"={value}"
            flags.append(f"--{name.replace('_', '-')}{argument}")
    return flags


def asks_for_gpus(options: SlurmOptions) -> bool:
    """Whether tasks ask for a GPU."""
    by_flag = any("gpu" in name or name == "gres" for name in options.flags)
    return bool(options.gpus or options.gres or by_flag)


def choose_fuse_jobs(options: SlurmOptions) -> int:
    """How many jobs a task fuses."""
    if options.fuse_jobs is not None:
        return options.fuse_jobs
    return GPU_FUSE_JOBS if asks_for_gpus(options) else 1


def check_gpus(jobs: Sequence[PlannedJob], options: SlurmOptions) -> None:
    """Refuse jobs that need a GPU in tasks that do not ask for one."""
    if asks_for_gpus(options):
        return
    for planned in jobs:
        device = planned.job.compute.device
        if device.startswith("cuda"):
            raise UserError(
                f"compute.device={device}: no task would be given a GPU; must be auto or cpu, or "
                "ask for one with hydra.launcher.gpus=1 (or gres)"
            )
