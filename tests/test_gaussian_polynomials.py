"""Polynomials of a Gaussian vector against their values at points and against quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from target_checks import (
    grid,
)

from bfc.targets import gaussian_polynomials as gp


@pytest.mark.parametrize("r, degree", [(1, 5), (2, 4), (3, 3), (3, 0), (4, 2)])
def test_polynomials_against_points_and_quadrature(r, degree):
    """Every operation against values at points, every moment against the grid; coefficients of a
    lower degree are a prefix."""
    generator = np.random.default_rng(r + 10 * degree)
    p, q, a = (
        generator.normal(size=gp.size(r, degree)),
        generator.normal(size=gp.size(r, degree + 1)),
        generator.normal(size=r),
    )
    x = generator.normal(size=(30, r))
    at_p = gp.evaluate(p, x, degree)
    np.testing.assert_allclose(
        gp.evaluate(gp.square(p, r, degree), x, 2 * degree), at_p**2, rtol=1e-10
    )
    np.testing.assert_allclose(
        gp.evaluate(gp.add(p, q), x, degree + 1),
        at_p + gp.evaluate(q, x, degree + 1),
        rtol=1e-10,
        atol=1e-10,
    )
    np.testing.assert_allclose(
        gp.evaluate(np.append(p, np.zeros(gp.size(r, degree + 2) - len(p))), x, degree + 2),
        at_p,
        rtol=1e-10,
    )
    np.testing.assert_allclose(gp.evaluate(gp.linear(a), x, 1), x @ a, rtol=1e-12)
    nodes, weights = (t.numpy() for t in grid(r, 2 * degree))
    values = gp.evaluate(p, nodes, degree)
    mean = weights @ values
    np.testing.assert_allclose(
        gp.mean_and_variance(p, r, degree),
        (mean, weights @ (values - mean) ** 2),
        rtol=1e-9,
        atol=1e-12,
    )


def test_monomials_are_each_power_once():
    """In three variables up to degree 3: the 20 exponents, each once, by total degree."""
    points = np.array([[2.0, 3.0, 5.0]])
    values = [round(float(gp.evaluate(row, points, 3)[0])) for row in np.eye(gp.size(3, 3))]
    degree = {
        2**i * 3**j * 5**k: i + j + k
        for i in range(4)
        for j in range(4)
        for k in range(4)
        if i + j + k <= 3
    }
    assert sorted(values) == sorted(degree)
    assert [degree[v] for v in values] == sorted(degree.values())
