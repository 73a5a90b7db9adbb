"""Binary classification by the sign of the target, with a margin: inputs at which |f*| is small do
not occur. The risk is the share of wrong signs relative to that of the best constant answer, so
that 1 is chance here too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.targets.wrapped import Wrapped, WrappedDraw
from bfc.types import Draw, Target

CHANCE_ROWS = 1 << 16
"""Rows on which the share of positive labels is measured: standard error of chance at most .002."""
LEAST_ACCEPTED = 0.1
MOST_ATTEMPTS = 1000


@dataclass(frozen=True)
class Classification:
    """Labels sign(f*(x)) = ±1 on the input law restricted to |f*(x)| ≥ margin · sd(f*); ``loss``
    trains, the 0/1 error is judged.

    The restriction is by rejection: a row that falls within the margin is drawn again from streams
    of its own (role ``<role>/again1``, ``/again2``, …) until it does not, so a row stays a function
    of (seed, role, number), and rows outside the margin are those of the unrestricted law. Margin
    and constants of the target refer to the unrestricted law. A method that fits by squares (every
    kernel baseline) regresses on ±1 and answers by sign. Raises :class:`bfc.errors.UserError` on
    bad values, and where the margin leaves less than a tenth of the inputs."""

    identity_name: ClassVar[str] = "bfc.tasks.classification.Classification"
    version: ClassVar[int] = 1

    margin: float = 0.1
    """Smallest |f*(x)| that occurs, in units of sd(f*); 0: no restriction."""
    loss: Literal["logistic", "hinge", "squared"] = "logistic"
    """ln(1 + e^(−y g)), max(0, 1 − y g) or (y − g)²."""

    def __post_init__(self) -> None:
        require(0 <= self.margin < float("inf"), "task.margin", self.margin, "a number >= 0")

    def wrap(self, target: Target) -> Target:
        return _Classified(target, self)


class _Classified(Wrapped):
    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        if self.lens.loss == "logistic":
            return torch.nn.functional.softplus(-y * out)
        return (1 - y * out).relu() if self.lens.loss == "hinge" else (out - y).square()

    def error(self, out: Tensor, y: Tensor) -> Tensor:
        return (torch.where(out < 0, -1, 1) != y).to(out.dtype)

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Draw:
        inner = self.target.draw(seeds, dtype, device)
        draw = _ClassifiedDraw(
            inner,
            self.lens,
            self.lens.margin * inner.variance.sqrt(),
            torch.ones(len(seeds), dtype=torch.float64),
        )
        rows = torch.arange(CHANCE_ROWS, device=device).unsqueeze(0)
        least = torch.zeros(len(seeds), dtype=torch.float64)
        for i, seed in enumerate(seeds):
            one = draw.select([i])
            kept = float(
                (
                    one.inner.labels(one.inner.inputs("chance", rows)).abs()
                    >= one.threshold(device, dtype)
                )
                .double()
                .mean()
            )
            if kept < LEAST_ACCEPTED:
                raise UserError(
                    f"task.margin={self.lens.margin}: leaves {kept:.1%} of the inputs of seed {seed}; must leave at least "
                    f"{LEAST_ACCEPTED:.0%}"
                )
            positive = float(
                (one.observe("chance", rows, one.inputs("chance", rows)) > 0).double().mean()
            )
            least[i] = min(positive, 1 - positive)
        return replace(draw, least=least)


@dataclass(frozen=True)
class _ClassifiedDraw(WrappedDraw):
    margin: Tensor
    """Smallest |f*| that occurs, (R,), float64."""
    least: Tensor
    """Share of the rarer label, (R,), float64."""

    def threshold(self, device: torch.device | str, dtype: torch.dtype) -> Tensor:
        return self.margin.to(device, dtype).unsqueeze(1)

    @property
    def chance(self) -> Tensor:
        return self.least

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        x = self.inner.inputs(role, rows)
        if not self.lens.margin:
            return x
        rows, smallest = rows.to(x.device), self.threshold(x.device, x.dtype)
        rejected = self.inner.labels(x).abs() < smallest
        for attempt in range(1, MOST_ATTEMPTS):
            most = int(rejected.sum(1).max())
            if not most:
                return x
            place = torch.sort(rejected.byte(), dim=1, descending=True, stable=True).indices[
                :, :most
            ]
            pending = rejected.gather(1, place)
            again = self.inner.inputs(f"{role}/again{attempt}", rows.gather(1, place))
            taken = pending & (self.inner.labels(again).abs() >= smallest)
            wide = place.unsqueeze(2).expand_as(again)
            x = x.scatter(1, wide, torch.where(taken.unsqueeze(2), again, x.gather(1, wide)))
            rejected = rejected.scatter(1, place, pending & ~taken)
        raise RuntimeError(
            f"{int(rejected.sum())} rows still within the margin after {MOST_ATTEMPTS} attempts"
        )

    def observe(self, role: str, rows: Tensor, x: Tensor) -> Tensor:
        return torch.where(self.inner.labels(x) < 0, -1.0, 1.0).to(x.dtype)

    def select(self, index: Sequence[int]) -> _ClassifiedDraw:
        i = list(index)
        return replace(
            self, inner=self.inner.select(index), margin=self.margin[i], least=self.least[i]
        )
