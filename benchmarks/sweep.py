"""What fusing is worth end to end: a cell of the sample-complexity study (64 trainings: 8 n times 8
seeds) by the one entry point, against one process per training (measured on a few of them and
multiplied) and against one process per cell under the stock launcher ``hydra/launcher=basic``; and
two such cells by one process per core against one process on all cores. Whole processes, wall time,
taking turns in one run.

    python -m benchmarks.sweep [--d 8] [--processes 4] [--json FOLDER]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.record import RESULTS, Aim, finish

ROOT = Path(__file__).parents[1]
N = (64, 96, 128, 192, 256, 384, 512, 768)
SEEDS = 8
STUDY = (
    "target.L=3",
    "target.widths=[4,2]",
    "target.alpha=[1.0,0.5]",
    "learner.widths=[4,4]",
    "schedule.steps=1500",
    "probe=none",
    "measure.confirm=0",
    "compute.device=cpu",
)


def run(*overrides: str, threads: int = 1) -> float:
    """Wall seconds of one process of the entry point with a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "bfc.train", *overrides, *STUDY, f"results={folder}"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        return time.perf_counter() - began


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--d", type=int, default=8)
    parser.add_argument(
        "--processes",
        type=int,
        default=4,
        help="single trainings that are run to know what one costs",
    )
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    options = parser.parse_args(arguments)
    ladder = (
        f"target.d={options.d}",
        f"measure.n=[{','.join(map(str, N))}]",
        f"measure.seeds={SEEDS}",
    )
    single, fused, stock, per_core, threaded = [], [], [], [], []
    pair, cores = ("-m", f"target.d={options.d},{options.d + 1}", *ladder[1:]), os.cpu_count() or 1
    for i in range(options.processes):
        single.append(
            run(f"target.d={options.d}", f"measure.n=[{N[2 * i % len(N)]}]", f"measure.seeds=[{i}]")
        )
        if i % 2 == 0:
            fused.append(run(*ladder))
            stock.append(run("-m", "hydra/launcher=basic", *ladder))
            per_core.append(run(*pair, "hydra/launcher=local"))
            threaded.append(
                run(*pair, "hydra/launcher=basic", f"compute.threads={cores}", threads=cores)
            )
    trainings = len(N) * SEEDS
    figures = {
        "trainings": trainings,
        "single_s": statistics.median(single),
        "cell_s": statistics.median(fused),
        "stock_cell_s": statistics.median(stock),
        "two_cells_per_core_s": statistics.median(per_core),
        "two_cells_threaded_s": statistics.median(threaded),
        "cores": cores,
        "one_process_per_training_s": statistics.median(single) * trainings,
    }
    ratio = figures["one_process_per_training_s"] / figures["cell_s"]
    print(
        f"{trainings} trainings at d = {options.d}: one cell {figures['cell_s']:.1f} s; under the basic launcher "
        f"{figures['stock_cell_s']:.1f} s; one process per training {figures['single_s']:.1f} s each, "
        f"{figures['one_process_per_training_s']:.0f} s in all"
    )
    print(
        f"two cells on {cores} cores: one process per core {figures['two_cells_per_core_s']:.1f} s, one process with {cores} threads "
        f"{figures['two_cells_threaded_s']:.1f} s"
    )
    finish(
        "sweep",
        figures,
        [
            Aim("one process per training / one fused cell", ratio, 15.0),
            Aim(
                "one process on all cores / one process per core",
                figures["two_cells_threaded_s"] / figures["two_cells_per_core_s"],
                1.0,
            ),
        ],
        options.json,
    )


if __name__ == "__main__":
    main()
