"""Tuning as a stage of its own: every method gets the same stated budget of trainings, on draws
with seeds that no measurement uses, before the first training is measured; what was chosen is then
frozen in the cell. Rates are judged as kernels are, by the n* they would have: the rate that is
best where nothing is learned yet is often too small (docs/measurement.md). All of them share the
stacks, so that trying eight costs little more than trying one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bfc.baselines.ridge import choose
from bfc.errors import require
from bfc.types import Training

WORST = 1e6
"""Risk that stands for a training that diverged."""


@dataclass(frozen=True)
class Tune:
    """Try every learning rate of ``lr`` with every ``n`` of labels on ``draws`` tuning draws, and
    keep the one whose median risk first reaches ``eps`` at the smallest n (interpolated); among
    equals, and if none does, the one with the lowest median risk at the largest n, then the
    smallest. Budget: len(lr) * len(n) * draws trainings."""

    identity_name: ClassVar[str] = "bfc.measure.tuning.Tune"

    lr: tuple[float, ...]
    n: tuple[int, ...] | int
    """Around a first estimate of n*; 0: fresh samples at every step."""
    draws: int = 4
    eps: float = 0.01

    def __post_init__(self) -> None:
        require(
            len(self.lr) > 0 and all(0 < r < float("inf") for r in self.lr),
            "measure.tune.lr",
            list(self.lr),
            "numbers > 0",
        )
        require(
            len(set(self.lr)) == len(self.lr),
            "measure.tune.lr",
            list(self.lr),
            "without repetition",
        )
        object.__setattr__(self, "lr", tuple(sorted(self.lr)))
        object.__setattr__(
            self, "n", tuple(sorted(self.n)) if isinstance(self.n, tuple) else (self.n,)
        )
        counts = self.n == (0,) or (
            len(self.n) > 0
            and all(2 <= n < 1 << 31 for n in self.n)
            and len(set(self.n)) == len(self.n)
        )
        shown = self.n[0] if len(self.n) == 1 else list(self.n)
        require(
            counts,
            "measure.tune.n",
            shown,
            "0 (fresh samples), an integer >= 2 or a list of such without repetition",
        )
        require(
            1 <= self.draws <= 1000, "measure.tune.draws", self.draws, "an integer from 1 to 1000"
        )
        require(0 < self.eps < 1, "measure.tune.eps", self.eps, "a number between 0 and 1")

    @property
    def fresh(self) -> bool:
        return self.n == (0,)

    def trainings(self) -> list[tuple[Training, float]]:
        """What is tried: every draw with every n and every rate."""
        return [
            (Training(n, -1 - i), lr) for lr in self.lr for i in range(self.draws) for n in self.n
        ]

    def choose(self, risks: Mapping[tuple[float, int, int], float]) -> dict[str, Any]:
        """What was chosen and tried, as plain values, from (rate, n, seed) → risk: ``lr``;
        ``reached`` (whether any rate reached ``eps``); ``at_edge`` (the best rate is the smallest
        or largest tried); ``tried`` (per rate its ``nstar`` or null, its median ``risk`` at the
        largest n, and every risk, draw by draw, on ``n``); ``n``, ``eps``, ``seeds``,
        ``trainings``."""
        seeds = [-1 - i for i in range(self.draws)]
        curves = {lr: [[risks[lr, n, seed] for n in self.n] for seed in seeds] for lr in self.lr}
        chosen = choose("lr", curves, self.n, self.eps)
        tried = [{**entry, "risks": curves[entry["lr"]]} for entry in chosen["tried"]]
        return {
            **chosen,
            "tried": tried,
            "at_edge": len(self.lr) > 1 and chosen["lr"] in (self.lr[0], self.lr[-1]),
            "n": list(self.n),
            "eps": self.eps,
            "seeds": seeds,
            "trainings": len(self.lr) * len(self.n) * self.draws,
        }

    @staticmethod
    def risk(record: Mapping[str, Any]) -> float:
        """What is compared: the test risk of a finished training, ``WORST`` where it diverged."""
        risk = record.get("risk", WORST)
        return WORST if record.get("diverged") or not risk < WORST else risk
