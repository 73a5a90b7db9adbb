"""Launching on a real SLURM of four virtual nodes.

Measured are the wall time of trivial cells with this program's launcher against Hydra's stock
Submitit launcher, as a ratio of one run, and the time to compose, check and submit a thousand
cells. Needs root and Debian's slurm-wlm.

    python -m benchmarks.launch [--sizes 20 200] [--submit 1000] [--json FOLDER]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, Aim, finish
from benchmarks.slurm_box import running_slurm
from bfc.errors import UserError
from bfc.launch.launch_list import find_launch
from bfc.launch.slurm import client
from bfc.launch.status import cell_statuses

CELL = (
    "target.d=4",
    "schedule.steps=20",
    "schedule.check_every=10",
    "optimizer.warmup=2",
    "optimizer.batch=8",
    "measure.seeds=2",
    "measure.n=[16,32]",
    "measure.confirm=0",
    "probe=none",
    "compute.device=cpu",
)
"""A cell that takes a tenth of a second; cells differ in ``measure.test``."""
PACKED, STOCK = "hydra/launcher=slurm", "hydra/launcher=submitit_slurm"


def sweep(folder: Path, cells: int, *arguments: str) -> float:
    """Seconds until the command returned; raises where it failed."""
    tests = f"measure.test=range(64,{64 + cells})"
    command = [sys.executable, "-m", "bfc.train", "-m", *CELL, tests, *arguments]
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def packed(folder: Path, cells: int) -> float:
    """Seconds from the command to the end of the last cell.

    The finishing job is left out, as the stock launcher has none.
    """
    start = time.perf_counter()
    sweep(folder, cells, PACKED, "results=packed", "hydra.launcher.finalise=false")
    launch = find_launch(folder / "packed")
    while not all(row.state == "done" for row in cell_statuses(launch)):
        time.sleep(0.2)
    return time.perf_counter() - start


def submitted(folder: Path, cells: int) -> float:
    """Seconds until a launch of so many cells is with SLURM; it is then cancelled."""
    held = ("+hydra.launcher.flags.hold=true", "hydra.launcher.finalise=false")
    seconds = sweep(folder, cells, PACKED, "results=many", *held)
    tasks: list[str] = []
    for submission in find_launch(folder / "many").submissions():
        tasks += submission["ids"]
    client.cancel(tasks)
    return seconds


def measure_submission(folder: Path, cells: int) -> tuple[dict[str, Any], Aim]:
    seconds = submitted(folder, cells)
    name = f"seconds to compose, check and submit {cells} cells"
    return {"cells": cells, "seconds": seconds}, Aim(name, seconds, 15, at_most=True)


def measure_wall_time(folder: Path, cells: int) -> tuple[dict[str, Any], Aim]:
    """Both launchers one after the other on the same cells."""
    folder.mkdir()
    ours, stock = packed(folder, cells), sweep(folder, cells, STOCK, "results=stock")
    ratio = ours / stock
    print(
        f"{cells} cells: {ours:.1f} s packed, {stock:.1f} s with the stock launcher, "
        f"ratio {ratio:.2f}",
        flush=True,
    )
    name = f"wall time of {cells} cells over the stock launcher's"
    return {"packed": ours, "stock": stock, "ratio": ratio}, Aim(name, ratio, 0.5, at_most=True)


def measure(folder: Path, sizes: Sequence[int], submit: int) -> tuple[dict[str, Any], list[Aim]]:
    """The figures and aims of a whole run, on a SLURM of its own below ``folder``."""
    figures: dict[str, Any] = {}
    aims: list[Aim] = []
    with running_slurm(folder / "box") as variables:
        os.environ.update(variables)
        figures["submit"], aim = measure_submission(folder, submit)
        aims.append(aim)
        for cells in sizes:
            figures[str(cells)], aim = measure_wall_time(folder / str(cells), cells)
            aims.append(aim)
    return figures, aims


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=[20, 200], help="cells, run with both launchers"
    )
    parser.add_argument("--submit", type=int, default=1000, help="cells that are only submitted")
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder for the figures")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="bfc-bench-") as folder:
            figures, aims = measure(Path(folder), options.sizes, options.submit)
    except UserError as error:
        print(f"bfc: {error}", file=sys.stderr)
        return 2
    finish("launch", figures, aims, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
