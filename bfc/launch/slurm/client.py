"""What is asked of SLURM's own commands, in one place: limits, states, a start estimate,
cancelling. States come from ``squeue``, what it no longer knows from ``sacct``, and where a site
keeps no accounting from ``scontrol``; SLURM is asked once per call, not once per job."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bfc.errors import UserError

ACTIVE = {
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
    "PREEMPTED_PENDING",
}
NO_TASK = "4294967294"
"""What `scontrol` calls the task of an array that was cancelled before it started."""
SECONDS = 60.0
"""Longest that one of SLURM's commands may take."""


@dataclass(frozen=True)
class Task:
    """A SLURM job or array task: its state, node and, while it waits, why."""

    state: str
    node: str = ""
    reason: str = ""

    @property
    def active(self) -> bool:
        return self.state in ACTIVE


class Silent(UserError):
    """SLURM does not answer now, so nothing is known of its jobs; that is no news about them."""


def ask(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one of SLURM's commands. Raises :class:`UserError` where there is none, :class:`Silent`
    where it does not answer."""
    if shutil.which(command[0]) is None:
        raise UserError(
            f"{command[0]}: no such command on this machine; SLURM's commands must be on PATH, or hydra/launcher=local be used"
        )
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, env=clean_environment()
        )
    except subprocess.TimeoutExpired as error:
        raise Silent(
            f"{command[0]}: SLURM does not answer within {SECONDS:.0f} s; try again later"
        ) from error


def _ask_about(*command: str) -> str:
    """What a command prints about jobs, some of which SLURM may have forgotten."""
    done = ask(*command)
    if done.returncode and "invalid job id" not in done.stderr.lower():
        raise Silent(
            f"{command[0]}: SLURM does not answer ({' '.join(done.stderr.split()) or f'exit status {done.returncode}'}); "
            "try again later"
        )
    return done.stdout


def clean_environment() -> dict[str, str]:
    """This environment without what SLURM put into a job's, which would leak into jobs submitted
    from it."""
    kept = ("SLURM_CONF",)
    own = {
        k: v
        for k, v in os.environ.items()
        if k in kept or not k.startswith(("SLURM_", "SBATCH_", "SRUN_"))
    }
    return {**own, "SLURM_BITSTR_LEN": "0"}  # lists of array tasks in full


@contextlib.contextmanager
def cleaned() -> Iterator[None]:
    """This process's own environment without SLURM's variables, for libraries that start commands."""
    before = dict(os.environ)
    for name in set(before) - set(clean_environment()):
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)


def max_array_size() -> int:
    """The site's MaxArraySize: array indices must be below it."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", ask("scontrol", "show", "config").stdout, re.M)
    if not found:
        raise Silent("scontrol show config: SLURM does not answer; is this a login node?")
    return int(found.group(1))


def tasks(ids: Sequence[str]) -> dict[str, Task]:
    """State per id (``123`` or ``123_4``); ids that SLURM has forgotten are absent. Raises
    :class:`Silent`."""
    wanted = set(ids)
    if not wanted:
        return {}
    bases = sorted({i.partition("_")[0] for i in wanted})
    found = _squeue(bases)
    unknown = {i for i in wanted if i not in found and i.partition("_")[0] not in found}
    if unknown:
        missing = sorted({i.partition("_")[0] for i in unknown})
        found = {**(_sacct(missing) or _scontrol(missing)), **found}
    whole = {
        i: i if i in found else i.partition("_")[0] for i in wanted
    }  # an array that was cancelled before it started is one job
    return {i: found[name] for i, name in whole.items() if name in found}


def each_of(name: str) -> list[str]:
    """The tasks behind a name: ``7_[0-2,5%4]``, as SLURM writes those of an array that never
    started, are four."""
    base, bracket, inside = name.partition("_[")
    if not bracket:
        return [name]
    spans = [part.partition("-") for part in inside.rstrip("]").partition("%")[0].split(",")]
    return [
        f"{base}_{i}"
        for low, _, high in spans
        if low.isdigit()
        for i in range(int(low), int(high or low) + 1)
    ]


def _squeue(bases: Sequence[str]) -> dict[str, Task]:
    told = _ask_about("squeue", "-h", "-r", "-t", "all", "-o", "%i|%T|%N|%r", "-j", ",".join(bases))
    return {
        i: Task(state, node, reason)
        for name, state, node, reason in (
            line.split("|", 3) for line in told.splitlines() if line.count("|") >= 3
        )
        for i in each_of(name)
    }


def _sacct(bases: Sequence[str]) -> dict[str, Task]:
    if shutil.which("sacct") is None:
        return {}
    done = ask("sacct", "-n", "-P", "-X", "-o", "JobID,State,NodeList", "-j", ",".join(bases))
    if done.returncode and "is disabled" not in done.stderr:  # a site without accounting says so
        raise Silent(
            f"sacct: SLURM does not answer ({' '.join(done.stderr.split())}); try again later"
        )
    rows = [line.split("|") for line in done.stdout.splitlines() if line.count("|") == 2]
    return {
        i: Task(state.split()[0], node)
        for name, state, node in rows
        if state
        for i in each_of(name)
    }


def _scontrol(bases: Sequence[str]) -> dict[str, Task]:
    found = {}
    for base in bases:
        for line in _ask_about("scontrol", "-o", "show", "job", base).splitlines():
            fields = dict(re.findall(r"(\w+)=(\S*)", line))
            if "JobId" in fields:
                array = fields.get("ArrayTaskId", NO_TASK)
                name = fields["JobId"] if array == NO_TASK else f"{fields['ArrayJobId']}_[{array}]"
                found |= dict.fromkeys(
                    each_of(name),
                    Task(fields["JobState"], fields.get("NodeList", ""), fields.get("Reason", "")),
                )
    return found


def start_estimate(flags: Sequence[str]) -> str:
    """What ``sbatch --test-only`` says about when a job with these flags would start."""
    done = ask("sbatch", "--test-only", "--wrap=true", *flags)
    return " ".join((done.stderr or done.stdout).split()).removeprefix("sbatch: ")


def refusal(flags: Sequence[str]) -> str | None:
    """Why no job with these flags can ever be, as with a partition or account that does not exist;
    None where it may be. A test says more than that, such as that nodes are down now, which keeps
    nobody from queueing."""
    done = ask("sbatch", "--test-only", "--wrap=true", *flags)
    reason = reasons(done.stderr)
    return reason if done.returncode and reason.lower().startswith("invalid") else None


def reasons(text: str) -> str:
    """SLURM's error lines as one."""
    found = re.findall(r"(?:error|allocation failure): *(.+)", text)
    return "; ".join(dict.fromkeys(line.strip() for line in found)) or " ".join(text.split())


def cancel(ids: Sequence[str]) -> None:
    """End tasks, waiting or running."""
    for start in range(0, len(ids), 200):
        done = ask("scancel", *ids[start : start + 200])
        if done.returncode and "Invalid job id" not in done.stderr:
            raise UserError(f"scancel: {' '.join(done.stderr.split())}")
