"""The paper's untied learner against the tied one, numpy and sums over entries.

Against the tied network where both are the same function, against numpy for InitDistill, against
sums over entries for the regularisers; and the phases of Algorithm 1 on a training.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.learners.distillation import init_distill
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.learners.untied_quadratic import UntiedQuadratic, truncated_square
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
    """Rows R = e_i and e_i + e_j, and the matrix that takes (R s)² to all s_i s_j, i <= j."""
    pairs = [(i, j) for i in range(p) for j in range(i, p)]
    rows = torch.zeros(len(pairs), p, dtype=torch.float64)
    back = torch.zeros(len(pairs), len(pairs), dtype=torch.float64)
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
    params, untied_params = tied.init_params(target, draw), untied.init_params(target, draw)
    for level in target.levels:
        p = target.width(level)
        untied_params[f"R{level}"] = squares_to_products(p)[0].expand(3, -1, -1)
        for j in target.below(level):
            name = f"K{level}_{j}"
            k = params[name] = params[name] + 0.3 * noise(*params[name].shape, seed=j)
            narrow = k @ squares_to_products(target.width(j))[1] if j >= 2 else k
            untied_params[name] = narrow
            untied_params[f"W{level}_{j}"] = torch.nn.functional.pad(narrow, (0, 0, 0, 5 - p))
    x = draw.inputs("train", torch.arange(20).expand(3, -1))
    for top in target.levels:
        present = frozenset({"bias", *(f"level{level}" for level in target.levels if level <= top)})
        out = untied.forward(untied_params, x, present)
        want = tied.forward(params, x, present)
        torch.testing.assert_close(out, want, rtol=1e-10, atol=1e-10)
    read = untied.features(untied_params, x, present)[2][0]
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
        wide_rest = np.concatenate([w[r].numpy() for w in wide[1:]], 1)
        left, singular, right = np.linalg.svd(wide[0][r].numpy().T @ wide_rest)
        others = np.concatenate([part[r] for part in rest], 1)
        assert np.allclose(first[r].T @ others, (left[:, :3] * singular[:3]) @ right[:3])
        assert np.allclose(first[r] @ first[r].T, np.diag(singular[:3]))
        assert np.allclose(others @ others.T, np.diag(singular[:3]))


def test_rows_beyond_the_rank_are_zero():
    narrow = torch.cat(init_distill([noise(1, 2, 6), noise(1, 2, 5, seed=1)], 4, "cross"), 2)
    assert narrow.shape == (1, 4, 11) and not narrow[:, 2:].any() and narrow[:, :2].any(2).all()


def entries(kind: str, narrow: list[list], wide: list[list]) -> float:
    """A regulariser entry by entry; blocks are nested lists of rows, the highest source first."""
    if kind == "decay":
        rows = itertools.chain(*narrow, *wide)
        return sum(v * v for v in itertools.chain.from_iterable(rows))
    pairs = {
        "distill_cross": [(0, j) for j in range(1, len(narrow))],
        "distill_previous": [(0, 0)],
        "distill_all": list(itertools.product(range(len(narrow)), repeat=2)),
    }[kind]
    total = 0.0
    for i, j in pairs:
        for a, b in itertools.product(range(len(narrow[i][0])), range(len(narrow[j][0]))):
            difference = inner(narrow[i], narrow[j], a, b) - inner(wide[i], wide[j], a, b)
            total += difference**2
    return total


def inner(left: list, right: list, a: int, b: int) -> float:
    """Entry (a, b) of left' right."""
    return sum(row[a] * other[b] for row, other in zip(left, right, strict=True))


@pytest.mark.parametrize("kind", ["distill_cross", "distill_previous", "distill_all", "decay"])
@pytest.mark.parametrize("level", [2, 4])
def test_regularisers_and_their_gradients(kind, level):
    """Against sums over entries, and central differences in every parameter."""
    target, learner = Teacher(d=4, L=4, links="dense", widths=(3, 2, 2)), UntiedQuadratic(wide=4)
    draw = target.draw(SEEDS[:2], torch.float64)
    params = learner.init_params(target, draw)
    for i, (name, p) in enumerate(params.items()):
        params[name] = p + 0.5 * noise(*p.shape, seed=i)
    sources = sorted(target.below(level), reverse=True)
    narrow = [f"K{level}_{j}" for j in sources]
    wide = [f"W{level}_{j}" for j in sources]

    def value(params: dict[str, Tensor]) -> Tensor:
        return learner.penalty(params, ALL, {f"{kind}{level}": 0.7, f"{kind}3": 0.0})

    want = []
    for r in range(2):
        k, w = ([params[name][r].tolist() for name in names] for names in (narrow, wide))
        want.append(0.7 * entries(kind, k, w))
    torch.testing.assert_close(value(params), torch.tensor(want, dtype=torch.float64))
    leaves = {name: params[name].clone().requires_grad_() for name in (*narrow, *wide)}
    total = value({**params, **leaves}).sum()
    if total.requires_grad:
        grads = torch.autograd.grad(
            total, list(leaves.values()), materialize_grads=True, allow_unused=True
        )
    else:
        grads = [torch.zeros_like(p) for p in leaves.values()]
    for name, grad in zip(leaves, grads, strict=True):
        direction = noise(*grad.shape, seed=77)
        up = value({**params, name: params[name] + 1e-5 * direction})
        down = value({**params, name: params[name] - 1e-5 * direction})
        slope = (grad * direction).sum((1, 2))
        torch.testing.assert_close(slope, (up - down) / 2e-5, rtol=1e-6, atol=1e-6)


def test_regularisers_of_absent_levels_and_of_no_weight_add_nothing():
    target, learner = Teacher(d=4, L=3), UntiedQuadratic()
    params = learner.init_params(target, target.draw(SEEDS))
    weights = {"decay3": 1.0, "decay2": 0.0}
    assert learner.penalty(params, frozenset({"bias", "level2"}), weights) is None
    kinds = ("distill_cross", "distill_previous", "distill_all", "decay")
    names = {f"{kind}{level}" for kind, level in itertools.product(kinds, (2, 3))}
    assert set(learner.penalties(target)) == names


def test_truncated_square():
    """z² inside, constant outside, continuous with its first derivative; the derivative by central
    differences."""
    z = torch.linspace(-5, 5, 2001, dtype=torch.float64)
    out = truncated_square(z, 1.5)
    assert torch.equal(truncated_square(z, None), z.square())
    assert torch.allclose(out[z.abs() <= 1.5], z[z.abs() <= 1.5] ** 2)
    assert torch.allclose(out[z.abs() >= 3], torch.tensor(2 * 1.5**2, dtype=torch.float64))
    assert bool((out.diff()[z[1:] > 0] >= 0).all())
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
    level2, both = frozenset({"bias", "level2"}), frozenset({"bias", "level2", "level3"})
    off = {"decay2": 1.0, "distill_all2": 0.0}
    for stage in (Stage("a", (), level2, 1), Stage("a", (), level2, 1, penalties=off)):
        assert learner.on_phase_start(params, draw, stage) == {}
    want = init_distill([params["W2_0"]], 3, "whole")[0]
    on = {"distill_cross2": 0.1, "decay2": 1.0}
    for stage in (Stage("b", (), both, 1), Stage("b", (), level2, 1, penalties=on)):
        new = learner.on_phase_start(params, draw, stage)
        assert set(new) == {"K2_0"} and torch.equal(new["K2_0"], want)
    params["K2_0"] = want.clone()
    params["K2_0"][1] = 0
    params["W2_0"] = params["W2_0"] + 1
    again = learner.on_phase_start(params, draw, Stage("b", (), both, 1))["K2_0"]
    assert torch.equal(again[[0, 2]], want[[0, 2]])
    assert not torch.equal(again[1], want[1]) and bool(again[1].any())


def test_algorithm_1_goes_through_its_phases_and_ties_the_parts(build):
    """The phases of level 2 end early, on their thresholds; those of the top level and of a
    threshold out of reach do not; training level 3 corrects level 2."""
    target = Teacher(d=8, L=3, widths=(3, 2), alpha=(1.0, 0.3))
    schedule = build("schedule", "algorithm1", steps=300, check_every=20)
    optimizer = Adam(lr=0.02, batch=128, warmup=20)
    recipe = Recipe(
        target,
        UntiedQuadratic(wide=6),
        schedule,
        optimizer,
        test=2048,
        probe=FeatureError(1024),
    )
    for record in train(recipe, [Training(0, seed) for seed in range(4)]):
        assert record["stage"] == "tie3" and record["risk"] < 0.02
        assert 3 * 300 + 3 * 20 <= record["steps"] < 3 * 300 + 300
        assert record["tie3/gram/2"] < 0.5 * record["tie2/gram/2"]
        assert record["fit2/risk"] < 4 * 0.3**2
    fixed = Schedule((Phase(("level2", "bias"), until="1e-9 gap"),), steps=60, check_every=20)
    recipe = Recipe(target, UntiedQuadratic(wide=4), fixed, optimizer, test=512)
    (record,) = train(recipe, [Training(0, 0)])
    assert record["steps"] == 60


def test_probe_sees_the_wide_part_until_the_narrow_one_is_read():
    target, learner = Teacher(d=5, L=3, widths=(3, 2)), UntiedQuadratic(wide=4)
    draw = target.draw(SEEDS, torch.float64)
    params = learner.init_params(target, draw)
    teacher = draw.weights[2][0]
    params["K2_0"] = teacher
    params["W2_0"] = torch.cat([teacher, 0 * teacher[:, :1]], 1) * 1.5
    probe, level2 = FeatureError(512), frozenset({"bias", "level2"})
    below = probe.measure(target, draw, learner, params, level2)["gram/2"]
    above = probe.measure(target, draw, learner, params, level2 | {"level3"})["gram/2"]
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
def test_bad_values_are_refused_in_one_sentence(build, changes, words):
    with pytest.raises(UserError) as caught:
        build("learner", "untied_quadratic", **changes).check(Teacher(d=5, L=3))
    assert words in str(caught.value) and "\n" not in str(caught.value)
