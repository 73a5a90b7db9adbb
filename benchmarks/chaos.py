"""A ladder sweep on a real SLURM while its tasks are killed, requeued and preempted at random,
compared with the same sweep left alone: equal bit for bit in every column but the seconds, nothing
lost, nothing doubled. Disturbances hit tasks that are at work; what SLURM does not start again
itself is retried as a user would. Needs root and Debian's slurm-wlm.

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
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import slurm_cluster as box

from bfc.errors import UserError
from bfc.launch.manifest import Launch, find_launch
from bfc.launch.slurm import submission as slurm
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
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(event["pid"])
            if (
                str(launch.logs) in process.cmdline()
            ):  # not one that got the number of a task that has ended
                process.kill()
                return True
        return False
    if kind == "requeue":
        return (
            subprocess.run(["scontrol", "requeue", row.task], capture_output=True).returncode == 0
        )
    urgent = [
        "sbatch",
        "-p",
        "urgent",
        "-w",
        event["node"],
        "--exclusive",
        "-o",
        "/dev/null",
        "--wrap",
        "sleep 1",
    ]
    return subprocess.run(urgent, capture_output=True).returncode == 0


def storm(launch: Launch, hits: int, seed: int, limit: float) -> Counter[str]:
    """Disturb until enough tasks were hit, retry what is lost, and return when everything is done.
    Raises :class:`TimeoutError`."""
    dice, counts, end = random.Random(seed), Counter[str](), time.monotonic() + limit
    seen: set[tuple[str, int]] = set()
    while time.monotonic() < end:
        rows, events = cell_statuses(launch), launch.events()
        if all(row.state == "done" for row in rows):
            return counts
        lost = sorted({row.job for row in rows if row.state in ("lost", "failed", "cancelled")})
        if lost and (len(lost) >= 5 or all_ended(rows)):
            slurm.submit(launch, lost)
            counts["retry"] += 1
            continue
        lives = {
            (row.task, events[row.job]["restarts"]): row
            for row in rows
            if row.state == "running" and row.share > 0
        }
        fresh = [life for life in lives if life not in seen]
        if fresh and sum(counts[kind] for kind in KINDS) < hits:
            life = dice.choice(sorted(fresh))
            kind = dice.choice(KINDS)
            if disturb(launch, lives[life], kind):
                seen.add(life)
                counts[kind] += 1
        time.sleep(dice.uniform(0.05, 0.4))
    raise TimeoutError(
        f"not done after {limit:.0f} s: {Counter(row.state for row in cell_statuses(launch))}"
    )


def tables(results: Path) -> dict[str, list[dict[str, Any]]]:
    """Cell id → its rows without the seconds, NaN as text so that rows compare."""
    found = {}
    for folder in sorted(p for p in results.iterdir() if not p.name.startswith(".")):
        found[folder.name] = [
            {k: "nan" if v != v else v for k, v in row.items() if k != "seconds"}
            for row in Cell(folder).rows()
        ]
    return found


def main() -> int:
    """Exit status 0 if the two tables are equal and enough was disturbed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hits", type=int, default=50, help="disturbances (default: 50)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=3000, help="seconds after which to give up")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bfc-chaos-"))
    try:
        with box.running(folder / "box") as variables:
            os.environ.update(variables)
            train(folder, "results=calm", "hydra/launcher=basic")
            train(
                folder,
                "results=storm",
                "hydra/launcher=slurm",
                "compute.checkpoint_seconds=0",
                "hydra.launcher.cells_per_task=5",
                "hydra.launcher.mem=300M",
                "hydra.launcher.finalise=false",
            )
            began = time.monotonic()
            counts = storm(find_launch(folder / "storm"), options.hits, options.seed, options.limit)
    except UserError as error:
        print(f"bfc: {error}", file=sys.stderr)
        return 2
    calm, stormy = tables(folder / "calm"), tables(folder / "storm")
    hits = sum(counts[kind] for kind in KINDS)
    trainings = {
        name: [(row["kind"], row["n"], row["seed"]) for row in rows]
        for name, rows in stormy.items()
    }
    doubled = sum(len(own) - len(set(own)) for own in trainings.values())
    lost = len(set(calm) - set(stormy)) + sum(
        len(calm[name]) > len(stormy.get(name, [])) for name in calm
    )
    print(
        f"{len(calm)} cells, {sum(map(len, calm.values()))} trainings; {hits} disturbances ("
        + ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
        + f"), {counts['retry']} retries, {time.monotonic() - began:.0f} s; "
        f"equal: {calm == stormy}, lost: {lost}, doubled: {doubled}; {folder}"
    )
    return int(not (calm == stormy and len(calm) >= CELLS and hits >= options.hits))


if __name__ == "__main__":
    sys.exit(main())
