"""The unit-wise capacity of a two-layer ReLU network, beside the error that it should bound.

Neyshabur, Li, Bhojanapalli, LeCun & Srebro (arXiv:1805.12076) measure how far every hidden unit has
moved, and find a bound that falls with width where norms rise. Formula and constants are those of
the authors' code. The bound holds with probability .99; at these sizes it is far above one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError
from bfc.learners.mlp import MLP
from bfc.probes.common import undefined
from bfc.types import Draw, Learner, Params, Probe, Progress, Target

MARGIN_QUANTILE = 0.05
"""γ is the margin that this share of the training rows does not reach."""
FAILURE = 0.01
"""δ, the probability with which the bound may fail."""
CONSTANT = 3 * math.sqrt(2)
COLUMNS = ("beta", "alpha", "margin", "measure", "frobenius", "bound")


@dataclass(frozen=True)
class TwoLayerWeights:
    """One network V relu(U x) without biases: U (H, D), V (H, C), and U⁰ at the start."""

    u: Tensor
    u0: Tensor
    v: Tensor

    @property
    def moved(self) -> Tensor:
        """β_i = ‖u_i − u_i⁰‖, (H,)."""
        distances: Tensor = torch.linalg.vector_norm(self.u - self.u0, dim=1)
        return distances

    def measure(self, x: Tensor) -> float:
        """(‖V‖_F + 1)(√Σ_i mean_x relu(u_i⁰ x)² + ‖U − U⁰‖_F rms‖x‖ + 1) on ``x`` (n, D)."""
        start = (x @ self.u0.mT).relu().square().mean(0).sum().sqrt()
        moved = self.moved.norm() * root_mean_square(x)
        return float((self.v.norm() + 1) * (start + moved + 1))

    def frobenius(self, x: Tensor) -> float:
        """‖U‖_F ‖V‖_F rms‖x‖, which bounds by the norms of the layers contain."""
        return float(self.u.norm() * self.v.norm() * root_mean_square(x))

    def bound(self, x: Tensor, margin: float) -> float:
        """√(b/n), which the error exceeds the share of margins below ``margin`` by at most.

        b = (R + 3√(5H + ln(max(1, γ√n)/δ)))², R = 3√2 (√(2C) + 1) :meth:`measure` / γ.
        """
        n, (units, classes) = len(x), self.v.shape
        radius = CONSTANT * (math.sqrt(2 * classes) + 1) * self.measure(x) / margin
        log_term = math.log(max(1.0, margin * math.sqrt(n)) / FAILURE)
        return (radius + 3 * math.sqrt(5 * units + log_term)) / math.sqrt(n)


@dataclass(frozen=True)
class Capacity(Probe):
    """``capacity/<name>`` of a two-layer ReLU network on the rows that it was trained on.

    ``beta`` and ``alpha``, means over units of β_i = ‖u_i − u_i⁰‖ and α_i = ‖v_i‖; ``margin``, γ,
    the 5 % quantile of the margin f_y − max_{j≠y} f_j; ``measure`` and ``frobenius``, the
    capacities of :class:`TwoLayerWeights` over γ; ``bound``, √(b/n). The risk beside them is what
    they should say something about.

    Biases are weights of an input 1, and the constant of the output is a unit of that input alone,
    which does not move. One output g stands for the two scores −g/2 and g/2. NaN where γ <= 0 (the
    training rows are not fitted), and with fresh rows at every step.
    """

    identity_name: ClassVar[str] = "bfc.probes.capacity.Capacity"
    version: ClassVar[int] = 1

    def check(self, target: Target, learner: Learner) -> None:
        if not _is_two_layer_relu(learner):
            raise UserError(
                "probe=capacity: needs learner=mlp with one hidden layer of ReLU units; change "
                "learner.widths or learner.activation, or set probe=none"
            )
        if target.outputs == 1 and target.has_squared_error:
            raise UserError(
                "probe=capacity: needs labels that are classes; allowed: task=classification, a "
                "target of classes, or probe=none"
            )

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        nothing = torch.zeros(len(draw.seeds), dtype=torch.int64)
        progress = Progress(nothing, nothing)
        return self.measure_training(target, draw, learner, params, present, progress)

    def measure_training(
        self,
        target: Target,
        draw: Draw,
        learner: Learner,
        params: Params,
        present: frozenset[str],
        progress: Progress,
    ) -> dict[str, Tensor]:
        assert isinstance(learner, MLP)
        values = {name: undefined(len(draw.seeds)) for name in COLUMNS}
        if "level2" not in present:
            return {f"capacity/{name}": value for name, value in values.items()}
        start = learner.init_params(target, draw)
        for r, n in enumerate(progress.n.tolist()):
            one = {name: p[r : r + 1] for name, p in params.items()}
            network = as_two_layer(one, {name: p[r : r + 1] for name, p in start.items()})
            values["beta"][r] = network.moved[:-1].mean()
            values["alpha"][r] = network.v[:-1].norm(dim=1).mean()
            if not n:
                continue
            rows = torch.arange(n).unsqueeze(0)
            draw_of_one = draw.select([r])
            inputs = draw_of_one.inputs("train", rows)
            x, y = draw_of_one.encode(inputs), draw_of_one.observe("train", rows, inputs)
            margins = training_margins(learner.forward(one, x, present), y)[0].double()
            margin = float(margins.quantile(MARGIN_QUANTILE))
            values["margin"][r] = margin
            if margin > 0:
                seen = with_constant(learner.scale_inputs(x)[0].double())
                values["measure"][r] = network.measure(seen) / margin
                values["frobenius"][r] = network.frobenius(seen) / margin
                values["bound"][r] = network.bound(seen, margin)
        return {f"capacity/{name}": value for name, value in values.items()}


def as_two_layer(params: Params, start: Params) -> TwoLayerWeights:
    """The network of one replica of learner=mlp with one hidden layer, without biases."""
    readout, constant = params["a2"][0].double(), params["bias"].double()
    if readout.dim() == 1:
        readout = torch.stack([-readout / 2, readout / 2], 1)
        constant = torch.cat([-constant / 2, constant / 2], 1)
    layers = []
    for weights in (params, start):
        units = torch.cat([weights["W2"][0].mT, weights["b2"][0].unsqueeze(1)], 1).double()
        constant_unit = torch.zeros_like(units[:1])
        constant_unit[0, -1] = 1.0
        layers.append(torch.cat([units, constant_unit]))
    return TwoLayerWeights(layers[0], layers[1], torch.cat([readout, constant]))


def training_margins(out: Tensor, y: Tensor) -> Tensor:
    """f_y − max_{j≠y} f_j (R, B) of scores (R, B, C) and classes, or y g of ±1 and one output."""
    if out.dim() == 2:
        return y * out
    label = y.long().unsqueeze(2)
    others = out.scatter(2, label, float("-inf")).amax(2)
    return out.gather(2, label).squeeze(2) - others


def with_constant(x: Tensor) -> Tensor:
    """Rows (n, D) with an input 1, (n, D + 1)."""
    return torch.cat([x, torch.ones_like(x[:, :1])], 1)


def root_mean_square(x: Tensor) -> Tensor:
    """√ mean ‖x‖² over rows (n, D)."""
    return x.square().sum(1).mean().sqrt()


def _is_two_layer_relu(learner: Learner) -> bool:
    return isinstance(learner, MLP) and learner.activation == "relu" and len(learner.widths) == 1
