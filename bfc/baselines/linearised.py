"""Networks of finite width, linearised at their random start: the tangent ("lazy") regime.

Ridge regression on the gradient of the output in all parameters, drawn anew for every seed, without
the limit of infinite width. Gradients are never formed, since that of a weight matrix is an outer
product.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.baselines.checks import NOT_NEGATIVE, check_option, check_value, integers_from
from bfc.baselines.learning_curve import BLOCK
from bfc.baselines.panels import starts
from bfc.baselines.ridge import KernelRidge
from bfc.types import Target

Layers = list[tuple[Tensor, Tensor]]
"""Per layer its scaled inputs (N, fan_in) and ∂f/∂h_l (N, fan_out)."""


@dataclass(frozen=True)
class Linearised(KernelRidge):
    """K(x, z) = ∇_θ f(x)·∇_θ f(z) at a random θ, scaled to K(x, x) → 1 at |x|² = d in the width.

    f has ``depth`` = L weight layers: h_1 = (W_1 x/√d + √β b_1)/√(1 + β), h_{l+1} = (W_{l+1}
    σ(h_l)/√m + √β b_{l+1})/√(1 + β), f = h_L, with m = ``width`` hidden units, all W and b standard
    normal (and trained), β = ``bias``; σ(h) = √2 max(h, 0), or (h² − 1)/√2 (``quadratic``). The
    output at the start is subtracted. Raises :class:`bfc.errors.UserError` on invalid values.
    """

    identity_name: ClassVar[str] = "bfc.baselines.linearised.Linearised"
    is_rotation_invariant: ClassVar[bool] = False

    depth: int = 3
    width: int = 512
    activation: Literal["relu", "quadratic"] = "relu"
    bias: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_value("depth", self.depth, integers_from(2, 16))
        check_value("width", self.width, integers_from(1))
        check_option("activation", self.activation, ("relu", "quadratic"))
        check_value("bias", self.bias, NOT_NEGATIVE)

    @property
    def label(self) -> str:
        activation = "ReLU" if self.activation == "relu" else "quadratic"
        return f"linearised {activation} network (depth {self.depth}, width {self.width})"

    def gram(self, x: Tensor, z: Tensor, seed: int = 0) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        return self._inner(self._layers(x, seed), self._layers(z, seed))

    def _matrices(
        self, x: Tensor, x_test: Tensor, seed: int
    ) -> tuple[Sequence[Tensor], Iterator[Tensor]]:
        layers = self._layers(x, seed)

        def select(rows: slice) -> Layers:
            return [(inputs[rows], gradients[rows]) for inputs, gradients in layers]

        panels = []
        for first, last in starts(len(x)):
            panels.append(self._inner(select(slice(first, None)), select(slice(first, last))))
        blocks = torch.split(x_test, BLOCK)
        return panels, (self._inner(self._layers(rows, seed), layers) for rows in blocks)

    def _extra_bytes(self, target: Target) -> int:
        numbers_per_row = 2 * self.depth * self.width + target.input_width
        return 8 * ((self.n_max + BLOCK) * numbers_per_row + self.depth * self.width**2)

    def weights(
        self, width: int, seed: int, dtype: torch.dtype, device: torch.device
    ) -> list[tuple[Tensor, Tensor]]:
        """W_l (fan_out, fan_in) and b_l (fan_out,) at the start, l = 1 … L.

        ``width``: the number of input coordinates.
        """
        sizes = [width, *[self.width] * (self.depth - 1), 1]
        role = f"baseline/linearised/{width}"
        weights = []
        for l, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes), start=1):
            w = random.normal([seed], f"{role}/w{l}", (fan_out, fan_in), dtype, device)[0]
            b = random.normal([seed], f"{role}/b{l}", (fan_out,), dtype, device)[0]
            weights.append((w, b))
        return weights

    def _layers(self, x: Tensor, seed: int) -> Layers:
        """Scaled inputs and ∂f/∂h_l of every layer, for ``x`` (N, d).

        The gradient in W_l is their outer product, that in b_l √β times the second.
        """
        weights = self.weights(x.shape[1], seed, x.dtype, x.device)
        share = math.sqrt(1 / (1 + self.bias))
        hidden_share = share / math.sqrt(self.width)
        inputs, slopes = [x * (share / math.sqrt(x.shape[1]))], []
        for w, b in weights[:-1]:
            h = inputs[-1] @ w.mT + share * math.sqrt(self.bias) * b
            activation, slope = self._activate(h)
            slopes.append(slope)
            inputs.append(activation * hidden_share)
        gradients = [torch.ones(len(x), 1, dtype=x.dtype, device=x.device)]
        for (w, _), slope in zip(reversed(weights[1:]), reversed(slopes), strict=True):
            gradients.append(gradients[-1] @ w * slope * hidden_share)
        return list(zip(inputs, reversed(gradients), strict=True))

    def _activate(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """σ(h) and σ'(h)."""
        if self.activation == "relu":
            return math.sqrt(2) * h.relu(), math.sqrt(2) * (h > 0).to(h.dtype)
        return (h.square() - 1) / math.sqrt(2), math.sqrt(2) * h

    def _inner(self, left: Layers, right: Layers) -> Tensor:
        """Normalised inner products of the gradients of the rows of ``left`` and ``right``."""
        bias = self.bias / (1 + self.bias)
        products = (
            (g @ g2.mT).mul_((a @ a2.mT).add_(bias))
            for (a, g), (a2, g2) in zip(left, right, strict=True)
        )
        total = functools.reduce(torch.add, products)
        mean_square_slope = 1 if self.activation == "relu" else 2
        step = mean_square_slope / (1 + self.bias)  # E σ'² over the layer's scale
        return total.div_(sum(step**l for l in range(self.depth)))
