"""Replica-steps per CPU-second of the fused stack against what one would write without it.

All sides run in one process on one thread:

plain  the stack with its steps taken operation by operation (compute.compile=never)
loop   one replica at a time: autograd on plain tensors and torch.optim, the fastest of its
       implementations
vmap   torch.func.vmap(grad) of the single-replica loss over R replicas, the optimizer on the
       stacked tensors
jax    the same function under jax.vmap, jit and lax.scan over 50 steps, where jax is installed
       (extra ``bench``)

Every side trains the same networks on pools of 512 rows per replica and gathers a new batch at
every step. Before anything is timed, all must agree on the parameters after some steps from the
same rows. When timed, each draws its rows with a generator of its own. On a CPU the time of the
process is counted, so that another program on the machine does not enter; on a GPU wall time, and
the stack is also measured without recording its steps (``eager``) and with generated code
(``blocks``, compute.compile=always). Beside the peers stand the
limits: the products of a step and nothing else, by torch and by jax, and the machine's rates of
products and copies. Then follow what is not a rate: the seconds to the first step of a shape
(:mod:`benchmarks.first_step`) and, on a CPU, whole training cells of two studies
(:mod:`benchmarks.study_cells`).

    python -m benchmarks.training [--seconds 2] [--cases tiny wide] [--replicas 1 16 64]
    [--parts rates first-steps studies] [--device cuda] [--json FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks import first_step
from benchmarks.cases import (
    CASES,
    CPU,
    Case,
    N,
    count_step,
    measure_rate,
    train_chunks,
    trained_names,
)
from benchmarks.peers import Jax, Loop, Vmap, has_jax, jax_products
from benchmarks.record import RESULTS, finish
from benchmarks.training_aims import Figures, first_step_aims, rate_aims, study_aims
from benchmarks.walls import copy_rate, product_rate, products_alone
from bfc import random

LOOPS = {
    "fused": {"fused": True},
    "foreach": {"foreach": True},
    "plain": {"foreach": False},
}
"""Implementations of torch.optim."""
SIDES = ("stack", "plain", "loop", "vmap", "jax", "eager", "blocks", "products")
PARTS = ("rates", "first-steps", "studies")
COMPILED_CASES = ("tiny", "quadratic")
"""Cases that generated code serves by default on a CPU; on a GPU it can serve all."""


def check_agreement(
    case: Case, steps: int = 5, replicas: int = 3, device: torch.device = CPU
) -> None:
    """All sides give the same parameters after some steps from the same rows.

    Raises AssertionError otherwise.
    """
    trainer, batch = case.trainer(replicas, device), case.optimizer.batch
    keys = random.keys(range(replicas), "batch").unsqueeze(1)

    def rows(t: int) -> Tensor:
        drawn = random.integers(keys, t * batch + torch.arange(batch), torch.tensor(N))
        return drawn.to(device)

    loop, vmap = Loop(case, trainer), Vmap(case, trainer)
    jax = Jax(case, trainer) if has_jax() else None
    stacks = [trainer]
    if device.type == "cuda":
        stacks.append(case.trainer(replicas, device, compile="always"))
    for stack in stacks:
        stack.train_chunk(list(range(replicas)), stack.stages[0], steps)
    list(itertools.islice(loop.steps(lambda t: rows(t)[0]), steps))
    list(itertools.islice(vmap.steps(rows), steps))
    if jax is not None:
        jax.train_on([rows(t).cpu() for t in range(steps)])
    tolerance = {"rtol": 2e-3, "atol": 2e-5}
    for name in trained_names(trainer):
        expected = trainer.state.params[name]
        for stack in stacks[1:]:
            torch.testing.assert_close(stack.state.params[name], expected, **tolerance)
        torch.testing.assert_close(vmap.params[name], expected, **tolerance)
        torch.testing.assert_close(loop.params[name].detach(), expected[0], **tolerance)
        if jax is not None:
            torch.testing.assert_close(jax.params[name], expected.cpu(), **tolerance)


def make_sides(case: Case, replicas: int, device: torch.device) -> dict[str, Iterator[int]]:
    """Every way to train the case, each an iterator over the replica-steps it takes."""
    trainer, batch = case.trainer(replicas, device), case.optimizer.batch

    def draw_one(t: int) -> Tensor:
        return torch.randint(0, N, (batch,), device=device)

    def draw_all(t: int) -> Tensor:
        return torch.randint(0, N, (replicas, batch), device=device)

    plain = case.trainer(replicas, device, compile="never")
    sides = {
        "stack": train_chunks(trainer),
        "plain": train_chunks(plain),
        "vmap": Vmap(case, trainer).steps(draw_all),
    }
    if device.type == "cuda":
        sides["eager"] = train_chunks(case.trainer(replicas, device), record_steps=False)
        sides["blocks"] = train_chunks(case.trainer(replicas, device, compile="always"))
    for name, options in LOOPS.items():
        sides[f"loop {name}"] = Loop(case, trainer, **options).steps(draw_one)
    if has_jax():
        sides["jax"] = Jax(case, trainer).steps()
    return sides


def measure_sides(
    sides: Mapping[str, Iterator[int]], seconds: float, rounds: int, device: torch.device
) -> dict[str, float]:
    """Median rate of every side over rounds in which they take turns."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, chunks in sides.items():
            rates[name].append(measure_rate(chunks, seconds / rounds, device))
    return {name: statistics.median(values) for name, values in rates.items()}


def measure(
    case: Case, replicas: int, seconds: float, rounds: int, device: torch.device
) -> dict[str, float]:
    """Rates of all sides and of the products alone, and the work of a replica-step."""
    speeds = measure_sides(make_sides(case, replicas, device), seconds, rounds, device)
    step = count_step(case.trainer(replicas, device, compile="never"))
    rates = {
        "stack": speeds["stack"],
        "plain": speeds["plain"],
        "loop": max(speeds[f"loop {name}"] for name in LOOPS),
        "vmap": speeds["vmap"],
        "jax": speeds.get("jax", float("nan")),
        "eager": speeds.get("eager", speeds["stack"]),
        "blocks": speeds.get("blocks", float("nan")),
        "products": replicas * products_alone(step.products, device, seconds / rounds),
    }
    if has_jax() and device.type == "cpu":
        products = jax_products(step.products)
        rates["jax_products"] = replicas * measure_rate(products, seconds / rounds, device)
    ratios = {}
    for name, rate in rates.items():
        if name != "stack":
            ratios[f"stack_over_{name}"] = rates["stack"] / rate
    return {
        "replicas": replicas,
        "flops": step.flops / replicas,
        "bytes": step.moved / replicas,
        **rates,
        **ratios,
    }


def measure_case(name: str, options: argparse.Namespace, peak: float, copies: float) -> list[Any]:
    """The figures of one case, a row per number of replicas."""
    case, device = CASES[name], options.device
    check_agreement(case, device=device)
    rows = []
    for replicas in options.replicas or case.stack_sizes(device):
        row = measure(case, replicas, options.seconds, options.rounds, device)
        row["of_peak"] = row["stack"] * row["flops"] / peak
        row["wall"] = 1 / max(row["flops"] / peak, row["bytes"] / copies)
        row["of_wall"] = row["stack"] / row["wall"]
        rows.append(row)
    return rows


def measure_rates(options: argparse.Namespace) -> dict[str, Any]:
    """The rates of all sides of all cases, beside the rates of the machine; prints them."""
    device = options.device
    peak, copies = product_rate(device), copy_rate(device)
    figures: dict[str, Any] = {"product_rate": peak, "copy_rate": copies}
    for name in options.cases:
        figures[name] = {"rows": measure_case(name, options, peak, copies)}
    print_table(figures, options.cases, device)
    for name in options.cases:
        fastest = max(figures[name]["rows"], key=lambda row: row["stack"])
        print(roofline(name, fastest, peak, copies))
    return figures


def measure_first_steps(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds to the first step of the cases that generated code serves; prints them."""
    rows = []
    for name in options.cases:
        if options.device.type == "cpu" and name not in COMPILED_CASES:
            continue
        seconds = first_step.measure(name, options.device, options.repeats)
        words = ", ".join(f"{value:.2f} s {way}" for way, value in seconds.items())
        print(f"{name}: first step {words}")
        rows.append({"case": name, **seconds})
    return rows


def measure_studies() -> list[dict[str, Any]]:
    """CPU-seconds of training cells of the studies; prints them."""
    from benchmarks import study_cells  # which needs Hydra and pandas, unlike all else here

    rows = []
    for study in study_cells.STUDIES:
        row = {"study": study, **study_cells.measure(study)}
        print(
            f"{study}: {row['plain']:.1f} CPU-seconds operation by operation, {row['new']:.1f} by "
            f"code, {row['cached']:.1f} by cached code; {row['equal_outcomes']} of "
            f"{row['trainings']} trainings have the same outcome and {row['equal_verdicts']} of "
            f"{row['claims']} claims the same verdict"
        )
        rows.append(row)
    return rows


def print_table(figures: Figures, cases: Sequence[str], device: torch.device) -> None:
    """Rates of all sides of all cases."""
    unit = "CPU-second, one thread" if device.type == "cpu" else "second"
    peak, copies = figures["product_rate"] / 1e9, figures["copy_rate"] / 1e9
    table = Table(
        *("case", "R", "ours", "plain", "loop", "vmap", "jax", "eager", "blocks", "products"),
        *("/ plain", "/ loop", "/ vmap", "/ jax", "of products", "of wall"),
        title=(
            f"Replica-steps per {unit}; matrix product {peak:.0f} GFLOP/s, copy {copies:.0f} GB/s"
        ),
    )
    for name in cases:
        for row in figures[name]["rows"]:
            rates = [f"{row[side]:,.0f}" for side in SIDES]
            peers = ("plain", "loop", "vmap", "jax", "products")
            ratios = [f"{row[f'stack_over_{peer}']:.2f}" for peer in peers]
            table.add_row(name, str(row["replicas"]), *rates, *ratios, f"{row['of_wall']:.2f}")
    Console(width=150).print(table)


def roofline(name: str, row: Mapping[str, float], peak: float, copies: float) -> str:
    """One sentence: the work of a replica-step, the limit that follows, and the rate reached.

    The limit is that of a program in which every operation goes through memory once.
    """
    by = "products" if row["flops"] / peak > row["bytes"] / copies else "memory"
    return (
        f"{name}, R = {row['replicas']}: {row['flops'] / 1e6:.2f} MFLOP and "
        f"{row['bytes'] / 1e6:.2f} MB a replica-step, unfused; limit "
        f"{row['wall']:,.0f} replica-steps/s ({by}), "
        f"reached {row['stack']:,.0f} ({row['of_wall']:.0%})"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU time per side, case and R")
    parser.add_argument("--rounds", type=int, default=3, help="turns that the time is split into")
    parser.add_argument("--replicas", type=int, nargs="+", help="in place of those of each case")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=3, help="first steps, of which the median")
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    parser.add_argument("--device", type=torch.device, default=CPU, help="cpu or cuda")
    options = parser.parse_args(arguments)
    device = options.device
    torch.set_num_threads(1)
    if "rates" in options.parts:
        if not has_jax():
            print("jax (extra bench) is not installed: the aims beside it are left out")
        figures = measure_rates(options)
        finish("training", figures, rate_aims(figures, device), options.json, str(device))
    if "first-steps" in options.parts:
        rows = measure_first_steps(options)
        aims = first_step_aims(rows, device)
        finish("first_step", {"rows": rows}, aims, options.json, str(device))
    if "studies" in options.parts and device.type == "cpu":
        rows = measure_studies()
        finish("study_cells", {"rows": rows}, study_aims(rows), options.json)


if __name__ == "__main__":
    main()
