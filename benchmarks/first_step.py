"""Seconds until the first step of a shape has been taken, in fresh processes.

Three ways take turns: operation by operation (``plain``), by generated code of which nothing is on
disk (``new``), and by the code that this left there (``cached``). Counted is what follows the
import of the engine: from the making of a stack to the end of its first step. On a CPU it is CPU
time, on a GPU wall time.

    python -m benchmarks.first_step --case tiny --compile always [--device cuda]

takes one such first step and prints its seconds. ``benchmarks.training`` takes them all.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from typing import get_args

import torch

from benchmarks.cases import CASES, CPU, Case, Compile
from benchmarks.fresh_process import number_of_process
from benchmarks.walls import clock

REPLICAS = 16
"""Replicas of the stack."""
PLAIN, NEW, CACHED = "plain", "new", "cached"
WAYS = ((PLAIN, "never"), (NEW, "always"), (CACHED, "always"))
"""In the order in which they are measured: ``new`` leaves its code for ``cached``."""


def first_step_seconds(case: Case, device: torch.device, compile: Compile) -> float:
    """From the making of a stack to the end of its first step, in this process."""
    start = clock(device)
    trainer = case.trainer(REPLICAS, device, compile)
    trainer.train_chunk(list(range(REPLICAS)), trainer.stages[0], 1)
    return clock(device) - start


def measure(name: str, device: torch.device, repeats: int) -> dict[str, float]:
    """Median seconds of the three ways for the case ``name``."""
    seconds: dict[str, list[float]] = {PLAIN: [], NEW: [], CACHED: []}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            for way, compile in WAYS:
                options = ("--case", name, "--compile", compile, "--device", str(device))
                seconds[way].append(number_of_process("first_step", options, folder))
    return {way: statistics.median(values) for way, values in seconds.items()}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, required=True)
    parser.add_argument("--compile", choices=get_args(Compile), required=True)
    parser.add_argument("--device", type=torch.device, default=CPU, help="cpu or cuda")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(first_step_seconds(CASES[options.case], options.device, options.compile))


if __name__ == "__main__":
    main()
