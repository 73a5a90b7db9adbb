"""The multilayer perceptron, the practical learner beside the theorists' ones.

It has any depth and width, ReLU or quadratic units, and a read-out of its own at every level, so
that joint, staged and layer-wise schedules mean the same as for the quadratic network. Its gradient
is written by hand: a stack of small products is bound by the number of passes over memory, of which
autograd makes twice as many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc.errors import require
from bfc.learners.capabilities import HiddenStates, InputWeights
from bfc.learners.groups import check_chain, top_level
from bfc.learners.initialiser import Initialiser
from bfc.learners.read_out import (
    constant_gradient,
    initial_weights,
    read_constant,
    read_out,
    unit_gradient,
    weight_gradient,
)
from bfc.matmul import affine, matmul
from bfc.types import Draw, Params, Target


@dataclass(frozen=True)
class MLP(InputWeights, HiddenStates):
    """A multilayer perceptron that is read at the highest level present.

    f(x) = c + a_l · h_l with h_l = σ(W_l h_{l-1} + b_l), h_1 = input_scale · x, levels l = 2 ...
    H + 1 for H hidden layers; σ is max(z, 0) or z².

    Groups: ``level2`` ... ``level{H+1}`` (W_l, b_l and the read-out a_l) and ``bias`` (c). Initial
    values, all independent: W ~ N(0, weight_sd² / fan_in), b_2 ~ N(0, bias_sd²), other b and c
    zero, a ~ N(0, readout_sd² / fan_in). With several outputs (classes) a and c have one entry per
    output (:mod:`bfc.learners.read_out`).
    """

    identity_name: ClassVar[str] = "bfc.learners.mlp.MLP"
    version: ClassVar[int] = 1
    needs_reference: ClassVar[bool] = False
    supports_multi_output: ClassVar[bool] = True
    first_layer: ClassVar[str] = "W2"

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
        valid_widths = len(self.widths) > 0 and all(m >= 1 for m in self.widths)
        require(valid_widths, "learner.widths", list(self.widths), "a list of integers >= 1")
        scale = self.input_scale
        valid_scale = scale == "sqrt_d" or 0 < scale < float("inf")
        require(valid_scale, "learner.input_scale", scale, "sqrt_d or a number > 0")
        sizes = {
            "weight_sd": self.weight_sd,
            "bias_sd": self.bias_sd,
            "readout_sd": self.readout_sd,
        }
        for name, value in sizes.items():
            require(0 <= value < float("inf"), f"learner.{name}", value, "a number >= 0")
        require(self.weight_sd > 0, "learner.weight_sd", self.weight_sd, "a number > 0")

    def check(self, target: Target) -> None:
        """Accept every target and representation."""

    def levels(self, target: Target) -> tuple[int, ...]:
        return tuple(range(2, len(self.widths) + 2))

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        check_chain(present)

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        levels = {f"level{l}": (f"W{l}", f"b{l}", f"a{l}") for l in self.levels(target)}
        return {"bias": ("bias",), **levels}

    def init_params(self, target: Target, draw: Draw) -> Params:
        return self._draw_start(target, Initialiser.like_inputs(draw))

    def _draw_start(self, target: Target, initial: Initialiser) -> Params:
        params: Params = {"bias": initial.zeros(target.outputs)}
        fan_in = target.input_width
        for level, width in zip(self.levels(target), self.widths, strict=True):
            weight_sd = self.weight_sd / fan_in**0.5
            bias_sd = self.bias_sd if level == 2 else 0.0
            readout_sd = self.readout_sd / width**0.5
            params[f"W{level}"] = weight_sd * initial.normal(f"W{level}", fan_in, width)
            params[f"b{level}"] = bias_sd * initial.normal(f"b{level}", width)
            readout = initial_weights(initial, f"a{level}", width, target.outputs)
            params[f"a{level}"] = readout_sd * readout
            fan_in = width
        return params

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        top = top_level(present)
        return self._read_out(params, self.hidden(params, x, present).get(top, x), top)

    def hidden(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Tensor]:
        h, states = self.scale_inputs(x), {}
        for level in range(2, top_level(present) + 1):
            z = affine(params[f"b{level}"].unsqueeze(1), h, params[f"W{level}"])
            states[level] = h = z.relu() if self.activation == "relu" else z.square()
        return states

    def vjp(
        self, params: Params, x: Tensor, present: frozenset[str], trained: frozenset[str]
    ) -> tuple[Tensor, Callable[[Tensor], Params]]:
        top, relu = top_level(present), self.activation == "relu"
        hidden, inner = [self.scale_inputs(x)], []
        for level in range(2, top + 1):
            z = affine(params[f"b{level}"].unsqueeze(1), hidden[-1], params[f"W{level}"])
            hidden.append(z.relu_() if relu else z.square())
            inner.append(z)
        trained_levels = [level for level in range(2, top + 1) if f"W{level}" in trained]
        lowest = min(trained_levels, default=top + 1)

        def back(slope: Tensor) -> Params:
            grads = {"bias": constant_gradient(slope)}
            if top > 1:
                grads |= self._layer_gradients(params, hidden, inner, slope, lowest)
            return grads

        return self._read_out(params, hidden[-1], top), back

    def _layer_gradients(
        self, params: Params, hidden: list[Tensor], inner: list[Tensor], slope: Tensor, lowest: int
    ) -> Params:
        """Gradients of the read-out at the top and of the layers down to ``lowest``.

        ``hidden`` are the inputs and the outputs of every layer; ``inner`` what the units were
        given, with ReLU overwritten by what they gave, which has the same signs.
        """
        top = len(inner) + 1
        grads = {f"a{top}": weight_gradient(slope, hidden[-1])}
        above = unit_gradient(slope, params[f"a{top}"])
        for level in range(top, lowest - 1, -1):
            z = inner[level - 2]
            if self.activation == "relu":
                delta = torch.ops.aten.threshold_backward(above, z, 0)
            else:
                delta = above.mul_(z).mul_(2)
            grads[f"W{level}"] = matmul(hidden[level - 2].mT, delta)
            grads[f"b{level}"] = delta.sum(1)
            if level > lowest:
                above = matmul(delta, params[f"W{level}"].mT)
        return grads

    def _read_out(self, params: Params, hidden: Tensor, top: int) -> Tensor:
        """Outputs from the units (R, B, width) of the highest level."""
        if top == 1:
            return read_constant(params["bias"], hidden.shape[1])
        return read_out(params["bias"], params[f"a{top}"], hidden)

    def scale_inputs(self, x: Tensor) -> Tensor:
        """h_1: the inputs (R, B, d) times ``input_scale``."""
        scale = x.shape[2] ** 0.5 if self.input_scale == "sqrt_d" else self.input_scale
        return x if scale == 1 else x * scale
