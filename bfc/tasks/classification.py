"""Binary classification by the sign of the target, with a margin.

Inputs at which |f*| is small do not occur. The risk is the share of wrong signs relative to that of
the best constant answer, so that 1 is chance here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.targets.rejection import redraw_rejected
from bfc.targets.wrapped import Wrapped, WrappedDraw
from bfc.types import Draw, Target, TargetWrapper

CHANCE_ROWS = 1 << 16
"""Rows on which the share of positive labels is measured: standard error of chance at most .002."""
MIN_ACCEPTED = 0.1
"""Smallest share of the inputs that the margin may leave."""
MAX_ATTEMPTS = 1000
"""Draws of a row after which rejection gives up."""


@dataclass(frozen=True)
class Classification(TargetWrapper):
    """Labels sign(f*(x)) = ±1 on the input law restricted to |f*(x)| ≥ margin · sd(f*).

    Methods train by ``loss`` and are judged by the 0/1 error. The restriction is by rejection: a
    row that falls within the margin is drawn again from streams of its own (role
    ``<role>/again1``, ``/again2``, …) until it does not, so a row stays a function of (seed, role,
    number), and rows outside the margin are those of the unrestricted law. Margin and constants of
    the target refer to the unrestricted law. A method that fits by squares (every kernel baseline)
    regresses on ±1 and answers by sign.

    Raises :class:`bfc.errors.UserError` on bad values, and where the margin leaves less than a
    tenth of the inputs.
    """

    identity_name: ClassVar[str] = "bfc.tasks.classification.Classification"
    version: ClassVar[int] = 1

    margin: float = 0.1
    """Smallest |f*(x)| that occurs, in units of sd(f*); 0: no restriction."""
    loss: Literal["logistic", "hinge", "squared"] = "logistic"
    """ln(1 + e^(−y g)), max(0, 1 − y g) or (y − g)²."""

    def __post_init__(self) -> None:
        require(0 <= self.margin < float("inf"), "task.margin", self.margin, "a number >= 0")

    def wrap(self, target: Target) -> Target:
        return _ClassifiedTarget(target, self).as_target()


class _ClassifiedTarget(Wrapped[Classification]):
    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        if self.wrapper.loss == "logistic":
            return torch.nn.functional.softplus(-y * out)
        if self.wrapper.loss == "hinge":
            return (1 - y * out).relu()
        return (out - y).square()

    def error(self, out: Tensor, y: Tensor) -> Tensor:
        return (torch.where(out < 0, -1, 1) != y).to(out.dtype)

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Draw:
        inner = self.target.draw(seeds, dtype, device)
        margin = self.wrapper.margin * inner.variance.sqrt()
        rarer_share = torch.ones(len(seeds), dtype=torch.float64)
        draw = _ClassifiedDraw(inner, self.wrapper, margin, rarer_share)
        shares = []
        for position, seed in enumerate(seeds):
            replica = draw.select([position])
            self._require_accepted(seed, replica.accepted_share(device, dtype))
            positive = replica.positive_share(device)
            shares.append(min(positive, 1 - positive))
        return replace(draw, rarer_share=torch.tensor(shares, dtype=torch.float64)).as_draw()

    def _require_accepted(self, seed: int, share: float) -> None:
        if share < MIN_ACCEPTED:
            raise UserError(
                f"task.margin={self.wrapper.margin}: leaves {share:.1%} of the inputs of seed "
                f"{seed}; must leave at least {MIN_ACCEPTED:.0%}"
            )


@dataclass(frozen=True)
class _ClassifiedDraw(WrappedDraw[Classification]):
    margin: Tensor
    """Smallest |f*| that occurs, (R,), float64."""
    rarer_share: Tensor
    """Share of the rarer label, (R,), float64."""

    def threshold(self, device: torch.device | str, dtype: torch.dtype) -> Tensor:
        """``margin`` as a column (R, 1)."""
        return self.margin.to(device, dtype).unsqueeze(1)

    @property
    def chance(self) -> Tensor:
        return self.rarer_share

    def accepted_share(self, device: torch.device | str, dtype: torch.dtype) -> float:
        """Share of the unrestricted inputs outside the margin."""
        labels = self.inner.labels(self.inner.inputs("chance", _chance_rows(device)))
        return float((labels.abs() >= self.threshold(device, dtype)).double().mean())

    def positive_share(self, device: torch.device | str) -> float:
        """Share of positive labels."""
        rows = _chance_rows(device)
        labels = self.observe("chance", rows, self.inputs("chance", rows))
        return float((labels > 0).double().mean())

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        if not self.wrapper.margin:
            return self.inner.inputs(role, rows)

        def is_rejected(x: Tensor) -> Tensor:
            return self.inner.labels(x).abs() < self.threshold(x.device, x.dtype)

        return redraw_rejected(self.inner.inputs, is_rejected, role, rows, MAX_ATTEMPTS)

    def observe(self, role: str, rows: Tensor, x: Tensor) -> Tensor:
        return torch.where(self.inner.labels(x) < 0, -1.0, 1.0).to(x.dtype)

    def select(self, index: Sequence[int]) -> Self:
        positions = list(index)
        return replace(
            self,
            inner=self.inner.select(index),
            margin=self.margin[positions],
            rarer_share=self.rarer_share[positions],
        )


def _chance_rows(device: torch.device | str) -> Tensor:
    """Row numbers (1, :data:`CHANCE_ROWS`)."""
    return torch.arange(CHANCE_ROWS, device=device).unsqueeze(0)
