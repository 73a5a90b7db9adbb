"""Twin networks against two networks trained apart, and what they have in common on known cases."""

from __future__ import annotations

import pytest
import torch
from learner_checks import inputs, whole_network
from torch import Tensor

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.learners.mlp import MLP
from bfc.learners.twin import TWIN, Twin, second_network
from bfc.optimizers.adam import Adam
from bfc.probes.common import centre_rows, kernel_alignment
from bfc.probes.match import Match, maximum_match, relative_rank, relative_residuals
from bfc.schedules import load_schedule
from bfc.targets.index import Index
from bfc.types import Training

SEEDS = (0, 5)
TARGET = Index(d=4)
LEARNER = Twin(widths=(6, 3), bias_sd=0.5)
PLAIN = MLP(widths=(6, 3), bias_sd=0.5)


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def rotation(size: int) -> Tensor:
    return torch.linalg.qr(gaussian(size, size, seed=size))[0]


# ---- the twins -----------------------------------------------------------------------------------


def test_twins_are_two_networks_of_one_seed_with_different_starts():
    draw = TARGET.draw(SEEDS, torch.float64)
    params = LEARNER.init_params(TARGET, draw)
    plain = PLAIN.init_params(TARGET, draw)
    twin = second_network(params)
    assert set(twin) == set(plain) and len(params) == 2 * len(plain)
    for name, p in plain.items():
        assert torch.equal(params[name], p)
        assert twin[name].shape == p.shape
    assert not torch.allclose(twin["W2"], params["W2"])


@pytest.mark.parametrize("rows", [8, 9, 1])
def test_the_batch_is_divided_in_training_and_the_first_answers_in_evaluation(rows):
    draw = TARGET.draw(SEEDS, torch.float64)
    params = LEARNER.init_params(TARGET, draw)
    x, present = inputs(draw, rows), whole_network(LEARNER, TARGET)
    half = (rows + 1) // 2
    trained = LEARNER.forward(params, x, present)
    first = PLAIN.forward(params, x, present)
    second = PLAIN.forward(second_network(params), x, present)
    torch.testing.assert_close(trained, torch.cat([first[:, :half], second[:, half:]], 1))
    torch.testing.assert_close(LEARNER.forward(params, x, present, {}), first)


def test_each_twin_is_trained_as_a_network_alone_on_its_half():
    """Gradients of the mean loss over the batch: half of those over the halves."""
    draw = TARGET.draw(SEEDS, torch.float64)
    params = LEARNER.init_params(TARGET, draw)
    x, present = inputs(draw, 10), whole_network(LEARNER, TARGET)
    slope = gaussian(2, 10)
    groups = LEARNER.groups(TARGET)
    trained = frozenset(name for group in present for name in groups[group])
    _, back = LEARNER.vjp(params, x, present, trained)
    grads = back(slope)
    parts = {"": (params, slice(0, 5)), TWIN: (second_network(params), slice(5, 10))}
    for prefix, (weights, rows) in parts.items():
        plain_trained = frozenset(name for name in trained if not name.startswith(TWIN))
        _, plain_back = PLAIN.vjp(weights, x[:, rows], present, plain_trained)
        for name, gradient in plain_back(slope[:, rows].contiguous()).items():
            torch.testing.assert_close(grads[prefix + name], gradient)


def test_both_twins_learn_and_become_alike():
    """From a small start, where units turn to the planted direction; a large one hides it."""
    target = Index(d=16, link="he2")
    learner = Twin(widths=(32,), weight_sd=0.2, readout_sd=0.2)
    schedule = load_schedule("joint", steps=800)
    recipe = Recipe(
        target, learner, schedule, Adam(lr=0.01, batch=64), test=1024, probe=Match(rows=512)
    )
    records = train(recipe, [Training(4096, seed) for seed in range(3)])
    for record in records:
        assert record["risk"] < 0.1
        stage = record["stage"]
        similarity = record[f"{stage}/twin_cka/2"]
        assert record[f"{stage}/untrained_cka/2"] + 0.1 < similarity <= 1 + 1e-9
        assert record[f"{stage}/untrained_match/2"] < 0.1 < record[f"{stage}/twin_match/2"]
        assert record[f"{stage}/twin_rank/2"] > 0.5


# ---- similarities --------------------------------------------------------------------------------


def test_a_residual_is_that_of_least_squares():
    units, others = gaussian(50, 3), gaussian(50, 4, seed=1)
    coefficients = torch.linalg.lstsq(others, units).solution
    expected = (units - others @ coefficients).norm(dim=0) / units.norm(dim=0)
    torch.testing.assert_close(relative_residuals(units, others), expected)


@pytest.mark.parametrize("eps", [0.01, 0.5])
def test_duplicated_and_rotated_networks_match_wholly(eps):
    x = gaussian(200, 8)
    assert maximum_match(x, x, eps) == 1
    assert maximum_match(x, x[:, torch.randperm(8)], eps) == 1
    assert maximum_match(x, x @ rotation(8), eps) == 1
    assert maximum_match(torch.cat([x, x], 1), x @ rotation(8), eps) == 1


def test_independent_networks_do_not_match_and_half_a_network_matches_half():
    x, y = gaussian(2000, 8), gaussian(2000, 8, seed=1)
    assert maximum_match(x, y, 0.3) == 0
    half = torch.cat([x[:, :4], y[:, 4:]], 1)
    assert maximum_match(x, half, 0.3) == 0.5


def test_a_match_is_not_the_units_that_one_network_spans_alone():
    """x_2 is in the span of y only with a unit of y that itself is far from x: both are dropped."""
    x, y = gaussian(2000, 2), gaussian(2000, 1, seed=1)
    mixture = x[:, 1:] + y
    assert maximum_match(x, torch.cat([x[:, :1], mixture, y], 1), 0.3) == pytest.approx(2 / 5)


def test_dead_units_do_not_count():
    x = gaussian(100, 4)
    dead = torch.cat([x, torch.zeros(100, 3, dtype=torch.float64)], 1)
    assert maximum_match(dead, x, 0.1) == 1
    assert maximum_match(torch.zeros_like(x), torch.zeros_like(x), 0.1) == 0


def test_alignment_does_not_depend_on_the_basis_and_the_rank_is_that_of_the_span():
    h = gaussian(2, 300, 5)
    rotated = h @ rotation(5)
    alignment = kernel_alignment(centre_rows(h), centre_rows(rotated))
    torch.testing.assert_close(alignment, torch.ones(2, dtype=torch.float64))
    flat = torch.cat([h[:, :, :2], h[:, :, :2] @ gaussian(2, 2, 3, seed=3)], 2)
    torch.testing.assert_close(relative_rank(h, flat), torch.full((2,), 0.4, dtype=torch.float64))


def test_the_probe_on_rotated_twins_of_known_answers():
    """The second network is the first with its units in another order: 1 at both levels."""
    draw = TARGET.draw(SEEDS, torch.float64)
    params = LEARNER.init_params(TARGET, draw)
    order = [3, 0, 5, 1, 4, 2]
    params |= {TWIN + name: p for name, p in params.items() if not name.startswith(TWIN)}
    params |= {f"{TWIN}{name}2": params[f"{name}2"][..., order] for name in ("W", "b")}
    params[f"{TWIN}W3"] = params["W3"][:, order]
    present = whole_network(LEARNER, TARGET)
    values = Match(rows=256).measure(TARGET, draw, LEARNER, params, present)
    for name in ("twin_cka", "twin_match"):
        for level in (2, 3):
            alive = ~values[f"{name}/{level}"].isnan()
            assert bool(alive.all())
            torch.testing.assert_close(
                values[f"{name}/{level}"], torch.ones(2, dtype=torch.float64)
            )
    assert float(values["untrained_cka/2"].max()) < 0.99
    lower = Match(rows=256).measure(TARGET, draw, LEARNER, params, frozenset({"bias", "level2"}))
    assert set(lower) == set(values) and bool(lower["twin_rank/3"].isnan().all())


@pytest.mark.parametrize(
    ("probe", "learner", "words"),
    [
        (Match(), PLAIN, "probe=match: compares two networks of one seed; allowed: learner=twin"),
        (Match(rows=64), Twin(widths=(32,)), "probe.rows=64: must be at least 4 times"),
    ],
)
def test_what_cannot_be_compared_is_refused(probe, learner, words):
    with pytest.raises(UserError, match=words):
        probe.check(TARGET, learner)


@pytest.mark.parametrize("eps", [0.0, 1.0])
def test_a_bad_eps_is_refused(eps):
    with pytest.raises(UserError, match=r"^probe\.eps="):
        Match(eps=eps)
