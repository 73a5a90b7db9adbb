"""Random polynomials, the control without hierarchy, against the compositions that they match."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch
from target_checks import (
    grid,
    rows,
)
from torch import Tensor

from bfc.baselines.monomials import products
from bfc.errors import UserError
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.targets.random_polynomial import RandomPolynomial


def by_degree(draw, degree: int) -> Tensor:
    """Variance of the first seed's label by degree 0 ... ``degree`` of the Hermite products in d
    coordinates, by projection on a grid."""
    x, w = grid(draw.target.d, 2 * degree)
    phi = products(x, degree, "hermite")
    squares = ((w * draw.labels(x[None])[0]) @ phi).square()
    ends = [math.comb(draw.target.d + k, k) for k in range(degree + 1)]
    return torch.stack([squares[a:b].sum() for a, b in itertools.pairwise([0, *ends])])


@pytest.mark.parametrize(
    "values",
    [
        {"L": 3, "widths": (2, 1)},
        {"L": 3, "widths": (1, 1), "base": "x_squared", "d": 2},
        {"L": 3, "widths": (1, 1), "terms": 1},
        {"L": 4, "widths": (1, 1, 1), "links": "chain"},
    ],
    ids=str,
)
def test_the_control_has_the_variance_of_its_twin_in_every_degree_and_nothing_else(values):
    values = {"d": 3, **values}
    control = RandomPolynomial(**values)
    twin = QuadraticDenseNet(**{k: v for k, v in values.items() if k != "terms"})
    for spectrum, span in (("matched", "twin"), ("matched", "all"), ("top", "all")):
        draw, other = (
            dataclasses.replace(control, spectrum=spectrum, span=span).draw([5], torch.float64),
            twin.draw([5], torch.float64),
        )
        want = by_degree(other, twin.degree)
        torch.testing.assert_close(want.sum(), other.variance[0])
        if spectrum == "top":
            want = torch.zeros_like(want).index_fill_(
                0, torch.tensor([twin.degree]), float(other.variance[0])
            )
        torch.testing.assert_close(by_degree(draw, twin.degree), want, rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(draw.variance, other.variance)


def test_the_control_reads_the_linear_forms_of_its_twin_and_no_more():
    """Moving x along what the twin does not read changes nothing, unless the control varies in all
    directions; the two are hardly correlated, on average over seeds."""
    draw, twin = (
        RandomPolynomial(d=12, span="twin").draw([0], torch.float64),
        QuadraticDenseNet(d=12).draw([0], torch.float64),
    )
    x = draw.inputs("test", rows(1 << 15, 1))
    assert torch.equal(x, twin.inputs("test", rows(1 << 15, 1)))
    forms = torch.cat([parts[0][0] for parts in twin.weights.values() if 0 in parts])
    free = torch.eye(12, dtype=torch.float64) - torch.linalg.pinv(forms) @ forms
    assert round(float(free.trace())) == 12 - 7
    moved = (
        x
        + 3 * torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(0)) @ free
    )
    torch.testing.assert_close(draw.labels(moved), draw.labels(x))
    everywhere = RandomPolynomial(d=12).draw([0], torch.float64)
    assert not torch.allclose(everywhere.labels(moved), everywhere.labels(x), rtol=0.1)
    seeds = range(8)
    control, twin = (
        target.draw(seeds, torch.float64)
        for target in (RandomPolynomial(d=12, span="twin"), QuadraticDenseNet(d=12))
    )
    x = twin.inputs("test", rows(1 << 14, 8))
    pairs = torch.stack([control.labels(x), twin.labels(x)], 1)
    assert torch.stack([torch.corrcoef(pair)[0, 1].abs() for pair in pairs]).mean() < 0.3


@pytest.mark.parametrize(
    "values, words",
    [
        ({"law": "uniform"}, "target.law=uniform: must be gaussian"),
        ({"terms": 0}, "target.terms=0"),
    ],
)
def test_controls_that_cannot_be_exact_are_refused(values, words):
    with pytest.raises(UserError, match=words):
        RandomPolynomial(d=16, **values)


def test_a_control_of_a_large_twin_puts_its_variance_at_the_top():
    with pytest.raises(
        UserError,
        match=r"target\.spectrum=matched: a composition of degree 16 in 11 variables is too large",
    ):
        RandomPolynomial(d=16, L=5, quadrature=1 << 14).draw([0])
    assert (
        float(
            RandomPolynomial(d=16, L=5, quadrature=1 << 17, spectrum="top", terms=8)
            .draw([0])
            .variance_error
        )
        == 0
    )
