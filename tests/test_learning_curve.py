"""Exact learning curves against direct solves, and what must not change them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from bfc.baselines import panels as panels_module
from bfc.baselines.kernels import NTK, RBF, Polynomial
from bfc.baselines.learning_curve import CurveLabels, learning_curve
from bfc.baselines.panels import cholesky, count_entries, gram_matrix, kernel_panels
from bfc.baselines.selection import crossing, geometric_grid
from bfc.errors import UserError


def problem(n: int = 120, test: int = 70, d: int = 7) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n + test, d, dtype=torch.float64, generator=generator)
    y = x[:, 0] * x[:, 1] + 0.3 * x[:, 2]
    kernel = NTK()
    return kernel.gram(x[:n], x[:n]), kernel.gram(x[n:], x[:n]), y[:n], y[n:]


def direct(
    kernel: Tensor, cross: Tensor, y: Tensor, f_test: Tensor, variance: float, ridge: float, n: int
) -> float:
    """The textbook estimator, refitted on the first n points."""
    shifted = kernel[:n, :n] + ridge * torch.eye(n, dtype=kernel.dtype)
    prediction = cross[:, :n] @ torch.linalg.solve(shifted, y[:n])
    return ((prediction - f_test).square().mean() / variance).item()


@pytest.mark.parametrize("ridge", [1e-6, 1e-2, 3.0])
def test_curve_equals_direct_solves_at_every_n(ridge):
    kernel, cross, y, f_test = problem()
    curve = learning_curve(kernel, cross, CurveLabels(y, f_test, 1.09), ridge)
    expected = [direct(kernel, cross, y, f_test, 1.09, ridge, n) for n in range(1, 121)]
    torch.testing.assert_close(
        curve, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0
    )


@pytest.mark.parametrize("grid", [None, [1, 8, 50, 120]])
def test_several_outputs_are_one_regression_each(grid):
    """Squares of all outputs against direct solves, and the largest score against the class."""
    kernel, cross, _, _ = problem()
    generator = torch.Generator().manual_seed(1)
    classes = torch.randint(0, 3, (190,), generator=generator)
    y = torch.nn.functional.one_hot(classes, 3).double()
    truth = classes[120:].double()
    errors = {
        "squares": lambda out, c: (out - y[120:].unsqueeze(1)).square().sum(2),
        "wrong": lambda out, c: (out.argmax(2) != c).double(),
    }
    for name, error in errors.items():
        labels = CurveLabels(y[:120], truth, 0.5, error)
        curve = learning_curve(kernel, cross, labels, 1e-2, grid)
        expected = []
        for n in grid or range(1, 121):
            shifted = kernel[:n, :n] + 1e-2 * torch.eye(n, dtype=kernel.dtype)
            out = cross[:, :n] @ torch.linalg.solve(shifted, y[:n])
            wrong = (out.argmax(1) != classes[120:]).double().mean() / 0.5
            squares = (out - y[120:]).square().sum(1).mean() / 0.5
            expected.append({"squares": squares, "wrong": wrong}[name])
        torch.testing.assert_close(curve, torch.stack(expected), rtol=1e-9, atol=1e-12)


def test_grid_picks_from_the_whole_curve():
    kernel, cross, y, f_test = problem()
    whole = learning_curve(kernel, cross, CurveLabels(y, f_test, 1.0), 1e-3)
    grid = geometric_grid(120, 1.2)
    picked = learning_curve(kernel, cross, CurveLabels(y, f_test, 1.0), 1e-3, grid)
    torch.testing.assert_close(picked, whole[torch.tensor(grid) - 1], rtol=1e-12, atol=0)


def test_prefix_does_not_depend_on_what_follows():
    kernel, cross, y, f_test = problem()
    whole = learning_curve(kernel, cross, CurveLabels(y, f_test, 1.0), 1e-3)
    prefix = learning_curve(kernel[:50, :50], cross[:, :50], CurveLabels(y[:50], f_test, 1.0), 1e-3)
    torch.testing.assert_close(whole[:50], prefix, rtol=1e-11, atol=0)


@pytest.mark.parametrize("block", [1, 13, 70])
def test_curve_does_not_depend_on_blocks(block):
    kernel, cross, y, f_test = problem()
    before = kernel.clone(), cross.clone()
    whole = learning_curve(kernel, cross, CurveLabels(y, f_test, 1.0), 1e-3)
    torch.testing.assert_close(
        learning_curve(kernel, cross.split(block), CurveLabels(y, f_test, 1.0), 1e-3),
        whole,
        rtol=1e-12,
        atol=0,
    )
    assert torch.equal(kernel, before[0]) and torch.equal(cross, before[1]), (
        "arguments were changed"
    )


@pytest.mark.parametrize("kernel", [NTK(), RBF(), Polynomial()], ids=lambda k: type(k).__name__)
@pytest.mark.parametrize("tile", [7, 30, 64])
def test_kernel_matrices_by_tiles_equal_whole_ones(kernel, tile, monkeypatch):
    monkeypatch.setattr(panels_module, "TILE", tile)
    x, z = torch.randn(30, 5, dtype=torch.float64), torch.randn(17, 5, dtype=torch.float64)
    torch.testing.assert_close(
        gram_matrix(kernel.gram, x), kernel.gram(x, x), rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(
        gram_matrix(kernel.gram, x, z), kernel.gram(x, z), rtol=1e-12, atol=1e-12
    )


def test_mismatched_shapes_are_refused():
    kernel, cross, y, f_test = problem()
    for grid in ([], [0, 3], [121]):
        with pytest.raises(ValueError, match="n must hold"):
            learning_curve(kernel, cross, CurveLabels(y, f_test, 1.0), 1.0, grid)
    with pytest.raises(ValueError, match="rows"):
        learning_curve(kernel, cross[:-1], CurveLabels(y, f_test, 1.0), 1.0)


def test_factor_is_that_of_the_shifted_kernel():
    kernel = problem()[0]
    ((factor, below),) = cholesky(kernel, 0.5).parts
    torch.testing.assert_close(
        factor @ factor.T, kernel + 0.5 * torch.eye(120, dtype=torch.float64)
    )
    assert torch.equal(factor, factor.tril()) and not len(below)


@pytest.mark.parametrize("width", [1, 7, 40, 119, 120])
def test_panels_give_the_curve_of_the_whole_matrix(width, monkeypatch):
    """Whatever their width; and the factor takes the place of the matrix only where it may."""
    kernel, cross, y, f_test = problem()
    whole = learning_curve(kernel, cross, CurveLabels(y, f_test, 1.0), 1e-3)
    monkeypatch.setattr(panels_module, "PANEL", width)
    x = torch.randn(30, 7, dtype=torch.float64)
    for panel, first in zip(kernel_panels(NTK().gram, x), range(0, 30, width), strict=True):
        torch.testing.assert_close(
            panel, NTK().gram(x[first:], x[first : first + width]), rtol=1e-12, atol=1e-12
        )
    before, parts = kernel.clone(), panels_module.split(kernel.clone())
    torch.testing.assert_close(
        learning_curve(kernel, cross, CurveLabels(y, f_test, 1.0), 1e-3), whole, rtol=1e-9, atol=0
    )
    assert torch.equal(kernel, before)
    torch.testing.assert_close(
        learning_curve(parts, cross, CurveLabels(y, f_test, 1.0), 1e-3, overwrite=True),
        whole,
        rtol=1e-9,
        atol=0,
    )
    assert not torch.equal(parts[0], before[:, :width])
    with pytest.raises(
        UserError, match=r"^baseline\.ridge=1e-18: too small for this kernel at n=120"
    ):
        cholesky(Polynomial(degree=2).gram(x.repeat(4, 1), x.repeat(4, 1)), 1e-18)
    assert count_entries(120) == sum(part.numel() for part in parts)
    assert count_entries(40) <= 40**2


def test_numerically_singular_kernels_are_refused_without_jitter():
    x = torch.randn(100, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    kernel = Polynomial(degree=2).gram(x, x)  # rank 10
    for ridge in (0.0, 1e-18):
        with pytest.raises(UserError, match=r"^baseline\.ridge=.*: too small .* must be larger$"):
            cholesky(kernel, ridge)
    with pytest.raises(UserError, match="too small"):
        cholesky(-kernel, 1e-3)
    assert cholesky(kernel, 1e-10).parts[0][0].isfinite().all()


@pytest.mark.parametrize(
    ("n_max", "ratio"), [(9, 1.1), (64, 2.0), (100, 1.1), (4096, 1.1), (4096, 1.001), (10, 50.0)]
)
def test_grid_is_geometric_and_ends_exactly(n_max, ratio):
    grid = geometric_grid(n_max, ratio)
    assert grid[0] == 8 and grid[-1] == n_max and all(isinstance(n, int) for n in grid)
    assert all(a < b <= max(a + 1, a * ratio + 1.0 + ratio) for a, b in itertools.pairwise(grid))


def test_crossing_interpolates_in_logarithms():
    n = [10, 20, 40, 80]
    assert crossing(n, [8.0, 4.0, 2.0, 1.0], math.sqrt(8)) == pytest.approx(20 * math.sqrt(2))
    assert crossing(n, [1.0, 0.1, 0.5, 0.1], 0.1) == 20, "the first crossing counts"
    assert crossing(n, [0.1, 1.0, 1.0, 1.0], 0.2) == 10
    assert crossing(n, [1.0, 1.0, 1.0, 0.3], 0.2) is None
    assert 10 < crossing(n, [1.0, 0.0, 0.0, 0.0], 0.2) < 20
