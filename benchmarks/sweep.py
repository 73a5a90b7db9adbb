"""What fusing is worth end to end, in wall time of whole processes that take turns in one run.

A cell of the sample-complexity study (64 trainings: 8 n times 8 seeds) by the entry point stands
against one process per training (measured on a few of them and multiplied) and against one process
per cell under the stock launcher ``hydra/launcher=basic``. Two such cells by one process per core
stand against one process on all cores.

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
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "bfc.train", *overrides, *STUDY, f"results={folder}"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        return time.perf_counter() - start


def measure(d: int, processes: int) -> dict[str, float]:
    """Median wall seconds of every way, which take turns."""
    size = f"target.d={d}"
    ladder = (f"measure.n=[{','.join(map(str, N))}]", f"measure.seeds={SEEDS}")
    pair = ("-m", f"target.d={d},{d + 1}", *ladder)
    cores = os.cpu_count() or 1
    seconds: dict[str, list[float]] = {}

    def time_process(name: str, *overrides: str, threads: int = 1) -> None:
        seconds.setdefault(name, []).append(run(*overrides, threads=threads))

    for i in range(processes):
        n = N[2 * i % len(N)]
        time_process("single_s", size, f"measure.n=[{n}]", f"measure.seeds=[{i}]")
        if i % 2 == 0:
            time_process("cell_s", size, *ladder)
            time_process("stock_cell_s", "-m", "hydra/launcher=basic", size, *ladder)
            time_process("two_cells_per_core_s", *pair, "hydra/launcher=local")
            basic = ("hydra/launcher=basic", f"compute.threads={cores}")
            time_process("two_cells_threaded_s", *pair, *basic, threads=cores)
    figures = {name: statistics.median(values) for name, values in seconds.items()}
    trainings = len(N) * SEEDS
    return {
        **figures,
        "trainings": trainings,
        "cores": cores,
        "one_process_per_training_s": figures["single_s"] * trainings,
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--d", type=int, default=8)
    parser.add_argument(
        "--processes", type=int, default=4, help="single trainings from which their cost is taken"
    )
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    options = parser.parse_args(arguments)
    figures = measure(options.d, options.processes)
    per_core, threaded = figures["two_cells_per_core_s"], figures["two_cells_threaded_s"]
    print(
        f"{figures['trainings']} trainings at d = {options.d}: one cell {figures['cell_s']:.1f} s; "
        f"under the basic launcher {figures['stock_cell_s']:.1f} s; "
        f"one process per training {figures['single_s']:.1f} s each, "
        f"{figures['one_process_per_training_s']:.0f} s in all"
    )
    print(
        f"two cells on {figures['cores']} cores: one process per core {per_core:.1f} s, "
        f"one process with {figures['cores']} threads {threaded:.1f} s"
    )
    ratio = figures["one_process_per_training_s"] / figures["cell_s"]
    aims = [
        Aim("one process per training / one fused cell", ratio, 15.0),
        Aim("one process on all cores / one process per core", threaded / per_core, 1.0),
    ]
    finish("sweep", figures, aims, options.json)


if __name__ == "__main__":
    main()
