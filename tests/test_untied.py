"""The paper's untied learner: against the tied one where both are the same function, against numpy
for InitDistill, against sums over entries for the regularisers, and the phases of Algorithm 1 on a
training."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.learners.untied_quadratic import UntiedQuadratic, init_distill, truncated_square
from bfc.optimizers.adam import Adam
from bfc.probes.feature_error import FeatureError
from bfc.schedules import Phase, Schedule
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Stage, Training

SEEDS = (0, 5, 9)
ALL = frozenset({"bias", "level2", "level3", "level4"})


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def squares_to_products(p: int) -> tuple[Tensor, Tensor]:
    """Rows R = e_i and e_i + e_j, and the matrix that takes (R s)² to all products s_i s_j, i <= j."""
    pairs = [(i, j) for i in range(p) for j in range(i, p)]
    rows, back = (
        torch.zeros(len(pairs), p, dtype=torch.float64),
        torch.zeros(len(pairs), len(pairs), dtype=torch.float64),
    )
    for place, (i, j) in enumerate(pairs):
        rows[place, i] = rows[place, j] = 1.0
        back[place, place] = 1.0 if i == j else 0.5
        if i != j:
            back[place, pairs.index((i, i))] = back[place, pairs.index((j, j))] = -0.5
    return rows, back


@pytest.mark.parametrize(
    "target",
    [
        Teacher(d=5, L=4, widths=(3, 2, 2)),
        Teacher(d=4, L=3, base="x_squared", links="dense"),
        Teacher(d=4, L=4, links="dense", widths=(3, 3, 2)),
    ],
    ids=["skip", "squared", "dense"],
)
def test_with_equal_parts_and_plain_squares_it_is_the_tied_network(target):
    """W = K (rows of W beyond those zero), R = e_i and e_i + e_j: the products are linear in the
    squares, so both are one function."""
    tied, untied = QuadraticDenseNet(init=1.0), UntiedQuadratic(wide=5)
    draw = target.draw(SEEDS, torch.float64)
    params, own = tied.init_params(target, draw), untied.init_params(target, draw)
    for level in target.levels:
        p = target.width(level)
        own[f"R{level}"] = squares_to_products(p)[0].expand(3, -1, -1)
        for j in target.below(level):
            k = params[f"K{level}_{j}"] = params[f"K{level}_{j}"] + 0.3 * noise(
                *params[f"K{level}_{j}"].shape, seed=j
            )
            own[f"K{level}_{j}"] = k @ squares_to_products(target.width(j))[1] if j >= 2 else k
            own[f"W{level}_{j}"] = torch.nn.functional.pad(own[f"K{level}_{j}"], (0, 0, 0, 5 - p))
    x = draw.inputs("train", torch.arange(20).expand(3, -1))
    for top in target.levels:
        present = frozenset({"bias", *(f"level{level}" for level in target.levels if level <= top)})
        torch.testing.assert_close(
            untied.forward(own, x, present),
            tied.forward(params, x, present),
            rtol=1e-10,
            atol=1e-10,
        )
    read = untied.features(own, x, present)[2][0]
    torch.testing.assert_close(read, tied.features(params, x, present)[2][0])


@pytest.mark.parametrize("of, blocks", [("whole", 2), ("whole", 1), ("cross", 1)])
def test_init_distill_of_the_whole_is_the_best_approximation_of_the_gram_matrix(of, blocks):
    wide = [noise(2, 7, 6, seed=1), noise(2, 7, 5, seed=2)][:blocks]
    narrow = torch.cat(init_distill(wide, 3, of), 2).numpy()
    for k, w in zip(narrow, torch.cat(wide, 2).numpy(), strict=True):
        values, vectors = np.linalg.eigh(w.T @ w)
        want = (vectors[:, -3:] * values[-3:]) @ vectors[:, -3:].T
        assert k.shape == (3, w.shape[1]) and np.allclose(k.T @ k, want)


def test_init_distill_of_the_cross_part():
    """K_prev' K_rest is the best rank-3 approximation of W_prev' W_rest, and both factors carry
    half of it."""
    wide = [noise(2, 7, 6, seed=1), noise(2, 7, 3, seed=2), noise(2, 7, 2, seed=3)]
    first, *rest = (part.numpy() for part in init_distill(wide, 3, "cross"))
    for r in range(2):
        left, singular, right = np.linalg.svd(
            wide[0][r].numpy().T @ np.concatenate([w[r].numpy() for w in wide[1:]], 1)
        )
        others = np.concatenate([part[r] for part in rest], 1)
        assert np.allclose(first[r].T @ others, (left[:, :3] * singular[:3]) @ right[:3])
        assert np.allclose(first[r] @ first[r].T, np.diag(singular[:3])) and np.allclose(
            others @ others.T, np.diag(singular[:3])
        )


def test_rows_beyond_the_rank_are_zero():
    narrow = torch.cat(init_distill([noise(1, 2, 6), noise(1, 2, 5, seed=1)], 4, "cross"), 2)
    assert narrow.shape == (1, 4, 11) and not narrow[:, 2:].any() and narrow[:, :2].any(2).all()


def entries(kind: str, narrow: list[list], wide: list[list]) -> float:
    """A regulariser entry by entry; blocks are nested lists of rows, the highest source first."""
    if kind == "decay":
        return sum(v * v for part in (*narrow, *wide) for row in part for v in row)
    pairs = {
        "distill_cross": [(0, j) for j in range(1, len(narrow))],
        "distill_previous": [(0, 0)],
        "distill_all": list(itertools.product(range(len(narrow)), repeat=2)),
    }[kind]
    total = 0.0
    for i, j in pairs:
        for a, b in itertools.product(range(len(narrow[i][0])), range(len(narrow[j][0]))):
            difference = sum(
                row[a] * other[b] for row, other in zip(narrow[i], narrow[j], strict=True)
            )
            difference -= sum(
                row[a] * other[b] for row, other in zip(wide[i], wide[j], strict=True)
            )
            total += difference**2
    return total


@pytest.mark.parametrize("kind", ["distill_cross", "distill_previous", "distill_all", "decay"])
@pytest.mark.parametrize("level", [2, 4])
def test_regularisers_and_their_gradients(kind, level):
    """Against sums over entries, and central differences in every parameter."""
    target, learner = Teacher(d=4, L=4, links="dense", widths=(3, 2, 2)), UntiedQuadratic(wide=4)
    draw = target.draw(SEEDS[:2], torch.float64)
    params = {
        name: p + 0.5 * noise(*p.shape, seed=i)
        for i, (name, p) in enumerate(learner.init_params(target, draw).items())
    }
    blocks = {
        letter: [f"{letter}{level}_{j}" for j in sorted(target.below(level), reverse=True)]
        for letter in "KW"
    }

    def value() -> Tensor:
        return learner.penalty(params, ALL, {f"{kind}{level}": 0.7, f"{kind}3": 0.0})

    want = [
        0.7
        * entries(kind, *([params[name][r].tolist() for name in blocks[letter]] for letter in "KW"))
        for r in range(2)
    ]
    torch.testing.assert_close(value(), torch.tensor(want, dtype=torch.float64))
    names = (*blocks["K"], *blocks["W"])
    for name in names:
        params[name].requires_grad_()
    grads = (
        torch.autograd.grad(
            value().sum(),
            [params[name] for name in names],
            materialize_grads=True,
            allow_unused=True,
        )
        if value().requires_grad
        else [torch.zeros_like(params[name]) for name in names]
    )
    for name, grad in zip(names, grads, strict=True):
        direction = noise(*grad.shape, seed=77)
        ends = []
        for step in (1e-5, -1e-5):
            kept, params[name] = params[name], params[name].detach() + step * direction
            ends.append(value().detach())
            params[name] = kept
        torch.testing.assert_close(
            (grad * direction).sum((1, 2)), (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-6
        )


def test_regularisers_of_absent_levels_and_of_no_weight_add_nothing():
    target, learner = Teacher(d=4, L=3), UntiedQuadratic()
    params = learner.init_params(target, target.draw(SEEDS))
    assert (
        learner.penalty(params, frozenset({"bias", "level2"}), {"decay3": 1.0, "decay2": 0.0})
        is None
    )
    assert set(learner.penalties(target)) == {
        f"{kind}{level}"
        for level in (2, 3)
        for kind in ("distill_cross", "distill_previous", "distill_all", "decay")
    }


def test_truncated_square():
    """z² inside, constant outside, continuous with its first derivative; the derivative by central
    differences."""
    z = torch.linspace(-5, 5, 2001, dtype=torch.float64)
    out = truncated_square(z, 1.5)
    assert torch.equal(truncated_square(z, None), z.square()) and torch.allclose(
        out[z.abs() <= 1.5], z[z.abs() <= 1.5] ** 2
    )
    assert torch.allclose(
        out[z.abs() >= 3], torch.tensor(2 * 1.5**2, dtype=torch.float64)
    ) and bool((out.diff()[z[1:] > 0] >= 0).all())
    leaf = z.clone().requires_grad_()
    truncated_square(leaf, 1.5).sum().backward()
    numeric = (truncated_square(z + 1e-6, 1.5) - truncated_square(z - 1e-6, 1.5)) / 2e-6
    torch.testing.assert_close(leaf.grad, numeric, rtol=0, atol=1e-5)
    assert float(leaf.grad.abs().max()) <= 3 + 1e-9 and float(leaf.grad.diff().abs().max()) < 0.011


def test_narrow_parts_start_when_they_are_needed():
    """Zero while nothing reads them and no regulariser is on; then InitDistill, once, of those
    replicas that have none yet."""
    target, learner = Teacher(d=5, L=3, widths=(3, 2)), UntiedQuadratic(wide=4)
    draw = target.draw(SEEDS, torch.float64)
    params = learner.init_params(target, draw)
    assert not any(p.any() for name, p in params.items() if name.startswith("K"))
    alone, both = frozenset({"bias", "level2"}), frozenset({"bias", "level2", "level3"})
    assert learner.on_phase_start(params, draw, Stage("a", (), alone, 1)) == {}
    assert (
        learner.on_phase_start(
            params, draw, Stage("a", (), alone, 1, penalties={"decay2": 1.0, "distill_all2": 0.0})
        )
        == {}
    )
    want = init_distill([params["W2_0"]], 3, "whole")[0]
    for stage in (
        Stage("b", (), both, 1),
        Stage("b", (), alone, 1, penalties={"distill_cross2": 0.1, "decay2": 1.0}),
    ):
        new = learner.on_phase_start(params, draw, stage)
        assert set(new) == {"K2_0"} and torch.equal(new["K2_0"], want)
    params["K2_0"] = want.clone()
    params["K2_0"][1] = 0
    params["W2_0"] = params["W2_0"] + 1
    again = learner.on_phase_start(params, draw, Stage("b", (), both, 1))["K2_0"]
    assert (
        torch.equal(again[[0, 2]], want[[0, 2]])
        and not torch.equal(again[1], want[1])
        and again[1].any()
    )


def test_algorithm_1_goes_through_its_phases_and_ties_the_parts(build):
    """The phases of level 2 end early, on their thresholds; those of the top level and of a
    threshold out of reach do not; training level 3 corrects level 2."""
    target = Teacher(d=8, L=3, widths=(3, 2), alpha=(1.0, 0.3))
    schedule = build("schedule", "algorithm1", steps=300, check_every=20)
    records = train(
        Recipe(
            target,
            UntiedQuadratic(wide=6),
            schedule,
            Adam(lr=0.02, batch=128, warmup=20),
            test=2048,
            probe=FeatureError(1024),
        ),
        [Training(0, seed) for seed in range(4)],
    )
    for record in records:
        assert (
            record["stage"] == "tie3"
            and 3 * 300 + 3 * 20 <= record["steps"] < 3 * 300 + 300
            and record["risk"] < 0.02
        )
        assert (
            record["tie3/gram/2"] < 0.5 * record["tie2/gram/2"] and record["fit2/risk"] < 4 * 0.3**2
        )
    fixed = Schedule((Phase(("level2", "bias"), until="1e-9 gap"),), steps=60, check_every=20)
    alone = train(
        Recipe(
            target, UntiedQuadratic(wide=4), fixed, Adam(lr=0.02, batch=128, warmup=20), test=512
        ),
        [Training(0, 0)],
    )
    assert alone[0]["steps"] == 60


def test_probe_sees_the_wide_part_until_the_narrow_one_is_read():
    target, learner = Teacher(d=5, L=3, widths=(3, 2)), UntiedQuadratic(wide=4)
    draw = target.draw(SEEDS, torch.float64)
    params = learner.init_params(target, draw)
    params["K2_0"], params["W2_0"] = (
        draw.weights[2][0],
        torch.cat([draw.weights[2][0], 0 * draw.weights[2][0][:, :1]], 1) * 1.5,
    )
    probe = FeatureError(512)
    below = probe.measure(target, draw, learner, params, frozenset({"bias", "level2"}))["gram/2"]
    above = probe.measure(target, draw, learner, params, frozenset({"bias", "level2", "level3"}))[
        "gram/2"
    ]
    torch.testing.assert_close(below, torch.full_like(below, 1.25))
    torch.testing.assert_close(above, torch.zeros_like(above), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"wide": 0}, "learner.wide=0"),
        ({"wide": 2, "widths": [3, 2]}, "learner.wide=2: must be an integer >= learner.widths"),
        ({"wide": 3}, "learner.wide=3: must be an integer >= 4"),
        ({"truncate": 0.0}, "learner.truncate=0.0"),
        ({"distill": "none"}, "learner.distill=none: must be cross or whole"),
    ],
)
def test_bad_values_cost_one_sentence(build, changes, words):
    with pytest.raises(UserError) as caught:
        build("learner", "untied_quadratic", **changes).check(Teacher(d=5, L=3))
    assert words in str(caught.value) and "\n" not in str(caught.value)
