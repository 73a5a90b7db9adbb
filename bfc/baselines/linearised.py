"""Networks of finite width, linearised at their random start: the tangent ("lazy") regime without
the limit of infinite width, drawn anew for every seed. Ridge regression on the gradient of the
output in all parameters; gradients are never formed, since that of a weight matrix is an outer
product."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.baselines.panels import starts
from bfc.baselines.ridge import BLOCK, KernelRidge, is_integer, is_number
from bfc.errors import require
from bfc.types import Target


@dataclass(frozen=True)
class Linearised(KernelRidge):
    """K(x, z) = ∇_θ f(x)·∇_θ f(z) at a random θ, divided by what K(x, x) tends to at |x|² = d as
    the width grows.

    f has ``depth`` = L weight layers: h_1 = (W_1 x/√d + √β b_1)/√(1 + β), h_{l+1} = (W_{l+1}
    σ(h_l)/√m + √β b_{l+1})/√(1 + β), f = h_L, with m = ``width`` hidden units, all W and b standard
    normal (and trained), β = ``bias``; σ(h) = √2 max(h, 0), or (h² − 1)/√2 (``quadratic``). The
    output at the start is taken off. Raises :class:`bfc.errors.UserError` on bad values."""

    identity_name: ClassVar[str] = "bfc.baselines.linearised.Linearised"

    depth: int = 3
    width: int = 512
    activation: Literal["relu", "quadratic"] = "relu"
    bias: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            is_integer(self.depth) and 2 <= self.depth <= 16,
            "baseline.depth",
            self.depth,
            "an integer from 2 to 16",
        )
        require(
            is_integer(self.width) and self.width >= 1,
            "baseline.width",
            self.width,
            "an integer >= 1",
        )
        require(
            self.activation in ("relu", "quadratic"),
            "baseline.activation",
            self.activation,
            "relu or quadratic",
        )
        require(
            is_number(self.bias) and self.bias >= 0, "baseline.bias", self.bias, "a number >= 0"
        )

    @property
    def label(self) -> str:
        return f"linearised {'ReLU' if self.activation == 'relu' else 'quadratic'} network (depth {self.depth}, width {self.width})"

    def gram(self, x: Tensor, z: Tensor, seed: int = 0) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        return self._inner(self._parts(x, seed), self._parts(z, seed))

    def _matrices(
        self, x: Tensor, x_test: Tensor, seed: int
    ) -> tuple[Sequence[Tensor], Iterator[Tensor]]:
        parts = self._parts(x, seed)

        def of(rows: slice) -> list[tuple[Tensor, Tensor]]:
            return [(inputs[rows], gradients[rows]) for inputs, gradients in parts]

        panels = [
            self._inner(of(slice(first, None)), of(slice(first, last)))
            for first, last in starts(len(x))
        ]
        return panels, (self._inner(self._parts(rows, seed), parts) for rows in x_test.split(BLOCK))

    def _beside(self, target: Target) -> int:
        return (
            8 * (self.n_max + BLOCK) * (2 * self.depth * self.width + target.input_width)
            + 8 * self.depth * self.width**2
        )

    def weights(
        self, width: int, seed: int, dtype: torch.dtype, device: torch.device
    ) -> list[tuple[Tensor, Tensor]]:
        """W_l (fan_out, fan_in) and b_l (fan_out,) at the start, l = 1 … L, for inputs of ``width``
        coordinates."""
        sizes = [width, *[self.width] * (self.depth - 1), 1]
        role, cast = f"baseline/linearised/{width}", (dtype, device)
        return [
            (
                random.normal([seed], f"{role}/w{l}", (out, fan), *cast)[0],
                random.normal([seed], f"{role}/b{l}", (out,), *cast)[0],
            )
            for l, (fan, out) in enumerate(itertools.pairwise(sizes), start=1)
        ]

    def _parts(self, x: Tensor, seed: int) -> list[tuple[Tensor, Tensor]]:
        """Per layer its scaled inputs (N, fan_in) and ∂f/∂h_l (N, fan_out): the gradient in W_l is
        their outer product, in b_l √β times the second."""
        weights = self.weights(x.shape[1], seed, x.dtype, x.device)
        share, relu = math.sqrt(1 / (1 + self.bias)), self.activation == "relu"
        inputs, slopes = [x * (share / math.sqrt(x.shape[1]))], []
        for w, b in weights[:-1]:
            h = inputs[-1] @ w.mT + share * math.sqrt(self.bias) * b
            slopes.append(math.sqrt(2) * ((h > 0).to(x.dtype) if relu else h))
            inputs.append(
                (math.sqrt(2) * h.relu() if relu else (h.square() - 1) / math.sqrt(2))
                * (share / math.sqrt(self.width))
            )
        gradients = [torch.ones(len(x), 1, dtype=x.dtype, device=x.device)]
        for (w, _), slope in zip(reversed(weights[1:]), reversed(slopes), strict=True):
            gradients.append(gradients[-1] @ w * slope * (share / math.sqrt(self.width)))
        return list(zip(inputs, reversed(gradients), strict=True))

    def _inner(
        self, one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]
    ) -> Tensor:
        bias = self.bias / (1 + self.bias)
        total = sum(
            (g @ g2.mT).mul_((a @ a2.mT).add_(bias))
            for (a, g), (a2, g2) in zip(one, other, strict=True)
        )
        step = (1 if self.activation == "relu" else 2) / (
            1 + self.bias
        )  # E σ'² over the layer's scale
        return total.div_(sum(step**l for l in range(self.depth)))
