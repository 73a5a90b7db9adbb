"""The multilayer perceptron, the practical learner beside the theorists' ones: any depth and width,
ReLU or quadratic units, every level with a read-out of its own so that joint, staged and layer-wise
schedules mean the same as for the quadratic network. Its gradient is written by hand (a stack of
small products is bound by the number of passes, of which autograd makes twice as many)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import UserError, require
from bfc.matmul import affine, product
from bfc.types import Draw, Learner, Params, Target


@dataclass(frozen=True)
class MLP(Learner):
    """f(x) = c + a_l · h_l with h_l = σ(W_l h_{l-1} + b_l), h_1 = input_scale · x, levels l = 2 ...
    H + 1 for H hidden layers; the read-out is that of the highest level present. σ is max(z, 0) or
    z².

    Groups: ``level2`` ... ``level{H+1}`` (W_l, b_l and the read-out a_l) and ``bias`` (c). Initial
    values, all independent: W ~ N(0, weight_sd² / fan_in), b_2 ~ N(0, bias_sd²), other b and c
    zero, a ~ N(0, readout_sd² / fan_in).
    """

    identity_name: ClassVar[str] = "bfc.learners.mlp.MLP"
    version: ClassVar[int] = 1
    needs_reference: ClassVar[bool] = False

    widths: tuple[int, ...] = (128,)
    """Units of every hidden layer."""
    activation: Literal["relu", "quadratic"] = "relu"
    input_scale: float | Literal["sqrt_d"] = 1.0
    """Factor on the inputs; sqrt_d brings inputs of norm one to unit variance per coordinate."""
    weight_sd: float = 1.4142135623730951
    """Standard deviation of a weight times sqrt(fan_in); sqrt 2 is He's."""
    bias_sd: float = 0.0
    """Standard deviation of the first layer's biases."""
    readout_sd: float = 1.0

    def __post_init__(self) -> None:
        require(
            len(self.widths) > 0 and all(m >= 1 for m in self.widths),
            "learner.widths",
            list(self.widths),
            "a list of integers >= 1",
        )
        scale = self.input_scale
        require(
            scale == "sqrt_d" or 0 < scale < float("inf"),
            "learner.input_scale",
            scale,
            "sqrt_d or a number > 0",
        )
        for name in ("weight_sd", "bias_sd", "readout_sd"):
            value = getattr(self, name)
            require(0 <= value < float("inf"), f"learner.{name}", value, "a number >= 0")
        require(self.weight_sd > 0, "learner.weight_sd", self.weight_sd, "a number > 0")

    def check(self, target: Target) -> None:
        """Every target and representation will do."""

    def levels(self, target: Target) -> tuple[int, ...]:
        return tuple(range(2, len(self.widths) + 2))

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        absent = [level for level in range(2, _top(present)) if f"level{level}" not in present]
        if absent:
            raise UserError(
                f"schedule: level{_top(present)} is trained before level{absent[0]}, which it reads"
            )

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        return {
            "bias": ("bias",),
            **{f"level{l}": (f"W{l}", f"b{l}", f"a{l}") for l in self.levels(target)},
        }

    def init_params(self, target: Target, draw: Draw) -> Params:
        like = draw.encode(
            draw.inputs("reference", torch.zeros(len(draw.seeds), 1, dtype=torch.int64))
        )
        cast = {"dtype": like.dtype, "device": like.device}
        params: Params = {"bias": torch.zeros(len(draw.seeds), 1, **cast)}
        fan_in = target.input_width
        for level, width in zip(self.levels(target), self.widths, strict=True):

            def normal(name: str, shape: tuple[int, ...], sd: float) -> Tensor:
                return sd * random.normal(draw.seeds, f"init/{name}", shape, **cast)

            params[f"W{level}"] = normal(f"W{level}", (fan_in, width), self.weight_sd / fan_in**0.5)
            params[f"b{level}"] = normal(f"b{level}", (width,), self.bias_sd if level == 2 else 0.0)
            params[f"a{level}"] = normal(f"a{level}", (width,), self.readout_sd / width**0.5)
            fan_in = width
        return params

    def statistics(self, params: Params, x: Tensor, present: frozenset[str]) -> dict[str, Tensor]:
        return {}

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        if (top := _top(present)) == 1:
            return params["bias"].expand(-1, x.shape[1])
        hidden = self._scaled(x)
        for level in range(2, top + 1):
            z = affine(params[f"b{level}"].unsqueeze(1), hidden, params[f"W{level}"])
            hidden = z.relu() if self.activation == "relu" else z.square()
        return (hidden * params[f"a{top}"].unsqueeze(1)).sum(2) + params["bias"]

    def vjp(
        self, params: Params, x: Tensor, present: frozenset[str], trained: frozenset[str]
    ) -> tuple[Tensor, Callable[[Tensor], Params]]:
        top, relu = _top(present), self.activation == "relu"
        hidden, z = [self._scaled(x)], []
        for level in range(2, top + 1):
            z.append(affine(params[f"b{level}"].unsqueeze(1), hidden[-1], params[f"W{level}"]))
            hidden.append(z[-1].relu_() if relu else z[-1].square())
        readout = params[f"a{top}"].unsqueeze(1) if top > 1 else None
        out = (
            params["bias"].expand(-1, x.shape[1])
            if readout is None
            else (hidden[-1] * readout).sum(2) + params["bias"]
        )
        lowest = min(
            (level for level in range(2, top + 1) if f"W{level}" in trained), default=top + 1
        )

        def back(slope: Tensor) -> Params:
            grads = {"bias": slope.sum(1, keepdim=True)}
            if readout is None:
                return grads
            grads[f"a{top}"] = torch.bmm(slope.unsqueeze(1), hidden[-1]).squeeze(1)
            above = slope.unsqueeze(2) * readout
            for level in range(top, lowest - 1, -1):
                inner = z[level - 2]
                delta = (
                    torch.ops.aten.threshold_backward(above, inner, 0)
                    if relu
                    else above.mul_(inner).mul_(2)
                )
                grads[f"W{level}"] = product(hidden[level - 2].mT, delta)
                grads[f"b{level}"] = delta.sum(1)
                if level > lowest:
                    above = product(delta, params[f"W{level}"].mT)
            return grads

        return out, back

    def _scaled(self, x: Tensor) -> Tensor:
        scale = x.shape[2] ** 0.5 if self.input_scale == "sqrt_d" else self.input_scale
        return x if scale == 1 else x * scale


def _top(present: frozenset[str]) -> int:
    """The highest level present; 1 if there is none."""
    return max((int(name[5:]) for name in present if name.startswith("level")), default=1)
