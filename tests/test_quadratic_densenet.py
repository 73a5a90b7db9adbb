"""The quadratic network against a loop over samples and scalars, and against its teacher."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch
from learner_checks import SEEDS, check_reverse_pass, inputs, whole_network

from bfc.errors import UserError
from bfc.learners.products import differentiable_products
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.targets.capabilities import RevealedScales
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Stage

VARIANTS = {
    "L2": ({"L": 2}, {}),
    "L3": ({"L": 3}, {}),
    "L4 dense": ({"L": 4, "links": "dense"}, {}),
    "chain": ({"L": 3, "links": "chain"}, {}),
    "lists": ({"L": 4, "links": ((0,), (0, 2), (2, 3))}, {}),
    "squared": ({"L": 3, "base": "x_squared"}, {}),
    "squared dense": ({"L": 3, "base": "x_squared", "links": "dense"}, {}),
    "wider": ({"L": 3, "widths": (2, 2)}, {"widths": (3, 4)}),
    "narrow": ({"L": 3, "widths": (1, 1)}, {}),
    "trained scale": ({"L": 3}, {"alpha": "trained"}),
    "widening": ({"L": 3, "widths": (2, 4)}, {}),
}


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def variant(request) -> tuple[QuadraticDenseNet, Teacher]:
    target, learner = request.param
    return QuadraticDenseNet(**learner), Teacher(d=4, **target)


def by_hand(
    target: Teacher, params: dict[str, list], x: list[list[float]], top: int, readouts: bool
) -> list[float]:
    """The network's outputs for one replica, sample by sample and scalar by scalar.

    Centred by the batch; ``params`` are nested lists.
    """
    samples = [{0: row, 1: [(v * v - 1) / 2**0.5 for v in row]} for row in x]
    out = [params["bias"][0] for _ in x]
    for level in range(2, top + 1):
        squares = []
        for u in samples:
            s = [0.0] * len(params[f"K{level}_{target.below(level)[0]}"])
            for j in target.below(level):
                for unit, row in enumerate(params[f"K{level}_{j}"]):
                    s[unit] += sum(weight * value for weight, value in zip(row, u[j], strict=True))
            pairs = itertools.combinations_with_replacement(s, 2)
            u[level] = [left * right for left, right in pairs]
            squares.append(sum(v * v for v in s))
        for place in range(len(samples[0][level])):
            mean = sum(u[level][place] for u in samples) / len(samples)
            for u in samples:
                u[level][place] -= mean
        mean = sum(squares) / len(squares)
        for b, u in enumerate(samples):
            if readouts:
                out[b] += sum(q * v for q, v in zip(params[f"Q{level}"], u[level], strict=True))
            else:
                out[b] += params[f"scale{level}"][0] * (squares[b] - mean)
    return out


@pytest.mark.parametrize("readouts", [False, True])
def test_forward_equals_a_loop_over_samples(variant, readouts):
    learner, target = variant
    draw = target.draw(SEEDS[:2], torch.float64)
    params, x = learner.init_params(target, draw), inputs(draw, 5)
    for name, p in params.items():
        generator = torch.Generator().manual_seed(1)
        params[name] = p + 0.1 * torch.randn(p.shape, dtype=p.dtype, generator=generator)
    kinds = ("level", "readout") if readouts else ("level",)
    for top in target.levels:
        names = itertools.product(kinds, range(2, top + 1))
        present = frozenset({"bias", *(f"{kind}{level}" for kind, level in names)})
        out = learner.forward(params, x, present)
        for r in range(2):
            replica = {name: p[r].tolist() for name, p in params.items()}
            outputs = by_hand(target, replica, x[r].tolist(), top, readouts)
            want = torch.tensor(outputs, dtype=torch.float64)
            torch.testing.assert_close(out[r], want, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("readouts", [False, True])
def test_with_the_teachers_weights_it_is_the_teacher(variant, perfect, readouts):
    """Exact representability: no risk at all; with sampled centring only the sampling error."""
    learner, target = variant
    draw = target.draw(SEEDS[:3], torch.float64)
    params, centre = perfect(target, draw, learner)
    x = inputs(draw, 200)
    present = whole_network(learner, target)
    if readouts:
        present |= {f"readout{level}" for level in target.levels}
    labels = draw.labels(x)
    out = learner.forward(params, x, present, centre)
    torch.testing.assert_close(out, labels, rtol=1e-9, atol=1e-9)
    sampled = learner.statistics(params, inputs(draw, 20_000, "reference"), present)
    out = learner.forward(params, x, present, sampled)
    risk = (out - labels).square().mean(1) / draw.variance
    assert 0 < float(risk.max()) < 0.02


def test_free_readouts_start_as_the_fixed_ones(variant):
    learner, target = variant
    draw, present = target.draw(SEEDS[:2], torch.float64), whole_network(learner, target)
    params, x = learner.init_params(target, draw), inputs(draw, 7)
    fixed = learner.forward(params, x, present)
    for level in target.levels:
        free = learner.forward(params, x, present | {f"readout{level}"})
        torch.testing.assert_close(free, fixed, rtol=1e-11, atol=1e-11)


def test_a_free_readout_that_joins_later_starts_from_the_scale_as_trained(variant):
    """refit with unknown alpha: outputs do not change when a fixed read-out is replaced."""
    learner, target = variant
    draw, present = target.draw(SEEDS[:2], torch.float64), whole_network(learner, target)
    params, x = learner.init_params(target, draw), inputs(draw, 7)
    params |= {f"scale{level}": params[f"scale{level}"] * (1 + level) for level in target.levels}
    free = frozenset(f"readout{level}" for level in target.levels)
    stage = Stage("next", (), present | free, 1, added=free)
    started = params | learner.on_phase_start(params, draw, stage)
    before = learner.forward(params, x, present)
    after = learner.forward(started, x, present | free)
    torch.testing.assert_close(after, before, rtol=1e-11, atol=1e-11)
    assert learner.on_phase_start(params, draw, Stage("later", (), present | free, 1)) == {}


@pytest.mark.parametrize("alpha", ["known", "trained"])
def test_scales_are_revealed_or_trained(alpha):
    target, learner = Teacher(d=4, L=3, widths=(3, 2)), QuadraticDenseNet((5, 2), alpha=alpha)
    draw = target.draw([0, 1], torch.float64)
    params, groups = learner.init_params(target, draw), learner.groups(target)
    for level in target.levels:
        assert (f"scale{level}" in groups[f"level{level}"]) == (alpha == "trained")
    initial = torch.tensor([[10**-0.5, 0.5]] * 2, dtype=torch.float64)
    want = draw.scale if alpha == "known" else initial
    torch.testing.assert_close(torch.cat([params["scale2"], params["scale3"]], 1), want)


@pytest.mark.parametrize("init", [0.1, 2.0])
def test_initial_weights_have_variance_init_squared_over_fan_in(init):
    """Every link has its fan-in: d for a skip link, the number of products for the level below."""
    target = Teacher(d=30, L=3, widths=(20, 20), links="dense", base="x_squared")
    # the constants of a real draw are expensive at this size
    draw = SimpleNamespace(seeds=tuple(range(20)), revealed=RevealedScales(torch.ones(20, 2)))
    params = QuadraticDenseNet(init=init).init_params(target, draw)
    for name, fan_in in (("K2_0", 30), ("K2_1", 30), ("K3_0", 30), ("K3_1", 30), ("K3_2", 210)):
        k = params[name] * fan_in**0.5 / init
        count = k.numel()
        assert k.shape == (20, 20, fan_in)
        assert abs(float(k.mean())) < 5 * count**-0.5
        assert abs(float(k.var()) - 1) < 5 * (2 / count) ** 0.5


@pytest.mark.parametrize("p", [1, 2, 3, 4, 5])
def test_products_and_their_gradient(p):
    generator = torch.Generator().manual_seed(p)
    s = torch.randn(2, p, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    pairs = itertools.combinations_with_replacement(range(p), 2)
    want = torch.stack([s[:, i] * s[:, j] for i, j in pairs], 1)
    torch.testing.assert_close(differentiable_products(s), want)
    assert torch.autograd.gradcheck(differentiable_products, (s,))


def test_a_level_before_the_one_it_reads_is_refused():
    target, learner = Teacher(d=4, L=3), QuadraticDenseNet()
    learner.check_present(target, frozenset({"level2", "level3", "readout2", "bias"}))
    with pytest.raises(UserError, match="level3 is trained before level2"):
        learner.check_present(target, frozenset({"level3"}))
    with pytest.raises(UserError, match="readout3 is trained before level3"):
        learner.check_present(target, frozenset({"level2", "readout3"}))


@pytest.mark.parametrize(
    "changes, target, words",
    [
        ({}, Parity(d=4), "needs a target with composition levels, not Parity"),
        ({"widths": [3]}, Teacher(d=4), "learner.widths=[3]: must be a list of L-1 = 2 integers"),
        ({"widths": [3, 0]}, None, "learner.widths=[3, 0]"),
        ({"widths": []}, None, "learner.widths=[]"),
        ({"init": 0.0}, None, "learner.init=0.0: must be a number > 0"),
        ({"init": float("inf")}, None, "learner.init=inf"),
        ({"alpha": "free"}, None, "learner.alpha=free: must be known or trained"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(build, changes, target, words):
    with pytest.raises(UserError) as caught:
        build("learner", "quadratic_densenet", **changes).check(target)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("schedule", ["staged", "joint", "layerwise", "refit"])
@pytest.mark.parametrize("alpha", ["known", "trained"])
def test_the_reverse_pass_follows_every_link(schedule, alpha, build):
    target = Teacher(d=5, L=4, widths=(3, 2, 2), links="dense", base="x_squared", quadrature=4096)
    check_reverse_pass(
        QuadraticDenseNet(widths=(3, 4, 2), alpha=alpha), target, build("schedule", schedule)
    )
