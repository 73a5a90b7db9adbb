"""How many trainings to fuse: as many as the device has room for, from what one step of a single replica writes. On a CPU the room that
counts is the cache (small steps gain from company, large ones lose when the stack falls out of it), on a GPU it is the memory. The rule
reads shapes, never a clock, so that a cell is stacked alike each time it runs on a machine of the same kind."""

from __future__ import annotations

from dataclasses import replace

import torch

from bfc.engine.loop import Recipe, _Stack
from bfc.engine.shapes import shape, without_values
from bfc.engine.work import Work
from bfc.types import Training

SMALL = 1 << 20
"""Bytes written by a step of one replica up to which a stack of many stays near the cache of a CPU core."""
MANY, FEW = 32, 8
"""Trainings to a stack on a CPU: of small steps and of large ones (benchmarks/training.py, the best of R = 1 … 64)."""
MOST = 1024
"""Trainings to a stack on a GPU, which are enough to fill one."""
SHARE = 0.5
"""Share of a GPU's free memory for what a step writes; the rest is for pools, evaluation and recordings."""

_known: dict[tuple[str, bool], int] = {}


def step_bytes(recipe: Recipe, pooled: bool) -> int:
    """Bytes that one step of a replica writes in its largest phase, an upper bound of what it holds; its rows are drawn anew unless
    ``pooled``. Asked once per shape."""
    key = (shape(recipe), pooled)
    if key not in _known:
        _known[key] = without_values(lambda device: _step_bytes(replace(recipe, device=device), pooled), recipe.device)
    return _known[key]


def _step_bytes(recipe: Recipe, pooled: bool) -> int:
    stack, most = _Stack(recipe, [Training(2 if pooled else 0, 0)], None, None), 0
    start = torch.zeros(1, dtype=torch.int64, device=recipe.device)
    for stage in {(stage.present, stage.train): stage for stage in stack.stages}.values():
        steps = stack.working_copy([0], stage)
        with Work() as done:
            steps.run(start, start, 1)
        most = max(most, done.written)
    return most


def stack_size(recipe: Recipe, pooled: bool) -> int:
    """Trainings to a stack of this recipe on its device."""
    needed = step_bytes(recipe, pooled)
    if recipe.device.type == "cpu":
        return MANY if needed <= SMALL else FEW
    kept = torch.cuda.memory_reserved(recipe.device) - torch.cuda.memory_allocated(recipe.device)  # by torch, for reuse
    return max(1, min(MOST, int(SHARE * (torch.cuda.mem_get_info(recipe.device)[0] + kept) / needed)))
