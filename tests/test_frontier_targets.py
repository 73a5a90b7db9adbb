"""Leap, SIGHT, quadratic of quadratics and index targets: constants and structure otherwise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.polynomial.hermite_e import hermegauss
from target_checks import assert_degree, assert_population, rows

from bfc.errors import UserError
from bfc.representations.planted import Planted
from bfc.representations.random_features import RandomFeatures
from bfc.targets.index import Index
from bfc.targets.leap import FAMILIES, Leap, count_new_coordinates, order_by_leap
from bfc.targets.low_rank import LowRank
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.targets.quadratic_feature import QuadraticFeature
from bfc.targets.quadratic_of_quadratics import QuadraticOfQuadratics
from bfc.targets.random_polynomial import RandomPolynomial
from bfc.targets.relu_network import ReluNetwork
from bfc.targets.sight import Sight, inner
from bfc.tasks.regression import Regression

PLANTED = [
    Parity(d=7, degree=3, law="gaussian"),
    ReluNetwork(d=7),
    Leap(d=7),
    Leap(d=7, law="gaussian", family="leap3"),
    Sight(d=9),
    Sight(d=16, branches=2),
    Sight(d=16, depth=3, eps=(0.75, 0.25)),
    Index(d=7, link="reuse_staircase"),
    Index(d=7, link=(0.0, 1.0, -2.0), indices=2),
    LowRank(d=7, degrees=(4, 2)),
    LowRank(d=7, degrees=(2, 3, 4), law="gaussian", cosine=0.3),
    QuadraticDenseNet(d=9, widths=(4, 2)),
    RandomPolynomial(d=9, widths=(4, 2), span="twin"),
]


def label(target) -> str:
    return f"{type(target).__name__}-{target.draw([0]).planted_subspace.shape[2]}"


@pytest.mark.parametrize("target", PLANTED, ids=label)
def test_a_target_depends_on_its_planted_subspace_alone(target):
    draw = target.draw([0, 5], torch.float64)
    planted = draw.planted_subspace
    identity = torch.eye(planted.shape[2], dtype=torch.float64).expand(2, -1, -1)
    torch.testing.assert_close(planted.mT @ planted, identity)
    x, other = (draw.inputs(role, rows(200, 2)) for role in ("train", "test"))
    projection = planted @ planted.mT
    moved = x @ projection + other - other @ projection
    torch.testing.assert_close(draw.labels(moved), draw.labels(x))
    x[:, :, :] = other @ projection + x - x @ projection
    assert not torch.allclose(draw.labels(x), draw.labels(moved))


def test_a_task_keeps_the_planted_subspace_and_a_representation_hides_it():
    target = Index(d=5)
    planted = target.draw([3]).planted_subspace
    assert torch.equal(Regression(noise=0.1).wrap(target).draw([3]).planted_subspace, planted)
    features = RandomFeatures(features=8, n0=100, whitening="none")
    hidden = features.wrap(QuadraticOfQuadratics(d=4)).draw([3])
    assert hidden.planted_subspace is None and hidden.planted_forms is None
    assert Regression(noise=0.1).wrap(QuadraticOfQuadratics(d=4)).draw([3]).planted_forms.shape == (
        1,
        2,
        4,
        4,
    )


@pytest.mark.parametrize(
    "target",
    [
        Leap(d=6, law="gaussian"),
        Leap(d=6, family=None, sets=((1, 2), (3, 4), (1,))),
        Sight(d=16, depth=3, eps=(0.8, 0.5)),
        Sight(d=9, branches=3, signs="plus"),
        QuadraticOfQuadratics(d=9, p=3, gamma=1.0),
        QuadraticOfQuadratics(d=6, p=3, form="gaussian"),
        Index(d=6, link=(0.0, 1.0, 0.5)),
        Index(d=9, link="reuse_staircase", indices=2),
    ],
    ids=repr,
)
def test_mean_and_variance_of_other_settings(target):
    assert_population(target)
    if target.degree:
        assert_degree(target)


# ---- leap ----------------------------------------------------------------------------------------


def smallest_leap(sets) -> int:
    """Over all orderings."""
    return min(max(count_new_coordinates(order)) for order in itertools.permutations(sets))


def test_the_leap_is_the_smallest_over_all_orderings():
    generator = np.random.default_rng(0)
    subsets = [s for k in (1, 2, 3, 4) for s in itertools.combinations(range(1, 6), k)]
    leaps = set()
    for _ in range(200):
        chosen = generator.choice(len(subsets), size=generator.integers(1, 6), replace=False)
        sets = tuple(subsets[i] for i in chosen)
        leap = max(count_new_coordinates(order_by_leap(sets)))
        assert leap == smallest_leap(sets), sets
        leaps.add(leap)
    assert leaps == {1, 2, 3, 4}


def test_the_families_have_the_leaps_of_their_names():
    leaps = {family: Leap(d=4, family=family).leap for family in FAMILIES}
    assert leaps == {"stair4": 1, "leap2": 2, "leap3": 3, "mono4": 4}
    assert all(Leap(d=4, family=family).degree == 4 for family in FAMILIES)
    assert {Leap(d=4, family=family).levels for family in FAMILIES} == {(2, 3, 4, 5)}


def test_a_leap_target_is_the_sum_of_its_monomials():
    target = Leap(d=5, family=None, sets=((2, 1), (3,)))
    draw = target.draw([4], torch.float64)
    x = draw.inputs("train", rows(32, 1))
    a, b, c = (int(row.argmax()) for row in draw.frame[0])
    expected = (x[..., a] * x[..., b] + x[..., c]) / math.sqrt(2)
    torch.testing.assert_close(draw.labels(x), expected)
    assert bool((x.abs() == 1).all()) and target.leap == 2
    levels = draw.features(x)
    assert target.ordered_coordinates == (3, 2, 1) and set(levels) == {2, 3, 4}
    torch.testing.assert_close(levels[2].squeeze(2), x[..., c])
    torch.testing.assert_close(levels[4].squeeze(2), x[..., a] * x[..., b] * x[..., c])
    assert [part.dimension for part in target.harmonics()] == [5, 10]
    assert [part.share for part in target.harmonics()] == [0.5, 0.5]


# ---- the oracle of planted directions ------------------------------------------------------------


def test_what_is_planted_is_all_that_a_method_needs_to_see():
    """Methods that do not depend on the basis predict alike on Wx and on x projected on W."""
    target = Sight(d=9)
    seen = Planted().wrap(target)
    draw = seen.draw([2, 4], torch.float64)
    assert seen.input_width == 3 and draw.planted_subspace is None
    x = draw.inputs("train", rows(30, 2))
    z = draw.encode(x)
    assert z.shape == (2, 30, 3)
    planted = target.draw([2, 4], torch.float64).planted_subspace
    torch.testing.assert_close(draw.labels(z @ planted.mT), draw.labels(x))
    second = draw.select([1])
    torch.testing.assert_close(second.encode(x[1:]), z[1:])


def test_a_target_without_planted_directions_has_no_oracle():
    with pytest.raises(UserError, match=r"depends on few directions.*not QuadraticFeature"):
        Planted().wrap(QuadraticFeature(d=4))


# ---- SIGHT ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "width, variance", [(4, 0.591), (6, 0.610), (8, 0.621), (12, 0.635), (16, 0.644)]
)
def test_moments_of_balanced_branches_are_those_of_the_notes(width, variance):
    mean, measured = Sight(d=width * width).moments
    assert mean == pytest.approx(0, abs=1e-9)
    assert measured == pytest.approx(variance, abs=6e-4)


def test_moments_with_plus_signs_are_those_of_the_notes():
    assert Sight(d=64, signs="plus").moments == pytest.approx((-0.127, 0.641), abs=6e-4)


def test_moments_of_two_directions_are_those_of_a_quadrature():
    """Trapezoidal rule on a fine grid of the two directions."""
    z = np.linspace(-8, 8, 1601)
    density = np.exp(-z * z / 2)
    density /= density.sum()
    weights = np.outer(density, density)
    for signs, second in (("plus", 1), ("balanced", -1)):
        h = (inner(z)[:, None] + second * inner(z)[None]) / math.sqrt(2)
        g = np.tanh(3 * h)
        mean = (weights * g).sum()
        expected = (mean, (weights * (g - mean) ** 2).sum())
        assert Sight(d=4, signs=signs).moments == pytest.approx(expected, abs=2e-5)


def test_floors_are_those_of_the_notes():
    facts = Sight(d=64).facts()
    assert facts["floor_degree_2"] == pytest.approx(0.39, abs=0.005)
    assert facts["floor_degree_3"] == pytest.approx(0.19, abs=0.005)


def test_rates_of_sight_say_how_well_they_are_known():
    theory = Sight(d=64).theory()
    assert theory["level 2 (directions)"].exponent == theory["level 3"].exponent == 1.5
    assert {rate.status for rate in theory.values()} == {"theorem"}
    assert Sight(d=64, branches=2).theory()["level 3"].status == "heuristic"
    deep = Sight(d=64, depth=3, eps=(0.6, 0.3)).theory()
    exponents = [deep[f"level {level}"].exponent for level in (3, 4)]
    assert exponents == pytest.approx([2.1, 1.6]) and deep["level 3"].status == "heuristic"


# ---- quadratic of quadratics ---------------------------------------------------------------------


@pytest.mark.parametrize("target", [QuadraticOfQuadratics(d=8, p=3), Sight(d=9), Index(d=4)])
def test_features_belong_to_the_levels(target):
    draw = target.draw([0], torch.float64)
    assert set(draw.features(draw.inputs("test", rows(3, 1)))) == set(target.levels)


def test_one_feature_has_the_variance_of_the_notes():
    for d, rank in ((4, 4), (16, 16), (7, 6)):
        variance = QuadraticOfQuadratics(d=d, p=1).draw([0, 1]).variance
        torch.testing.assert_close(variance, torch.full((2,), 1 + 6 / rank, dtype=torch.float64))


def test_planted_forms_are_orthonormal_and_give_the_features():
    target = QuadraticOfQuadratics(d=8, p=3, gamma=0.5)
    draw = target.draw([2], torch.float64)
    forms = draw.planted_forms[0]
    torch.testing.assert_close(
        torch.einsum("jab,kab->jk", forms, forms), torch.eye(3, dtype=torch.float64)
    )
    for form in forms:
        torch.testing.assert_close(form @ form, torch.eye(8, dtype=torch.float64) / 8)
    x = draw.inputs("train", rows(20, 1))
    h = torch.stack([(x[0] @ form * x[0]).sum(1) for form in forms], 1) / math.sqrt(2)
    torch.testing.assert_close(draw.features(x)[2][0], h)
    expected = ((h**2 - 1) * torch.tensor(target.weights, dtype=torch.float64)).sum(1)
    torch.testing.assert_close(draw.labels(x)[0], expected / math.sqrt(2))


def test_planted_forms_of_a_quadratic_feature_are_its_matrices():
    target = QuadraticFeature(d=9, features=2, rank=4)
    draw = target.draw([0, 3], torch.float64)
    forms = draw.planted_forms
    gram = torch.einsum("rjab,rkab->rjk", forms, forms)
    torch.testing.assert_close(gram, torch.eye(2, dtype=torch.float64).expand(2, -1, -1))
    x = draw.inputs("train", rows(20, 2))
    values = torch.einsum("rba,rjac,rbc->rbj", x, forms, x)
    torch.testing.assert_close(values * math.sqrt(4), draw.forms(x))


def test_a_target_that_reads_every_direction_plants_no_subspace():
    for target in (
        QuadraticDenseNet(d=6, widths=(4, 2)),
        QuadraticDenseNet(d=9, widths=(4, 2), base="x_squared"),
        RandomPolynomial(d=9, widths=(4, 2)),
        QuadraticFeature(d=4),
    ):
        assert target.draw([0]).planted_subspace is None


def test_he2_of_the_label_has_mean_zero_and_variance_one_by_quadrature():
    """Two directions that are read and one that is not: a tensor Gauss-Hermite rule is exact."""
    target = QuadraticOfQuadratics(d=3, p=1, link="he2")
    draw = target.draw([0], torch.float64)
    nodes, weights = hermegauss(24)
    grid = torch.cartesian_prod(*[torch.tensor(nodes)] * 3).unsqueeze(0)
    w = torch.cartesian_prod(*[torch.tensor(weights / math.sqrt(2 * math.pi))] * 3).prod(1)
    y = draw.labels(grid)[0]
    assert float(w @ y) == pytest.approx(0, abs=1e-9)
    assert float(w @ y**2) == pytest.approx(1, rel=1e-9)
    assert target.degree == 8
    assert_degree(QuadraticOfQuadratics(d=8, p=2, link="he2"))


def test_thresholds_of_features_follow_their_weights():
    target = QuadraticOfQuadratics(d=16, p=3, gamma=1.0)
    assert sum(w * w for w in target.weights) == pytest.approx(1)
    ratios = [n / target.thresholds[0] for n in target.thresholds]
    assert ratios == pytest.approx([1, 4, 9])


@pytest.mark.parametrize(
    "name, changes, words",
    [
        ("leap", {"d": 3}, "target.d=3: must be at least 4"),
        ("leap", {"family": "stair5"}, "did you mean stair4?"),
        ("leap", {"family": None}, "target.sets=null: must be given with target.family=null"),
        ("leap", {"sets": [[1]]}, "target.sets=[[1]]: must be given with target.family=null"),
        ("leap", {"family": None, "sets": [[1, 1]]}, "distinct integers"),
        ("leap", {"family": None, "sets": [[1, 2], [2, 1]]}, "distinct sets"),
        ("leap", {"family": None, "sets": [[1, 3]]}, "numbered from 1 without gaps"),
        ("leap", {"family": None, "sets": []}, "distinct sets"),
        ("leap", {"law": "sphere"}, "cube or gaussian"),
        ("sight", {"eps": 1.5}, "target.eps=1.5: must be a number in (0, 1]"),
        ("sight", {"depth": 3}, "target.eps=0.5: must be a list of 2 decreasing numbers"),
        ("sight", {"depth": 3, "eps": [0.3, 0.5]}, "2 decreasing numbers"),
        ("sight", {"depth": 6}, "target.depth=6: must be an integer from 2 to 5"),
        ("sight", {"branches": 5}, "target.branches=5: must be at most 4"),
        ("sight", {"branches": 0}, "target.branches=0"),
        ("quadratic_of_quadratics", {"d": 3}, "target.d=3: must be at least 4"),
        ("quadratic_of_quadratics", {"p": 0}, "target.p=0"),
        ("quadratic_of_quadratics", {"gamma": -1.0}, "target.gamma=-1.0"),
        ("quadratic_of_quadratics", {"form": "wigner"}, "hadamard or gaussian"),
        ("quadratic_of_quadratics", {"form": "gaussian", "link": "he2"}, "identity, unless"),
        ("index", {"link": "he9"}, "did you mean he"),
        ("index", {"link": [0.0]}, "not all 0"),
        (
            "index",
            {"link": "sign3", "indices": 6},
            "target.indices=6: must be an integer from 1 to 5",
        ),
    ],
)
def test_bad_values_are_refused_in_one_sentence(build, name, changes, words):
    with pytest.raises(UserError) as caught:
        build("target", name, **changes)
    message = str(caught.value)
    assert "\n" not in message and words in message, message
