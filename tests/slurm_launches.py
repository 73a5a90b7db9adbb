"""Launches on the SLURM of ``slurm_cluster``: their processes, and their states by SLURM."""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from unittest import mock

import psutil
from commands import TINY, has_stopped, run, stop_at_checkpoints

from bfc.launch.launch_list import find_launch
from bfc.launch.manifest import Launch
from bfc.launch.slurm import client
from bfc.launch.status import cell_statuses

RESERVED = {"preempted": "node4", "failing": "node5", "gpus": "node6"}
"""Nodes of the scenes that do something to a whole node; the others keep away from them."""
EXCLUDED = f"'{','.join(RESERVED.values())}'"
SLURM = ("-m", "hydra/launcher=slurm", "hydra.launcher.finalise=false", "hydra.launcher.mem=200M")
SLOW = (
    *TINY,
    "measure.n=64",
    "measure.seeds=4",
    "schedule.steps=1000",
    "compute.checkpoint_seconds=0",
)
"""Seconds of training with a checkpoint after every chunk."""
HELD = "+hydra.launcher.flags.hold=true"
"""Submitted jobs wait for :func:`release`."""


def launch_sweep(
    folder: Path,
    *arguments: str,
    node: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Launch:
    """Launch in this process, on this node or on those that are not reserved."""
    nodes = f"+hydra.launcher.flags.exclude={EXCLUDED}"
    if node is not None:
        nodes = f"+hydra.launcher.flags.nodelist={node}"
    with mock.patch.dict(os.environ, variables or {}):
        done = run(*SLURM, *arguments, nodes, cwd=folder)
    assert done.status == 0 and "launched" in done.out, done
    return find_launch(folder / "results")


def launch_stopping(
    folder: Path, *arguments: str, checkpoints: int = 1, node: str | None = None
) -> Launch:
    """A launch whose process stops itself after so many checkpoints; SLURM wakes what it ends.

    It waits for :func:`release`.
    """
    stopping = stop_at_checkpoints(folder / "hook", checkpoints)
    return launch_sweep(folder, *arguments, HELD, node=node, variables=stopping)


def process_stopped(launch: Launch) -> Callable[[], bool]:
    """Whether the process of the launch's first job has stopped itself."""
    return lambda: 0 in launch.events() and has_stopped(psutil.Process(pid_of(launch)))


def all_in_state(launch: Launch, *states: str) -> Callable[[], bool]:
    """Whether every cell is in one of these states."""
    return lambda: all(row.state in states for row in cell_statuses(launch))


def task_ids(launch: Launch) -> list[str]:
    ids = []
    for submitted in launch.submissions():
        ids += submitted["ids"]
    return ids


def task_states(launch: Launch) -> dict[str, str]:
    """SLURM's state of every task."""
    return {name: task.state for name, task in client.query_tasks(task_ids(launch)).items()}


def processes_of_task(task: str) -> list[psutil.Process]:
    """All processes of a task on its node: SLURM's step daemons and what they have started."""
    daemons = [
        process
        for process in psutil.process_iter(["cmdline"])
        if f"slurmstepd: [{task}." in " ".join(process.info["cmdline"] or ())
    ]
    started = [child for daemon in daemons for child in daemon.children(recursive=True)]
    return daemons + started


def kill_at_once(processes: Sequence[psutil.Process]) -> None:
    """Kill them such that none of them sees another one die."""
    for process in processes:
        process.suspend()
    for process in processes:
        process.kill()


def no_task_active(*launches: Launch) -> bool:
    ids = []
    for launch in launches:
        ids += task_ids(launch)
    return not any(task.active for task in client.query_tasks(ids).values())


def has_completed(job: str) -> bool:
    return client.query_tasks([job])[job].state == "COMPLETED"


def release(launch: Launch) -> None:
    """Let SLURM start what was submitted with :data:`HELD`."""
    subprocess.run(["scontrol", "release", *launch.submissions()[-1]["ids"]], check=True)


def requeue(launch: Launch) -> None:
    subprocess.run(["scontrol", "requeue", launch.submissions()[0]["ids"][0]], check=True)


def sbatch(*flags: str) -> str:
    """Submit a job that belongs to no launch; returns its id."""
    done = subprocess.run(
        ["sbatch", "--parsable", "-o", "/dev/null", *flags],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def pid_of(launch: Launch) -> int:
    """Process id of the launch's first job."""
    return launch.events()[0]["pid"]


def log_of(launch: Launch) -> str:
    return "".join(path.read_text() for path in sorted(launch.logs.glob("*.out")))
