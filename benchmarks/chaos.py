"""A ladder sweep on a real SLURM whose tasks are killed, requeued and preempted at random.

Its results must equal those of the undisturbed sweep bit for bit in every column but the seconds,
with nothing lost and nothing doubled. Disturbances hit tasks that are at work. What SLURM does not
start again itself is retried as a user would. Needs root and Debian's slurm-wlm.

    python -m benchmarks.chaos [--hits 50] [--seed 0]
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.slurm_box import running_slurm
from bfc.errors import UserError
from bfc.launch.launch_list import find_launch
from bfc.launch.manifest import Launch
from bfc.launch.slurm import submission
from bfc.launch.status import CellStatus, all_ended, cell_statuses
from bfc.store.cells import Cell

GRID = ("target.d=4,5,6,7", "schedule=staged,joint", "optimizer.lr=0.003,0.005,0.01,0.02,0.03")
SWEEP = (
    *GRID,
    "target.L=3",
    "schedule.steps=100",
    "schedule.check_every=10",
    "optimizer.warmup=2",
    "optimizer.batch=8",
    "measure.seeds=3",
    "measure.n=[16,32,64]",
    "measure.test=64",
    "measure.confirm=2",
    "measure.eps=[0.0001]",
    "compute.stack=4",
    "compute.device=cpu",
)
STORM = (
    "hydra/launcher=slurm",
    "compute.checkpoint_seconds=0",
    "hydra.launcher.cells_per_task=5",
    "hydra.launcher.mem=300M",
    "hydra.launcher.finalise=false",
)
CELLS = 40
KINDS = ("kill", "requeue", "preempt")


def train(folder: Path, *arguments: str) -> None:
    """Run the one entry point; raises where it fails."""
    subprocess.run(
        [sys.executable, "-m", "bfc.train", "-m", *SWEEP, *arguments], cwd=folder, check=True
    )


def disturb(launch: Launch, row: CellStatus, kind: str) -> bool:
    """Hit the task that is at a cell; whether it was hit."""
    event = launch.events()[row.job]
    if kind == "kill":
        return kill(launch, event["pid"])
    if kind == "requeue":
        command = ["scontrol", "requeue", row.task]
    else:
        command = ["sbatch", "-p", "urgent", "-w", event["node"], "--exclusive"]
        command += ["-o", "/dev/null", "--wrap", "sleep 1"]
    return subprocess.run(command, capture_output=True).returncode == 0


def kill(launch: Launch, pid: int) -> bool:
    """Kill the process of a task; False where it has ended and its number may be reused."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if str(launch.logs) in process.cmdline():
            process.kill()
            return True
    return False


def lost_jobs(rows: Sequence[CellStatus]) -> list[int]:
    """Jobs that SLURM does not start again."""
    return sorted({row.job for row in rows if row.state in ("lost", "failed", "cancelled")})


def running_tasks(launch: Launch, rows: Sequence[CellStatus]) -> dict[tuple[str, int], CellStatus]:
    """(task, restarts) → a cell that it is at."""
    events = launch.events()
    tasks = {}
    for row in rows:
        if row.state == "running" and row.share > 0:
            tasks[row.task, events[row.job]["restarts"]] = row
    return tasks


def storm(launch: Launch, hits: int, seed: int, limit: float) -> Counter[str]:
    """Disturb until enough tasks were hit, retry what is lost, and return when everything is done.

    Returns counts per kind of disturbance, and of retries. Raises :class:`TimeoutError`.
    """
    dice, counts, end = random.Random(seed), Counter[str](), time.monotonic() + limit
    hit: set[tuple[str, int]] = set()
    while time.monotonic() < end:
        rows = cell_statuses(launch)
        if all(row.state == "done" for row in rows):
            return counts
        lost = lost_jobs(rows)
        if lost and (len(lost) >= 5 or all_ended(rows)):
            submission.submit(launch, lost)
            counts["retry"] += 1
            continue
        tasks = running_tasks(launch, rows)
        candidates = sorted(task for task in tasks if task not in hit)
        if candidates and count_hits(counts) < hits:
            task, kind = dice.choice(candidates), dice.choice(KINDS)
            if disturb(launch, tasks[task], kind):
                hit.add(task)
                counts[kind] += 1
        time.sleep(dice.uniform(0.05, 0.4))
    states = Counter(row.state for row in cell_statuses(launch))
    raise TimeoutError(f"not done after {limit:.0f} s: {states}")


def count_hits(counts: Counter[str]) -> int:
    return sum(counts[kind] for kind in KINDS)


def comparable(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without its seconds, NaN as text so that rows compare."""
    values = {name: value for name, value in row.items() if name != "seconds"}
    return {name: "nan" if value != value else value for name, value in values.items()}


def tables(results: Path) -> dict[str, list[dict[str, Any]]]:
    """Cell id → its rows in a form that can be compared."""
    folders = sorted(path for path in results.iterdir() if not path.name.startswith("."))
    return {folder.name: [comparable(row) for row in Cell(folder).rows()] for folder in folders}


def count_doubled(cells: Mapping[str, list[dict[str, Any]]]) -> int:
    """Trainings that a cell holds more than once."""
    doubled = 0
    for rows in cells.values():
        trainings = [(row["kind"], row["n"], row["seed"]) for row in rows]
        doubled += len(trainings) - len(set(trainings))
    return doubled


def count_lost(calm: Mapping[str, list[Any]], stormy: Mapping[str, list[Any]]) -> int:
    """Cells that are missing, or lack trainings, after the storm."""
    return sum(len(rows) > len(stormy.get(name, [])) for name, rows in calm.items())


def run_both(folder: Path, options: argparse.Namespace) -> Counter[str]:
    """The undisturbed sweep, then the disturbed one; counts of what hit it."""
    with running_slurm(folder / "box") as variables:
        os.environ.update(variables)
        train(folder, "results=calm", "hydra/launcher=basic")
        train(folder, "results=storm", *STORM)
        launch = find_launch(folder / "storm")
        return storm(launch, options.hits, options.seed, options.limit)


def main() -> int:
    """Exit status 0 if the two tables are equal and enough was disturbed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hits", type=int, default=50, help="disturbances (default: 50)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=3000, help="seconds after which to give up")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bfc-chaos-"))
    start = time.monotonic()
    try:
        counts = run_both(folder, options)
    except UserError as error:
        print(f"bfc: {error}", file=sys.stderr)
        return 2
    calm, stormy = tables(folder / "calm"), tables(folder / "storm")
    hits, is_equal = count_hits(counts), calm == stormy
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
    print(
        f"{len(calm)} cells, {sum(map(len, calm.values()))} trainings; "
        f"{hits} disturbances ({kinds}), {counts['retry']} retries, "
        f"{time.monotonic() - start:.0f} s for both sweeps; equal: {is_equal}, "
        f"lost: {count_lost(calm, stormy)}, doubled: {count_doubled(stormy)}; {folder}"
    )
    return int(not (is_equal and len(calm) >= CELLS and hits >= options.hits))


if __name__ == "__main__":
    sys.exit(main())
