"""Which jobs of a launch go into which SLURM task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bfc.errors import UserError
from bfc.experiment.cost import START
from bfc.launch.bin_packing import pack_into_bins
from bfc.launch.fusion_groups import split_into_fusion_groups
from bfc.launch.options import SlurmOptions
from bfc.launch.plan import Plan
from bfc.launch.slurm.resources import choose_fuse_jobs


def divide_into_tasks(
    jobs: Sequence[Mapping[str, Any]], seconds: Mapping[int, float], options: SlurmOptions
) -> Iterator[tuple[int, list[int]]]:
    """(wave, job numbers) of every task; a fusion group stays in one task.

    ``jobs`` are the manifest's entries, ``seconds`` the predicted work of those to be run. Raises
    :class:`UserError` where there are more waves than the site allows tasks.
    """
    waves: dict[int, dict[int, float]] = {}
    for number, predicted in seconds.items():
        waves.setdefault(jobs[number]["wave"], {})[number] = predicted
    if options.max_submit is not None and len(waves) > options.max_submit - 1:
        raise UserError(
            f"hydra.launcher.max_submit={options.max_submit}: must be above {len(waves)}, the "
            "number of waves by d"
        )
    max_seconds = min(60 * options.task_minutes, 30 * options.time)
    for wave, wave_seconds in sorted(waves.items()):
        max_jobs = min(choose_fuse_jobs(options), options.cells_per_task or len(wave_seconds))
        groups = list(
            split_into_fusion_groups(jobs, wave_seconds, max_jobs, max_seconds=max_seconds)
        )
        max_tasks = None
        if options.max_submit is not None:
            free_tasks = options.max_submit - len(waves)
            max_tasks = max(1, free_tasks * len(wave_seconds) // len(seconds))
        for numbers in pack_into_bins(
            groups, wave_seconds, max_seconds, options.cells_per_task, max_tasks
        ):
            yield wave, numbers


def predict_wall_time(plan: Plan, tasks: Sequence[Sequence[int]], options: SlurmOptions) -> float:
    """Seconds from the first start to the end, if SLURM starts as many tasks as it may at once."""
    waves: dict[int, list[float]] = {}
    for numbers in tasks:
        wave = plan.entries[numbers[0]]["wave"]
        load = START + sum(plan.seconds[number] for number in numbers)
        waves.setdefault(wave, []).append(load)
    total = 0.0
    for loads in waves.values():
        total += max(max(loads), sum(loads) / (options.throttle or len(loads)))
    return total
