"""Learners: what holds for every YAML of conf/learner on every target it accepts.

Each family is compared with its formulas in a file of its own.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from learner_checks import SEEDS, check_reverse_pass, inputs, start_params, whole_network
from torch import Tensor

from bfc.engine.checks import Checks
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import Trainer
from bfc.errors import UserError
from bfc.schedules import Phase, Schedule
from bfc.types import Training, sample


def test_initial_parameters_depend_on_the_seed_of_their_replica_only(pair):
    learner, target = pair
    draw = target.draw(SEEDS, torch.float64)
    params = learner.init_params(target, draw)
    assert all(p.shape[0] == len(SEEDS) and p.dtype == torch.float64 for p in params.values())
    assert any(not torch.equal(p[0], p[1]) for p in params.values())
    for index in ([0], [5], [7, 2, 2]):
        drawn_again = target.draw([SEEDS[i] for i in index], torch.float64)
        for subset in (drawn_again, draw.select(index)):
            for name, p in learner.init_params(target, subset).items():
                torch.testing.assert_close(p, params[name][index], rtol=1e-12, atol=1e-12)


def test_groups_name_parameters_once(pair):
    learner, target = pair
    groups = learner.groups(target)
    names = list(itertools.chain.from_iterable(groups.values()))
    assert len(names) == len(set(names))
    assert set(names) <= set(learner.init_params(target, target.draw([0])))
    assert {f"level{level}" for level in learner.levels(target)} <= set(groups)
    assert all(groups.values())


def test_a_replica_does_not_see_its_stack(pair):
    """Eight at once, one by one, and in another order; with and without centring constants."""
    learner, target = pair
    draw, present = target.draw(SEEDS, torch.float64), whole_network(learner, target)
    params, x = start_params(learner, target, draw, present), inputs(draw, 9)
    order = [6, 0, 3, 1, 7, 2, 5, 4]
    for centre in (None, learner.statistics(params, inputs(draw, 30, "reference"), present)):
        whole = learner.forward(params, x, present, centre)
        assert whole.shape[:2] == (len(SEEDS), 9) and bool((whole[0] != whole[1]).all())
        for index in (*([i] for i in range(len(SEEDS))), order):
            selected = {name: p[index] for name, p in params.items()}
            constants = None
            if centre is not None:
                constants = {name: value[index] for name, value in centre.items()}
            out = learner.forward(selected, x[index], present, constants)
            torch.testing.assert_close(out, whole[index], rtol=1e-11, atol=1e-11)


def test_in_evaluation_an_output_is_a_function_of_its_row(pair):
    learner, target = pair
    draw, present = target.draw(SEEDS[:2], torch.float64), whole_network(learner, target)
    params, x = start_params(learner, target, draw, present), inputs(draw, 40)
    centre = learner.statistics(params, inputs(draw, 100, "reference"), present)
    assert bool(centre) == learner.needs_reference
    whole = learner.forward(params, x, present, centre)
    row = learner.forward(params, x[:, 11:12], present, centre)
    torch.testing.assert_close(row, whole[:, 11:12], rtol=1e-11, atol=1e-11)


def test_gradients(pair):
    """Finite differences along random directions of the parameters.

    In training mode (through the centring) and with given constants, with the fixed and with the
    free read-outs.
    """
    learner, target = pair
    draw = target.draw(SEEDS[:2], torch.float64)
    params, x = start_params(learner, target, draw, whole_network(learner, target)), inputs(draw, 4)
    names = list(params)
    leaves = [params[name].clone().requires_grad_() for name in names]
    for present in (whole_network(learner, target), frozenset(learner.groups(target))):
        for centre in (None, learner.statistics(params, inputs(draw, 20, "reference"), present)):

            def outputs(*values: Tensor, present=present, centre=centre) -> Tensor:
                return learner.forward(dict(zip(names, values, strict=True)), x, present, centre)

            assert torch.autograd.gradcheck(outputs, leaves, fast_mode=True)


def test_a_step_takes_nothing_from_the_host(pair, build, monkeypatch):
    """Neither values of tensors nor tensors from host data, which would make it wait for a GPU.

    On the meta device, whose tensors have no values, whatever needs one on the host raises; and a
    chunk of four steps makes as many tensors from host data as one of a single step.
    """
    learner, target = pair
    if target.n_available is not None:
        pytest.skip("a finite set of images is read on the host, once")
    # a phase may look at values where it begins
    monkeypatch.setattr(Checks, "start_phase", lambda *_: None)
    schedule = Schedule((Phase(tuple(whole_network(learner, target))),), steps=20)
    recipe = Recipe(
        target, learner, schedule, build("optimizer", "sgd", batch=4), device=torch.device("meta")
    )
    stack = Trainer(recipe, [Training(0, seed) for seed in (3, 4)], None, None)
    calls: list[str] = []
    for name in ("tensor", "as_tensor", "from_numpy"):
        monkeypatch.setattr(torch, name, _counting(getattr(torch, name), calls))
    counts = []
    for steps in (1, 1, 4):  # the first fills what is kept
        calls.clear()
        stack.train_chunk([0, 1], stack.stages[0], steps)
        counts.append(len(calls))
    assert counts[1] == counts[2], calls
    assert all(p.device.type == "meta" for p in stack.state.params.values())


def _counting(function, calls: list[str]):
    """The function, which also adds its name to ``calls``."""

    def counted(*args, **kwargs):
        calls.append(function.__name__)
        return function(*args, **kwargs)

    return counted


def test_absent_groups_contribute_nothing(pair):
    """Level by level: parameters of absent groups may be NaN, every present group matters."""
    learner, target = pair
    draw, groups = target.draw(SEEDS[:2], torch.float64), learner.groups(target)
    params, x = start_params(learner, target, draw, whole_network(learner, target)), inputs(draw, 6)
    for top in learner.levels(target):
        levels = [f"level{level}" for level in learner.levels(target) if level <= top]
        present = frozenset({"bias", *levels}) & set(groups)
        try:
            learner.check_present(target, present)
        except UserError:
            continue
        used = set(itertools.chain.from_iterable(groups[group] for group in present))
        absent = set(itertools.chain.from_iterable(groups.values())) - used
        broken = {}
        for name, p in params.items():
            nan = torch.full_like(p, float("nan"))
            broken[name] = nan if name in absent else p.clone().requires_grad_()
        out = learner.forward(broken, x, present)
        torch.testing.assert_close(out, learner.forward(params, x, present))
        (out - 1).square().sum().backward()
        moved = {name for name in used if moves_in_every_replica(broken[name].grad)}
        assert all(moved & set(groups[group]) for group in present)


def moves_in_every_replica(grad: Tensor | None) -> bool:
    return grad is not None and bool((grad.flatten(1) != 0).any(1).all())


def choose_distinct_rows(draw, count: int) -> Tensor:
    """The first training rows (R, count) that are equal to no other up to sign.

    A learner that is even in x gives x and −x one label, and a cube of few dimensions holds both.
    """
    candidates = draw.inputs("train", torch.arange(8 * count).expand(len(draw.seeds), -1))
    chosen = []
    for x in candidates.flatten(2):
        rows: list[int] = []
        for row in range(len(x)):
            if not any(_are_parallel(x[row], x[other]) for other in rows):
                rows.append(row)
        chosen.append(rows[:count])
    return torch.tensor(chosen)


def _are_parallel(x: Tensor, z: Tensor) -> bool:
    return torch.equal(x, z) or torch.equal(x, -z)


def test_memorises_a_few_points(pair):
    learner, target = pair
    draw, present = target.draw(SEEDS[:2], torch.float64), whole_network(learner, target)
    params = start_params(learner, target, draw, present)
    x, y = sample(draw, "train", choose_distinct_rows(draw, 6))
    groups = learner.groups(target)
    trained = sorted(set(itertools.chain.from_iterable(groups[group] for group in present)))
    for name in trained:
        params[name].requires_grad_()
    optimizer = torch.optim.Adam([params[name] for name in trained], 0.02)
    for _ in range(4000):
        optimizer.zero_grad()
        out = learner.forward(params, x, present)
        loss = target.loss(out, y).mean(1)
        loss.sum().backward()
        optimizer.step()
        ratio = loss.detach() / target.loss(torch.zeros_like(out), y).mean(1)
        if float(ratio.max()) < 5e-4:
            break
    assert float(ratio.max()) < 1e-3


def test_a_reverse_pass_written_by_hand_equals_automatic_differentiation(
    learner_target_schedule, build, node
):
    learner, target, schedule = learner_target_schedule
    small = {"d": 6} if "d" in node("target", target) else {}
    check_reverse_pass(
        build("learner", learner), build("target", target, **small), build("schedule", schedule)
    )
