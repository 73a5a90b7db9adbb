"""What the tests of learners share: inputs, parameters at the start, a check of reverse passes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bfc.types import Draw, Learner, Params, Schedule, Stage, Target

SEEDS = (0, 3, 7, 2**35, 11, 12, 13, 14)


def inputs(draw: Draw, count: int, role: str = "train") -> Tensor:
    """The first inputs of a stream as a learner is given them, (R, count, input_width)."""
    return draw.encode(draw.inputs(role, torch.arange(count).expand(len(draw.seeds), -1)))


def start_params(learner: Learner, target: Target, draw: Draw, present: frozenset[str]) -> Params:
    """Parameters at the first step of a training whose first phase has these groups."""
    params = learner.init_params(target, draw)
    first = Stage("all", (), present, 1, added=present)
    return params | learner.on_phase_start(params, draw, first)


def whole_network(learner: Learner, target: Target) -> frozenset[str]:
    """All groups but the read-outs that replace others."""
    return frozenset(group for group in learner.groups(target) if not group.startswith("readout"))


def check_reverse_pass(learner: Learner, target: Target, schedule: Schedule) -> None:
    """In every phase the hand-written reverse pass gives what automatic differentiation gives."""
    if not learner.has_vjp:
        pytest.skip("this learner leaves its gradient to automatic differentiation")
    draw = target.draw(SEEDS, torch.float64)
    params = {name: p.requires_grad_() for name, p in learner.init_params(target, draw).items()}
    x = inputs(draw, 9)
    slope = torch.randn(learner.forward(params, x, whole_network(learner, target)).shape).double()
    groups = learner.groups(target)
    for stage in schedule.stages(groups, learner.levels(target)):
        trained = {name: params[name] for group in stage.train for name in groups[group]}
        with torch.no_grad():
            output, back = learner.vjp(params, x, stage.present, frozenset(trained))
        out = learner.forward(params, x, stage.present)
        torch.testing.assert_close(output, out.detach(), rtol=1e-11, atol=1e-11)
        want = torch.autograd.grad(out, list(trained.values()), slope, allow_unused=True)
        with torch.no_grad():
            grads = back(slope.clone())
        for name, gradient in zip(trained, want, strict=True):
            if gradient is None:
                assert name not in grads or not grads[name].any(), name
            else:
                torch.testing.assert_close(grads[name], gradient, rtol=1e-9, atol=1e-11)
