"""Checks and quadrature grids that several test files of targets share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from scipy.special import roots_hermitenorm
from torch import Tensor

from bfc.targets.quadratic_densenet import QuadraticDenseNet

SEEDS = (0, 1, 12345, 2**40)


def rows(count: int, replicas: int, start: int = 0) -> Tensor:
    return torch.arange(start, start + count).expand(replicas, -1)


def assert_population(target) -> None:
    """Against 2^18 rows in standard errors: those of the sample, and the one the draw states."""
    draw = target.draw(SEEDS, torch.float64)
    chunks = [rows(1 << 15, len(SEEDS), k << 15) for k in range(8)]
    y = torch.cat([draw.labels(draw.inputs("test", chunk)) for chunk in chunks], 1)
    n = y.shape[1]
    mean, squared = y.mean(1), (y - y.mean(1, keepdim=True)).square()
    error = (squared.var(1) / n + draw.variance_error.square()).sqrt()
    assert bool((error < 0.05 * draw.variance).all()), "too blunt to see a wrong constant"
    assert float((mean.abs() / (draw.variance / n).sqrt()).max()) < 4.5
    assert float(((squared.mean(1) - draw.variance).abs() / error.clamp(min=1e-3)).max()) < 4.5


def assert_degree(target) -> None:
    """Along a line a polynomial of degree D has vanishing divided differences of order D + 1.

    On almost every line those of order D do not vanish: far out, where the top degree dominates,
    they are as large as those of t^D.
    """
    draw, degree = target.draw(SEEDS[:2], torch.float64), target.degree
    t = 1000 * torch.cos(
        math.pi * (torch.arange(degree + 2, dtype=torch.float64) + 0.5) / (degree + 2)
    )
    direction, offset = (draw.inputs(role, rows(1, 2)) for role in ("train", "test"))
    direction = direction / direction.norm(dim=2, keepdim=True)
    y = draw.labels(offset + t.view(1, -1, 1) * direction)

    def difference(y: Tensor, count: int) -> Tensor:
        nodes = t[:count]
        weights = 1 / (nodes.unsqueeze(1) - nodes + torch.eye(count, dtype=torch.float64)).prod(1)
        terms = y[:, :count] * weights
        return terms.sum(1).abs() / terms.abs().sum(1)

    assert float(difference(y, degree + 2).max()) < 1e-12
    like = float(difference(t.unsqueeze(0) ** degree, degree + 1))
    assert like > 1e-10 and float(difference(y, degree + 1).min()) > 0.1 * like


def assert_draw_and_degree(target, degree) -> None:
    draw = target.draw([0], torch.float64)
    assert target.degree == degree and 0 < float(draw.variance_error) < 0.1 * float(draw.variance)
    assert bool(draw.labels(draw.inputs("test", rows(50, 1))).isfinite().all())


def grid(d: int, degree: int) -> tuple[Tensor, Tensor]:
    """Nodes (N, d) and weights (N,) that integrate polynomials up to this degree exactly against
    N(0, I_d)."""
    nodes, weights = roots_hermitenorm(degree // 2 + 1)
    weights = weights / weights.sum()
    x = np.stack(np.meshgrid(*[nodes] * d, indexing="ij"), -1).reshape(-1, d)
    w = np.array([1.0])
    for _ in range(d):
        w = np.multiply.outer(w, weights).ravel()
    return torch.tensor(x), torch.tensor(w)


def assert_function_of_seed(target, dtype) -> None:
    """A draw of a seed is the same in every stack and order, and another seed gives another one."""
    stack = target.draw(SEEDS, dtype)
    assert stack.seeds == SEEDS
    x = stack.inputs("train", rows(50, len(SEEDS)))
    y = stack.labels(x)
    features = stack.features(x)
    assert x.dtype == y.dtype == dtype
    assert x.shape == (len(SEEDS), 50, target.d)
    assert y.shape == (len(SEEDS), 50)
    assert stack.variance.shape == stack.variance_error.shape == (len(SEEDS),)
    assert stack.variance.dtype == stack.variance_error.dtype == torch.float64
    assert set(features) == set(target.levels)
    order = [2, 0, 0, 1]
    others = [([i], target.draw([seed], dtype)) for i, seed in enumerate(SEEDS)]
    others.append((order, stack.select(order)))
    for index, other in others:
        assert other.seeds == tuple(SEEDS[i] for i in index)
        again = other.inputs("train", rows(50, len(index)))
        assert torch.equal(again, x[index])
        assert torch.equal(other.variance, stack.variance[index])
        torch.testing.assert_close(other.labels(again), y[index])
        for name, value in stack.revealed.tensors().items():
            torch.testing.assert_close(other.revealed.tensors()[name], value[index])
        for level, z in other.features(again).items():
            torch.testing.assert_close(z, features[level][index])
    assert not torch.allclose(y[0], y[1])


def assert_rows_nested(target) -> None:
    """A row is a function of its number and role, whichever others are drawn with it."""
    draw = target.draw(SEEDS[:2])
    x = draw.inputs("train", rows(64, 2))
    assert torch.equal(draw.inputs("train", rows(10, 2)), x[:, :10])
    assert torch.equal(draw.inputs("train", rows(14, 2, 50)), x[:, 50:])
    assert torch.equal(
        draw.inputs("train", torch.tensor([[5, 5, 0], [63, 1, 2]])),
        torch.stack([x[0, [5, 5, 0]], x[1, [63, 1, 2]]]),
    )
    roles = ("train", "test", "validation", "reference", "probe")
    for role, other in itertools.combinations(roles, 2):
        assert not torch.equal(draw.inputs(role, rows(64, 2)), draw.inputs(other, rows(64, 2)))


def brute_force(
    target: QuadraticDenseNet,
    weights: dict[int, dict[int, Tensor]],
    at: Tensor,
    law_grid: Callable[[int, int], tuple[Tensor, Tensor]] = grid,
) -> dict:
    """The formula of the class, with every constant from a grid on the span of what is read.

    Returns the variances per unit, the standard deviations per unit and per level, the population
    mean and variance, and the labels at the rows ``at`` (N, d). ``weights`` are those of one
    replica; ``law_grid`` is exact under the input law, as :func:`grid` is under N(0, I).
    """
    forms = torch.cat(
        [parts[0] for parts in weights.values() if 0 in parts]
        or [torch.eye(target.d, dtype=torch.float64)]
    )
    basis = torch.eye(target.d, dtype=torch.float64)
    reads_squares = any(1 in parts for parts in weights.values())
    if not reads_squares and len(forms) < target.d:
        basis = torch.linalg.qr(forms.T)[0].T
    x, w = law_grid(len(basis), 2 * target.degree)
    x = x @ basis
    mean = partial(torch.matmul, w)
    total = torch.zeros(len(x), dtype=torch.float64)
    total_at = torch.zeros(len(at), dtype=torch.float64)
    u, u_at = ({0: v, 1: (v**2 - 1) / math.sqrt(2)} for v in (x, at))
    result = {"unit": {}, "unit_sd": {}, "level_sd": []}
    for level, alpha in zip(range(2, target.L + 1), target.alpha, strict=True):
        z = sum(u[j] @ row.T for j, row in weights[level].items())
        z_at = sum(u_at[j] @ row.T for j, row in weights[level].items())
        sd = (mean(z**4) - mean(z**2) ** 2).sqrt()
        u[level] = (z**2 - 1) / sd
        u_at[level] = (z_at**2 - 1) / sd
        size = (z**2).sum(1) - z.shape[1]
        c = mean(size**2).sqrt()
        total = total + alpha * size / c
        total_at = total_at + alpha * ((z_at**2).sum(1) - z.shape[1]) / c
        result["unit"][level] = mean(z**2)
        result["unit_sd"][level] = sd
        result["level_sd"].append(c)
    return {
        **result,
        "mean": mean(total),
        "variance": mean(total**2) - mean(total) ** 2,
        "labels": total_at,
    }
