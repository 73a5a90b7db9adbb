"""Replica-steps per CPU-second of the fused stack against what one would write without it, in one
run on one thread:

loop   one replica at a time: autograd on plain tensors, torch.optim (the fastest of its implementations)
vmap   torch.func.vmap(grad) of the single-replica loss over R replicas, the optimizer on the stacked tensors
jax    the same function under jax.vmap, jit and lax.scan over 50 steps (where jax is installed: extra ``bench``)

Every side trains the same networks on pools of 512 rows per replica and gathers a new batch at
every step; before anything is timed all must agree on the parameters after some steps from the same
rows. Timed, each draws its rows with a generator of its own. On a CPU the time of the process is
counted, so that another program on the machine does not enter; on a GPU wall time, and the stack is
also measured without recording its steps (``eager``). Beside the rivals stand the walls: the
products of a step and nothing else, by torch and by jax, and the machine's rates of products and
copies.

    python -m benchmarks.training [--seconds 2] [--cases tiny wide] [--replicas 1 16 64] [--device
    cuda] [--json FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.networks import Array, Ops, mean_field, perceptron, quadratic
from benchmarks.record import RESULTS, Aim, finish
from benchmarks.walls import clock, copy_rate, product_rate, products_alone
from bfc import random
from bfc.engine.op_counter import OpCounter
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import Trainer
from bfc.learners.mean_field import MeanField
from bfc.learners.mlp import MLP
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.optimizers.base import Optimizer
from bfc.optimizers.sgd import SGD
from bfc.schedules import Phase, Schedule
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.targets.radial import Radial
from bfc.types import Learner, Target, Training

N, CHUNK = 512, 50
CPU = torch.device("cpu")
SCHEDULE = Schedule((Phase(("level*", "bias")),), steps=10**6, check_every=CHUNK)
TORCH = Ops(
    relu=torch.relu, take=lambda s, i: s.index_select(1, torch.as_tensor(i, device=s.device))
)


@dataclass(frozen=True)
class Case:
    """One network and optimizer, and its plain form for one replica."""

    target: Target
    learner: Learner
    optimizer: Optimizer
    network: Callable[[Mapping[str, Array], Array, Ops], Array]
    """Parameters and inputs (B, d) of one replica → outputs (B,)."""
    most: int = 64
    """Largest R worth measuring on a CPU core: the larger networks only leave the cache beyond it,
    and take minutes."""

    def stack(self, replicas: int, device: torch.device = CPU) -> Trainer:
        recipe = Recipe(self.target, self.learner, SCHEDULE, self.optimizer, test=16, device=device)
        return Trainer(recipe, [Training(N, seed) for seed in range(replicas)], None, None)


def sgd(lr: float, batch: int) -> SGD:
    return SGD(lr=lr, batch=batch, clip=None, warmup=0, decay="constant")


CASES = {
    "tiny": Case(Parity(d=32, law="gaussian"), MLP(widths=(64, 64)), sgd(0.01, 64), perceptron),
    "quadratic": Case(
        Teacher(d=32, L=4, widths=(4, 3, 2)),
        QuadraticDenseNet(),
        Adam(lr=0.01, batch=256, clip=1.0, warmup=0, decay="constant"),
        quadratic,
    ),
    "mean_field": Case(Radial(d=100), MeanField(m1=512, m2=128), sgd(0.2, 512), mean_field, most=8),
    "wide": Case(
        Parity(d=32, law="gaussian"), MLP(widths=(512, 512)), sgd(0.01, 256), perceptron, most=4
    ),
}
"""The tiny perceptron, the chain's network, the mean-field network of the depth-separation figure
and a wide perceptron."""


def trained_names(own: Trainer) -> list[str]:
    return [name for group in own.stages[0].train for name in own.groups[group]]


def fused(own: Trainer, recorded: bool = True) -> Iterator[int]:
    """Yields the replica-steps done per chunk: the loop itself, without the looks at test risk that
    the rivals do not take either."""
    index = list(range(len(own.trainings)))
    if not recorded:
        own.working_copy(index, own.stages[0]).steps_per_graph = 1
    while True:
        own.train_chunk(index, own.stages[0], CHUNK)
        yield CHUNK * len(index)


class Rival:
    """A way to train ``case`` from the state of a stack; ``params`` is kept up to date."""

    def __init__(self, case: Case, own: Trainer) -> None:
        self.case, self.names = case, trained_names(own)
        self.params: dict[str, Any] = {name: p.clone() for name, p in own.state.params.items()}
        self.pool, self.rates = own.data.pool, case.learner.rates(case.target)
        self.replicas, self.device = len(own.trainings), own.recipe.device


class Loop(Rival):
    """Replica 0 alone by autograd and torch.optim."""

    def __init__(self, case: Case, own: Trainer, **options: bool) -> None:
        super().__init__(case, own)
        self.params = {
            name: p[0].clone().requires_grad_(name in self.names) for name, p in self.params.items()
        }
        optimizer = case.optimizer
        settings = [
            {"params": [self.params[name]], "lr": optimizer.lr * self.rates.get(name, 1.0)}
            for name in self.names
        ]
        self.optimizer = (
            torch.optim.Adam(settings, optimizer.lr, **options)
            if isinstance(optimizer, Adam)
            else torch.optim.SGD(settings, optimizer.lr, **options)
        )

    def steps(self, rows: Callable[[int], Tensor]) -> Iterator[int]:
        x_pool, y_pool, trained = (
            self.pool[0][0],
            self.pool[1][0],
            [self.params[name] for name in self.names],
        )
        for t in itertools.count():
            at = rows(t)
            loss = (
                (
                    self.case.network(self.params, x_pool.index_select(0, at), TORCH)
                    - y_pool.index_select(0, at)
                )
                .square()
                .mean()
            )
            self.optimizer.zero_grad()
            loss.backward()
            if self.case.optimizer.clip is not None:
                torch.nn.utils.clip_grad_norm_(trained, self.case.optimizer.clip)
            self.optimizer.step()
            yield 1


class Vmap(Rival):
    """All replicas by torch.func."""

    def steps(self, rows: Callable[[int], Tensor]) -> Iterator[int]:
        fixed = {name: p for name, p in self.params.items() if name not in self.names}
        trained = {name: self.params[name] for name in self.names}
        offset = torch.arange(self.replicas, device=self.device).unsqueeze(1) * N
        x_pool, y_pool = self.pool[0].flatten(0, 1), self.pool[1].flatten()

        def loss(
            trained: dict[str, Tensor], fixed: dict[str, Tensor], x: Tensor, y: Tensor
        ) -> Tensor:
            return (self.case.network({**trained, **fixed}, x, TORCH) - y).square().mean()

        gradient = torch.func.vmap(torch.func.grad(loss))
        mean, square = (
            {name: torch.zeros_like(p) for name, p in trained.items()} for _ in range(2)
        )
        settings = self.case.optimizer
        for t in itertools.count():
            at = (offset + rows(t)).flatten()
            x, y = (
                x_pool.index_select(0, at).view(self.replicas, -1, x_pool.shape[1]),
                y_pool.index_select(0, at).view(self.replicas, -1),
            )
            grads = gradient(trained, fixed, x, y)
            if settings.clip is not None:
                norm = (
                    torch.stack([g.flatten(1).square().sum(1) for g in grads.values()])
                    .sum(0)
                    .sqrt()
                )
                scale = (settings.clip / norm).clamp(max=1.0)
                grads = {
                    name: g * scale.view(-1, *[1] * (g.dim() - 1)) for name, g in grads.items()
                }
            for name, g in grads.items():
                rate = settings.lr * self.rates.get(name, 1.0)
                if isinstance(settings, SGD):
                    trained[name].sub_(g, alpha=rate)
                    continue
                mean[name].lerp_(g, 0.1)
                square[name].mul_(0.999).addcmul_(g, g, value=0.001)
                root = square[name].sqrt().div_((1 - 0.999 ** (t + 1)) ** 0.5).add_(1e-8)
                trained[name].addcdiv_(mean[name], root, value=-rate / (1 - 0.9 ** (t + 1)))
            yield self.replicas


class Jax(Rival):
    """All replicas by jax.vmap, jit and lax.scan."""

    def __init__(self, case: Case, own: Trainer) -> None:
        super().__init__(case, own)
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_default_matmul_precision", "highest")  # float32 products, as torch's
        ops = Ops(relu=lambda z: jnp.maximum(z, 0), take=lambda s, i: s[:, i])
        as_array = lambda t: jnp.asarray(t.cpu().numpy())  # noqa: E731
        self.fixed = {
            name: as_array(p) for name, p in self.params.items() if name not in self.names
        }
        trained = {name: as_array(self.params[name]) for name in self.names}
        zeros = jax.tree.map(jnp.zeros_like, trained)
        self.state, self.jax, pool = (
            (trained, zeros, zeros, jnp.zeros(())),
            jax,
            tuple(map(as_array, self.pool)),
        )
        settings, rates, replicas = case.optimizer, self.rates, self.replicas

        def loss(trained: Any, fixed: Any, x: Any, y: Any) -> Any:
            return jnp.mean((case.network({**trained, **fixed}, x, ops) - y) ** 2)

        def replica(
            trained: Any, mean: Any, square: Any, fixed: Any, x: Any, y: Any, rows: Any, t: Any
        ) -> Any:
            grads = jax.grad(loss)(trained, fixed, x[rows], y[rows])
            if settings.clip is not None:
                norm = jnp.sqrt(sum(jnp.sum(g * g) for g in grads.values()))
                grads = {
                    name: g * jnp.minimum(1.0, settings.clip / norm) for name, g in grads.items()
                }
            if isinstance(settings, SGD):
                return (
                    {n: p - settings.lr * rates.get(n, 1.0) * grads[n] for n, p in trained.items()},
                    mean,
                    square,
                )
            mean = {n: 0.9 * mean[n] + 0.1 * g for n, g in grads.items()}
            square = {n: 0.999 * square[n] + 0.001 * g * g for n, g in grads.items()}
            scale = lambda n: settings.lr * rates.get(n, 1.0) / (1 - 0.9 ** (t + 1))  # noqa: E731
            root = lambda n: jnp.sqrt(square[n] / (1 - 0.999 ** (t + 1))) + 1e-8  # noqa: E731
            return {n: p - scale(n) * mean[n] / root(n) for n, p in trained.items()}, mean, square

        every = jax.vmap(replica, in_axes=(0, 0, 0, 0, 0, 0, 0, None))

        def step(state: Any, rows: Any) -> Any:
            trained, mean, square, t = state
            return (*every(trained, mean, square, self.fixed, *pool, rows, t), t + 1), None

        def chunk(state: Any, key: Any) -> Any:
            rows = jax.random.randint(key, (CHUNK, replicas, settings.batch), 0, N)
            return jax.lax.scan(step, state, rows)[0]

        self.step, self.chunk = jax.jit(step), jax.jit(chunk)

    def given(self, rows: list[Tensor]) -> None:
        for at in rows:
            self.state, _ = self.step(self.state, at.numpy())
        self.params = {
            name: torch.tensor(self.jax.device_get(p)) for name, p in self.state[0].items()
        }

    def steps(self) -> Iterator[int]:
        for key in map(self.jax.random.key, itertools.count()):
            self.state = self.jax.block_until_ready(self.chunk(self.state, key))
            yield CHUNK * self.replicas


def with_jax() -> bool:
    try:
        import jax  # noqa: F401
    except ImportError:
        return False
    return True


def agree(case: Case, steps: int = 5, replicas: int = 3, device: torch.device = CPU) -> None:
    """All sides give the same parameters after some steps from the same rows; raises AssertionError
    otherwise."""
    own, batch = case.stack(replicas, device), case.optimizer.batch

    def rows(t: int) -> Tensor:
        drawn = random.integers(
            random.keys(range(replicas), "batch").unsqueeze(1),
            t * batch + torch.arange(batch),
            torch.tensor(N),
        )
        return drawn.to(device)

    loop, vmap = Loop(case, own), Vmap(case, own)
    jax = Jax(case, own) if with_jax() else None
    own.train_chunk(list(range(replicas)), own.stages[0], steps)
    list(itertools.islice(loop.steps(lambda t: rows(t)[0]), steps))
    list(itertools.islice(vmap.steps(rows), steps))
    if jax is not None:
        jax.given([rows(t).cpu() for t in range(steps)])
    for name in trained_names(own):
        want, close = own.state.params[name], {"rtol": 2e-3, "atol": 2e-5}
        torch.testing.assert_close(vmap.params[name], want, **close)
        torch.testing.assert_close(loop.params[name].detach(), want[0], **close)
        if jax is not None:
            torch.testing.assert_close(jax.params[name], want.cpu(), **close)


def speed(work: Iterator[int], seconds: float, device: torch.device) -> float:
    """Replica-steps per second (:func:`benchmarks.walls.clock`), after a warm-up of a fifth of the
    time."""
    for budget in (seconds / 5, seconds):
        done, began = 0, clock(device)
        while done == 0 or clock(device) - began < budget:
            done += next(work)
        taken = clock(device) - began
    return done / taken


def work_of(own: Trainer) -> OpCounter:
    """What one step of the stack does, its rows being drawn included."""
    index = list(range(len(own.trainings)))
    own.working_copy(index, own.stages[0]).steps_per_graph = 1
    own.train_chunk(index, own.stages[0], CHUNK)
    with OpCounter() as found:
        own.train_chunk(index, own.stages[0], 1)
    return found


def jax_products(shapes: list[tuple[Tensor, Tensor]]) -> Iterator[int]:
    """Yields 50 rounds of the same products by jax, each round made to depend on the one before."""
    import jax
    import jax.numpy as jnp

    pairs = [(jnp.asarray(a.cpu().numpy()), jnp.asarray(b.cpu().numpy())) for a, b in shapes]

    @jax.jit
    def chunk(pairs: Any) -> Any:
        def once(shift: Any, _: Any) -> Any:
            return 1e-30 * sum(
                (jnp.matmul(a + shift, b, precision="highest")).ravel()[0] for a, b in pairs
            ), None

        return jax.lax.scan(once, jnp.zeros(()), None, CHUNK)[0]

    while True:
        jax.block_until_ready(chunk(pairs))
        yield CHUNK


def measure(
    case: Case, replicas: int, seconds: float, rounds: int, device: torch.device
) -> dict[str, float]:
    """Median over rounds in which the sides take turns."""
    own, batch, on = case.stack(replicas, device), case.optimizer.batch, {"device": device}
    one, every = (
        (lambda t: torch.randint(0, N, (batch,), **on)),
        (lambda t: torch.randint(0, N, (replicas, batch), **on)),
    )
    sides = {"stack": fused(own), "vmap": Vmap(case, own).steps(every)}
    if device.type == "cuda":
        sides["eager"] = fused(case.stack(replicas, device), recorded=False)
    for name, options in {
        "fused": {"fused": True},
        "foreach": {"foreach": True},
        "plain": {"foreach": False},
    }.items():
        sides[f"loop {name}"] = Loop(case, own, **options).steps(one)
    if with_jax():
        sides["jax"] = Jax(case, own).steps()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            taken[name].append(speed(work, seconds / rounds, device))
    speeds = {name: statistics.median(values) for name, values in taken.items()}
    loop = max(value for name, value in speeds.items() if name.startswith("loop"))
    step = work_of(case.stack(replicas, device))
    found = {
        "stack": speeds["stack"],
        "loop": loop,
        "vmap": speeds["vmap"],
        "jax": speeds.get("jax", float("nan")),
        "eager": speeds.get("eager", speeds["stack"]),
        "products": replicas * products_alone(step.products, device, seconds / rounds),
    }
    if with_jax() and device.type == "cpu":
        found["jax_products"] = replicas * speed(
            jax_products(step.products), seconds / rounds, device
        )
    return {
        "replicas": replicas,
        "flops": step.flops / replicas,
        "bytes": step.moved / replicas,
        **found,
        **{
            f"stack_over_{rival}": found["stack"] / value
            for rival, value in found.items()
            if rival != "stack"
        },
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU time per side, case and R")
    parser.add_argument("--rounds", type=int, default=3, help="turns that the time is split into")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    parser.add_argument("--device", type=torch.device, default=CPU, help="cpu or cuda")
    options = parser.parse_args(arguments)
    device = options.device
    torch.set_num_threads(1)
    peak, copies = product_rate(device), copy_rate(device)
    unit = "CPU-second, one thread" if device.type == "cpu" else "second"
    table = Table(
        "case",
        "R",
        "ours",
        "loop",
        "vmap",
        "jax",
        "eager",
        "products",
        "/ loop",
        "/ vmap",
        "/ jax",
        "of products",
        "of wall",
        title=f"Replica-steps per {unit}; matrix product {peak / 1e9:.0f} GFLOP/s, copy {copies / 1e9:.0f} GB/s",
    )
    figures: dict[str, Any] = {"product_rate": peak, "copy_rate": copies}
    for name in options.cases:
        case = CASES[name]
        agree(case, device=device)
        sizes = (
            options.replicas
            if device.type == "cuda"
            else sorted({min(replicas, case.most) for replicas in options.replicas})
        )
        figures[name] = {
            "rows": [
                measure(case, replicas, options.seconds, options.rounds, device)
                for replicas in sizes
            ]
        }
        for row in figures[name]["rows"]:
            row["of_peak"] = row["stack"] * row["flops"] / peak
            row["wall"] = 1 / max(row["flops"] / peak, row["bytes"] / copies)
            row["of_wall"] = row["stack"] / row["wall"]
            table.add_row(
                name,
                str(row["replicas"]),
                *(f"{row[k]:,.0f}" for k in ("stack", "loop", "vmap", "jax", "eager", "products")),
                *(
                    f"{row[f'stack_over_{side}']:.2f}"
                    for side in ("loop", "vmap", "jax", "products")
                ),
                f"{row['of_wall']:.2f}",
            )
    Console(width=150).print(table)
    for name in options.cases:
        print(
            roofline(name, max(figures[name]["rows"], key=lambda row: row["stack"]), peak, copies)
        )
    finish("training", figures, aims(figures, device), options.json, str(device))


def roofline(name: str, row: Mapping[str, float], peak: float, copies: float) -> str:
    """One sentence: the work of a replica-step if every operation went through memory once, the
    limit of it, and what was reached."""
    by = "products" if row["flops"] / peak > row["bytes"] / copies else "memory"
    return (
        f"{name}, R = {row['replicas']}: {row['flops'] / 1e6:.2f} MFLOP and {row['bytes'] / 1e6:.2f} MB a replica-step, unfused; limit "
        f"{row['wall']:,.0f} replica-steps/s ({by}), reached {row['stack']:,.0f} ({row['of_wall']:.0%})"
    )


def aims(figures: Mapping[str, Any], device: torch.device) -> list[Aim]:
    """The aims that the measured cases speak of."""

    def best(case: str, column: str) -> float:
        """Of a ratio ``a_over_b``: each side at the R that is best for it."""
        mine, _, rival = column.partition("_over_")
        return max(row[mine] for row in figures[case]["rows"]) / (
            max(row[rival] for row in figures[case]["rows"]) if rival else 1.0
        )

    found = []
    if device.type == "cuda":
        if "tiny" in figures:
            found += [
                Aim("tiny perceptron, replica-steps/s on a GPU", best("tiny", "stack"), 1e6),
                Aim("tiny perceptron, recorded / eager", best("tiny", "stack_over_eager"), 1.0),
            ]
        return found
    if "tiny" in figures:
        found += [
            Aim("tiny perceptron, stack / plain loop", best("tiny", "stack_over_loop"), 4.5),
            Aim(
                "tiny perceptron, share of its products alone",
                best("tiny", "stack_over_products"),
                0.85,
            ),
        ]
        if with_jax():
            found += [
                Aim(
                    "tiny perceptron, stack / jax vmap+jit+scan",
                    best("tiny", "stack_over_jax"),
                    0.65,
                ),
                Aim(
                    "tiny perceptron, products of torch / products of jax (the wall of the line above)",
                    best("tiny", "products_over_jax_products"),
                    1.0,
                ),
            ]
    if "wide" in figures:
        found += [Aim("width 512, share of the matrix-product peak", best("wide", "of_peak"), 0.7)]
    return found


if __name__ == "__main__":
    main()
