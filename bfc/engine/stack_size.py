"""How many trainings to fuse: as many as the device has room for, from what one step of a single
replica writes. On a CPU the room that counts is the cache (small steps gain from company, large
ones lose when the stack falls out of it), on a GPU it is the memory. The rule reads shapes, never a
clock, so that a cell is stacked alike each time it runs on a machine of the same kind."""

from __future__ import annotations

from dataclasses import replace

import torch

from bfc.engine.op_counter import OpCounter
from bfc.engine.recipe import Recipe
from bfc.engine.signature import fusion_key, without_values
from bfc.engine.trainer import Trainer
from bfc.types import Training

CACHE = 5_500_000
"""Bytes that a step of a whole stack may write before it falls out of the cache of a CPU core
(benchmarks/stacks.py)."""
MANY = 32
"""Trainings to a stack on a CPU, beyond which more of the smallest steps gain nothing."""
MOST = 1024
"""Trainings to a stack on a GPU, which are enough to fill one."""
SHARE = 0.5
"""Share of a GPU's free memory for what a step writes; the rest is for pools, evaluation and
recordings."""

_known: dict[tuple[str, bool], int] = {}


def step_bytes(recipe: Recipe, pooled: bool) -> int:
    """Bytes that one step of a replica writes in its largest phase, an upper bound of what it
    holds; its rows are drawn anew unless ``pooled``. Asked once per shape."""
    key = (fusion_key(recipe), pooled)
    if key not in _known:
        _known[key] = without_values(
            lambda device: _step_bytes(replace(recipe, device=device), pooled), recipe.device
        )
    return _known[key]


def _step_bytes(recipe: Recipe, pooled: bool) -> int:
    stack, most = Trainer(recipe, [Training(2 if pooled else 0, 0)], None, None), 0
    start = torch.zeros(1, dtype=torch.int64, device=recipe.device)
    for stage in {(stage.present, stage.train): stage for stage in stack.stages}.values():
        steps = stack.working_copy([0], stage)
        with OpCounter() as done:
            steps.run(start, start, 1)
        most = max(most, done.written)
    return most


def stack_size(recipe: Recipe, pooled: bool) -> int:
    """Trainings to a stack of this recipe on its device."""
    needed = step_bytes(recipe, pooled)
    if recipe.device.type == "cpu":
        return max(1, min(MANY, CACHE // needed))
    kept = torch.cuda.memory_reserved(recipe.device) - torch.cuda.memory_allocated(
        recipe.device
    )  # by torch, for reuse
    return max(
        1, min(MOST, int(SHARE * (torch.cuda.mem_get_info(recipe.device)[0] + kept) / needed))
    )
