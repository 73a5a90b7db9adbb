"""Tuning as a stage of its own: every method gets the same stated budget of trainings, on draws with seeds that no measurement uses,
before the first training is measured; what was chosen is then frozen in the cell. The learning rates are an axis of the stack, so
trying eight costs little more than trying one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from bfc.errors import require
from bfc.types import Training


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

    def trainings(self) -> list[tuple[Training, float]]:
        """What is tried: every draw with every rate."""
        return [(Training(self.n, -1 - i), lr) for lr in self.lr for i in range(self.draws)]

    def choose(self, risks: Mapping[tuple[float, int], float]) -> dict[str, Any]:
        """What was chosen and tried, as plain values, from (rate, seed) → risk: ``lr``, ``at_edge`` (the best rate is the smallest or
        largest tried), ``tried`` (rate, median risk, every risk), ``n``, ``seeds``, ``trainings``."""
        seeds = [-1 - i for i in range(self.draws)]
        tried = [{"lr": lr, "risks": own, "median": median(own)} for lr in self.lr for own in [[risks[lr, seed] for seed in seeds]]]
        best = min(tried, key=lambda t: t["median"])
        return {"lr": best["lr"], "at_edge": len(self.lr) > 1 and best["lr"] in (self.lr[0], self.lr[-1]), "tried": tried, "n": self.n,
                "seeds": seeds, "trainings": len(self.lr) * self.draws}

    @staticmethod
    def risk(record: Mapping[str, Any]) -> float:
        """What is compared: the test risk of a finished training, infinite where it diverged."""
        risk = record.get("risk", float("inf"))
        return float("inf") if record.get("diverged") or risk != risk else risk
