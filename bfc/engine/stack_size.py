"""How many trainings to fuse: as many as the device has room for.

On a CPU the room that counts is the cache: small steps gain from being fused, large ones lose when
the stack no longer fits. On a GPU it is the memory. The rule reads what one step of a single
replica writes, never a clock, so that a cell is stacked alike each time it runs on a machine of the
same kind.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from bfc.engine.compiled.choice import may_compile
from bfc.engine.op_counter import OpCounter
from bfc.engine.recipe import Recipe
from bfc.engine.signature import fusion_key, signature
from bfc.engine.trainer import Trainer
from bfc.types import Training

CACHE_BYTES = 5_500_000
"""Bytes that a step of a whole stack may write before it no longer fits the cache of a CPU core
(benchmarks/stacks.py)."""
CPU_MAX_STACK = 32
"""Trainings to a stack on a CPU, beyond which more of the smallest steps gain nothing; with
generated code, of any step."""
GPU_MAX_STACK = 1024
"""Trainings to a stack on a GPU, which are enough to fill one."""
GPU_MEMORY_SHARE = 0.5
"""Share of a GPU's free memory for what a step writes; the rest is for pools, evaluation and CUDA
graphs."""

_step_bytes_by_key: dict[tuple[str, bool], int] = {}


def step_bytes(recipe: Recipe, pooled: bool) -> int:
    """Bytes that one step of a replica writes in its largest phase.

    An upper bound of what it holds. Its rows are drawn anew unless ``pooled``. Measured once per
    fusion key.
    """
    key = (fusion_key(recipe), pooled)
    if key not in _step_bytes_by_key:
        plain = replace(recipe, device=torch.device("cpu"), compile="never")
        _step_bytes_by_key[key] = measure_step(plain, pooled)
    return _step_bytes_by_key[key]


def measure_step(recipe: Recipe, pooled: bool) -> int:
    """:func:`step_bytes` on the recipe's own device, measured anew."""
    trainer = Trainer(recipe, [Training(2 if pooled else 0, 0)])
    start = torch.zeros(1, dtype=torch.int64, device=recipe.device)
    written = 0
    for stage in {(stage.present, stage.train): stage for stage in trainer.stages}.values():
        steps = trainer.working_copy([0], stage)
        with OpCounter() as counter:
            steps.run(start, start, 1)
        written = max(written, counter.written)
    return written


def stack_size(recipe: Recipe, pooled: bool) -> int:
    """Trainings to a stack of this recipe on its device."""
    if may_compile(recipe, signature(recipe.learner, recipe.target).num_parameters):
        return CPU_MAX_STACK
    needed = step_bytes(recipe, pooled)
    if recipe.device.type == "cpu":
        return max(1, min(CPU_MAX_STACK, CACHE_BYTES // needed))
    room = GPU_MEMORY_SHARE * _free_memory(recipe.device)
    return max(1, min(GPU_MAX_STACK, int(room / needed)))


def _free_memory(device: torch.device) -> int:
    """Free bytes of a GPU, those included that torch keeps for reuse."""
    for_reuse = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + for_reuse
