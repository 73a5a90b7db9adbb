"""Kernels of networks against automatic differentiation and against networks drawn at random."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bfc.baselines.compositional import QuadraticNNGP, QuadraticNTK
from bfc.baselines.kernels import NTK
from bfc.baselines.linearised import Linearised


def gaussian(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("activation", ["relu", "quadratic"])
@pytest.mark.parametrize("depth", [2, 4])
def test_the_linearised_network_has_the_jacobian_of_autograd(activation, depth):
    baseline = Linearised(depth=depth, width=7, activation=activation, bias=0.3)
    x, z = gaussian(4, 3), gaussian(5, 3, seed=1)
    parameters = [
        p.requires_grad_() for pair in baseline.weights(3, 5, torch.float64, x.device) for p in pair
    ]

    def output(row: Tensor) -> Tensor:
        u = row / math.sqrt(3)
        for layer in range(depth):
            h = (
                parameters[2 * layer] @ u + math.sqrt(0.3) * parameters[2 * layer + 1]
            ) / math.sqrt(1.3)
            u = (
                math.sqrt(2) * h.relu() if activation == "relu" else (h**2 - 1) / math.sqrt(2)
            ) / math.sqrt(7)
        return h.squeeze()

    def jacobian(rows: Tensor) -> Tensor:
        return torch.stack(
            [
                torch.cat([g.flatten() for g in torch.autograd.grad(output(row), parameters)])
                for row in rows
            ]
        )

    direct, gram = jacobian(x) @ jacobian(z).T, baseline.gram(x, z, 5)
    scale = float(direct[0, 0] / gram[0, 0])
    torch.testing.assert_close(gram * scale, direct, rtol=1e-9, atol=1e-11)


def test_a_wide_linearised_network_tends_to_the_tangent_kernel():
    x = gaussian(4, 4)
    samples = torch.stack(
        [Linearised(depth=3, width=600, bias=0.0).gram(x, x, seed) for seed in range(24)]
    )
    error = samples.std(0) / math.sqrt(len(samples))
    gap = (samples.mean(0) - NTK(depth=3, bias=0.0).gram(x, x)).abs()
    assert (gap < 5 * error + 2 / 600).all() and error.max() < 0.05


def quadratic_network(
    x: Tensor, depth: int, links: str, bias: float, width: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Conjugate and tangent kernels on the rows of ``x`` of one random network, as the docstring of
    the closed form has it: the gradient of a matrix is (gradient of what it adds to) ⊗ (its
    inputs)."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=x.dtype, generator=generator)

    u = {0: x / math.sqrt(x.shape[1])}
    used = []
    for level in range(2, depth + 1):
        previous = level - 1 if level > 2 else 0
        below = {"chain": {previous}, "skip": {previous, 0}, "dense": {0, *range(2, level)}}[links]
        scale = 1 / math.sqrt(len(below) + bias)
        parts = {j: (scale * u[j] @ normal(u[j].shape[1], width)).requires_grad_() for j in below}
        shift = (scale * math.sqrt(bias) * normal(1, width)).expand(len(x), -1).requires_grad_()
        used += [(part, scale * u[j].detach()) for j, part in parts.items()]
        used.append((shift, scale * math.sqrt(bias) * torch.ones(len(x), 1, dtype=x.dtype)))
        u[level] = ((sum(parts.values()) + shift) ** 2 - 1) / math.sqrt(2 * width)
    scale = 1 / math.sqrt(depth + 1)
    out = sum(scale * part @ normal(part.shape[1], 1) for part in u.values())
    read = [scale * torch.ones(len(x), 1, dtype=x.dtype), *(scale * part for part in u.values())]
    conjugate = sum(part @ part.T for part in read).detach()
    gradients = torch.autograd.grad(out.sum(), [part for part, _ in used])
    return conjugate, conjugate + sum(
        (g @ g.T) * (h @ h.T) for g, (_, h) in zip(gradients, used, strict=True)
    )


@pytest.mark.parametrize(
    ("depth", "links", "bias"),
    [(2, "skip", 0.0), (3, "chain", 0.0), (3, "skip", 0.4), (4, "dense", 0.2)],
)
def test_compositional_kernels_are_limits_of_random_quadratic_networks(depth, links, bias):
    """Mean over 200 networks of width 200: within 5 standard errors of it, plus the bias of a
    finite width."""
    x = gaussian(3, 5) * 0.7
    generator = torch.Generator().manual_seed(depth)
    samples = [quadratic_network(x, depth, links, bias, 200, generator) for _ in range(200)]
    options = {"depth": depth, "links": links, "bias": bias}
    for i, kernel in enumerate((QuadraticNNGP(**options), QuadraticNTK(**options))):
        empirical = torch.stack([sample[i] for sample in samples])
        typical = torch.ones(1, 5, dtype=torch.float64)
        assert kernel.gram(typical, typical).item() == pytest.approx(1)
        closed = kernel.gram(x, x) * (kernel._typical(tangent=True) if i else 1)
        error = empirical.std(0) / math.sqrt(200)
        allowed = 5 * error + 0.03 * (depth - 2) * closed.abs().max()
        deviation = (empirical.mean(0) - closed).abs()
        assert (deviation < allowed).all(), (empirical.mean(0), closed)
        assert error.max() < 0.1 * closed.abs().max(), "too few networks to tell"
