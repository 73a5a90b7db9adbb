"""How many trainings make a stack, and evaluation of few replicas at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.cases import CASES
from bfc.engine import evaluation as evaluate
from bfc.engine import stack_size as size
from bfc.engine.op_counter import OpCounter
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import Trainer
from bfc.optimizers.adam import Adam
from bfc.types import Training


def recipe(pair, build) -> Recipe:
    learner, target = pair
    groups = [group for group in learner.groups(target) if not group.startswith("readout")]
    schedule = build("schedule", "all", phases=[{"train": groups}])
    return Recipe(target, learner, schedule, Adam(batch=16), test=32)


def test_a_step_of_one_replica_says_what_a_stack_writes(pair, build):
    """For every learner on every target; larger batches write more."""
    base = recipe(pair, build)
    written = size.step_bytes(base, True)
    trainer = Trainer(base, [Training(2, seed) for seed in range(3)])
    start = torch.zeros(3, dtype=torch.int64)
    (stage,) = trainer.stages
    steps = trainer.working_copy([0, 1, 2], stage)
    with OpCounter() as counter:
        steps.run(start, start, 1)
    assert 2.0 * written < counter.written <= 3.2 * written and written > 0
    wider = replace(base, optimizer=Adam(batch=64))
    assert size.step_bytes(wider, True) > written


def test_small_steps_stand_together_and_large_ones_by_few():
    sizes = {name: size.stack_size(case.trainer(1).recipe, True) for name, case in CASES.items()}
    assert (
        sizes["quadratic"] == size.CPU_MAX_STACK
        and 16 <= sizes["tiny"] <= size.CPU_MAX_STACK
        and sizes["mean_field"] == sizes["wide"] == 1
    )
    base = CASES["tiny"].trainer(1).recipe
    known = [
        size.stack_size(replace(base, optimizer=replace(base.optimizer, batch=batch)), True)
        for batch in (8, 64, 256, 1024, 4096)
    ]
    assert known == sorted(known, reverse=True) and known[0] == size.CPU_MAX_STACK and known[-1] < 4


def test_a_gpu_is_filled_but_not_beyond_its_memory(monkeypatch):
    base = replace(CASES["tiny"].trainer(1).recipe, device=torch.device("cuda"))
    one = size.step_bytes(base, True)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 7 * one)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 3 * one)
    for free, want in ((1 << 40, size.GPU_MAX_STACK), (one * 16, 10), (0, 2)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 1 << 50))
        assert size.stack_size(base, True) == want


def test_replicas_evaluated_few_at_a_time(pair, build, monkeypatch):
    base = replace(recipe(pair, build), dtype=torch.float64)
    stack = Trainer(base, [Training(12, seed) for seed in (0, 1, 1, 2, 2)], None, None)
    index = list(range(5))
    whole = stack.checks.evaluate(index, stack.stages[-1], None)
    monkeypatch.setattr(evaluate, "ROWS", 2 * base.test)
    for one, other in zip(stack.checks.evaluate(index, stack.stages[-1], None), whole, strict=True):
        assert one["risk"] == pytest.approx(other["risk"], rel=1e-9)
