"""Representations learned from labels: the hidden layer of a two-layer ReLU network after one
gradient step, one least-squares step or full training, on labels of their own (stream
``representation``). Those labels are not part of n; they are stated as ``facts.labels`` beside
every result, and a fair comparison adds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.representations.base import Representation
from bfc.types import Draw, Target, sample


@dataclass(frozen=True)
class Learned(Representation):
    """h(x) = ReLU(xW + b), ``units`` columns, each divided by its root mean square on the labelled
    inputs; w_j⁰ uniform on the unit sphere, b_j ~ N(0, 1), a_j = ±1 in halves.

    ``one_step``: w_j ← w_j⁰ + ``step`` · g_j/|g_j|, g_j = (1/n₁) Σ y_i a_j 1{w_j⁰·x_i + b_j ≥ 0}
    x_i, the gradient of a network with small read-outs on the squared loss. ``least_squares``: the
    same with g_j = (X_jᵀX_j + 10⁻³ n₁ I)⁻¹ X_jᵀ y a_j over the rows that unit j sees. ``trained``:
    W, b and the read-out by ``steps`` steps of Adam on all labels. Raises
    :class:`bfc.errors.UserError` on bad values."""

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

    def output_width(self, target: Target) -> int:
        return self.units

    def facts(self, target: Target) -> Mapping[str, Any]:
        return {"labels": self.labels}

    def build(self, target: Target, draw: Draw) -> dict[str, Tensor]:
        """In double precision, seed by seed, so that features do not depend on the stack."""
        rows = torch.arange(self.labels).unsqueeze(0)
        built = [
            self._learn(*sample(draw.select([r]), "representation", rows), seed)
            for r, seed in enumerate(draw.seeds)
        ]
        like = draw.inputs("representation", torch.zeros(len(draw.seeds), 1, dtype=torch.int64))
        return {
            name: torch.stack(parts).to(like.dtype)
            for name, parts in zip(("w", "b", "size"), zip(*built, strict=True), strict=True)
        }

    def _learn(self, x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """W (D₀, units), b (1, units) and the features' root mean squares (1, units) of one seed."""
        x, y = x[0].double(), y[0].double()
        shape = (x.shape[1], self.units)
        w, b = (
            random.normal([seed], f"representation/{part}", size, torch.float64, x.device)[0]
            for part, size in (("w", shape), ("b", (1, self.units)))
        )
        w = w / w.norm(dim=0, keepdim=True)
        signs = torch.ones_like(b)
        signs[:, self.units // 2 :] = -1
        y = y - y.mean()
        if self.method == "trained":
            w, b = self._train(x, y, w, b, signs)
        else:
            gates = (x @ w + b >= 0).double()
            along = x.mT @ (gates * y.unsqueeze(1)) / len(x)
            if self.method == "least_squares":
                ridge = 1e-3 * torch.eye(shape[0], dtype=x.dtype, device=x.device)
                moments = ((x.mT * g) @ x / len(x) + ridge for g in gates.mT)
                along = torch.stack(
                    [
                        torch.linalg.solve(moment, a)
                        for moment, a in zip(moments, along.mT, strict=True)
                    ],
                    1,
                )
            along = along * signs
            w = w + self.step * along / along.norm(dim=0, keepdim=True).clamp(min=1e-300)
        size = (x @ w + b).relu().square().mean(0, keepdim=True).sqrt()
        return w, b, torch.where(size > 0, size, torch.ones_like(size))

    def _train(
        self, x: Tensor, y: Tensor, w: Tensor, b: Tensor, signs: Tensor
    ) -> tuple[Tensor, Tensor]:
        leaves = [
            w.clone().requires_grad_(),
            b.clone().requires_grad_(),
            (signs / self.units).clone().requires_grad_(),
        ]
        optimizer = torch.optim.Adam(leaves, self.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        with torch.enable_grad():
            for _ in range(self.steps):
                optimizer.zero_grad()
                loss = (((x @ leaves[0] + leaves[1]).relu() * leaves[2]).sum(1) - y).square().mean()
                loss.backward()
                optimizer.step()
                schedule.step()
        return leaves[0].detach(), leaves[1].detach()

    def encode(self, target: Target, parts: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return torch.baddbmm(parts["b"], x, parts["w"]).relu_() / parts["size"]
