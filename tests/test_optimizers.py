"""Optimizers. The battery holds for every YAML of conf/optimizer; below it, the update rules.

That a whole training with SGD or Adam equals one with torch.optim is shown in test_engine.py.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bfc.errors import UserError
from bfc.optimizers.base import Optimizer
from bfc.optimizers.lion import Lion

R, P, STEPS = 3, 7, 5


def normal(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def state_of(optimizer: Optimizer, like: Tensor) -> dict[str, Tensor]:
    return {name: torch.zeros_like(like) for name in optimizer.state_names}


def trajectory(
    optimizer: Optimizer, start: Tensor, grads: Tensor, rates: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Parameters (R, P) and state after the steps with gradients (steps, R, P)."""
    flat, state = start.clone(), state_of(optimizer, start)
    for t, grad in enumerate(grads):
        clock = torch.full((len(start), 1), t)
        optimizer.step(flat, grad.clone(), state, rates, clock)
    return flat, state


@pytest.fixture
def optimizer(build, optimizer_name) -> Optimizer:
    return build("optimizer", optimizer_name)


# ---- every optimizer ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_a_replica_moves_as_it_does_alone(optimizer, dtype):
    """With a rate and a gradient norm of its own; bit for bit, parameters and state."""
    start = normal(0, R, P).to(dtype)
    scale = torch.tensor([0.01, 1.0, 100.0]).view(R, 1)
    grads = (normal(1, STEPS, R, P) * scale).to(dtype)
    rates = torch.tensor([[0.1], [0.01], [0.0]], dtype=dtype)
    flat, state = trajectory(optimizer, start, grads, rates)
    for r in range(R):
        one = slice(r, r + 1)
        alone, its_state = trajectory(optimizer, start[one], grads[:, one], rates[one])
        assert torch.equal(alone, flat[one])
        assert all(torch.equal(its_state[name], state[name][one]) for name in state)


def test_a_rate_of_zero_moves_nothing_and_any_other_moves_every_parameter(optimizer):
    start, grads = normal(0, R, P), normal(1, STEPS, R, P)
    rates = torch.tensor([[0.0], [0.01], [0.02]], dtype=torch.float64)
    flat, _ = trajectory(optimizer, start, grads, rates)
    assert torch.equal(flat[0], start[0])
    assert bool((flat[1:] != start[1:]).all())


def test_the_first_step_goes_down_the_gradient_in_proportion_to_the_rate(optimizer):
    """Element by element: multipliers of the rate come as rates of shape (R, P)."""
    start, grads = torch.zeros(R, P, dtype=torch.float64), normal(1, 1, R, P)
    rates = torch.linspace(0.01, 0.1, R * P, dtype=torch.float64).view(R, P)
    flat, _ = trajectory(optimizer, start, grads, rates)
    assert torch.equal(flat.sign(), -grads[0].sign())
    ones, _ = trajectory(optimizer, start, grads, torch.ones(R, 1, dtype=torch.float64))
    torch.testing.assert_close(flat, rates * ones, rtol=1e-12, atol=0)


def test_a_gradient_above_the_norm_counts_as_one_of_that_norm(optimizer):
    clipped = replace(optimizer, clip=2.0)
    start, grads = normal(0, R, P), 50 * normal(1, STEPS, R, P)
    rates = torch.full((R, 1), 0.01, dtype=torch.float64)
    scaled = 2.0 * grads / grads.norm(dim=2, keepdim=True)
    flat, _ = trajectory(clipped, start, grads, rates)
    want, _ = trajectory(replace(optimizer, clip=None), start, scaled, rates)
    torch.testing.assert_close(flat, want, rtol=1e-10, atol=1e-12)


def test_state_is_what_is_named_and_keeps_its_shape_and_memory(optimizer):
    """A step only writes into the buffers it is given: their places are recorded on a GPU."""
    flat = normal(0, R, P)
    state = state_of(optimizer, flat)
    places = {name: buffer.data_ptr() for name, buffer in state.items()}
    place = flat.data_ptr()
    rates = torch.full((R, 1), 0.01, dtype=torch.float64)
    optimizer.step(flat, normal(1, R, P), state, rates, torch.zeros(R, 1, dtype=torch.int64))
    assert tuple(state) == optimizer.state_names
    assert {name: buffer.data_ptr() for name, buffer in state.items()} == places
    assert flat.data_ptr() == place and flat.shape == (R, P)


def test_a_quadratic_is_minimised(optimizer):
    """Along the rate's own schedule, from w = 1 to below a half."""
    steps = 400
    tuned = replace(optimizer, warmup=20, decay="cosine", clip=None)
    flat = torch.ones(R, P, dtype=torch.float64)
    curvature = torch.linspace(0.5, 1.5, P, dtype=torch.float64)
    state = state_of(tuned, flat)
    for t in range(steps):
        clock = torch.full((R, 1), t)
        rates = 0.05 * tuned.rate(clock, steps)
        tuned.step(flat, curvature * flat, state, rates, clock)
    assert float(flat.abs().max()) < 0.5


def test_the_rate_warms_up_and_then_falls_or_stays(optimizer):
    clock = torch.arange(100)
    cosine = replace(optimizer, warmup=10, decay="cosine").rate(clock, 100)
    constant = replace(optimizer, warmup=10, decay="constant").rate(clock, 100)
    for t in range(100):
        warm = min(1.0, (t + 1) / 10)
        turn = math.pi * max(t - 10, 0) / 90
        assert float(constant[t]) == pytest.approx(warm, rel=1e-12)
        assert float(cosine[t]) == pytest.approx(warm * 0.5 * (1 + math.cos(turn)), rel=1e-12)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"lr": 0.0}, "optimizer.lr=0.0: must be a number > 0"),
        ({"lr": float("inf")}, "optimizer.lr=inf"),
        ({"batch": 0}, "optimizer.batch=0: must be an integer from 1 to 1048576"),
        ({"clip": 0.0}, "optimizer.clip=0.0: must be null or a number > 0"),
        ({"warmup": -1}, "optimizer.warmup=-1: must be an integer >= 0"),
        ({"decay": "linear"}, "optimizer.decay=linear: must be cosine or constant"),
        ({"sampling": "random"}, "optimizer.sampling=random: must be replacement or epochs"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(build, optimizer_name, changes, message):
    with pytest.raises(UserError) as caught:
        build("optimizer", optimizer_name, **changes)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_options_have_a_module_and_an_identity_of_their_own(build):
    folder = Path(__file__).parents[1] / "conf" / "optimizer"
    classes = [type(build("optimizer", path.stem)) for path in sorted(folder.glob("*.yaml"))]
    assert len({cls.__module__ for cls in classes}) == len(classes)
    assert len({cls.identity_name for cls in classes}) == len(classes)
    assert all("identity_name" in cls.__dict__ for cls in classes)


# ---- the update rules --------------------------------------------------------------------------


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_lion_is_the_paper_s_algorithm_2(weight_decay):
    """Chen et al. (arXiv:2302.06675), one parameter, in numpy."""
    grads = np.random.default_rng(0).normal(size=30)
    w, m, lr = 0.7, 0.0, 0.01
    for g in grads:
        update = np.sign(0.9 * m + 0.1 * g)
        w = w - lr * (update + weight_decay * w)
        m = 0.99 * m + 0.01 * g
    optimizer = Lion(clip=None, weight_decay=weight_decay)
    start = torch.full((1, 1), 0.7, dtype=torch.float64)
    rates = torch.full((1, 1), lr, dtype=torch.float64)
    flat, state = trajectory(optimizer, start, torch.tensor(grads).view(-1, 1, 1), rates)
    assert float(flat) == pytest.approx(w, rel=1e-12)
    assert float(state["momentum"]) == pytest.approx(m, rel=1e-12)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"betas": [0.9, 1.0]}, "optimizer.betas=[0.9, 1.0]: must be two numbers in [0, 1)"),
        ({"weight_decay": -0.1}, "optimizer.weight_decay=-0.1: must be a number >= 0"),
    ],
)
@pytest.mark.parametrize("name", ["adam", "lion"])
def test_bad_betas_and_decays_are_refused_in_one_sentence(build, name, changes, message):
    with pytest.raises(UserError) as caught:
        build("optimizer", name, **changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "name, changes",
    [
        ("adam", {"betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.0}),
        ("adam", {"weight_decay": 0.3}),
        ("sgd", {}),
        ("sgd", {"momentum": 0.9}),
    ],
    ids=["adam", "decay", "sgd", "momentum"],
)
def test_sgd_and_adam_are_those_of_torch(build, name, changes):
    optimizer = build("optimizer", name, clip=None, **changes)
    start, grads = normal(0, 1, P), normal(1, STEPS, 1, P)
    weight = nn.Parameter(start[0].clone())
    cls = {"adam": torch.optim.AdamW, "sgd": torch.optim.SGD}[name]
    reference = cls([weight], lr=0.05, **changes)
    for grad in grads:
        weight.grad = grad[0].clone()
        reference.step()
    rates = torch.full((1, 1), 0.05, dtype=torch.float64)
    flat, _ = trajectory(optimizer, start, grads, rates)
    torch.testing.assert_close(flat[0], weight.detach(), rtol=1e-10, atol=1e-12)
