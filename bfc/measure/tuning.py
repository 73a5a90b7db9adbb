"""Tuning as a stage of its own: every method gets the same stated budget of trainings, on draws with seeds that no measurement uses,
before the first training is measured; what was chosen is then frozen in the cell. The learning rates are an axis of the stack, so
trying eight costs little more than trying one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from bfc.errors import require
from bfc.types import Training

Train = Callable[[list[Training], torch.Tensor], list[dict[str, Any]]]
"""Trains a stack with a learning rate each, (R,) → its records."""


@dataclass(frozen=True)
class Tune:
    """Try every learning rate of ``lr`` on ``draws`` tuning draws with ``n`` labels (0: fresh samples) and keep the one with the
    lowest median risk; ties go to the smaller rate. Budget: len(lr) * draws trainings."""

    lr: tuple[float, ...]
    n: int
    """A first estimate of n*."""
    draws: int = 4

    def __post_init__(self) -> None:
        require(len(self.lr) > 0 and all(0 < r < float("inf") for r in self.lr), "measure.tune.lr", list(self.lr), "numbers > 0")
        require(len(set(self.lr)) == len(self.lr), "measure.tune.lr", list(self.lr), "without repetition")
        object.__setattr__(self, "lr", tuple(sorted(self.lr)))
        require(self.n == 0 or self.n >= 2, "measure.tune.n", self.n, "0 (fresh samples) or an integer >= 2")
        require(1 <= self.draws <= 1000, "measure.tune.draws", self.draws, "an integer from 1 to 1000")

    def choose(self, train: Train) -> dict[str, Any]:
        """What was chosen and tried, as plain values: ``lr``, ``at_edge`` (the best rate is the smallest or largest tried),
        ``tried`` (rate, median risk, every risk), ``n``, ``seeds``, ``trainings``."""
        seeds = [-1 - i for i in range(self.draws)]
        trainings = [Training(self.n, seed) for _ in self.lr for seed in seeds]
        records = train(trainings, torch.tensor(self.lr, dtype=torch.float64).repeat_interleave(self.draws))
        risks = [_risk(record) for record in records]
        tried = [{"lr": rate, "risks": own, "median": median(own)}
                 for i, rate in enumerate(self.lr) for own in [risks[i * self.draws : (i + 1) * self.draws]]]
        best = min(tried, key=lambda t: t["median"])
        edges = (self.lr[0], self.lr[-1])
        return {"lr": best["lr"], "at_edge": len(self.lr) > 1 and best["lr"] in edges, "tried": tried, "n": self.n, "seeds": seeds,
                "trainings": len(trainings)}


def _risk(record: dict[str, Any]) -> float:
    risk = record.get("risk", float("inf"))
    return float("inf") if record.get("diverged") or risk != risk else risk
