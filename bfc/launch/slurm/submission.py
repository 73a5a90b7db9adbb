"""``hydra/launcher=slurm``: submit the jobs of a launch as SLURM arrays.

Jobs are frozen at submission, divided into tasks by predicted cost, and left alone. Submitit writes
the batch scripts and starts the processes, SLURM schedules them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bfc.errors import UserError
from bfc.launch.finalise import Finalise
from bfc.launch.job import PlannedJob
from bfc.launch.manifest import Launch
from bfc.launch.older_launches import check_code_copy
from bfc.launch.options import SlurmOptions
from bfc.launch.slurm import client
from bfc.launch.slurm.division import divide_into_tasks
from bfc.launch.slurm.resources import choose_fuse_jobs, sbatch_parameters
from bfc.launch.slurm.task import SlurmTask
from bfc.paths import expand_folder
from bfc.store.cells import Store

_log = logging.getLogger(__name__)

IGNORE_SIGNALS = """bash -c 'trap "" USR1 USR2; exec "$@"' bfc"""
"""Ignores the signals that announce the time limit until Python has installed its handlers."""


def submit(launch: Launch, numbers: Sequence[int], code: Mapping[str, Any] | None = None) -> None:
    """Submit the jobs ``numbers`` of a launch, wave after wave, and the job that finishes it.

    ``code``: the copy of the code to run, by default the launch's. If SLURM refuses a part, what
    was submitted before is cancelled, and a launch that never ran is deleted. Raises
    :class:`UserError` with SLURM's reason.
    """
    code = code or launch.code
    check_code_copy(launch.name, code)
    assert code is not None, "a launch on SLURM has a copy of the code"
    submission = _Submission(launch, code)
    try:
        submission.submit_jobs(numbers)
        if submission.options.finalise:
            submission.submit_finaliser()
    except KeyboardInterrupt:
        task_ids = submission.task_ids
        raise UserError(
            f"interrupted while submitting: {len(task_ids)} tasks are with SLURM "
            f"({client.format_ids(task_ids)}); `bfc cancel {launch.name}` ends them, "
            f"`bfc retry {launch.name}` submits what is missing"
        ) from None
    except UserError:
        client.cancel(submission.task_ids)
        if submission.attempt == 0:
            # A cancelled task may still be writing.
            shutil.rmtree(launch.path, ignore_errors=True)
        raise


class _Submission:
    """One submission of a launch, and the tasks that SLURM has accepted so far."""

    def __init__(self, launch: Launch, code: Mapping[str, Any]) -> None:
        stored = launch.options
        self.launch, self.code = launch, code
        self.options = SlurmOptions(**{**stored, "setup": tuple(stored["setup"])})
        self.attempt = len(launch.submissions())
        self.task_ids: list[str] = []

    def submit_jobs(self, numbers: Sequence[int]) -> None:
        """Submit jobs; the tasks of a wave wait for those of the wave before."""
        seconds = {number: self.launch.jobs[number]["seconds"] for number in numbers}
        waves: dict[int, list[list[int]]] = {}
        for wave, task_jobs in divide_into_tasks(self.launch.jobs, seconds, self.options):
            waves.setdefault(wave, []).append(task_jobs)
        max_array = self.options.max_array or client.max_array_size()
        previous_ids: list[str] = []
        for wave, tasks in sorted(waves.items()):
            wave_ids: list[str] = []
            for start in range(0, len(tasks), max_array):
                array = tasks[start : start + max_array]
                wave_ids += self._submit_array(wave, array, previous_ids)
            previous_ids = wave_ids

    def _submit_array(
        self, wave: int, tasks: Sequence[list[int]], previous_ids: Sequence[str]
    ) -> list[str]:
        payloads = [self._make_payload(numbers) for numbers in tasks]
        ids = _sbatch(self.launch, self.options, self.code, payloads, previous_ids)
        self.task_ids += ids
        self.launch.add_submission(
            kind="slurm",
            wave=wave,
            packs=tasks,
            ids=ids,
            code=self.code["hash"],
            attempt=self.attempt,
        )
        return ids

    def _make_payload(self, numbers: Sequence[int]) -> SlurmTask:
        return SlurmTask(
            launch=str(self.launch.path),
            jobs=tuple(numbers),
            max_requeues=self.options.max_requeues,
            attempt=self.attempt,
            fuse_jobs=choose_fuse_jobs(self.options),
        )

    def submit_finaliser(self) -> None:
        """Submit the job that finishes the launch when its tasks have ended.

        The launch goes on without it where SLURM refuses it, as a partition of GPUs may refuse a
        job that asks for none.
        """
        options = replace(self.options, gpus=0, gres=None, constraint=None, cpus=1, throttle=None)
        payload = Finalise(str(self.launch.path))
        try:
            (finaliser,) = _sbatch(self.launch, options, self.code, [payload], self.task_ids)
        except UserError as error:
            _log.error(
                f"{error}: this was the job that draws the report; "
                f"`bfc collect {self.launch.name}` draws it by hand"
            )
            return
        self.launch.add_submission(
            kind="slurm",
            packs=[],
            ids=[],
            finaliser=finaliser,
            code=self.code["hash"],
            attempt=self.attempt,
        )


def _sbatch(
    launch: Launch,
    options: SlurmOptions,
    code: Mapping[str, Any],
    payloads: Sequence[Any],
    after: Sequence[str],
) -> list[str]:
    """Submit callables as one job or array, to start after others; SLURM's id of each."""
    import submitit

    python = options.python or shlex.quote(launch.manifest["python"])
    jobs = dict.fromkeys(task_id.partition("_")[0] for task_id in after)
    flags = {
        name.replace("_", "-"): value
        for name, value in sbatch_parameters(options).items()
        if value is not None and name not in ("time", "array")
    }
    try:
        with client.without_slurm_variables(), contextlib.redirect_stderr(io.StringIO()):
            executor = submitit.SlurmExecutor(
                folder=launch.logs, python=f"{IGNORE_SIGNALS} {python}"
            )
            executor.update_parameters(
                job_name=f"bfc-{launch.manifest['study'] or 'sweep'}",
                time=options.time,
                setup=_setup_lines(options, code),
                stderr_to_stdout=True,
                signal_delay_s=options.signal_seconds,
                array_parallelism=options.throttle or len(payloads),
                dependency=f"afterany:{':'.join(jobs)}" if jobs else None,
                additional_parameters={**flags, "requeue": True},
            )
            return [job.job_id for job in executor.submit_array(list(payloads))]
    except (
        submitit.core.utils.FailedJobError,
        submitit.core.utils.FailedSubmissionError,
        subprocess.CalledProcessError,
        RuntimeError,
    ) as error:
        reason = client.extract_reasons(str(error))
        raise UserError(f"SLURM refuses the jobs: {reason}") from error


def _setup_lines(options: SlurmOptions, code: Mapping[str, Any]) -> list[str]:
    """Shell lines that run before Python."""
    path = shlex.quote(code["path"])
    lines = [
        *options.setup,
        f"export PYTHONPATH={path}${{PYTHONPATH:+:$PYTHONPATH}} PYTHONSAFEPATH=1",
        f"export OMP_NUM_THREADS=${{OMP_NUM_THREADS:-{options.cpus}}}",
    ]
    if options.scratch:
        lines += [f'export TMPDIR="{options.scratch}"', 'mkdir -p "$TMPDIR"']
    if not options.internet:
        lines += ["export WANDB_MODE=offline"]
    return lines


def use_site_store(planned: PlannedJob, results: str | None) -> PlannedJob:
    """The job with the site's store, unless its command names one."""
    if results is None or any(text.startswith("results=") for text in planned.overrides):
        return planned
    folder = expand_folder(results)
    Store(folder).check()
    container = {**planned.container, "results": folder}
    return replace(planned, container=container, job=replace(planned.job, results=folder))
