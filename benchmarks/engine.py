"""Replica-steps per second of the fused stack against what one would write without it, in one run on one thread:

loop   one replica at a time: plain tensors, torch.autograd, torch.optim.Adam (the fastest of its implementations), clip_grad_norm_
vmap   torch.func.vmap(grad) of the same single-replica loss over R replicas, Adam and clipping on the stacked tensors

Both rivals are timed with products by gathered columns and by slices, and the faster one counts. All three sides train the same quadratic
network (d = 16, L = 3, p = (4, 4)) on pools of 512 rows per replica, gather a new batch at every step, clip per replica and follow the
same warm-up and cosine; before anything is timed they must agree on the parameters after a few steps from the same rows. Timed, the rivals
draw their rows with torch.randint, the stack with its counter-based streams.

    python benchmarks/engine.py --seconds 3 --json engine.json
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.func import grad, vmap

from bfc import streams
from bfc.engine.loop import Recipe, _Stack
from bfc.engine.optimizers import Adam
from bfc.environment import hardware
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.learners.schedules import Phase, Schedule
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Training

N, STEPS, CHUNK, WARMUP, LR, CLIP = 512, 10**6, 50, 100, 0.01, 1.0
TRAINED = ("K2_0", "K3_2", "K3_0", "bias")
TARGET = Teacher(d=16, L=3, widths=(4, 2))
SCHEDULE = Schedule((Phase(("level{2..L}", "bias")),), steps=STEPS, check_every=CHUNK)
PAIRS = torch.triu_indices(4, 4)
Rows, Products = Callable[[int], Tensor], Callable[[Tensor], Tensor]


def stack(replicas: int, batch: int, dtype: torch.dtype = torch.float32) -> _Stack:
    optimizer = Adam(lr=LR, batch=batch, warmup=WARMUP, clip=CLIP)
    recipe = Recipe(TARGET, QuadraticDenseNet(widths=(4, 4)), SCHEDULE, optimizer, test=16, dtype=dtype)
    return _Stack(recipe, [Training(N, seed) for seed in range(replicas)], None, None)


def fused(own: _Stack) -> Iterator[int]:
    """Yields the replica-steps done per chunk; the loop itself, without the looks at test risk that the rivals do not take either."""
    index = list(range(len(own.trainings)))
    while True:
        own._chunk(index, own.stages[0], CHUNK)
        yield CHUNK * len(index)


def rate(t: int) -> float:
    return LR * ((t + 1) / WARMUP if t < WARMUP else 0.5 * (1 + math.cos(math.pi * (t - WARMUP) / (STEPS - WARMUP))))


def gathered(s: Tensor) -> Tensor:
    i, j = PAIRS
    return s.index_select(1, i) * s.index_select(1, j)


def sliced(s: Tensor) -> Tensor:
    return torch.cat([s[:, i : i + 1] * s[:, i:] for i in range(4)], 1)


def network(params: dict[str, Tensor], x: Tensor, products: Products) -> Tensor:
    """One replica, rows first: outputs (B,) for inputs (B, d)."""
    out = params["bias"]
    s2 = x @ params["K2_0"].T
    phi = products(s2)
    s3 = (phi - phi.mean(0)) @ params["K3_2"].T + x @ params["K3_0"].T
    for s, scale in ((s2, params["scale2"]), (s3, params["scale3"])):
        norm = s.square().sum(1)
        out = out + scale * (norm - norm.mean())
    return out


def loop(params: dict[str, Tensor], pool: tuple[Tensor, Tensor], rows: Rows, products: Products, options: dict[str, bool]) -> Iterator[int]:
    """One replica; ``rows(t)`` gives the row numbers of step t."""
    params = {name: p.clone().requires_grad_(name in TRAINED) for name, p in params.items()}
    trained = [params[name] for name in TRAINED]
    optimizer = torch.optim.Adam(trained, LR, **options)
    loop.params = params
    for t in itertools.count():
        optimizer.param_groups[0]["lr"] = rate(t)
        at = rows(t)
        loss = (network(params, pool[0].index_select(0, at), products) - pool[1].index_select(0, at)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        yield 1


def vmapped(params: dict[str, Tensor], pool: tuple[Tensor, Tensor], rows: Rows, products: Products) -> Iterator[int]:
    """All replicas; ``rows(t)`` has shape (R, B)."""
    replicas = len(pool[0])
    offset, x_pool, y_pool = torch.arange(replicas).unsqueeze(1) * N, pool[0].flatten(0, 1), pool[1].flatten()
    fixed = {name: p for name, p in params.items() if name not in TRAINED}
    trained = {name: params[name].clone() for name in TRAINED}
    vmapped.params = trained

    def loss(trained: dict[str, Tensor], fixed: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return (network({**trained, **fixed}, x, products) - y).square().mean()

    gradient = vmap(grad(loss))
    mean, square = ({name: torch.zeros_like(p) for name, p in trained.items()} for _ in range(2))
    for t in itertools.count():
        at = (offset + rows(t)).flatten()
        x, y = x_pool.index_select(0, at).view(replicas, -1, TARGET.d), y_pool.index_select(0, at).view(replicas, -1)
        grads = gradient(trained, fixed, x, y)
        norm = torch.stack([g.flatten(1).square().sum(1) for g in grads.values()]).sum(0).sqrt()
        scale = (CLIP / norm).clamp(max=1.0)
        size, root = rate(t) / (1 - 0.9 ** (t + 1)), (1 - 0.999 ** (t + 1)) ** 0.5
        for name, g in grads.items():
            g = g * scale.view(replicas, *[1] * (g.dim() - 1))
            mean[name].lerp_(g, 0.1)
            square[name].mul_(0.999).addcmul_(g, g, value=0.001)
            trained[name].addcdiv_(mean[name], square[name].sqrt().div_(root).add_(1e-8), value=-size)
        yield replicas


def agree() -> None:
    """The three sides give the same parameters after 10 steps from the same rows, in double precision."""
    own, batch = stack(3, 32, torch.float64), 32
    start = {name: p.clone() for name, p in own.state.params.items()}

    def rows(t: int, seeds: list[int]) -> Tensor:
        count = t * batch + torch.arange(batch)
        return streams.integers(streams.keys(seeds, "batch").unsqueeze(1), count, torch.tensor(N))

    own._chunk([0, 1, 2], own.stages[0], 10)
    list(itertools.islice(vmapped(start, own.data.pool, lambda t: rows(t, [0, 1, 2]), sliced), 10))
    for name in TRAINED:
        torch.testing.assert_close(vmapped.params[name], own.state.params[name], rtol=1e-4, atol=1e-6)
    for seed in range(3):
        alone = {name: p[seed] for name, p in start.items()}
        pool = tuple(part[seed] for part in own.data.pool)
        list(itertools.islice(loop(alone, pool, lambda t, seed=seed: rows(t, [seed])[0], gathered, {}), 10))
        for name in TRAINED:
            torch.testing.assert_close(loop.params[name].detach(), own.state.params[name][seed], rtol=1e-4, atol=1e-6)


def speed(work: Iterator[int], seconds: float) -> float:
    """Replica-steps per second over ``seconds``, after a warm-up of a tenth of it."""
    for budget in (seconds / 10, seconds):
        done, began = 0, time.perf_counter()
        while done == 0 or time.perf_counter() - began < budget:
            done += next(work)
    return done / (time.perf_counter() - began)


def measure(batch: int, replicas: int, seconds: float, rounds: int) -> dict[str, float]:
    """Median over rounds in which the sides take turns, so that a busy moment of the machine hits all of them."""
    own = stack(replicas, batch)
    params = {name: p.clone() for name, p in own.state.params.items()}
    first = {name: p[0] for name, p in params.items()}
    pool = own.data.pool
    single = tuple(part[0].contiguous() for part in pool)
    one, all_of_them = (lambda t: torch.randint(0, N, (batch,))), (lambda t: torch.randint(0, N, (replicas, batch)))
    sides = {"stack": fused(own)}
    for products in (gathered, sliced):
        sides[f"vmap {products.__name__}"] = vmapped(params, pool, all_of_them, products)
        for name, options in {"fused": {"fused": True}, "foreach": {"foreach": True}, "plain": {"foreach": False}}.items():
            sides[f"loop {products.__name__} {name}"] = loop(first, single, one, products, options)
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            taken[name].append(speed(work, seconds / rounds))
    speeds = {name: statistics.median(values) for name, values in taken.items()}
    fastest = {kind: max(speed for name, speed in speeds.items() if name.startswith(kind)) for kind in ("stack", "loop", "vmap")}
    return {"batch": batch, "replicas": replicas, **fastest, "stack_over_loop": fastest["stack"] / fastest["loop"],
            "stack_over_vmap": fastest["stack"] / fastest["vmap"], "sides": speeds}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="time per side and cell")
    parser.add_argument("--rounds", type=int, default=3, help="turns that the time is split into")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    agree()
    machine = {"hardware": hardware(torch.device("cpu")), "threads": 1, "torch": torch.__version__, "python": sys.version.split()[0],
               "capability": torch.backends.cpu.get_cpu_capability()}
    results = [measure(batch, replicas, options.seconds, options.rounds) for batch in options.batch for replicas in options.replicas]
    title = f"Replica-steps per second, {machine['hardware']} ({machine['capability']}), 1 thread, torch {machine['torch']}"
    table = Table("batch", "R", "stack", "loop", "vmap", "stack / loop", "stack / vmap", title=title)
    for column in table.columns:
        column.justify = "right"
    for row in results:
        table.add_row(str(row["batch"]), str(row["replicas"]), *(f"{row[side]:,.0f}" for side in ("stack", "loop", "vmap")),
                      f"{row['stack_over_loop']:.2f}", f"{row['stack_over_vmap']:.2f}")
    Console().print(table)
    best = max(results, key=lambda row: row["stack_over_loop"])
    print(f"best: {best['stack_over_loop']:.2f} times the plain loop at R = {best['replicas']}, batch {best['batch']}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "seconds": options.seconds, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
