"""Moments of labels on index models: their signal and noise are those of exact integrals, and what
is learned at a given n follows from these."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.polynomial.hermite_e import hermegauss
from scipy.optimize import brentq
from scipy.stats import norm

from bfc.baselines.index_moment import IndexMoment
from bfc.errors import UserError
from bfc.targets.index import Index
from bfc.targets.overlap import subspace_overlap


def draw_rows(d: int, n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs (n, d), labels (n,) and the direction (d,) of He_3."""
    draw = Index(d=d, link="he3").draw([seed], torch.float64)
    x = draw.inputs("train", torch.arange(n).unsqueeze(0))
    return x[0], draw.labels(x)[0], draw.frame[0, 0]


@pytest.mark.parametrize("moment", ["partial_trace", "transformed"])
def test_the_direction_is_that_of_the_sum_over_points(moment):
    x, y, _ = draw_rows(5, 60)
    y = y - y.mean()
    deviation = y.std(correction=0)
    total = torch.zeros(5, dtype=x.dtype)
    for row, label in zip(x, y, strict=True):
        if moment == "partial_trace":
            total += label * (row @ row - 5 - 2) * row
        elif abs(label) > 1.2 * deviation:
            total += label.sign() * row
    learned = IndexMoment(moment=moment, threshold=1.2).find_direction(x, y + 3)
    torch.testing.assert_close(learned, total / total.norm())


@pytest.mark.parametrize("d", [3, 4])
def test_signal_and_noise_of_the_partial_trace_are_those_of_a_quadrature(d):
    """A tensor Gauss-Hermite rule is exact: E[m x] = √6 w, E[m² x_j²] = 64 + 2d beside w."""
    nodes, weights = hermegauss(10)
    x = torch.cartesian_prod(*[torch.tensor(nodes)] * d)
    w = torch.cartesian_prod(*[torch.tensor(weights / math.sqrt(2 * math.pi))] * d).prod(1)
    t = x[:, 0]
    m = IndexMoment(moment="partial_trace").weigh(x, (t**3 - 3 * t) / math.sqrt(6))
    expected = torch.zeros(d, dtype=x.dtype)
    expected[0] = math.sqrt(6)
    torch.testing.assert_close((w * m) @ x, expected, rtol=1e-9, atol=1e-9)
    noise = (w * m.square()) @ x[:, 1:].square()
    torch.testing.assert_close(noise, torch.full_like(noise, 64 + 2 * d))


def transformed_moments() -> tuple[float, float]:
    """s = E[sign(y) 1{|y| > 1.5} t] and P(|y| > 1.5) for y = He_3(t)/√6, whose |y| is above 1.5
    beyond one root alone."""
    root = brentq(lambda t: (t**3 - 3 * t) / math.sqrt(6) - 1.5, 1.8, 3)
    return 2 * norm.pdf(root), 2 * norm.sf(root)


def test_signal_and_noise_of_transformed_labels_are_those_of_one_integral():
    x, y, w = draw_rows(3, 400_000)
    m = IndexMoment().weigh(x, y)
    signal, share = transformed_moments()
    assert float(m.abs().mean()) == pytest.approx(share, rel=0.03)
    assert float((m * (x @ w)).mean()) == pytest.approx(signal, rel=0.03)


def test_overlaps_follow_from_signal_and_noise():
    """Mean of n s²/(n s² + q (d − 1)) over 24 seeds, with a standard error of .01."""
    signal, share = transformed_moments()
    overlaps = []
    for seed in range(24):
        x, y, w = draw_rows(32, 1000, seed)
        learned = IndexMoment().find_direction(x, y).unsqueeze(1)
        overlaps.append(subspace_overlap(learned, w.unsqueeze(1)))
    expected = 1 / (1 + share * 31 / (1000 * signal**2))
    assert np.mean(overlaps) == pytest.approx(expected, abs=0.04)


def test_it_learns_the_function_once_it_has_the_direction():
    method = IndexMoment(n_max=4000, n_ratio=1e3, ridge=1e-3)
    curve = method.curve(Index(d=16, link="he3"), 0, 2048, {"ridge": 1e-3})
    assert curve.overlap["subspace"][-1] > 0.95 and curve.risk[-1] < 0.3 < 0.9 < curve.risk[0]


def test_labels_that_say_nothing_give_no_direction():
    x = draw_rows(4, 20)[0]
    fit = IndexMoment().fit(x, torch.ones(20, dtype=x.dtype), x[:3], 1e-3)
    assert fit.directions is not None and not fit.directions.any()
    torch.testing.assert_close(fit.predicted, torch.ones(3, dtype=x.dtype))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"moment": "trace"}, "partial_trace or transformed"),
        ({"threshold": 0.0}, "baseline.threshold=0.0: must be a number > 0"),
        ({"degree": 17}, "baseline.degree=17: must be an integer from 1 to 16"),
        ({"ridge": -1.0}, "baseline.ridge=-1.0"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(build, changes, words):
    with pytest.raises(UserError) as caught:
        build("baseline", "index_moment", **changes)
    assert "\n" not in str(caught.value) and words in str(caught.value)
