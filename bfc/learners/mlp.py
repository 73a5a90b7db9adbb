"""The multilayer perceptron, the practical learner beside the theorists' ones: any depth and width, ReLU or quadratic units, every
level with a read-out of its own so that joint, staged and layer-wise schedules mean the same as for the quadratic network. Its
gradient is written by hand (a stack of small products is bound by the number of passes, of which autograd makes twice as many)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import streams
from bfc.errors import UserError, require
from bfc.types import Draw, Learner, Params, Target


@dataclass(frozen=True)
class MLP(Learner):
    """f(x) = c + a_l · h_l with h_l = σ(W_l h_{l-1} + b_l), h_1 = input_scale · x, levels l = 2 ... H + 1 for H hidden layers; the
    read-out is that of the highest level present. σ is max(z, 0) or z².

    Groups: ``level2`` ... ``level{H+1}`` (W_l, b_l and the read-out a_l) and ``bias`` (c). Initial values, all independent:
    W ~ N(0, weight_sd² / fan_in), b_2 ~ N(0, bias_sd²), other b and c zero, a ~ N(0, readout_sd² / fan_in).
    """

    numerics: ClassVar[int] = 1
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
        require(len(self.widths) > 0 and all(m >= 1 for m in self.widths), "learner.widths", list(self.widths), "a list of integers >= 1")
        scale = self.input_scale
        require(scale == "sqrt_d" or 0 < scale < float("inf"), "learner.input_scale", scale, "sqrt_d or a number > 0")
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
            raise UserError(f"schedule: level{_top(present)} is trained before level{absent[0]}, which it reads")

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        return {"bias": ("bias",), **{f"level{l}": (f"W{l}", f"b{l}", f"a{l}") for l in self.levels(target)}}

    def init_params(self, target: Target, draw: Draw) -> Params:
        like = draw.encode(draw.inputs("reference", torch.zeros(len(draw.seeds), 1, dtype=torch.int64)))
        cast = {"dtype": like.dtype, "device": like.device}
        params: Params = {"bias": torch.zeros(len(draw.seeds), 1, **cast)}
        fan_in = target.input_width
        for level, width in zip(self.levels(target), self.widths, strict=True):
            def normal(name: str, shape: tuple[int, ...], sd: float) -> Tensor:
                return sd * streams.normal(draw.seeds, f"init/{name}", shape, **cast)

            params[f"W{level}"] = normal(f"W{level}", (fan_in, width), self.weight_sd / fan_in**0.5)
            params[f"b{level}"] = normal(f"b{level}", (width,), self.bias_sd if level == 2 else 0.0)
            params[f"a{level}"] = normal(f"a{level}", (width,), self.readout_sd / width**0.5)
            fan_in = width
        return params

    def statistics(self, params: Params, x: Tensor, present: frozenset[str]) -> dict[str, Tensor]:
        return {}

    def forward(self, params: Params, x: Tensor, present: frozenset[str],
                statistics: Mapping[str, Tensor] | None = None) -> Tensor:
        top = _top(present)
        if top == 1:
            return params["bias"].expand(-1, x.shape[1])
        scale = x.shape[2] ** 0.5 if self.input_scale == "sqrt_d" else self.input_scale
        layers = [params[f"{name}{level}"] for level in range(2, top + 1) for name in ("W", "b")]
        return _Network.apply(x if scale == 1 else x * scale, self.activation, params["bias"], params[f"a{top}"], *layers)


def _top(present: frozenset[str]) -> int:
    """The highest level present; 1 if there is none."""
    return max((int(name[5:]) for name in present if name.startswith("level")), default=1)


class _Network(torch.autograd.Function):
    """x (R, B, d), c (R, 1), a (R, m), W (R, m', m) and b (R, m) of every layer → outputs (R, B)."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, activation: str, c: Tensor, a: Tensor, *layers: Tensor) -> Tensor:
        hidden, inner = x, []
        for w, b in zip(layers[::2], layers[1::2], strict=True):
            z = torch.baddbmm(b.unsqueeze(1), hidden, w)
            hidden = z.relu_() if activation == "relu" else z.square()
            inner += [hidden] if activation == "relu" else [hidden, z]
        ctx.activation, ctx.count = activation, len(layers) // 2
        ctx.save_for_backward(x, a, *layers[::2], *inner)
        return (hidden * a.unsqueeze(1)).sum(2) + c

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, a, *rest = ctx.saved_tensors
        weights, inner = rest[: ctx.count], rest[ctx.count :]
        hidden, z = (inner, inner) if ctx.activation == "relu" else (inner[::2], inner[1::2])
        needed = ctx.needs_input_grad
        result: list[Tensor | None] = [None] * len(needed)
        result[2] = grad.sum(1, keepdim=True)
        result[3] = torch.bmm(grad.unsqueeze(1), hidden[-1]).squeeze(1)
        lowest = next((i for i in range(ctx.count) if needed[0] or needed[4 + 2 * i] or needed[5 + 2 * i]), ctx.count)
        above = grad.unsqueeze(2) * a.unsqueeze(1) if lowest < ctx.count else None
        for i in reversed(range(lowest, ctx.count)):
            if ctx.activation == "relu":
                delta = torch.ops.aten.threshold_backward(above, z[i], 0)
            else:
                delta = above.mul_(z[i]).mul_(2)
            result[4 + 2 * i] = torch.bmm((hidden[i - 1] if i else x).mT, delta)
            result[5 + 2 * i] = delta.sum(1)
            if i > lowest or needed[0]:
                above = torch.bmm(delta, weights[i].mT)
        result[0] = above if needed[0] else None
        return tuple(result)
