"""SLURM's own commands: limits, states, start estimates, cancelling.

States come from ``squeue``, those of jobs that it no longer knows from ``sacct``, and where a site
keeps no accounting from ``scontrol``. One command asks about all jobs.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bfc.errors import UserError

ACTIVE_STATES = {
    "PENDING",
    "RUNNING",
    "REQUEUED",
    "REQUEUE_HOLD",
    "REQUEUE_FED",
    "SUSPENDED",
    "CONFIGURING",
    "COMPLETING",
    "RESIZING",
    "STOPPED",
    "SIGNALING",
    "STAGE_OUT",
}
NO_ARRAY_INDEX = "4294967294"
"""The index that `scontrol` prints for an array that was cancelled before it started."""
MAX_COMMAND_SECONDS = 60.0
"""After which a command counts as unanswered."""
MAX_CANCEL_IDS = 200
"""Ids per command line of `scancel`."""
SLURM_PREFIXES = ("SLURM_", "SBATCH_", "SRUN_")
KEPT_VARIABLES = ("SLURM_CONF",)
"""Of SLURM's variables, those that are not a job's."""


@dataclass(frozen=True)
class TaskInfo:
    """A SLURM job or array task: its state, its node and, while it waits, the reason."""

    state: str
    node: str = ""
    reason: str = ""

    @property
    def active(self) -> bool:
        return self.state in ACTIVE_STATES


class SlurmUnavailable(UserError):
    """SLURM does not answer now, so nothing is known of its jobs."""


def run_command(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one of SLURM's commands.

    Raises :class:`UserError` where it is not installed, :class:`SlurmUnavailable` where it does not
    answer.
    """
    if shutil.which(command[0]) is None:
        raise UserError(
            f"{command[0]}: no such command on this machine; SLURM's commands must be on PATH, or "
            "use hydra/launcher=local"
        )
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=MAX_COMMAND_SECONDS,
            env=clean_environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise SlurmUnavailable(
            f"{command[0]}: SLURM does not answer within {MAX_COMMAND_SECONDS:.0f} s; try again "
            "later"
        ) from error


def _run_query(*command: str) -> str:
    """The output of a command about jobs, some of which SLURM may have forgotten."""
    result = run_command(*command)
    if result.returncode and "invalid job id" not in result.stderr.lower():
        reason = " ".join(result.stderr.split()) or f"exit status {result.returncode}"
        raise _unavailable(command[0], reason)
    return result.stdout


def _unavailable(command: str, reason: str) -> SlurmUnavailable:
    return SlurmUnavailable(f"{command}: SLURM does not answer ({reason}); try again later")


def clean_environment() -> dict[str, str]:
    """This environment without a SLURM job's variables.

    They would leak into jobs that are submitted from within it.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT_VARIABLES or not name.startswith(SLURM_PREFIXES)
    }
    environment["SLURM_BITSTR_LEN"] = "0"  # lists array tasks in full
    return environment


@contextlib.contextmanager
def without_slurm_variables() -> Iterator[None]:
    """Run a block without SLURM's variables in this process, for libraries that start commands."""
    before = dict(os.environ)
    for name in set(before) - set(clean_environment()):
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)


def max_array_size() -> int:
    """The site's MaxArraySize: array indices must be below it."""
    config = run_command("scontrol", "show", "config").stdout
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", config, re.M)
    if not match:
        raise SlurmUnavailable("scontrol show config: SLURM does not answer; is this a login node?")
    return int(match.group(1))


def query_tasks(ids: Sequence[str]) -> dict[str, TaskInfo]:
    """The state per id (``123`` or ``123_4``); ids that SLURM has forgotten are absent.

    Raises :class:`SlurmUnavailable`.
    """
    if not ids:
        return {}
    tasks = _query_squeue(sorted({_job_of(task_id) for task_id in ids}))
    missing_jobs = set()
    for task_id in ids:
        if task_id not in tasks and _job_of(task_id) not in tasks:
            missing_jobs.add(_job_of(task_id))
    if missing_jobs:
        jobs = sorted(missing_jobs)
        tasks = {**(_query_sacct(jobs) or _query_scontrol(jobs)), **tasks}
    states = {}
    for task_id in ids:
        # An array that was cancelled before it started is one job.
        name = task_id if task_id in tasks else _job_of(task_id)
        if name in tasks:
            states[task_id] = tasks[name]
    return states


def _job_of(task_id: str) -> str:
    """The job of an array task: ``123`` of ``123_4``."""
    return task_id.partition("_")[0]


def expand_array(name: str) -> list[str]:
    """The tasks that a name stands for.

    SLURM writes those of an array that never started as one: ``7_[0-2,5%4]`` are four.
    """
    job, bracket, indices = name.partition("_[")
    if not bracket:
        return [name]
    tasks = []
    for part in indices.rstrip("]").partition("%")[0].split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            tasks += [f"{job}_{index}" for index in range(int(first), int(last or first) + 1)]
    return tasks


def _query_squeue(jobs: Sequence[str]) -> dict[str, TaskInfo]:
    output = _run_query(
        "squeue", "-h", "-r", "-t", "all", "-o", "%i|%T|%N|%r", "-j", ",".join(jobs)
    )
    tasks: dict[str, TaskInfo] = {}
    for line in output.splitlines():
        if line.count("|") < 3:
            continue
        name, state, node, reason = line.split("|", 3)
        tasks |= dict.fromkeys(expand_array(name), TaskInfo(state, node, reason))
    return tasks


def _query_sacct(jobs: Sequence[str]) -> dict[str, TaskInfo]:
    if shutil.which("sacct") is None:
        return {}
    columns = "JobID,State,NodeList"
    result = run_command("sacct", "-n", "-P", "-X", "-o", columns, "-j", ",".join(jobs))
    if result.returncode and "is disabled" not in result.stderr:  # a site without accounting
        raise _unavailable("sacct", " ".join(result.stderr.split()))
    tasks: dict[str, TaskInfo] = {}
    for line in result.stdout.splitlines():
        if line.count("|") != 2:
            continue
        name, state, node = line.split("|")
        if state:
            tasks |= dict.fromkeys(expand_array(name), TaskInfo(state.split()[0], node))
    return tasks


def _query_scontrol(jobs: Sequence[str]) -> dict[str, TaskInfo]:
    tasks: dict[str, TaskInfo] = {}
    for job in jobs:
        for line in _run_query("scontrol", "-o", "show", "job", job).splitlines():
            fields = dict(re.findall(r"(\w+)=(\S*)", line))
            if "JobId" not in fields:
                continue
            index = fields.get("ArrayTaskId", NO_ARRAY_INDEX)
            name = fields["JobId"]
            if index != NO_ARRAY_INDEX:
                name = f"{fields['ArrayJobId']}_[{index}]"
            info = TaskInfo(
                fields["JobState"], fields.get("NodeList", ""), fields.get("Reason", "")
            )
            tasks |= dict.fromkeys(expand_array(name), info)
    return tasks


def estimate_start(flags: Sequence[str]) -> str:
    """What ``sbatch --test-only`` says about when a job with these flags would start."""
    result = run_command("sbatch", "--test-only", "--wrap=true", *flags)
    return " ".join((result.stderr or result.stdout).split()).removeprefix("sbatch: ")


def find_refusal(flags: Sequence[str]) -> str | None:
    """Why a job with these flags can never run, such as an unknown partition; None where it may.

    What else a test reports, for instance nodes that are down now, does not keep a job from
    queueing.
    """
    result = run_command("sbatch", "--test-only", "--wrap=true", *flags)
    reason = extract_reasons(result.stderr)
    is_refused = result.returncode and reason.lower().startswith("invalid")
    return reason if is_refused else None


def extract_reasons(text: str) -> str:
    """SLURM's error lines as one."""
    reasons = re.findall(r"(?:error|allocation failure): *(.+)", text)
    distinct = dict.fromkeys(line.strip() for line in reasons)
    return "; ".join(distinct) or " ".join(text.split())


def cancel(ids: Sequence[str]) -> None:
    """End tasks, waiting or running."""
    for start in range(0, len(ids), MAX_CANCEL_IDS):
        result = run_command("scancel", *ids[start : start + MAX_CANCEL_IDS])
        if result.returncode and "Invalid job id" not in result.stderr:
            raise UserError(f"scancel: {' '.join(result.stderr.split())}")


def format_ids(ids: Sequence[str]) -> str:
    """``12_[0-3], 13``."""
    indices: dict[str, list[int]] = {}
    for task_id in ids:
        job, _, index = task_id.partition("_")
        indices.setdefault(job, []).extend([int(index)] if index else [])
    names = []
    for job, numbers in indices.items():
        names.append(f"{job}_[{min(numbers)}-{max(numbers)}]" if numbers else job)
    return ", ".join(names) or "none"
