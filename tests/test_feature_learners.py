"""RFM and IRKM against their definitions, and what all learners of features record and refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from random_tensors import gaussian
from torch import Tensor

import bfc
from bfc.baselines.feature_learner import Fit, measure_overlaps
from bfc.baselines.irkm import IRKM
from bfc.baselines.kernels import RBF
from bfc.baselines.rfm import RFM
from bfc.baselines.spectral_chain import (
    SpectralChain,
)
from bfc.errors import UserError
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.cost import Cost
from bfc.targets.index import Index
from bfc.targets.leap import Leap
from bfc.targets.overlap import subspace_overlap
from bfc.targets.quadratic_of_quadratics import QuadraticOfQuadratics
from bfc.targets.sight import Sight


def data(n: int = 30, d: int = 4) -> tuple[Tensor, Tensor]:
    x = gaussian(n, d)
    return x, x[:, 0] * x[:, 1] + x[:, 2]


# ---- the recursive feature machine ---------------------------------------------------------------


def numeric_gradients(function, x: Tensor, step: float = 1e-5) -> Tensor:
    """Central differences of a function (n, d) → (n,), row by row."""
    columns = []
    for j in range(x.shape[1]):
        shift = torch.zeros_like(x)
        shift[:, j] = step
        columns.append((function(x + shift) - function(x - shift)) / (2 * step))
    return torch.stack(columns, 1)


@pytest.mark.parametrize("kernel", ["gauss", "laplace"])
def test_gradients_of_a_fit_are_its_finite_differences(kernel):
    """The Laplace kernel's own term at every point has a kink, whose central difference is zero;
    the step must be large beside the rounding error of a distance there."""
    x, y = data()
    root = gaussian(4, 4, seed=1)
    metric = root @ root.mT
    machine = RFM(kernel=kernel)
    alpha = machine.solve(x, y, metric, 1e-2)
    expected = numeric_gradients(lambda z: machine.gram(z, x, metric) @ alpha, x, 3e-4)
    torch.testing.assert_close(machine.gradients(x, alpha, metric), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("metric", ["full", "diagonal"])
def test_the_next_metric_is_the_mean_outer_product_of_gradients(metric):
    x, y = data()
    start = torch.diag(torch.tensor([1.0, 2.0, 0.5, 0.5], dtype=torch.float64))
    machine = RFM(metric=metric)
    alpha = machine.solve(x, y, start, 1e-2)
    gradient = numeric_gradients(lambda z: machine.gram(z, x, start) @ alpha, x)
    expected = torch.stack([torch.outer(g, g) for g in gradient]).mean(0)
    if metric == "diagonal":
        expected = torch.diag(expected.diagonal())
    expected = expected * 4 / expected.trace()
    torch.testing.assert_close(machine.next_metric(x, alpha, start), expected, rtol=1e-5, atol=1e-7)


def test_the_fact_metric_is_the_root_of_the_moment_of_residuals_and_gradients():
    x, y = data()
    identity = torch.eye(4, dtype=torch.float64)
    machine, ridge = RFM(metric="fact"), 1e-1
    alpha = machine.solve(x, y, identity, ridge)
    residual = y - machine.gram(x, x, identity) @ alpha
    gradient = machine.gradients(x, alpha, identity)
    moment = sum(
        r * torch.outer(g, row) for r, g, row in zip(residual, gradient, x, strict=True)
    ) / len(x)
    updated = machine.next_metric(x, alpha, identity)
    square = moment @ moment.mT
    torch.testing.assert_close(
        updated @ updated, square * (updated @ updated).trace() / square.trace()
    )
    assert float(updated.trace()) == pytest.approx(4)


@pytest.mark.parametrize("machine", [RFM(), RFM(metric="diagonal"), RFM(metric="fact"), IRKM()])
def test_several_outputs_share_a_metric_that_sums_over_them(machine):
    """The gradients of every output stand below each other; an output twice changes nothing."""
    x, y = data()
    columns = torch.stack([y, x[:, 3].square()], 1)
    start = torch.ones(4, dtype=x.dtype) if isinstance(machine, IRKM) else torch.eye(4).double()
    alpha = machine.solve(x, columns, start, 1e-2)
    parts = []
    for k in range(2):
        one = machine.solve(x, columns[:, k], start, 1e-2)
        torch.testing.assert_close(alpha[:, k], one)
        parts.append(machine.gradients(x, one, start))
    torch.testing.assert_close(machine.gradients(x, alpha, start), torch.cat(parts))
    both = machine.fit(x, columns, x[:7], 1e-2).predicted
    assert both.shape == (7, 2)
    twice = machine.fit(x, torch.stack([y, y], 1), x[:7], 1e-2).predicted
    once = machine.fit(x, y, x[:7], 1e-2).predicted
    torch.testing.assert_close(twice, once.unsqueeze(1).expand(-1, 2))
    assert not torch.allclose(both[:, 0], once)


MACHINES = [
    RFM(),
    RFM(kernel="laplace"),
    RFM(metric="diagonal"),
    RFM(metric="fact"),
    IRKM(),
    IRKM(floor=0.0),
]


@pytest.mark.parametrize("size", [0.0, 1e-160, 1e-200])
@pytest.mark.parametrize("machine", MACHINES, ids=repr)
def test_vanishing_gradients_leave_the_metric_as_it_is(machine, size):
    """Labels that are 0, or so small that squares of gradients underflow: no direction is better
    than another, and the machine answers as its fixed kernel does."""
    x, y = data()
    x_test = gaussian(5, 4, seed=4)
    fit = machine.fit(x, size * y, x_test, 1e-2)
    fixed = replace(machine, rounds=0).fit(x, size * y, x_test, 1e-2)
    assert fit.predicted.isfinite().all() and fit.directions.isfinite().all()
    if size == 1e-160:
        assert fit.predicted.abs().max() < 1e-158
    else:
        torch.testing.assert_close(fit.predicted, fixed.predicted, rtol=0, atol=0)


def test_without_rounds_it_is_the_fixed_kernel():
    target = Index(d=4)
    settings = {"n_max": 32, "n_ratio": 1.5, "ridge": 1e-2}
    machine, kernel = RFM(rounds=0, **settings), RBF(**settings)
    tuned = kernel.tune(target, 64)
    expected = kernel.curve(target, 0, 64, tuned)
    curve = machine.curve(target, 0, 64, machine.tune(target, 64))
    assert curve.n == expected.n and curve.overlap == {}
    assert curve.risk == pytest.approx(expected.risk, rel=1e-8)


def test_it_does_not_depend_on_the_basis_of_the_inputs():
    x, y = data()
    rotation = torch.linalg.qr(gaussian(4, 4, seed=2))[0]
    x_test = gaussian(9, 4, seed=3)
    machine = RFM(rounds=3)
    fit = machine.fit(x, y, x_test, 1e-2)
    rotated = machine.fit(x @ rotation, y, x_test @ rotation, 1e-2)
    torch.testing.assert_close(rotated.predicted, fit.predicted, rtol=1e-6, atol=1e-8)


def test_it_learns_a_staircase_where_the_kernel_has_not_begun():
    """At n = 300, where the fixed kernel needs thousands."""
    target = Leap(d=16)
    settings = {"n_max": 300, "n_ratio": 50.0, "ridge": 1e-3}
    learned = RFM(**settings).curve(target, 0, 512, {"ridge": 1e-3})
    fixed = RFM(rounds=0, **settings).curve(target, 0, 512, {"ridge": 1e-3})
    assert learned.risk[-1] < 0.1 < 0.5 < fixed.risk[-1]
    assert learned.overlap["subspace"][0] < 0.7 and learned.overlap["subspace"][-1] > 0.95


def test_a_symmetric_function_on_the_cube_shows_one_direction_and_not_four():
    """x_1 + … + x_4 + x_1x_2x_3x_4 is a function of the sum of the four."""
    target = Leap(d=16, family=None, sets=((1,), (2,), (3,), (4,), (1, 2, 3, 4)))
    curve = RFM(n_max=128, n_ratio=50.0, ridge=1e-3).curve(target, 0, 1024, {"ridge": 1e-3})
    assert curve.risk[-1] < 0.01 and curve.overlap["subspace"][-1] < 0.6


# ---- the iteratively reweighted kernel machine ---------------------------------------------------


def test_gradients_of_a_reweighted_fit_are_its_finite_differences():
    x, y = data()
    weights = torch.tensor([2.0, 1.0, 0.5, 0.5], dtype=torch.float64)
    machine = IRKM()
    alpha = machine.solve(x, y, weights, 1e-2)
    expected = numeric_gradients(lambda z: machine.gram(z, x, weights) @ alpha, x)
    torch.testing.assert_close(machine.gradients(x, alpha, weights), expected, rtol=1e-5, atol=1e-7)


def test_weights_are_the_mean_squares_of_the_partial_derivatives_of_a_known_function():
    """f = 3 x_1 + x_2 is learned exactly with many points: derivatives 3, 1 and 0."""
    x = gaussian(400, 5)
    y = 3 * x[:, 0] + x[:, 1]
    machine = IRKM(floor=0.01)
    weights = torch.ones(5, dtype=torch.float64)
    updated = machine.next_metric(x, machine.solve(x, y, weights, 1e-4), weights)
    expected = torch.tensor([1.01, 1 / 9 + 0.01, 0.01, 0.01, 0.01], dtype=torch.float64)
    torch.testing.assert_close(updated, 5 * expected / expected.sum(), rtol=0.02, atol=0.01)


def test_it_finds_the_coordinates_of_a_staircase():
    target = Leap(d=12)
    settings = {"n_max": 160, "n_ratio": 50.0, "ridge": 1e-3}
    learned = IRKM(**settings).curve(target, 0, 512, {"ridge": 1e-3})
    fixed = IRKM(rounds=0, **settings).curve(target, 0, 512, {"ridge": 1e-3})
    assert learned.risk[-1] < 0.1 < 0.3 < fixed.risk[-1]
    assert learned.overlap == {"subspace": [learned.overlap["subspace"][0], 1.0]}


# ---- what is recorded ----------------------------------------------------------------------------


def test_overlap_is_that_of_the_spans():
    frame = torch.linalg.qr(gaussian(6, 6))[0]
    planted = frame[:, :2] @ gaussian(2, 2, seed=1)
    assert subspace_overlap(frame[:, :3] * 5, planted) == pytest.approx(1)
    assert subspace_overlap(frame[:, 1:3], planted) == pytest.approx(0.5)
    assert subspace_overlap(frame[:, 3:], planted) == pytest.approx(0, abs=1e-12)
    random_overlaps = [subspace_overlap(gaussian(6, 3, seed=s), planted) for s in range(400)]
    assert np.mean(random_overlaps) == pytest.approx(0.5, abs=0.05)


def test_overlaps_of_single_forms_are_their_shares_in_the_learned_span():
    """Orthonormal planted forms, of which the second is half learned: their mean is the whole's."""
    chain = SpectralChain(levels=("quadratic",), keep=(2,), degree=2, n_max=64)
    samples = chain.draw_samples(QuadraticOfQuadratics(d=8), 0, 8, "cpu")
    first, second = samples.draw.planted_forms[0]
    other = torch.diag(gaussian(8))
    other -= (other * first).sum() * first + (other * second).sum() * second
    mixed = second + other / other.norm()
    overlaps = measure_overlaps(Fit(samples.f_test, forms=torch.stack([first, mixed])), samples)
    assert overlaps == pytest.approx({"forms": 0.75, "form_1": 1.0, "form_2": 0.5})


TEN_THOUSAND = {"n_max": 10_000, "n_ratio": 5.0, "ridge": 1e-3}


def test_a_chain_has_a_learning_curve_up_to_ten_thousand_samples():
    chain = SpectralChain(keep=(4,), **TEN_THOUSAND)
    curve = chain.curve(Sight(d=16), 0, 1024, {"ridge": 1e-3})
    assert curve.n[-1] == 10_000 and curve.risk[-1] < 0.15 < 0.6 < curve.risk[-4]
    assert curve.overlap["subspace"][-1] > 0.98 > 0.8 > curve.overlap["subspace"][-4]


@pytest.mark.exhaustive
def test_a_kernel_machine_has_a_learning_curve_up_to_ten_thousand_samples():
    """One round: half a minute of one core, most of it two factorisations."""
    machine = RFM(rounds=1, **TEN_THOUSAND)
    curve = machine.curve(Leap(d=16), 0, 512, {"ridge": 1e-3})
    assert curve.n[-1] == 10_000 and curve.risk[-1] < 1e-6 < 0.5 < curve.risk[-4]
    assert curve.overlap["subspace"][-1] > 0.999 > 0.7 > curve.overlap["subspace"][-4]


def test_overlaps_are_stored_at_every_n(tmp_path):
    machine = RFM(rounds=2, ridge=0.01, n_max=64)
    rows = bfc.curve(Index(d=6), machine, seeds=2, test=128, results=tmp_path)
    assert rows["overlap/subspace"].between(0, 1).all() and len(rows) == 2 * len(machine.grid)
    stored = bfc.load(tmp_path)
    assert sorted(stored["overlap/subspace"]) == sorted(rows["overlap/subspace"])


@pytest.mark.parametrize(
    "name, changes, words",
    [
        ("rfm", {"kernel": "gaus"}, "did you mean gauss?"),
        ("rfm", {"metric": "trace"}, "full, diagonal or fact"),
        ("rfm", {"rounds": -1}, "baseline.rounds=-1: must be an integer from 0 to 100"),
        ("rfm", {"bandwidth": 0.0}, "baseline.bandwidth=0.0: must be auto or a number > 0"),
        ("rfm", {"ridge": 0.0}, "baseline.ridge=0.0: must be auto or a number > 0"),
        ("irkm", {"ridge": -1.0}, "baseline.ridge=-1.0: must be auto or a number > 0"),
        ("irkm", {"floor": -0.1}, "baseline.floor=-0.1"),
        ("irkm", {"rounds": 101}, "baseline.rounds=101"),
        ("spectral_chain", {"levels": []}, "baseline.levels=[]: must be a list of 1 to 4 names"),
        ("spectral_chain", {"levels": ["cubic"]}, "linear or quadratic"),
        (
            "spectral_chain",
            {"keep": [2, 2]},
            "a list of integers >= 1, one per level of baseline.levels",
        ),
        ("spectral_chain", {"keep": [0]}, "integers >= 1"),
        ("spectral_chain", {"clip": 0.0}, "baseline.clip=0.0"),
        ("spectral_chain", {"degree": 0}, "baseline.degree=0"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(build, name, changes, words):
    with pytest.raises(UserError) as caught:
        build("baseline", name, **changes)
    message = str(caught.value)
    assert "\n" not in message and words in message, message


def test_more_features_than_there_are_coordinates_are_refused():
    with pytest.raises(UserError, match=r"baseline.keep=\[7\]: must be at most 6"):
        SpectralChain(keep=(7,)).check(Index(d=6))
    with pytest.raises(UserError, match="at most 3 for the quadratic features of 2 coordinates"):
        SpectralChain(levels=("linear", "quadratic"), keep=(2, 4)).check(Index(d=6))


def test_a_ridge_that_is_too_small_is_refused():
    x = torch.ones(4, 2, dtype=torch.float64)
    with pytest.raises(UserError, match="numerically singular at n=4"):
        RFM().solve(x, x[:, 0], torch.eye(2, dtype=torch.float64), 1e-300)


@pytest.mark.parametrize("method", [RFM(n_max=10**8), SpectralChain(n_max=10**12)])
def test_a_fit_that_does_not_fit_in_memory_is_refused_before_its_data_are_drawn(method):
    words = rf"baseline.n_max={method.n_max}: must be smaller: a fit needs"
    with pytest.raises(UserError, match=words):
        method.curve(Index(d=16), 0, 8, {"ridge": 0.1})
    with pytest.raises(UserError, match=words):
        method.tune(Index(d=16), 8)


def test_the_predicted_cost_is_that_of_the_fits_at_every_n():
    job = bfc.compose("target=index", "learner=none", "baseline=rfm", "measure.seeds=3")
    curves = job.baseline.num_tuning_curves + 3
    expected = curves * job.baseline.curve_seconds(job.target.input_width, job.measure.test)
    assert Cost().seconds(job, cell_specs(job)) == pytest.approx(expected)
    fits = [RFM(n_max=n, n_ratio=1e4).curve_seconds(16, 100) for n in (512, 1024, 2048)]
    assert fits[0] < fits[1] < fits[2] < 16 * fits[1]
