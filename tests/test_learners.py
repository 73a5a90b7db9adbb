"""Learners. The battery holds for every YAML of conf/learner on every target it accepts; below it,
the quadratic network against a loop over samples and scalars, and against its teacher."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import Trainer
from bfc.errors import UserError
from bfc.learners.quadratic_densenet import Products, QuadraticDenseNet
from bfc.schedules import Phase, Schedule
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Stage, Training

SEEDS = (0, 3, 7, 2**35, 11, 12, 13, 14)


def inputs(draw, count: int, role: str = "train") -> Tensor:
    return draw.inputs(role, torch.arange(count).expand(len(draw.seeds), -1))


def started(learner, target, draw, present: frozenset[str]) -> dict[str, Tensor]:
    """Parameters at the first step of a training whose first phase has these groups."""
    params = learner.init_params(target, draw)
    return params | learner.on_phase_start(
        params, draw, Stage("all", (), present, 1, added=present)
    )


def everything(learner, target) -> frozenset[str]:
    """All groups but the read-outs that replace others."""
    return frozenset(group for group in learner.groups(target) if not group.startswith("readout"))


# ---- every YAML on every target it accepts -----------------------------------------------------


def test_initial_parameters_depend_on_the_own_seed_only(pair):
    learner, target = pair
    draw = target.draw(SEEDS, torch.float64)
    params = learner.init_params(target, draw)
    assert all(p.shape[0] == len(SEEDS) and p.dtype == torch.float64 for p in params.values())
    assert any(not torch.equal(p[0], p[1]) for p in params.values())
    for index in ([0], [5], [7, 2, 2]):
        for again in (
            learner.init_params(target, target.draw([SEEDS[i] for i in index], torch.float64)),
            learner.init_params(target, draw.select(index)),
        ):
            for name, p in again.items():
                torch.testing.assert_close(p, params[name][index], rtol=1e-12, atol=1e-12)


def test_groups_name_parameters_once(pair):
    learner, target = pair
    groups = learner.groups(target)
    named = [name for names in groups.values() for name in names]
    assert len(named) == len(set(named)) and set(named) <= set(
        learner.init_params(target, target.draw([0]))
    )
    assert {f"level{level}" for level in learner.levels(target)} <= set(groups) and all(
        groups.values()
    )


def test_a_replica_does_not_see_its_stack(pair):
    """Eight together, each alone, and in another order; with and without given centring constants."""
    learner, target = pair
    draw, present = target.draw(SEEDS, torch.float64), everything(learner, target)
    params, x = started(learner, target, draw, present), inputs(draw, 9)
    order = [6, 0, 3, 1, 7, 2, 5, 4]
    for centre in (None, learner.statistics(params, inputs(draw, 30, "reference"), present)):
        whole = learner.forward(params, x, present, centre)
        assert whole.shape[:2] == (len(SEEDS), 9) and bool((whole[0] != whole[1]).all())
        for index in (*([i] for i in range(len(SEEDS))), order):
            own = None if centre is None else {name: value[index] for name, value in centre.items()}
            out = learner.forward(
                {name: p[index] for name, p in params.items()}, x[index], present, own
            )
            torch.testing.assert_close(out, whole[index], rtol=1e-11, atol=1e-11)


def test_in_evaluation_an_output_is_a_function_of_its_row(pair):
    learner, target = pair
    draw, present = target.draw(SEEDS[:2], torch.float64), everything(learner, target)
    params, x = started(learner, target, draw, present), inputs(draw, 40)
    centre = learner.statistics(params, inputs(draw, 100, "reference"), present)
    assert bool(centre) == learner.needs_reference
    whole = learner.forward(params, x, present, centre)
    torch.testing.assert_close(
        learner.forward(params, x[:, 11:12], present, centre),
        whole[:, 11:12],
        rtol=1e-11,
        atol=1e-11,
    )


def test_gradients(pair):
    """Finite differences on every parameter, in training mode (through the centring) and with given
    constants, with the fixed and with the free read-outs."""
    learner, target = pair
    draw = target.draw(SEEDS[:2], torch.float64)
    params, x = started(learner, target, draw, everything(learner, target)), inputs(draw, 4)
    names = list(params)
    leaves = [params[name].clone().requires_grad_() for name in names]
    for present in (everything(learner, target), frozenset(learner.groups(target))):
        for centre in (None, learner.statistics(params, inputs(draw, 20, "reference"), present)):

            def outputs(*values: Tensor, present=present, centre=centre) -> Tensor:
                return learner.forward(dict(zip(names, values, strict=True)), x, present, centre)

            assert torch.autograd.gradcheck(outputs, leaves)


def test_a_step_takes_nothing_from_the_host(pair, build, monkeypatch):
    """On the meta device, whose tensors have no values, whatever needs one on the host raises; and
    a chunk of four steps makes as many tensors from host data as one of a single step (each would
    make the host wait for a GPU)."""
    learner, target = pair
    if target.n_available is not None:
        pytest.skip("a finite set of images is read on the host, once")
    monkeypatch.setattr(
        Trainer, "_begin", lambda *_: None
    )  # a phase may look at values where it begins
    schedule = Schedule((Phase(tuple(everything(learner, target))),), steps=20)
    recipe = Recipe(
        target, learner, schedule, build("optimizer", "sgd", batch=4), device=torch.device("meta")
    )
    stack = Trainer(recipe, [Training(0, seed) for seed in (3, 4)], None, None)
    calls: list[str] = []
    for name in ("tensor", "as_tensor", "from_numpy"):
        monkeypatch.setattr(torch, name, _noting(getattr(torch, name), calls))
    counts = []
    for steps in (1, 1, 4):  # the first fills what is kept
        calls.clear()
        stack._chunk([0, 1], stack.stages[0], steps)
        counts.append(len(calls))
    assert counts[1] == counts[2], calls
    assert all(p.device.type == "meta" for p in stack.state.params.values())


def _noting(function, calls: list[str]):
    def noted(*args, **kwargs):
        calls.append(function.__name__)
        return function(*args, **kwargs)

    return noted


def test_absent_groups_contribute_nothing(pair):
    """Level by level: parameters of absent groups may be NaN, every present group matters."""
    learner, target = pair
    draw, groups = target.draw(SEEDS[:2], torch.float64), learner.groups(target)
    params, x = started(learner, target, draw, everything(learner, target)), inputs(draw, 6)
    for top in learner.levels(target):
        present = frozenset(
            {"bias", *(f"level{level}" for level in learner.levels(target) if level <= top)}
        ) & set(groups)
        try:
            learner.check_present(target, present)
        except UserError:
            continue
        used = {name for group in present for name in groups[group]}
        free = {name for names in groups.values() for name in names} - used
        broken = {
            name: torch.full_like(p, float("nan")) if name in free else p.clone().requires_grad_()
            for name, p in params.items()
        }
        out = learner.forward(broken, x, present)
        torch.testing.assert_close(out, learner.forward(params, x, present))
        (out - 1).square().sum().backward()
        moved = {
            name
            for name in used
            if broken[name].grad is not None
            and bool((broken[name].grad.flatten(1) != 0).any(1).all())
        }
        assert all(moved & set(groups[group]) for group in present)


def test_memorises_a_few_points(pair):
    learner, target = pair
    draw, present = target.draw(SEEDS[:2], torch.float64), everything(learner, target)
    params, x = started(learner, target, draw, present), inputs(draw, 6)
    y = draw.labels(x)
    trained = {name for group in present for name in learner.groups(target)[group]}
    for name in trained:
        params[name].requires_grad_()
    optimizer = torch.optim.Adam([params[name] for name in sorted(trained)], 0.02)
    for _ in range(4000):
        optimizer.zero_grad()
        out = learner.forward(params, x, present)
        loss = target.loss(out, y).mean(1)
        loss.sum().backward()
        optimizer.step()
        if float((loss.detach() / target.loss(torch.zeros_like(out), y).mean(1)).max()) < 5e-4:
            break
    assert float((loss.detach() / target.loss(torch.zeros_like(out), y).mean(1)).max()) < 1e-3


# ---- the quadratic network ---------------------------------------------------------------------

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
    """The network's outputs for one replica, sample by sample and scalar by scalar, centred by the
    batch. ``params`` are nested lists."""
    samples = [{0: row, 1: [(v * v - 1) / 2**0.5 for v in row]} for row in x]
    out = [params["bias"][0] for _ in x]
    for level in range(2, top + 1):
        squares = []
        for u in samples:
            s = [0.0] * len(params[f"K{level}_{target.below(level)[0]}"])
            for j in target.below(level):
                for unit, row in enumerate(params[f"K{level}_{j}"]):
                    s[unit] += sum(weight * value for weight, value in zip(row, u[j], strict=True))
            u[level] = [s[i] * s[j] for i in range(len(s)) for j in range(i, len(s))]
            squares.append(sum(v * v for v in s))
        for place in range(len(samples[0][level])):
            mean = sum(u[level][place] for u in samples) / len(samples)
            for u in samples:
                u[level][place] -= mean
        mean = sum(squares) / len(squares)
        for b, u in enumerate(samples):
            fixed = params[f"scale{level}"][0] * (squares[b] - mean)
            out[b] += (
                sum(q * v for q, v in zip(params[f"Q{level}"], u[level], strict=True))
                if readouts
                else fixed
            )
    return out


@pytest.mark.parametrize("readouts", [False, True])
def test_forward_equals_a_loop_over_samples(variant, readouts):
    learner, target = variant
    draw = target.draw(SEEDS[:2], torch.float64)
    params, x = learner.init_params(target, draw), inputs(draw, 5)
    params = {
        name: p
        + 0.1 * torch.randn(p.shape, dtype=p.dtype, generator=torch.Generator().manual_seed(1))
        for name, p in params.items()
    }
    for top in target.levels:
        present = frozenset(
            {"bias"}
            | {
                f"{kind}{k}"
                for k in range(2, top + 1)
                for kind in ("level", *(["readout"] if readouts else []))
            }
        )
        out = learner.forward(params, x, present)
        for r in range(2):
            want = by_hand(
                target,
                {name: p[r].tolist() for name, p in params.items()},
                x[r].tolist(),
                top,
                readouts,
            )
            torch.testing.assert_close(
                out[r], torch.tensor(want, dtype=torch.float64), rtol=1e-11, atol=1e-11
            )


@pytest.mark.parametrize("readouts", [False, True])
def test_with_the_teachers_weights_it_is_the_teacher(variant, perfect, readouts):
    """Exact representability: the same value at every input, so no risk at all; with sampled
    centring only the sampling error."""
    learner, target = variant
    draw = target.draw(SEEDS[:3], torch.float64)
    params, centre = perfect(target, draw, learner)
    x = inputs(draw, 200)
    present = everything(learner, target) | (
        {f"readout{level}" for level in target.levels} if readouts else frozenset()
    )
    torch.testing.assert_close(
        learner.forward(params, x, present, centre), draw.labels(x), rtol=1e-9, atol=1e-9
    )
    sampled = learner.statistics(params, inputs(draw, 20_000, "reference"), present)
    risk = (learner.forward(params, x, present, sampled) - draw.labels(x)).square().mean(
        1
    ) / draw.variance
    assert 0 < float(risk.max()) < 0.02


def test_free_readouts_start_as_the_fixed_ones(variant):
    learner, target = variant
    draw, present = target.draw(SEEDS[:2], torch.float64), everything(learner, target)
    params, x = learner.init_params(target, draw), inputs(draw, 7)
    fixed = learner.forward(params, x, present)
    for level in target.levels:
        torch.testing.assert_close(
            learner.forward(params, x, present | {f"readout{level}"}), fixed, rtol=1e-11, atol=1e-11
        )


def test_a_free_readout_that_joins_later_starts_from_the_scale_as_trained(variant):
    """refit with unknown alpha: the outputs do not change at the moment a fixed read-out is
    replaced."""
    learner, target = variant
    draw, present = target.draw(SEEDS[:2], torch.float64), everything(learner, target)
    params, x = learner.init_params(target, draw), inputs(draw, 7)
    params |= {f"scale{level}": params[f"scale{level}"] * (1 + level) for level in target.levels}
    free = frozenset(f"readout{level}" for level in target.levels)
    begun = params | learner.on_phase_start(
        params, draw, Stage("next", (), present | free, 1, added=free)
    )
    torch.testing.assert_close(
        learner.forward(begun, x, present | free),
        learner.forward(params, x, present),
        rtol=1e-11,
        atol=1e-11,
    )
    assert learner.on_phase_start(params, draw, Stage("later", (), present | free, 1)) == {}


def test_scales_are_told_or_trained():
    target = Teacher(d=4, L=3, widths=(3, 2))
    draw = target.draw([0, 1], torch.float64)
    for alpha, learner in (
        (alpha, QuadraticDenseNet(alpha=alpha, widths=(5, 2))) for alpha in ("known", "trained")
    ):
        params, groups = learner.init_params(target, draw), learner.groups(target)
        assert all(
            (f"scale{level}" in groups[f"level{level}"]) == (alpha == "trained")
            for level in target.levels
        )
        want = (
            draw.scale
            if alpha == "known"
            else torch.tensor([[10**-0.5, 0.5]] * 2, dtype=torch.float64)
        )
        torch.testing.assert_close(torch.cat([params["scale2"], params["scale3"]], 1), want)


@pytest.mark.parametrize("init", [0.1, 2.0])
def test_initial_weights_have_variance_init_squared_over_fan_in(init):
    """Every link has its own fan-in: d for a skip link, the number of products for the level below."""
    target, learner = (
        Teacher(d=30, L=3, widths=(20, 20), links="dense", base="x_squared"),
        QuadraticDenseNet(init=init),
    )
    draw = SimpleNamespace(
        seeds=tuple(range(20)), revealed={"scale": torch.ones(20, 2)}
    )  # constants of a real draw are dear at this size
    params = learner.init_params(target, draw)
    for name, fan_in in (("K2_0", 30), ("K2_1", 30), ("K3_0", 30), ("K3_1", 30), ("K3_2", 210)):
        k = params[name] * fan_in**0.5 / init
        count = k.numel()
        assert (
            k.shape == (20, 20, fan_in)
            and abs(float(k.mean())) < 5 * count**-0.5
            and abs(float(k.var()) - 1) < 5 * (2 / count) ** 0.5
        )


@pytest.mark.parametrize("p", [1, 2, 3, 4, 5])
def test_products_and_their_gradient(p):
    s = torch.randn(
        2, p, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(p), requires_grad=True
    )
    want = torch.stack([s[:, i] * s[:, j] for i in range(p) for j in range(i, p)], 1)
    torch.testing.assert_close(Products.apply(s), want)
    assert torch.autograd.gradcheck(Products.apply, (s,))


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
def test_bad_values_cost_one_sentence(build, changes, target, words):
    with pytest.raises(UserError) as caught:
        build("learner", "quadratic_densenet", **changes).check(target)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def same_reverse_pass(learner, target, schedule) -> None:
    """In every phase the hand-written reverse pass gives what automatic differentiation gives."""
    draw = target.draw(SEEDS, torch.float64)
    params = {name: p.requires_grad_() for name, p in learner.init_params(target, draw).items()}
    x = draw.encode(inputs(draw, 9))
    slope = torch.randn(x.shape[:2], dtype=torch.float64)
    for stage in schedule.stages(learner.groups(target), learner.levels(target)):
        trained = [name for group in stage.train for name in learner.groups(target)[group]]
        with torch.no_grad():
            found = learner.vjp(params, x, stage.present, frozenset(trained))
        if found is None:
            pytest.skip("this learner leaves its gradient to automatic differentiation")
        out = learner.forward(params, x, stage.present)
        torch.testing.assert_close(found[0], out.detach(), rtol=1e-11, atol=1e-11)
        wanted = torch.autograd.grad(
            out, [params[name] for name in trained], slope, allow_unused=True
        )
        with torch.no_grad():
            grads = found[1](slope.clone())
        for name, want in zip(trained, wanted, strict=True):
            if want is None:
                assert name not in grads or not grads[name].any()
            else:
                torch.testing.assert_close(
                    grads[name],
                    want,
                    rtol=1e-9,
                    atol=1e-11,
                    msg=lambda text, name=name: f"{name}: {text}",
                )


def test_a_reverse_pass_written_by_hand_equals_automatic_differentiation(every_fit, build, node):
    learner, target, schedule = every_fit
    small = {"d": 6} if "d" in node("target", target) else {}
    same_reverse_pass(
        build("learner", learner), build("target", target, **small), build("schedule", schedule)
    )


@pytest.mark.parametrize("schedule", ["staged", "joint", "layerwise", "refit"])
@pytest.mark.parametrize("alpha", ["known", "trained"])
def test_the_reverse_pass_follows_every_link(schedule, alpha, build):
    target = Teacher(d=5, L=4, widths=(3, 2, 2), links="dense", base="x_squared", quadrature=4096)
    same_reverse_pass(
        QuadraticDenseNet(widths=(3, 4, 2), alpha=alpha), target, build("schedule", schedule)
    )
