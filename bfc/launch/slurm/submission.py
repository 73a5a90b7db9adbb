"""``hydra/launcher=slurm``: jobs frozen at submission, packed by predicted cost, submitted as SLURM
arrays through Submitit and left alone. Submitit writes the batch scripts and starts the processes,
SLURM schedules; this file only says what goes into which task."""

from __future__ import annotations

import contextlib
import io
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bfc.errors import UserError
from bfc.experiment.cost import START
from bfc.launch.finalise import Finalise
from bfc.launch.job import Planned, companies, pack
from bfc.launch.manifest import Launch
from bfc.launch.options import TOGETHER, SlurmOptions
from bfc.launch.plan import Plan
from bfc.launch.slurm import client as cluster
from bfc.launch.slurm.task import Pack
from bfc.paths import named
from bfc.store.cells import Store

KEEP_SIGNALS = """bash -c 'trap "" USR1 USR2; exec "$@"' bfc"""
"""Before Python has installed its handlers, a signal that announces the time limit must not end it.
"""


def submit(launch: Launch, numbers: Sequence[int], code: Mapping[str, Any] | None = None) -> None:
    """Submit the jobs ``numbers`` of a launch, wave after wave, and the job that finishes it. If
    SLURM refuses a part, what was submitted before is cancelled, and a launch that never ran is
    forgotten. Raises :class:`UserError` with SLURM's reason."""
    options = SlurmOptions(
        **{**launch.manifest["launcher"], "setup": tuple(launch.manifest["launcher"]["setup"])}
    )
    code = code or launch.manifest["code"]
    most = options.max_array or cluster.max_array_size()
    seconds = {number: launch.jobs[number]["seconds"] for number in numbers}
    attempt = len(launch.submissions())
    every: list[str] = []
    before: list[str] = []
    try:
        waves: dict[int, list[list[int]]] = {}
        for wave, jobs in divide(launch.jobs, seconds, options):
            waves.setdefault(wave, []).append(jobs)
        for wave, packs in sorted(waves.items()):
            now: list[str] = []
            for start in range(0, len(packs), most):
                chunk = packs[start : start + most]
                tasks = [
                    Pack(
                        str(launch.path),
                        tuple(jobs),
                        options.max_requeues,
                        attempt,
                        _together(options),
                    )
                    for jobs in chunk
                ]
                ids = _sbatch(launch, options, code, tasks, before)
                launch.add_submission(
                    kind="slurm",
                    wave=wave,
                    packs=chunk,
                    ids=ids,
                    code=code["hash"],
                    attempt=attempt,
                )
                now += ids
                every += ids
            before = now
        if options.finalise:
            _submit_last(launch, options, code, every, attempt)
    except KeyboardInterrupt:
        raise UserError(
            f"interrupted while submitting: {len(every)} tasks are with SLURM ({format_ids(every)}); `bfc cancel "
            f"{launch.name}` ends them, `bfc retry {launch.name}` submits what is missing"
        ) from None
    except UserError:
        cluster.cancel(every)
        if attempt == 0:
            shutil.rmtree(launch.path, ignore_errors=True)  # a cancelled task may still be writing
        raise


def _submit_last(
    launch: Launch,
    options: SlurmOptions,
    code: Mapping[str, Any],
    after: Sequence[str],
    attempt: int,
) -> None:
    """Submit the job that finishes the launch when the tasks ``after`` have ended. The launch goes
    on without it where SLURM refuses it, as a partition of GPUs may refuse a job that asks for
    none."""
    small = replace(options, gpus=0, gres=None, constraint=None, cpus=1, throttle=None)
    try:
        (own,) = _sbatch(launch, small, code, [Finalise(str(launch.path))], after)
    except UserError as error:
        print(
            f"{error}: that is the one which draws the report; `bfc collect {launch.name}` does it by hand",
            file=sys.stderr,
            flush=True,
        )
    else:
        launch.add_submission(
            kind="slurm", packs=[], ids=[], finaliser=own, code=code["hash"], attempt=attempt
        )


def divide(
    about: Sequence[Mapping[str, Any]], seconds: Mapping[int, float], options: SlurmOptions
) -> Iterator[tuple[int, list[int]]]:
    """(wave, job numbers) of every pack. Jobs that will run side by side stay in one."""
    waves: dict[int, dict[int, float]] = {}
    for number, predicted in seconds.items():
        waves.setdefault(about[number]["wave"], {})[number] = predicted
    if options.max_submit is not None and len(waves) > options.max_submit - 1:
        raise UserError(
            f"hydra.launcher.max_submit={options.max_submit}: must be above {len(waves)}, the number of waves by d"
        )
    for wave, mine in sorted(waves.items()):
        most = (
            None
            if options.max_submit is None
            else max(1, (options.max_submit - len(waves)) * len(mine) // len(seconds))
        )
        limit = min(60 * options.task_minutes, 30 * options.time)
        groups = list(
            companies(
                about,
                mine,
                min(_together(options), options.cells_per_task or len(mine)),
                most_seconds=limit,
            )
        )
        for numbers in pack(groups, mine, limit, options.cells_per_task, most):
            yield wave, numbers


def _together(options: SlurmOptions) -> int:
    return options.together or (TOGETHER if _gpus(options) else 1)


def _gpus(options: SlurmOptions) -> bool:
    """Whether tasks ask for a GPU."""
    return bool(
        options.gpus
        or options.gres
        or any("gpu" in name or name == "gres" for name in options.flags)
    )


def _sbatch(
    launch: Launch,
    options: SlurmOptions,
    code: Mapping[str, Any],
    tasks: Sequence[Any],
    after: Sequence[str],
) -> list[str]:
    """Submit callables as one job or array; SLURM's id of each."""
    import submitit

    python = options.python or shlex.quote(launch.manifest["python"])
    setup = [
        *options.setup,
        f"export PYTHONPATH={shlex.quote(code['path'])}${{PYTHONPATH:+:$PYTHONPATH}} PYTHONSAFEPATH=1",
        f"export OMP_NUM_THREADS=${{OMP_NUM_THREADS:-{options.cpus}}}",
    ]
    if options.scratch:
        setup += [f'export TMPDIR="{options.scratch}"', 'mkdir -p "$TMPDIR"']
    if not options.internet:
        setup += ["export WANDB_MODE=offline"]
    arrays = dict.fromkeys(task.partition("_")[0] for task in after)
    dependency = f"afterany:{':'.join(arrays)}" if arrays else None
    flags = {
        k: v for k, v in _resources(options).items() if k not in ("time", "array") and v is not None
    }
    try:
        with cluster.cleaned(), contextlib.redirect_stderr(io.StringIO()):
            executor = submitit.SlurmExecutor(folder=launch.logs, python=f"{KEEP_SIGNALS} {python}")
            executor.update_parameters(
                job_name=f"bfc-{launch.manifest['study'] or 'sweep'}",
                time=options.time,
                setup=setup,
                stderr_to_stdout=True,
                signal_delay_s=options.signal_seconds,
                array_parallelism=options.throttle or len(tasks),
                dependency=dependency,
                additional_parameters={
                    **{k.replace("_", "-"): v for k, v in flags.items()},
                    "requeue": True,
                },
            )
            return [job.job_id for job in executor.submit_array(list(tasks))]
    except (
        submitit.core.utils.FailedJobError,
        submitit.core.utils.FailedSubmissionError,
        subprocess.CalledProcessError,
        RuntimeError,
    ) as error:
        raise UserError(f"SLURM refuses the jobs: {cluster.reasons(str(error))}") from error


def _resources(options: SlurmOptions) -> dict[str, Any]:
    """Flags of sbatch, by their long names."""
    wanted = {
        name: getattr(options, name)
        for name in (
            "partition",
            "account",
            "qos",
            "constraint",
            "gres",
            "mem",
            "time",
            "mail_user",
            "mail_type",
        )
    }
    return {
        **wanted,
        "cpus_per_task": options.cpus,
        "gpus_per_node": options.gpus or None,
        **options.flags,
    }


def sbatch_flags(options: SlurmOptions) -> list[str]:
    """The same as a command line says them."""
    return [
        f"--{k.replace('_', '-')}{'' if v is True else f'={v}'}"
        for k, v in _resources(options).items()
        if v is not None
    ]


def with_site_store(job: Planned, results: str | None) -> Planned:
    """The job with the site's store, unless the command names one."""
    if results is None or any(text.startswith("results=") for text in job.overrides):
        return job
    there = named(results)
    Store(there).check()
    return replace(
        job, container={**job.container, "results": there}, job=replace(job.job, results=there)
    )


def check_gpus(jobs: Sequence[Planned], options: SlurmOptions) -> None:
    """Refuse jobs that will want a GPU in tasks that ask for none."""
    wanting = [
        each.job.compute.device for each in jobs if each.job.compute.device.startswith("cuda")
    ]
    if wanting and not _gpus(options):
        raise UserError(
            f"compute.device={wanting[0]}: no task would be given a GPU; must be auto or cpu, or hydra.launcher.gpus=1 (or "
            "gres) ask for one"
        )


def predicted_wall(plan: Plan, packs: Sequence[Sequence[int]], options: SlurmOptions) -> float:
    """Seconds from the first start to the end if SLURM has room for all tasks, as many as may run
    at a time."""
    total = 0.0
    waves: dict[int, list[float]] = {}
    for numbers in packs:
        waves.setdefault(plan.about[numbers[0]]["wave"], []).append(
            START + sum(plan.seconds[n] for n in numbers)
        )
    for loads in waves.values():
        total += max(max(loads), sum(loads) / (options.throttle or len(loads)))
    return total


def format_ids(ids: Sequence[str]) -> str:
    """``12_[0-3], 13``."""
    found: dict[str, list[int]] = {}
    for each in ids:
        base, _, task = each.partition("_")
        found.setdefault(base, []).extend([int(task)] if task else [])
    return (
        ", ".join(
            f"{base}_[{min(tasks)}-{max(tasks)}]" if tasks else base
            for base, tasks in found.items()
        )
        or "none"
    )
