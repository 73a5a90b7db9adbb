"""Tasks.

A battery over every YAML of conf/task on top of the quadratic target, then what each task promises:
margins and chance against counting, the agnostic function orthogonal to the class with OPT as its
risk, training and kernels better than chance.
"""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from bfc.baselines.kernels import Polynomial
from bfc.baselines.monomials import products
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.learners.quadratic_densenet import QuadraticDenseNet as Learner
from bfc.optimizers.adam import Adam
from bfc.schedules import Phase, Schedule
from bfc.targets.inputs import Mixture
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.targets.radial import Radial
from bfc.tasks.agnostic import Agnostic
from bfc.tasks.classification import Classification
from bfc.tasks.regression import Regression
from bfc.types import Training, sample

TARGET = QuadraticDenseNet(d=6, L=3, widths=(2, 2))
SEEDS = (0, 3, 11)


def rows(count: int, replicas: int, start: int = 0) -> Tensor:
    return torch.arange(start, start + count).expand(replicas, -1)


@pytest.fixture
def seen(build, task_name):
    """The target as a method sees it, with noise where there is none by default."""
    changes = {"noise": 0.5} if task_name == "regression" else {}
    return build("task", task_name, **changes).wrap(TARGET)


# --- one battery over conf/task -----------------------------------------------------------------


@pytest.mark.parametrize("role", ["train", "validation", "test"])
def test_what_is_seen_is_a_function_of_seed_role_and_row(seen, role):
    draw = seen.draw(SEEDS, torch.float64)
    x, y = sample(draw, role, rows(200, 3))
    assert x.shape == (3, 200, seen.input_width)
    assert y.shape == (3, 200)
    assert y.dtype == torch.float64
    assert draw.chance.shape == (3,) and draw.chance.dtype == torch.float64
    for index, other in [
        ([1], seen.draw(SEEDS[1:2], torch.float64)),
        ([2, 0, 2], draw.select([2, 0, 2])),
    ]:
        for start, count in ((0, 200), (0, 70), (70, 130)):
            x_again, y_again = sample(other, role, rows(count, len(index), start))
            assert torch.equal(x_again, x[index, start : start + count])
            torch.testing.assert_close(y_again, y[index, start : start + count])
        assert torch.equal(other.chance, draw.chance[index])


def test_chance_is_the_error_of_the_best_constant(seen):
    draw = seen.draw(SEEDS, torch.float64)
    _, y = sample(draw, "test", rows(1 << 17, 3))
    constants = (-1.0, *y.mean(1).tolist(), 1.0)
    errors = torch.stack([seen.error(torch.full_like(y, c), y) for c in constants])
    best = errors.mean(2).min(0)
    spread = errors.std(2).gather(0, best.indices[None])[0] / math.sqrt(y.shape[1])
    assert bool(((best.values - draw.chance).abs() < 4.5 * spread.clamp(min=0.003)).all()), (
        best.values,
        draw.chance,
    )


def test_the_truth_has_no_error_and_its_opposite_has(seen):
    draw = seen.draw(SEEDS, torch.float64)
    _, y = sample(draw, "test", rows(1000, 3))
    assert float(seen.error(y, y).abs().max()) == 0
    assert bool((seen.error(-y, y).mean(1) > draw.chance).all())
    loss = seen.loss(y, y)
    assert loss.shape == y.shape and bool((loss <= seen.loss(-y, y)).all())


def test_training_and_kernels_do_better_than_chance(seen):
    phases = (Phase(train=("level{2..l}", "bias"), name="level{l}", each="level"),)
    recipe = Recipe(
        seen,
        Learner(),
        Schedule(phases=phases, steps=250, check_every=50),
        Adam(lr=0.02, batch=64, warmup=20),
        test=2048,
    )
    learned = sorted(
        record["risk"] for record in train(recipe, [Training(0, seed) for seed in range(6)])
    )
    assert learned[3] < 0.5, learned
    curve = Polynomial(n_max=1024, n_ratio=4.0).curve(seen, 0, 1024, {"ridge": 0.1})
    assert curve.risk[-1] < 0.75 and curve.risk[-1] < curve.risk[0]


# --- classification -----------------------------------------------------------------------------


@pytest.mark.parametrize("law", ["gaussian", "sign"])
def test_inputs_are_those_of_the_law_outside_the_margin(law):
    target = QuadraticDenseNet(d=5, L=2, widths=(2,), law=law, quadrature=1 << 14)
    plain = target.draw([4], torch.float64)
    draw = Classification(margin=0.5).wrap(target).draw([4], torch.float64)
    x = plain.inputs("train", rows(20_000, 1))
    z = draw.inputs("train", rows(20_000, 1))
    threshold = 0.5 * plain.variance.sqrt()
    outside = plain.labels(x)[0].abs() >= threshold
    assert 0.1 < outside.double().mean() < 0.9
    assert bool((plain.labels(z).abs() >= threshold).all())
    assert torch.equal(z[0, outside], x[0, outside])
    redrawn = z[0, ~outside]
    for i in range(5):
        assert stats.ks_2samp(redrawn[:, i].numpy(), z[0, outside, i].numpy()).pvalue > 1e-4
    redrawn_labels = plain.labels(redrawn[None])[0]
    outside_labels = plain.labels(x)[0, outside]
    assert stats.ks_2samp(redrawn_labels.numpy(), outside_labels.numpy()).pvalue > 1e-4


def test_without_a_margin_inputs_are_untouched():
    draw = Classification(margin=0.0).wrap(TARGET).draw([0], torch.float64)
    assert torch.equal(
        draw.inputs("train", rows(50, 1)),
        TARGET.draw([0], torch.float64).inputs("train", rows(50, 1)),
    )


def test_losses_by_their_formulas():
    out, y = torch.tensor([[-2.0, 0.3, 1.5]]), torch.tensor([[1.0, -1.0, 1.0]])
    losses = {
        "logistic": torch.log1p(torch.exp(-y * out)),
        "hinge": torch.tensor([[3.0, 1.3, 0.0]]),
        "squared": (out - y) ** 2,
    }
    for name, loss in losses.items():
        seen = Classification(loss=name).wrap(TARGET)
        torch.testing.assert_close(seen.loss(out, y), loss)
        assert seen.error(out, y).tolist() == [[1, 1, 0]]


def test_a_margin_that_leaves_nothing_is_refused():
    with pytest.raises(
        UserError,
        match=r"task\.margin=5.0: leaves \d\.\d% of the inputs of seed 0; must leave at least 10%",
    ):
        Classification(margin=5.0).wrap(TARGET).draw([0])


# --- agnostic -----------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ["gaussian", "uniform", "laplace", "exponential"])
def test_the_unexplained_part_is_bounded_and_orthogonal_to_the_class(law):
    target = QuadraticDenseNet(d=5, L=2, widths=(2,), law=law, quadrature=1 << 14)
    draw = Agnostic(size=0.7).wrap(target).draw([0, 1], torch.float64)
    x = draw.inputs("test", rows(1 << 17, 2))
    g = draw.unexplained(x)
    for r in range(2):
        assert torch.allclose(g[r].abs(), 0.7 * draw.variance[r].sqrt())
        assert len(set(draw.coordinates[r].tolist())) == 3
        terms = products(x[r], 2, "monomial") * g[r].unsqueeze(1)
        error = terms.std(0) / math.sqrt(len(terms))
        assert float((terms.mean(0).abs() / error).max()) < 4.5
        higher = x[r][:, draw.coordinates[r]].prod(1) * g[r]
        assert float(higher.mean().abs()) > 0.02, "one degree more sees it"


def test_opt_is_the_risk_of_the_target_itself():
    task = Agnostic(size=0.5)
    seen = task.wrap(TARGET)
    draw = seen.draw([0, 1], torch.float64)
    x, y = sample(draw, "test", rows(500, 2))
    torch.testing.assert_close(
        seen.error(draw.labels(x), y).mean(1) / draw.chance,
        torch.full((2,), task.opt, dtype=torch.float64),
    )
    assert task.opt == 0.2 and task.bound(0.1, 0.05) == pytest.approx(0.2 * 1.1 + 0.0025)


def test_excess_risk_is_the_risk_above_opt():
    """For another polynomial of the class total risk minus OPT is the excess (units of Var f*)."""
    total, excess = (Agnostic(size=0.5, judge=judge).wrap(TARGET) for judge in ("total", "excess"))
    draws = [seen.draw([0], torch.float64) for seen in (total, excess)]
    guess = lambda x: x[..., 0] ** 2 - 0.3 * x[..., 1] * x[..., 2]  # noqa: E731
    above = []
    for seen, draw in zip((total, excess), draws, strict=True):
        x, y = sample(draw, "test", rows(1 << 18, 1))
        above.append(
            float(seen.error(guess(x), y).mean() / draw.variance[0])
            - (0.25 if seen is total else 0.0)
        )
    assert above[0] == pytest.approx(above[1], rel=0.03)
    assert torch.equal(
        draws[0].observe("train", rows(9, 1), x[:, :9]),
        draws[1].observe("train", rows(9, 1), x[:, :9]),
    )


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Radial(d=8), "not Radial"),
        (QuadraticDenseNet(d=16, law=Mixture()), "independent coordinates"),
        (QuadraticDenseNet(d=4, L=3), r"target\.d=4: must be at least degree \+ 1 = 5"),
    ],
)
def test_targets_that_are_no_polynomial_of_independent_coordinates_are_refused(target, words):
    with pytest.raises(UserError, match=words):
        Agnostic().wrap(target)


def test_a_parity_has_an_agnostic_version():
    draw = Agnostic(size=1.0).wrap(Parity(d=6, degree=2)).draw([0], torch.float64)
    assert float(draw.chance) == 2


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (Regression, "noise", -1.0),
        (Agnostic, "size", 0.0),
        (Agnostic, "size", math.inf),
        (Classification, "margin", -0.1),
    ],
)
def test_bad_values_are_refused_with_a_sentence(kind, field, value):
    with pytest.raises(UserError, match=rf"^task\.{field}=.*: must be "):
        kind(**{field: value})
