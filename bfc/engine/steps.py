"""The optimizer steps of replicas that are in the same stage.

A working copy of what trains is laid out flat, and a step works on that. On a GPU the steps of such
small networks are bound by the launches of their kernels, so a block of them is captured once as a
CUDA graph and replayed; what is captured is the very function that otherwise runs step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bfc.engine.data import StackData
from bfc.engine.gradients import Gradient, gradient_of
from bfc.engine.recipe import Recipe
from bfc.shapes import Float, Float64, Int, Num
from bfc.types import Params, Stage

GRAPH_STEPS = 10
"""Steps in one CUDA graph."""
GRAPH_BYTES = 1 << 30
"""Largest input of a CUDA graph.

Where the batch of a block is larger, launches cost nothing in comparison.
"""
Block = tuple[
    Float[Tensor, "R kB d"], Num[Tensor, "R kB"], Float[Tensor, "R k"], Int[Tensor, "R 1"]
]
"""Inputs, labels and learning rates of k steps, and the clock of the first."""


@dataclass(frozen=True)
class Replicas:
    """Some replicas of a stack at the beginning of a chunk of steps."""

    index: Sequence[int]
    """Their positions in the stack."""
    params: Params
    """All of their parameters, (R, ...)."""
    buffers: Mapping[str, Params]
    """The state of the optimizer: buffer → parameter → (R, ...)."""
    lr: Float[Tensor, "R 1"]
    multipliers: Mapping[str, Tensor]
    """Of the learning rate, parameter → (1, numel); empty where all are 1."""


class Steps:
    """Replicas of a stack in ``stage``, and the steps that they take."""

    def __init__(
        self,
        recipe: Recipe,
        data: StackData,
        stage: Stage,
        trained: Sequence[str],
        replicas: Replicas,
    ) -> None:
        """Copies what trains, the parameters ``trained``, out of the replicas' tensors."""
        self.recipe, self.data, self.stage = recipe, data, stage
        self.index, self.trained, self.lr = list(replicas.index), list(trained), replicas.lr
        self.flat = _flatten(replicas.params, trained)
        """What trains, (R, P)."""
        self.buffers = {}
        for kind, values in replicas.buffers.items():
            self.buffers[kind] = _flatten(values, trained)
        trained_views = views(self.flat, [replicas.params[name] for name in trained])
        self.params = {**replicas.params, **dict(zip(trained, trained_views, strict=True))}
        self.multiplier = None
        if replicas.multipliers:
            self.multiplier = torch.cat([replicas.multipliers[name] for name in trained], 1)
        self.gradient = gradient_of(recipe, self.params, trained, stage)
        self.loss = torch.zeros(len(self.index), dtype=torch.float64, device=recipe.device)
        self.steps_per_graph = self._choose_steps_per_graph()
        self.graph: CudaGraphStep | None = None
        self._is_warm = False

    def _choose_steps_per_graph(self) -> int:
        """Steps in one CUDA graph; 1: each step runs by itself."""
        recipe = self.recipe
        row = torch.finfo(recipe.dtype).bits // 8 * (recipe.target.input_width + 1)
        block = GRAPH_STEPS * len(self.index) * recipe.optimizer.batch * row
        return GRAPH_STEPS if recipe.device.type == "cuda" and block <= GRAPH_BYTES else 1

    def run(
        self, clock: Int[Tensor, " R"], step: Int[Tensor, " R"], length: int
    ) -> Float64[Tensor, " R"]:
        """Take ``length`` steps from ``clock`` in the stage and ``step`` in all on.

        Returns the training loss summed over them, which the next call overwrites; it is only added
        up where the stage ends on it. Nothing here waits for the device.
        """
        optimizer = self.recipe.optimizer
        ahead = torch.arange(length, device=self.recipe.device)
        decay = optimizer.rate(clock.unsqueeze(1) + ahead, self.stage.steps)
        rates = self.lr * decay.to(self.recipe.dtype)
        self.loss.zero_()
        done = 0
        for x, y in self.data.batches(
            self.index, optimizer.batch, step, length, optimizer.sampling, self.steps_per_graph
        ):
            count = x.shape[1] // optimizer.batch
            self._run_block((x, y, rates[:, done : done + count], (clock + done).unsqueeze(1)))
            done += count
        return self.loss

    def _run_block(self, block: Block) -> None:
        """The steps of a block: one by one at first and where it is short, else as a graph."""
        count = block[2].shape[1]
        if self.steps_per_graph > 1 and self._is_warm and count == self.steps_per_graph:
            self.graph = self.graph or CudaGraphStep(self, block)
            self.graph.replay(block)
        else:
            self.take_steps(*block)
            self._is_warm = True

    def take_steps(
        self,
        x: Float[Tensor, "R kB d"],
        y: Num[Tensor, "R kB"],
        rates: Float[Tensor, "R k"],
        clock: Int[Tensor, "R 1"],
    ) -> None:
        """One step after the other, each on its own batch; ``clock`` is that of the first."""
        size = self.recipe.optimizer.batch
        for t in range(rates.shape[1]):
            rows = slice(t * size, (t + 1) * size)
            loss = take_step(
                self.recipe,
                self.gradient,
                self.params,
                self.flat,
                self.buffers,
                x[:, rows],
                y[:, rows],
                rates[:, t : t + 1],
                clock + t,
                self.multiplier,
            )
            if self.stage.until is not None:
                self.loss += loss


def take_step(
    recipe: Recipe,
    gradient: Gradient,
    params: Params,
    flat: Float[Tensor, "R P"],
    buffers: dict[str, Tensor],
    x: Float[Tensor, "R B d"],
    y: Num[Tensor, "R B"],
    rate: Float[Tensor, "R 1"],
    clock: Int[Tensor, "R 1"],
    multiplier: Float[Tensor, "1 P"] | None,
) -> Float[Tensor, " R"]:
    """One optimizer step on one batch, in place in ``flat`` and ``buffers``.

    ``params`` are all parameters, those that train as views of ``flat``. Returns the training loss.
    """
    loss, grads = gradient(x, y)
    with torch.no_grad():
        if multiplier is not None:
            rate = rate * multiplier
        grad = torch.cat([g.flatten(1) for g in grads], 1)
        recipe.optimizer.step(flat, grad, buffers, rate, clock)
        recipe.learner.project(params)
    return loss


class CudaGraphStep:
    """A block of steps as a CUDA graph, with inputs of its own that every replay fills."""

    def __init__(self, steps: Steps, block: Block) -> None:
        x, y, rates, clock = (part.contiguous().clone() for part in block)
        self.inputs = (x, y, rates, clock)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            steps.take_steps(x, y, rates, clock)

    def replay(self, block: Block) -> None:
        for stored, new in zip(self.inputs, block, strict=True):
            stored.copy_(new)
        self.graph.replay()


def _flatten(values: Params, names: Sequence[str]) -> Float[Tensor, "R P"]:
    return torch.cat([values[name].flatten(1) for name in names], 1)


def views(flat: Float[Tensor, "R P"], like: Sequence[Tensor]) -> list[Tensor]:
    """Tensors shaped as ``like`` that share the storage of ``flat``."""
    shaped, start = [], 0
    for p in like:
        width = p[0].numel()
        shaped.append(flat[:, start : start + width].view(flat.shape[0], *p.shape[1:]))
        start += width
    return shaped
