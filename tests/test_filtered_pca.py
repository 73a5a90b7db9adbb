"""Filtered PCA against its definition, pure noise, and functions whose directions are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bfc.baselines.filtered_pca import FilteredPCA, orthogonal_complement, weighted_moment
from bfc.errors import UserError
from bfc.targets.index import Index
from bfc.targets.overlap import subspace_overlap
from bfc.targets.parity import Parity
from bfc.targets.relu_network import ReluNetwork
from bfc.tasks.classification import Classification
from bfc.types import Target, sample

TRIPLE = Parity(d=16, degree=3, law="gaussian")


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def subspace_errors(method: FilteredPCA, target: Target, n: int, seeds: int) -> list[float]:
    """1 − overlap of what is learned from n rows with what is planted, seed by seed."""
    errors = []
    for seed in range(seeds):
        draw = target.draw([seed], torch.float64)
        x, y = sample(draw, "train", torch.arange(n).unsqueeze(0))
        fit = method.fit(x[0], y[0], x[0, :64], 1e-3)
        errors.append(1 - subspace_overlap(fit.directions, draw.planted_subspace[0]))
    return errors


def median(values: list[float]) -> float:
    return float(torch.tensor(values).median())


def test_the_moment_is_the_label_weighted_covariance_minus_the_identity():
    z, weights = gaussian(50, 4), gaussian(50, seed=1)
    weights = weights - weights.mean()
    terms = [w * (torch.outer(row, row) - torch.eye(4)) for w, row in zip(weights, z, strict=True)]
    torch.testing.assert_close(weighted_moment(z, weights), sum(terms) / 50)


def test_the_filter_weighs_the_points_with_the_largest_residuals():
    residual = torch.tensor([0.1, -5.0, 0.2, 0.3, 4.0, -0.1, 0.2, 0.1, -3.0, 0.0])
    weights = FilteredPCA(quantile=0.7).weigh(residual)
    assert (weights > 0).nonzero().flatten().tolist() == [1, 4, 8]
    assert float(weights.mean()) == pytest.approx(0, abs=1e-7)
    torch.testing.assert_close(
        FilteredPCA(weights="labels").weigh(residual), residual - residual.mean()
    )


def test_new_directions_are_orthonormal_to_those_before():
    x = gaussian(400, 6)
    basis = torch.linalg.qr(gaussian(6, 2))[0]
    complement = orthogonal_complement(basis)
    torch.testing.assert_close(complement.mT @ complement, torch.eye(4, dtype=torch.float64))
    assert float((basis.mT @ complement).abs().max()) < 1e-12
    method = FilteredPCA(keep=5, permutations=0)
    added = method.next_directions(x, gaussian(400, seed=2), basis)
    assert added.shape == (6, 3) and float((basis.mT @ added).abs().max()) < 1e-12


def test_a_product_of_three_is_found_by_the_filter_and_not_by_the_labels():
    """The error of the filter falls as d/n; E[x_1x_2x_3 (xx' − I)] is zero."""
    few, many = 1024, 8192
    blind = FilteredPCA(weights="labels", keep=3, permutations=0)
    filtered = FilteredPCA(keep=3, permutations=0)
    assert median(subspace_errors(blind, TRIPLE, many, 5)) > 0.3
    error, smaller = (median(subspace_errors(filtered, TRIPLE, n, 5)) for n in (few, many))
    assert error < 0.1 and 4 < error / smaller < 16


def test_the_test_against_noise_keeps_what_is_there_and_little_else():
    """One of 9 equally likely moments is the largest: labels that say nothing pass in 1 of 9."""
    method = FilteredPCA(keep=3)
    assert median(subspace_errors(method, TRIPLE, 2048, 3)) < 0.1
    passed = 0
    for seed in range(40):
        x, y = gaussian(300, 8, seed=seed), gaussian(300, seed=1000 + seed)
        passed += method.fit(x, y, x[:1], 1e-3).directions.shape[1] > 0
    assert 0 < passed <= 11


def test_more_rounds_find_the_direction_that_one_round_misses():
    target = ReluNetwork(d=16)
    once, again = (FilteredPCA(keep=3, permutations=count) for count in (0, 8))
    one_round = median(subspace_errors(once, target, 4096, 7))
    rounds = median(subspace_errors(again, target, 4096, 7))
    assert rounds < 0.2 < 0.3 < one_round


def test_it_predicts_and_records_the_overlap():
    method = FilteredPCA(keep=3, n_max=8000, n_ratio=1000.0, ridge=1e-3)
    curve = method.curve(TRIPLE, 0, 512, {"ridge": 1e-3})
    assert curve.risk[-1] < 0.1 and curve.overlap["subspace"][-1] > 0.95


def test_what_finds_nothing_predicts_the_mean():
    x = gaussian(64, 5)
    method = FilteredPCA(keep=2, permutations=1000)
    fit = method.fit(x, torch.full((64,), 2.0, dtype=torch.float64), x[:3], 1e-3)
    assert fit.directions.shape == (5, 0)
    torch.testing.assert_close(fit.predicted, torch.full((3,), 2.0, dtype=torch.float64))


@pytest.mark.parametrize(
    ("field", "value"),
    [("quantile", 1.0), ("keep", 0), ("permutations", -1), ("degree", 0), ("weights", "square")],
)
def test_bad_values_are_refused(field, value):
    with pytest.raises(UserError, match=rf"^baseline\.{field}="):
        FilteredPCA(**{field: value})


def test_more_directions_than_coordinates_are_refused():
    with pytest.raises(UserError, match=r"baseline.keep=4: must be an integer from 1 to 3"):
        FilteredPCA().check(Parity(d=3))


SIGN = Classification(margin=0.0).wrap(Index(d=12))
"""Which side of a threshold (w'x)² is on: labels ±1, the rarer of them at about 3 in 10."""


@pytest.mark.parametrize("target", [SIGN, Parity(d=12, degree=2)], ids=["signs", "parity"])
def test_the_filter_is_refused_on_two_labels_and_the_labels_are_not(target):
    """Of two labels that are as frequent no residual is larger than the quantile of all."""
    with pytest.raises(UserError, match=r"needs labels of several sizes.*baseline.weights=labels"):
        FilteredPCA().check(target)
    FilteredPCA(weights="labels").check(target)
    assert not FilteredPCA().weigh(torch.tensor([1.0, -1.0, -1.0, 1.0])).any()


def test_labels_of_several_sizes_are_accepted():
    for target in (TRIPLE, Index(d=12), ReluNetwork(d=16)):
        FilteredPCA().check(target)


def test_on_two_labels_the_labels_weigh_as_a_filter_that_sets_the_rarer_apart():
    y = torch.where(gaussian(400) > 1.0, 1.0, -1.0)
    residual = y - y.mean()
    assert 0 < float((y > 0).double().mean()) < 0.3
    labels, filtered = (FilteredPCA(weights=name).weigh(residual) for name in ("labels", "filter"))
    torch.testing.assert_close(labels, 2 * filtered)


def test_the_labels_find_the_direction_of_a_classification():
    method = FilteredPCA(weights="labels", keep=1)
    assert median(subspace_errors(method, SIGN, 1024, 3)) < 0.1
