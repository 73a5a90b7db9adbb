"""The optimizer steps of replicas in the same stage, taken by generated code.

It stands in for :class:`bfc.engine.steps.Steps`. The replicas are laid out in groups, of as
many as a vector register has lanes, or on a GPU of one; a group that is not full repeats its last
replica. Every lane computes by itself: a replica gets the same numbers in whatever group and lane
it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bfc.engine.compiled.hardware import StepTensors
from bfc.engine.compiled.lane_layout import LaneLayout, flatten, to_replicas
from bfc.engine.data import StackData
from bfc.engine.recipe import Recipe
from bfc.engine.steps import Replicas
from bfc.shapes import Float, Float64, Int
from bfc.types import Stage

if TYPE_CHECKING:
    from bfc.engine.compiled.compilation import CompiledStep

BLOCK_BYTES = 1 << 22
"""Bytes of rows that are drawn at a time where there is no pool, and of numbers of rows."""


class LaneSteps:
    """Replicas ``index`` of a stack in ``stage``, and the steps that they take."""

    def __init__(
        self,
        step: CompiledStep,
        recipe: Recipe,
        data: StackData,
        stage: Stage,
        replicas: Replicas,
    ) -> None:
        """Copies what trains and what does not out of the replicas' tensors."""
        self.step, self.recipe, self.data, self.stage = step, recipe, data, stage
        self.index, self.lr = list(replicas.index), replicas.lr
        self.trained = list(step.shapes.trained)
        self.loss = torch.zeros(len(self.index), dtype=torch.float64, device=recipe.device)
        self.layout = LaneLayout.of(len(self.index), step.group_size, recipe.device)
        trained = [replicas.params, *replicas.buffers.values()]
        state = [flatten(values, self.trained) for values in trained]
        self.state = self.layout.lay_out(torch.cat(state, 1))
        keys, numbers = self._read_draws()
        if step.shapes.fixed:
            fixed = flatten(replicas.params, list(step.shapes.fixed))
            numbers = torch.cat([fixed, numbers], 1)
        elif numbers.shape[1] == 0:
            numbers = self._zeros(len(self.index), 1)  # an empty tensor has no address
        self.fixed = self.layout.lay_out(numbers)
        self.shared = self._zeros(1)
        if replicas.multipliers:
            self.shared = torch.cat(
                [replicas.multipliers[name] for name in self.trained], 1
            ).contiguous()
        self.streams = self._make_streams(keys)
        at_once = self.layout.groups if step.runs_groups_at_once else 1
        self.batch = self._zeros(at_once, step.layout.batch, step.group_size)
        self.scratch = self._zeros(at_once, step.layout.scratch, step.group_size)

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=self.recipe.dtype, device=self.recipe.device)

    def _read_draws(self) -> tuple[Int[Tensor, "R keys"], Float[Tensor, "R numbers"]]:
        """What the code reads of the draws to draw fresh rows."""
        if self.step.shapes.drawn is None:
            none = torch.zeros(len(self.index), 0, device=self.recipe.device)
            return none.long(), none.to(self.recipe.dtype)
        from bfc.engine.compiled.drawing import read_draws  # steps that read a pool need none of it

        batch = self.recipe.optimizer.batch
        draw = self.data.draw(self.index)
        return read_draws(draw, batch, self.step.shapes.drawn, self.recipe.device)

    def _make_streams(self, keys: Int[Tensor, "R keys"]) -> Int[Tensor, "G S lanes"]:
        """What rows are drawn from: keys, numbers of rows, first rows, and room for the step.

        The keys of fresh rows follow.
        """
        index = [self.index[replica] for replica in self.layout.replicas]
        pooled = 0 if self.data.pool is None else self.data.pool[0].shape[1]
        seeds = self._integers([self.data.seed_index[i] for i in index])
        start = seeds * pooled
        parts = [
            self.data.batch_keys[index],
            self.data.n_fit[index],
            start,
            torch.zeros_like(start),
            *keys[self.layout.selection].unbind(1),
        ]
        stacked = torch.stack(parts).view(len(parts), -1, self.step.group_size)
        return stacked.transpose(0, 1).contiguous()

    def _integers(self, values: Sequence[int]) -> Int[Tensor, " N"]:
        return torch.tensor(values, device=self.recipe.device)

    @property
    def flat(self) -> Float[Tensor, "R P"]:
        """What trains."""
        return self._replicas(0)

    @property
    def buffers(self) -> dict[str, Float[Tensor, "R P"]]:
        """The optimizer's buffers."""
        names = self.step.shapes.buffers
        return {name: self._replicas(place) for place, name in enumerate(names, 1)}

    def _replicas(self, place: int) -> Float[Tensor, "R P"]:
        size = self.step.shapes.num_trained
        part = self.state[:, place * size : (place + 1) * size]
        return to_replicas(part, len(self.index))

    def run(
        self, clock: Int[Tensor, " R"], step: Int[Tensor, " R"], length: int
    ) -> Float64[Tensor, " R"]:
        """As :meth:`bfc.engine.steps.Steps.run`."""
        scalars = self._scalars(clock, length)
        self.loss.zero_()
        done = 0
        self.streams[:, 3] = step[self.layout.selection].view(-1, self.step.group_size)
        for pool_x, pool_y, rows in self._row_blocks(step, length):
            count = length if rows is None else rows.shape[1]
            losses = self._zeros(len(scalars), count, self.step.group_size)
            tensors = StepTensors(
                self.state,
                self.fixed,
                self.shared,
                scalars[:, done : done + count].contiguous(),
                pool_x,
                pool_y,
                rows,
                self.streams,
                self.batch,
                self.scratch,
                losses,
            )
            self.step.loaded.take_steps(tensors)
            if self.stage.until is not None:
                total = losses.double().sum(1).flatten()
                self.loss += total[: len(self.index)]
            done += count
        return self.loss

    def _scalars(
        self, clock: Int[Tensor, " R"], length: int
    ) -> Float[Tensor, "G length scalars lanes"]:
        """What the steps read that depends on the learning rate and the clock alone."""
        clocks = clock.unsqueeze(1) + torch.arange(length, device=clock.device)
        decay = self.recipe.optimizer.rate(clocks, self.stage.steps)
        rates = self.lr * decay.to(self.recipe.dtype)
        flat = self.step.scalars.compute(rates.view(-1, 1), clocks.view(-1, 1))
        if not flat:
            return self._zeros(self.layout.groups, length, 0, self.step.group_size)
        values = torch.stack([value.view(rates.shape) for value in flat], 2)
        laid_out = self.layout.lay_out(values.flatten(1).to(self.recipe.dtype))
        return laid_out.view(len(laid_out), length, len(flat), self.step.group_size)

    def _rows_in_turn(
        self, step: Int[Tensor, " R"], length: int, pooled: int
    ) -> Iterator[Int[Tensor, "G k B lanes"]]:
        """Numbers of rows of the pool for some steps at a time; a seed has ``pooled`` in it."""
        data, batch = self.data, self.recipe.optimizer.batch
        index = [self.index[replica] for replica in self.layout.replicas]
        seeds = self._integers([data.seed_index[i] for i in index])
        start = (seeds * pooled).unsqueeze(1)
        first = step[self.layout.selection]
        per_block = max(1, BLOCK_BYTES // (len(index) * batch * 8))
        for done in range(0, length, per_block):
            count = min(per_block, length - done)
            rows = data.row_numbers(index, batch, first + done, count, in_turn=True)
            yield self.layout.lay_out_rows(start + rows)

    def _row_blocks(
        self, step: Int[Tensor, " R"], length: int
    ) -> Iterator[tuple[Tensor, Tensor, Int[Tensor, "G k B lanes"] | None]]:
        """Pools of inputs and labels, and the numbers of the rows to read from them.

        None: the code draws them, for all steps at once.
        """
        optimizer, data = self.recipe.optimizer, self.data
        if self.step.shapes.drawn is not None:
            yield self.shared, self.shared, None
            return
        if data.pool is not None:
            x, y = data.pool
            if optimizer.sampling == "replacement":
                yield x, y, None
                return
            for rows in self._rows_in_turn(step, length, x.shape[1]):
                yield x, y, rows
            return
        row_bytes = len(self.index) * optimizer.batch * (self.recipe.target.input_width + 1) * 8
        per_block = max(1, BLOCK_BYTES // row_bytes)
        blocks = data.batches(
            self.index, optimizer.batch, step, length, optimizer.sampling, per_block
        )
        for x, y in blocks:
            count = x.shape[1] // optimizer.batch
            within = torch.arange(count * optimizer.batch, device=x.device).view(count, 1, -1)
            first = self.layout.selection.unsqueeze(1) * x.shape[1]
            yield x.contiguous(), y.contiguous(), self.layout.lay_out_rows(first + within)
