"""Centring constants by generated code: a learner's statistics on all reference rows of a seed.

They are traced like a step and laid out like one: what a step trains are here the constants, its
batch the reference rows, and one call takes one step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bfc.engine.compiled.hardware import StepTensors
from bfc.engine.compiled.lane_layout import LaneLayout, flatten, to_replicas
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.shapes import Shape, StepShapes
from bfc.engine.evaluation import centring_constants
from bfc.engine.recipe import Recipe
from bfc.shapes import Float
from bfc.types import Params

if TYPE_CHECKING:
    from bfc.engine.compiled.compilation import CompiledStep


class LaneCentring:
    """A :class:`bfc.engine.centring.Centring` whose replicas are lanes."""

    def __init__(self, recipe: Recipe, reference: Float[Tensor, "S B d"]) -> None:
        self.recipe, self.rows = recipe, reference.shape[1]
        self.pool_x = reference.contiguous()
        self.pool_y = reference.new_zeros(reference.shape[:2])
        """Labels, which nothing reads."""
        self._codes: dict[frozenset[str], CompiledStep | None] = {}
        self._memory = self.pool_x.new_empty(0)
        """What a call works in: memory that is new each time would first have to be cleared."""

    def constants(
        self, params: Params, seed_index: Sequence[int], present: frozenset[str]
    ) -> dict[str, Tensor]:
        """See :class:`bfc.engine.centring.Centring`.

        Statistics that have no compiled form are taken operation by operation.
        """
        if present not in self._codes:
            self._codes[present] = self._compile(params, present)
        code = self._codes[present]
        if code is None:
            return centring_constants(self.recipe, params, self.pool_x[list(seed_index)], present)
        return _unflatten(self._run(code, params, seed_index), code.shapes.trained)

    def is_compiled(self, present: frozenset[str]) -> bool:
        """Whether the constants of these groups are taken by generated code, once they were."""
        return self._codes.get(present) is not None

    def _compile(self, params: Params, present: frozenset[str]) -> CompiledStep | None:
        from bfc.engine.compiled.compilation import compiled_statistics  # it takes llvmlite

        one = {name: p[:1] for name, p in params.items()}
        constants = self.recipe.learner.statistics(one, self.pool_x[:1, :2], present)
        shapes = StepShapes(
            {name: tuple(value.shape[1:]) for name, value in constants.items()},
            {name: tuple(p.shape[1:]) for name, p in params.items()},
            (),
            self.rows,
            self.pool_x.shape[2],
            has_multiplier=False,
        )
        try:
            return compiled_statistics(self.recipe, present, shapes) if constants else None
        except CannotCompile:
            return None

    def _run(
        self, code: CompiledStep, params: Params, seed_index: Sequence[int]
    ) -> Float[Tensor, "R K"]:
        """The constants of every replica in one row."""
        layout = LaneLayout.of(len(seed_index), code.group_size, self.recipe.device)
        groups, lanes = layout.groups, layout.group_size

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=self.recipe.dtype)

        first = torch.tensor(seed_index)[layout.selection] * self.rows
        rows = (first.unsqueeze(1) + torch.arange(self.rows)).unsqueeze(0)
        state = zeros(groups, code.layout.state, lanes)
        batch, scratch = self._work_memory(code, groups)
        code.loaded.take_steps(
            StepTensors(
                state=state,
                fixed=layout.lay_out(flatten(params, list(code.shapes.fixed))),
                shared=zeros(1),
                scalars=zeros(groups, 1, 0, lanes),
                pool_x=self.pool_x,
                pool_y=self.pool_y,
                rows=layout.lay_out_rows(rows),
                stream=torch.zeros(groups, code.shapes.stream_size, lanes, dtype=torch.int64),
                batch=batch,
                scratch=scratch,
                loss=zeros(groups, 1, lanes),
            )
        )
        return to_replicas(state, len(seed_index))

    def _work_memory(
        self, code: CompiledStep, groups: int
    ) -> tuple[Float[Tensor, "G X lanes"], Float[Tensor, "G Y lanes"]]:
        """Memory for the rows of a group and for intermediate values.

        Groups that run one after the other share it (G = 1).
        """
        at_once = groups if code.runs_groups_at_once else 1
        lanes = at_once * code.group_size
        sizes = [code.layout.batch * lanes, code.layout.scratch * lanes]
        if len(self._memory) < sum(sizes):
            self._memory = self.pool_x.new_empty(sum(sizes))
        rest = len(self._memory) - sum(sizes)
        batch, scratch, _ = torch.split(self._memory, [*sizes, rest])
        shape = (at_once, -1, code.group_size)
        return batch.view(shape), scratch.view(shape)


def _unflatten(flat: Float[Tensor, "R K"], shapes: Mapping[str, Shape]) -> dict[str, Tensor]:
    """The values of every name, (R, *shape)."""
    sizes = [torch.Size(shape).numel() for shape in shapes.values()]
    parts = torch.split(flat, sizes, 1)
    return {
        name: part.reshape(len(flat), *shape)
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
