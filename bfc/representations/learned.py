"""Representations learned from labels: the hidden layer of a two-layer ReLU network.

It is taken after one gradient step, one least-squares step or full training, on labels of its own
(stream ``representation``). Those labels are not part of n; they are stated as ``facts.labels``
with every result, and a fair comparison adds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import UserError, require
from bfc.representations.base import Representation
from bfc.types import Draw, Target, sample


@dataclass(frozen=True)
class Learned(Representation):
    """h(x) = ReLU(xW + b), each column divided by its root mean square on the labelled inputs.

    Initially w_j⁰ is uniform on the unit sphere, b_j ~ N(0, 1), a_j = ±1 in halves.

    ``one_step``: w_j ← w_j⁰ + ``step`` · g_j/|g_j|, g_j = (1/n₁) Σ y_i a_j 1{w_j⁰·x_i + b_j ≥ 0}
    x_i, the gradient of a network with small read-outs on the squared loss. ``least_squares``: the
    same with g_j = (X_jᵀX_j + 10⁻³ n₁ I)⁻¹ X_jᵀ y a_j over the rows that unit j sees. ``trained``:
    W, b and the read-out by ``steps`` steps of Adam on all labels.

    Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.representations.learned.Learned"
    version: ClassVar[int] = 1

    method: Literal["one_step", "least_squares", "trained"] = "one_step"
    labels: int = 1000
    """n₁, labels that learning the features uses; not part of n."""
    units: int = 128
    """D, the number of features."""
    step: float = 1.0
    """Length of the step, the initial weights having length 1."""
    steps: int = 1000
    """Steps of ``trained``."""
    lr: float = 0.01
    """Learning rate of ``trained``, cosine to zero."""

    def __post_init__(self) -> None:
        require(
            2 <= self.labels <= 1 << 24,
            "representation.labels",
            self.labels,
            "an integer from 2 to 16777216",
        )
        require(
            2 <= self.units <= 1 << 15 and self.units % 2 == 0,
            "representation.units",
            self.units,
            "an even integer from 2 to 32768",
        )
        require(0 < self.step < 1e6, "representation.step", self.step, "a number > 0")
        require(
            1 <= self.steps <= 10**7,
            "representation.steps",
            self.steps,
            "an integer from 1 to 10000000",
        )
        require(0 < self.lr < 1e3, "representation.lr", self.lr, "a number > 0")

    def check(self, target: Target) -> None:
        if target.outputs > 1:
            raise UserError(
                "representation=learned: learns from labels that are numbers, and the target has "
                f"{target.outputs} classes; allowed: representation=raw, degree2, random_features"
            )

    def output_width(self, target: Target) -> int:
        return self.units

    def facts(self, target: Target) -> Mapping[str, Any]:
        return {"labels": self.labels}

    def build(self, target: Target, draw: Draw) -> dict[str, Tensor]:
        """In double precision, seed by seed, so that features do not depend on the stack."""
        rows = torch.arange(self.labels).unsqueeze(0)
        weights = []
        biases = []
        sizes = []
        for position, seed in enumerate(draw.seeds):
            x, y = sample(draw.select([position]), "representation", rows)
            w, b, size = self._learn(x[0].double(), y[0].double(), seed)
            weights.append(w)
            biases.append(b)
            sizes.append(size)
        first_rows = torch.zeros(len(draw.seeds), 1, dtype=torch.int64)
        dtype = draw.inputs("representation", first_rows).dtype
        return {
            "w": torch.stack(weights).to(dtype),
            "b": torch.stack(biases).to(dtype),
            "size": torch.stack(sizes).to(dtype),
        }

    def _learn(self, x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """The layer of one seed from labelled inputs x (n₁, D₀) and labels y (n₁,).

        Returns W (D₀, units), b (1, units) and the features' root mean squares (1, units).
        """
        shape = (x.shape[1], self.units)
        w = random.normal([seed], "representation/w", shape, torch.float64, x.device)[0]
        b = random.normal([seed], "representation/b", (1, self.units), torch.float64, x.device)[0]
        w = w / w.norm(dim=0, keepdim=True)
        signs = torch.ones_like(b)
        signs[:, self.units // 2 :] = -1
        y = y - y.mean()
        if self.method == "trained":
            w, b = self._train(x, y, w, b, signs)
        else:
            direction = self._step_direction(x, y, x @ w + b >= 0) * signs
            length = direction.norm(dim=0, keepdim=True).clamp(min=1e-300)
            w = w + self.step * direction / length
        size = (x @ w + b).relu().square().mean(0, keepdim=True).sqrt()
        return w, b, torch.where(size > 0, size, torch.ones_like(size))

    def _step_direction(self, x: Tensor, y: Tensor, active: Tensor) -> Tensor:
        """g_j / a_j for units that are ``active`` (n₁, units) on rows; (D₀, units)."""
        gates = active.double()
        gradient: Tensor = x.mT @ (gates * y.unsqueeze(1)) / len(x)
        if self.method == "one_step":
            return gradient
        ridge = 1e-3 * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        columns = []
        for gate, column in zip(gates.mT, gradient.mT, strict=True):
            second_moment = (x.mT * gate) @ x / len(x) + ridge
            columns.append(torch.linalg.solve(second_moment, column))
        return torch.stack(columns, 1)

    def _train(
        self, x: Tensor, y: Tensor, w: Tensor, b: Tensor, signs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """W and b after training all weights with Adam on the squared loss."""
        w = w.clone().requires_grad_()
        b = b.clone().requires_grad_()
        readout = (signs / self.units).clone().requires_grad_()
        optimizer = torch.optim.Adam([w, b, readout], self.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        with torch.enable_grad():
            for _ in range(self.steps):
                optimizer.zero_grad()
                loss = (((x @ w + b).relu() * readout).sum(1) - y).square().mean()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
        return w.detach(), b.detach()

    def encode(self, target: Target, parts: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return torch.baddbmm(parts["b"], x, parts["w"]).relu_() / parts["size"]
