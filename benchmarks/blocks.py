"""Generated code against the plain path on one device, without peers: first agreement, then rates.

For a GPU machine that is lent for minutes: it takes torch, numpy and Triton and nothing else. Per
case it checks that some steps agree with the plain path in double and in single precision, and that
a second run of the same steps gives the same bits, which a missing barrier would not. Then it
prints the seconds of the first step of a new shape and replica-steps per second of both paths.

    python -m benchmarks.blocks [--device cuda] [--cases tiny quadratic] [--replicas 132 1024]
    [--warps 4 8] [--seconds 1]
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.cases import CASES, CPU, Case, measure_rate, new_trainer, train_chunks
from benchmarks.walls import clock
from bfc.engine.compiled import cache
from bfc.engine.recipe import Recipe
from bfc.engine.state import COMPILED

STEPS = 20
REPLICAS = 5
TINY = 1e-12
"""Below which a tensor counts as zeros."""
TOLERANCES = {torch.float64: 1e-9, torch.float32: 2e-3}


def take_steps(recipe: Recipe) -> dict[str, Tensor]:
    """The parameters after some steps of a few replicas."""
    trainer = new_trainer(recipe, REPLICAS)
    if recipe.compile == "always" and trainer.state.execution != COMPILED:
        raise SystemExit("the steps have no compiled form on this machine")
    trainer.train_chunk(list(range(REPLICAS)), trainer.stages[0], STEPS)
    return trainer.state.params


def largest_difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """Of any parameter, relative to the largest number of its tensor; NaN if either has one."""
    differences = []
    for name, expected in b.items():
        scale = expected.abs().max().clamp_min(TINY)
        differences.append(float((a[name] - expected).abs().max() / scale))
    return max(differences)


def check_agreement(case: Case, device: torch.device, dtype: torch.dtype) -> str:
    """A line on how far both paths and two runs of the same path are apart."""
    recipe = replace(case.trainer(1, CPU, compile="never").recipe, device=device, dtype=dtype)
    plain = take_steps(replace(recipe, compile="never"))
    first, second = (take_steps(replace(recipe, compile="always")) for _ in range(2))
    difference = largest_difference(first, plain)
    is_close = difference <= TOLERANCES[dtype]
    is_same = all(torch.equal(first[name], second[name]) for name in first)
    return (
        f"{str(dtype).removeprefix('torch.')}: largest difference {difference:.1e} "
        f"({'agrees' if is_close else 'DISAGREES'}), two runs {'equal' if is_same else 'DIFFER'}"
    )


def first_step_seconds(case: Case, device: torch.device, mode: str) -> float:
    """From the making of a stack to its first step, with nothing of it in this process."""
    start = time.perf_counter()
    trainer = case.trainer(REPLICAS, device, compile=mode)
    trainer.train_chunk(list(range(REPLICAS)), trainer.stages[0], 1)
    clock(device)
    return time.perf_counter() - start


def use_warps(count: int, device: torch.device) -> None:
    """Compile for so many warps of 32 threads to a replica from now on."""
    if device.type == "cuda":
        from bfc.engine.compiled.blocks import gpu

        gpu.OPTIONS["num_warps"] = count


def rates(case: Case, device: torch.device, replicas: int, seconds: float) -> Iterator[str]:
    for mode, name in (("never", "plain"), ("always", "compiled")):
        trainer = case.trainer(replicas, device, compile=mode)
        rate = measure_rate(train_chunks(trainer), seconds, device)
        yield f"{name} {rate:,.0f}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["tiny", "quadratic"])
    parser.add_argument("--replicas", type=int, nargs="+", default=[132, 1024])
    parser.add_argument("--warps", type=int, nargs="+", default=[8], help="to a replica, on a GPU")
    parser.add_argument("--seconds", type=float, default=1.0, help="per case, path and R")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for name in options.cases:
        case = CASES[name]
        with tempfile.TemporaryDirectory() as folder:
            cache.CACHE = Path(folder)
            first = {m: first_step_seconds(case, options.device, m) for m in ("never", "always")}
        print(f"{name}: first step {first['never']:.1f} s plain, {first['always']:.1f} s compiled")
        for dtype in TOLERANCES:
            print(f"{name}, {check_agreement(case, options.device, dtype)}", flush=True)
        for replicas, warps in itertools.product(options.replicas, options.warps):
            use_warps(warps, options.device)
            line = ", ".join(rates(case, options.device, replicas, options.seconds))
            print(f"{name}, R = {replicas}, {warps} warps: replica-steps/s {line}", flush=True)


if __name__ == "__main__":
    main()
