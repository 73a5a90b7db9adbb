"""Memory of a stack by generated code and operation by operation, in fresh processes.

Counted is the largest resident memory of a process that takes two chunks of steps, beyond what it
held after its imports: the stack, the compiler and the code. Linux only.

    python -m benchmarks.memory

prints MiB for every network at one replica and at the largest measured stack.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import torch

from benchmarks.cases import CASES, CPU, Case, Compile, train_chunks
from benchmarks.first_step import WAYS
from benchmarks.fresh_process import number_of_process

CHUNKS = 2
ROW = "{:>12} {:>9} {:>8} {:>8} {:>8}"


def read_peak() -> int:
    """Largest resident memory of this process so far, in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(peak)


def measure_stack(case: Case, replicas: int, compile: Compile) -> float:
    """MiB that training a stack adds to this process."""
    before = read_peak()
    trainer = case.trainer(replicas, CPU, compile)
    for _ in islice(train_chunks(trainer), CHUNKS):
        pass
    return (read_peak() - before) / 1024


def print_table() -> None:
    """All cases, MiB."""
    print(ROW.format("network", "replicas", *(way for way, _ in WAYS)))
    for name, case in CASES.items():
        for replicas in (1, max(case.cpu_sizes)):
            mebibytes = []
            with TemporaryDirectory() as folder:
                for _, compile in WAYS:
                    options = ("--case", name, "--replicas", str(replicas), "--compile", compile)
                    mebibytes.append(number_of_process("memory", options, folder))
            print(ROW.format(name, replicas, *(f"{size:.0f}" for size in mebibytes)), flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, help="measure one stack in this process")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--compile", choices=get_args(Compile), default="auto")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.case is None:
        print_table()
    else:
        print(measure_stack(CASES[options.case], options.replicas, options.compile))


if __name__ == "__main__":
    main()
