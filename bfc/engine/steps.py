"""The optimizer steps of the replicas that are in one stage together: a working copy of what
trains, laid out flat, and one step on it. On a GPU the steps of such a small network are bound by
the launches of its kernels, so a block of them is recorded once as a CUDA graph and replayed; the
recorded step is the very function that otherwise runs step by step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bfc.engine.data import StackData
from bfc.engine.gradients import gradient_of
from bfc.engine.recipe import Recipe
from bfc.types import Params, Stage

TOGETHER = 10
"""Steps in one recording."""
RECORDED_BYTES = 1 << 30
"""Largest input of a recording; where a step's batch is this large, its launches cost nothing
beside it."""


class Steps:
    """Replicas ``index`` of a stack in ``stage``. ``params`` name → (R, ...) and ``buffers`` kind →
    name → (R, ...) are copied for the trained parameters; ``lr`` (R, 1); ``multipliers`` name → (1,
    numel), or empty. ``flat`` (R, P) holds what trains."""

    def __init__(
        self,
        recipe: Recipe,
        data: StackData,
        index: Sequence[int],
        stage: Stage,
        trained: Sequence[str],
        params: Params,
        buffers: dict[str, Params],
        lr: Tensor,
        multipliers: dict[str, Tensor],
    ) -> None:
        self.recipe, self.data, self.index, self.stage, self.trained, self.lr = (
            recipe,
            data,
            list(index),
            stage,
            list(trained),
            lr,
        )
        self.flat = torch.cat([params[name].flatten(1) for name in trained], 1)
        self.buffers = {
            kind: torch.cat([values[name].flatten(1) for name in trained], 1)
            for kind, values in buffers.items()
        }
        self.now = {
            **params,
            **dict(zip(trained, views(self.flat, [params[name] for name in trained]), strict=True)),
        }
        self.multiplier = (
            torch.cat([multipliers[name] for name in trained], 1) if multipliers else None
        )
        self.gradient = gradient_of(recipe, self.now, trained, stage)
        self.loss = torch.zeros(len(index), dtype=torch.float64, device=recipe.device)
        row = torch.finfo(recipe.dtype).bits // 8 * (recipe.target.input_width + 1)
        block = TOGETHER * len(index) * recipe.optimizer.batch * row
        self.together = TOGETHER if recipe.device.type == "cuda" and block <= RECORDED_BYTES else 1
        self.recording: CudaGraphStep | None = None
        self._warm = False

    def run(self, clock: Tensor, step: Tensor, length: int) -> Tensor:
        """``length`` steps from ``clock`` in the stage and ``step`` in all, int64 (R,), on; no host
        synchronisation. Returns the training loss summed over them, (R,), which the next call
        overwrites; it is only added up where the stage ends on it."""
        size, ahead = self.recipe.optimizer.batch, torch.arange(length, device=self.recipe.device)
        rates = self.lr * self.recipe.optimizer.rate(
            clock.unsqueeze(1) + ahead, self.stage.steps
        ).to(self.recipe.dtype)
        self.loss.zero_()
        done = 0
        for x, y in self.data.batches(
            self.index, size, step, length, self.recipe.optimizer.sampling, self.together
        ):
            count = x.shape[1] // size
            block = (x, y, rates[:, done : done + count], (clock + done).unsqueeze(1))
            if self.together > 1 and self._warm and count == self.together:
                self.recording = self.recording or CudaGraphStep(self, block)
                self.recording.replay(block)
            else:
                self.steps(*block)
                self._warm = True
            done += count
        return self.loss

    def steps(self, x: Tensor, y: Tensor, rates: Tensor, clock: Tensor) -> None:
        """One step after the other on x (R, k · batch, input_width) and y (R, k · batch), with
        rates (R, k) and the clock (R, 1) of the first."""
        size = self.recipe.optimizer.batch
        for t in range(rates.shape[1]):
            rows = slice(t * size, (t + 1) * size)
            loss, grads = self.gradient(x[:, rows], y[:, rows])
            with torch.no_grad():
                rate = (
                    rates[:, t : t + 1]
                    if self.multiplier is None
                    else rates[:, t : t + 1] * self.multiplier
                )
                self.recipe.optimizer.step(
                    self.flat,
                    torch.cat([g.flatten(1) for g in grads], 1),
                    self.buffers,
                    rate,
                    clock + t,
                )
                self.recipe.learner.project(self.now)
                if self.stage.until is not None:
                    self.loss += loss


class CudaGraphStep:
    """A block of steps as a CUDA graph, with inputs of its own that every replay fills."""

    def __init__(self, steps: Steps, block: Sequence[Tensor]) -> None:
        self.inputs = [part.contiguous().clone() for part in block]
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            steps.steps(*self.inputs)

    def replay(self, block: Sequence[Tensor]) -> None:
        for own, given in zip(self.inputs, block, strict=True):
            own.copy_(given)
        self.graph.replay()


def views(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Tensors shaped as ``like`` that share the storage of ``flat`` (R, P)."""
    found, start = [], 0
    for p in like:
        width = p[0].numel()
        found.append(flat[:, start : start + width].view(flat.shape[0], *p.shape[1:]))
        start += width
    return found
