"""Launching on a real SLURM of four virtual nodes: wall time of trivial cells with this program's
launcher beside Hydra's stock Submitit launcher, as a ratio of one run, and the time to compose,
check and submit a thousand cells. Needs root and Debian's slurm-wlm.

    python -m benchmarks.launch [--sizes 20 200] [--submit 1000] [--json FOLDER]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import slurm_cluster as box

from benchmarks.record import RESULTS, Aim, finish
from bfc.errors import UserError
from bfc.launch.manifest import find_launch
from bfc.launch.slurm import client as cluster
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
"""A cell that takes a tenth of a second; ``measure.test`` tells cells apart."""
PACKED, STOCK = "hydra/launcher=slurm", "hydra/launcher=submitit_slurm"


def sweep(folder: Path, cells: int, *arguments: str) -> float:
    """Seconds until the command returned; raises where it failed."""
    began = time.perf_counter()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "bfc.train",
            "-m",
            *CELL,
            f"measure.test=range(64,{64 + cells})",
            *arguments,
        ],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def packed(folder: Path, cells: int) -> float:
    """Seconds from the command to the end of the last cell, the finishing job not counted, as the
    stock launcher has none."""
    began = time.perf_counter()
    sweep(folder, cells, PACKED, "results=packed", "hydra.launcher.finalise=false")
    launch = find_launch(folder / "packed")
    while not all(row.state == "done" for row in cell_statuses(launch)):
        time.sleep(0.2)
    return time.perf_counter() - began


def submitted(folder: Path, cells: int) -> float:
    """Seconds until a launch of so many cells is with SLURM; it is then cancelled."""
    seconds = sweep(
        folder,
        cells,
        PACKED,
        "results=many",
        "+hydra.launcher.flags.hold=true",
        "hydra.launcher.finalise=false",
    )
    cluster.cancel([task for each in find_launch(folder / "many").submissions() for task in each["ids"]])
    return seconds


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
    figures: dict[str, Any] = {}
    aims: list[Aim] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bfc-bench-") as name,
            box.running(Path(name) / "box") as variables,
        ):
            os.environ.update(variables)
            figures["submit"] = {
                "cells": options.submit,
                "seconds": submitted(Path(name), options.submit),
            }
            aims.append(
                Aim(
                    f"seconds to compose, check and submit {options.submit} cells",
                    figures["submit"]["seconds"],
                    15,
                    at_most=True,
                )
            )
            for cells in options.sizes:
                folder = Path(name) / str(cells)
                folder.mkdir()
                ours, stock = packed(folder, cells), sweep(folder, cells, STOCK, "results=stock")
                print(
                    f"{cells} cells: {ours:.1f} s packed, {stock:.1f} s with the stock launcher, ratio {ours / stock:.2f}",
                    flush=True,
                )
                figures[str(cells)] = {"packed": ours, "stock": stock, "ratio": ours / stock}
                aims.append(
                    Aim(
                        f"wall time of {cells} cells over the stock launcher's",
                        ours / stock,
                        0.5,
                        at_most=True,
                    )
                )
    except UserError as error:
        print(f"bfc: {error}", file=sys.stderr)
        return 2
    finish("launch", figures, aims, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
