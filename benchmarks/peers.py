"""What one would write without the fused stack: the same trainings by torch and by jax.

Every peer starts from the state of a stack, trains on its pools, and holds its parameters in
``params``, so that all can be compared after some steps.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import torch
from torch import Tensor

from benchmarks.cases import CHUNK, Case, N, trained_names
from benchmarks.networks import Ops
from bfc.engine.trainer import Trainer
from bfc.optimizers.adam import Adam
from bfc.optimizers.sgd import SGD

Rows = Callable[[int], Tensor]
"""Step → the row numbers of its batch."""
Tensors = dict[str, Tensor]


def take_columns(values: Tensor, columns: list[int]) -> Tensor:
    return values.index_select(1, torch.as_tensor(columns, device=values.device))


TORCH = Ops(relu=torch.relu, take=take_columns)


class Peer:
    """A way to train ``case`` from the state of a stack; ``params`` is kept up to date."""

    def __init__(self, case: Case, trainer: Trainer) -> None:
        self.case, self.names = case, trained_names(trainer)
        self.params: dict[str, Any] = {name: p.clone() for name, p in trainer.state.params.items()}
        self.pool, self.rates = trainer.data.pool, case.learner.rates(case.target)
        self.replicas, self.device = len(trainer.trainings), trainer.recipe.device

    def lr(self, name: str) -> float:
        """Learning rate of a parameter."""
        return self.case.optimizer.lr * self.rates.get(name, 1.0)


class Loop(Peer):
    """Replica 0 by itself, by autograd and torch.optim."""

    def __init__(self, case: Case, trainer: Trainer, **options: bool) -> None:
        super().__init__(case, trainer)
        for name, p in self.params.items():
            self.params[name] = p[0].clone().requires_grad_(name in self.names)
        settings = [{"params": [self.params[name]], "lr": self.lr(name)} for name in self.names]
        kind = torch.optim.Adam if isinstance(case.optimizer, Adam) else torch.optim.SGD
        self.optimizer = kind(settings, case.optimizer.lr, **options)

    def steps(self, rows: Rows) -> Iterator[int]:
        """Take steps for ever; yields the replica-steps of each."""
        x_pool, y_pool = self.pool[0][0], self.pool[1][0]
        trained = [self.params[name] for name in self.names]
        clip = self.case.optimizer.clip
        for t in itertools.count():
            batch = rows(t)
            x, y = x_pool.index_select(0, batch), y_pool.index_select(0, batch)
            loss = (self.case.network(self.params, x, TORCH) - y).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(trained, clip)
            self.optimizer.step()
            yield 1


class Vmap(Peer):
    """All replicas by torch.func, the optimizer on the stacked tensors."""

    def __init__(self, case: Case, trainer: Trainer) -> None:
        super().__init__(case, trainer)
        self.trained = {name: self.params[name] for name in self.names}
        self.mean = {name: torch.zeros_like(p) for name, p in self.trained.items()}
        self.square = {name: torch.zeros_like(p) for name, p in self.trained.items()}

    def steps(self, rows: Rows) -> Iterator[int]:
        """Take steps for ever; yields the replica-steps of each."""
        fixed = {name: p for name, p in self.params.items() if name not in self.names}
        offset = torch.arange(self.replicas, device=self.device).unsqueeze(1) * N
        x_pool, y_pool = self.pool[0].flatten(0, 1), self.pool[1].flatten()

        def loss(trained: Tensors, fixed: Tensors, x: Tensor, y: Tensor) -> Tensor:
            return (self.case.network({**trained, **fixed}, x, TORCH) - y).square().mean()

        gradient = torch.func.vmap(torch.func.grad(loss))
        for t in itertools.count():
            batch = (offset + rows(t)).flatten()
            x = x_pool.index_select(0, batch).view(self.replicas, -1, x_pool.shape[1])
            y = y_pool.index_select(0, batch).view(self.replicas, -1)
            self.update(self.clip(gradient(self.trained, fixed, x, y)), t)
            yield self.replicas

    def clip(self, grads: Tensors) -> Tensors:
        """Gradients scaled to the largest norm allowed per replica."""
        limit = self.case.optimizer.clip
        if limit is None:
            return grads
        squares = torch.stack([g.flatten(1).square().sum(1) for g in grads.values()])
        scale = (limit / squares.sum(0).sqrt()).clamp(max=1.0)
        return {name: g * scale.view(-1, *[1] * (g.dim() - 1)) for name, g in grads.items()}

    def update(self, grads: Tensors, t: int) -> None:
        """One step of SGD or Adam in place; ``t`` counts from 0."""
        for name, g in grads.items():
            if isinstance(self.case.optimizer, SGD):
                self.trained[name].sub_(g, alpha=self.lr(name))
                continue
            self.mean[name].lerp_(g, 0.1)
            self.square[name].mul_(0.999).addcmul_(g, g, value=0.001)
            root = self.square[name].sqrt().div_((1 - 0.999 ** (t + 1)) ** 0.5).add_(1e-8)
            rate = self.lr(name) / (1 - 0.9 ** (t + 1))
            self.trained[name].addcdiv_(self.mean[name], root, value=-rate)


class Jax(Peer):
    """All replicas by jax.vmap, jit and lax.scan."""

    def __init__(self, case: Case, trainer: Trainer) -> None:
        super().__init__(case, trainer)
        import jax
        import jax.numpy as jnp

        # float32 products, as those of torch
        jax.config.update("jax_default_matmul_precision", "highest")
        self.jax, self.jnp = jax, jnp
        arrays = {name: jnp.asarray(p.cpu().numpy()) for name, p in self.params.items()}
        self.fixed = {name: p for name, p in arrays.items() if name not in self.names}
        trained = {name: arrays[name] for name in self.names}
        zeros = jax.tree.map(jnp.zeros_like, trained)
        self.state = (trained, zeros, zeros, jnp.zeros(()))
        self.arrays = [jnp.asarray(values.cpu().numpy()) for values in self.pool]
        self.all_replicas = jax.vmap(self.replica, in_axes=(0, 0, 0, 0, 0, 0, 0, None))
        self.jitted_step, self.jitted_chunk = jax.jit(self.step), jax.jit(self.chunk)

    def loss(self, trained: Any, fixed: Any, x: Any, y: Any) -> Any:
        """Mean squared error of one replica on a batch."""
        jnp = self.jnp
        ops = Ops(relu=lambda z: jnp.maximum(z, 0), take=lambda s, columns: s[:, columns])
        return jnp.mean((self.case.network({**trained, **fixed}, x, ops) - y) ** 2)

    def replica(
        self, trained: Any, mean: Any, square: Any, fixed: Any, x: Any, y: Any, rows: Any, t: Any
    ) -> Any:
        """One step of one replica: its parameters, and the two buffers of Adam."""
        jnp, settings = self.jnp, self.case.optimizer
        grads = self.jax.grad(self.loss)(trained, fixed, x[rows], y[rows])
        if settings.clip is not None:
            norm = jnp.sqrt(sum(jnp.sum(g * g) for g in grads.values()))
            scale = jnp.minimum(1.0, settings.clip / norm)
            grads = {name: g * scale for name, g in grads.items()}
        if isinstance(settings, SGD):
            stepped = {name: p - self.lr(name) * grads[name] for name, p in trained.items()}
            return stepped, mean, square
        mean = {name: 0.9 * mean[name] + 0.1 * g for name, g in grads.items()}
        square = {name: 0.999 * square[name] + 0.001 * g * g for name, g in grads.items()}
        stepped = {}
        for name, p in trained.items():
            rate = self.lr(name) / (1 - 0.9 ** (t + 1))
            root = jnp.sqrt(square[name] / (1 - 0.999 ** (t + 1))) + 1e-8
            stepped[name] = p - rate * mean[name] / root
        return stepped, mean, square

    def step(self, state: Any, rows: Any) -> Any:
        """One step of all replicas on given rows, in the form of jax.lax.scan."""
        trained, mean, square, t = state
        stepped = self.all_replicas(trained, mean, square, self.fixed, *self.arrays, rows, t)
        return (*stepped, t + 1), None

    def chunk(self, state: Any, key: Any) -> Any:
        """CHUNK steps on rows drawn by jax."""
        shape = (CHUNK, self.replicas, self.case.optimizer.batch)
        rows = self.jax.random.randint(key, shape, 0, N)
        return self.jax.lax.scan(self.step, state, rows)[0]

    def train_on(self, batches: list[Tensor]) -> None:
        """Take one step per batch of row numbers and update ``params``."""
        for rows in batches:
            self.state, _ = self.jitted_step(self.state, rows.numpy())
        for name, p in self.state[0].items():
            self.params[name] = torch.tensor(self.jax.device_get(p))

    def steps(self) -> Iterator[int]:
        """Take chunks for ever; yields the replica-steps of each."""
        for seed in itertools.count():
            key = self.jax.random.key(seed)
            self.state = self.jax.block_until_ready(self.jitted_chunk(self.state, key))
            yield CHUNK * self.replicas


def has_jax() -> bool:
    """Whether jax is installed."""
    try:
        import jax  # noqa: F401
    except ImportError:
        return False
    return True


def jax_products(operands: list[tuple[Tensor, Tensor]]) -> Iterator[int]:
    """Compute the same products by jax for ever; yields CHUNK, the rounds of each call.

    Each round is made to depend on the one before.
    """
    import jax
    import jax.numpy as jnp

    pairs = [(jnp.asarray(a.cpu().numpy()), jnp.asarray(b.cpu().numpy())) for a, b in operands]

    @jax.jit
    def chunk(pairs: Any) -> Any:
        def compute_round(shift: Any, _: Any) -> Any:
            products = [jnp.matmul(a + shift, b, precision="highest") for a, b in pairs]
            return 1e-30 * sum(product.ravel()[0] for product in products), None

        return jax.lax.scan(compute_round, jnp.zeros(()), None, CHUNK)[0]

    while True:
        jax.block_until_ready(chunk(pairs))
        yield CHUNK
