"""Deep ReLU networks of a few directions of a Gaussian input.

Chen, Klivans & Meka (arXiv:2009.13512) learn them in a fixed polynomial of d by filtered PCA
(:mod:`bfc.baselines.filtered_pca`). Their labels mix all degrees, so that neither parity in degree
nor a low degree helps a kernel or a moment of the labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from bfc import random
from bfc.errors import UserError, require
from bfc.targets.planted_frame import PlantedFrameDraw, draw_frame
from bfc.types import Target, Theory

PAPER = "Chen, Klivans & Meka, arXiv:2009.13512"
NODES = 1 << 17
"""Gaussian points by which the mean and the variance of a network are known."""
MIN_WIDTH = 4
"""Narrower layers are often dead, and the network constant."""
MAX_WIDTH = 256


@dataclass(frozen=True)
class ReluNetwork(Target):
    """f*(x) = (g(Wx) − mean) / sd, g a ReLU network without biases, x ~ N(0, I_d).

    g(z) = a·h_H with h_l = max(W_l h_{l−1}, 0), h_0 = z, for the H layers of ``widths``; W are
    ``directions`` random orthonormal rows. Weights are N(0, 2/fan_in), a is N(0, 1/fan_in). Mean
    and sd are those of g over :data:`NODES` points per seed, the same for every d.

    Raises :class:`bfc.errors.UserError` on bad values, and for a seed whose network is constant.
    """

    identity_name: ClassVar[str] = "bfc.targets.relu_network.ReluNetwork"
    version: ClassVar[int] = 1

    d: int
    """Input dimension."""
    directions: int = 3
    """k, the directions of x that the network reads."""
    widths: tuple[int, ...] = (8, 8)
    """Units of every hidden layer."""

    def __post_init__(self) -> None:
        require(1 <= self.d <= 1 << 20, "target.d", self.d, "an integer from 1 to 1048576")
        widths = list(self.widths)
        valid_widths = 1 <= len(widths) <= 8 and all(MIN_WIDTH <= m <= MAX_WIDTH for m in widths)
        words = f"a list of 1 to 8 integers from {MIN_WIDTH} to {MAX_WIDTH}"
        require(valid_widths, "target.widths", widths, words)
        most = min(self.d, widths[0])
        words = f"an integer from 1 to {most}, at most target.d and the first of target.widths"
        require(1 <= self.directions <= most, "target.directions", self.directions, words)

    @property
    def levels(self) -> tuple[int, ...]:
        """2 … H + 1: the hidden layers."""
        return tuple(range(2, len(self.widths) + 2))

    @property
    def degree(self) -> int:
        return 0

    def theory(self) -> Mapping[str, Theory]:
        source = f"{PAPER}: a fixed polynomial of d; d is what an eigenvector in noise d/n needs"
        return {"filtered PCA": Theory(1.0, "upper", source, status="heuristic")}

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> ReluNetworkDraw:
        frame = draw_frame(seeds, self.d, self.directions)
        weights = self._draw_weights(seeds)
        moments = torch.stack([_moments([w[i] for w in weights]) for i in range(len(seeds))])
        for seed, variance in zip(seeds, moments[:, 1].tolist(), strict=True):
            if not variance > 0:
                raise UserError(
                    f"target.widths={list(self.widths)}: the network of seed {seed} is constant; "
                    "must be wider, or leave this seed out"
                )
        return ReluNetworkDraw(
            target=self,
            seeds=tuple(seeds),
            frame=frame.to(device, dtype).contiguous(),
            weights=tuple(w.to(device, dtype) for w in weights),
            moments=moments,
        )

    def _draw_weights(self, seeds: Sequence[int]) -> list[Tensor]:
        """W_1 … W_H (R, units, fan_in) and the read-out a (R, 1, fan_in)."""
        weights, fan_in = [], self.directions
        for number, units in enumerate((*self.widths, 1)):
            gain = 2.0 if number < len(self.widths) else 1.0
            raw = random.normal(seeds, f"target/layer{number}", (units, fan_in), torch.float64)
            weights.append(raw * math.sqrt(gain / fan_in))
            fan_in = units
        return weights


def _hidden_layers(weights: Sequence[Tensor], z: Tensor) -> Iterator[Tensor]:
    """h_1 … h_H (..., B, units) at projections (..., B, k)."""
    for w in weights[:-1]:
        z = (z @ w.mT).relu()
        yield z


def _moments(weights: Sequence[Tensor]) -> Tensor:
    """Mean, variance and the standard error of the variance of one network g, (3,), float64."""
    points = (NODES, weights[0].shape[-1])
    z = random.normal([0], "target/relu_network/nodes", points, torch.float64)[0]
    *_, top = _hidden_layers(weights, z)
    values = (top @ weights[-1].mT).squeeze(-1)
    squares = (values - values.mean()).square()
    return torch.stack([values.mean(), squares.mean(), squares.std() / math.sqrt(NODES)])


@dataclass(frozen=True, kw_only=True)
class ReluNetworkDraw(PlantedFrameDraw):
    """R realisations of a :class:`ReluNetwork`; see :class:`bfc.types.Draw`."""

    target: ReluNetwork
    weights: tuple[Tensor, ...]
    """W_1 … W_H and a, (R, units, fan_in)."""
    moments: Tensor
    """Mean, variance and the standard error of the variance of g, (R, 3), float64."""

    @property
    def variance(self) -> Tensor:
        return torch.ones(len(self.seeds), dtype=torch.float64)

    @property
    def variance_error(self) -> Tensor:
        return self.moments[:, 2] / self.moments[:, 1]

    def features(self, x: Tensor) -> dict[int, Tensor]:
        """The hidden layers h_1 … h_H as levels 2 … H + 1, (R, B, units)."""
        layers = _hidden_layers(self.weights, torch.bmm(x, self.frame.mT))
        return dict(enumerate(layers, start=2))

    def labels(self, x: Tensor) -> Tensor:
        top = self.features(x)[self.target.levels[-1]]
        values = torch.bmm(top, self.weights[-1].mT).squeeze(2)
        mean, variance, _ = self.moments.to(x.device, x.dtype).unsqueeze(2).unbind(1)
        return (values - mean) / variance.sqrt()

    def select(self, index: Sequence[int]) -> Self:
        chosen = list(index)
        return replace(
            super().select(index),
            weights=tuple(w[chosen] for w in self.weights),
            moments=self.moments[chosen],
        )
