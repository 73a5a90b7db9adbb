"""Tuning as a stage of its own, before the first training is measured.

Every method gets the same stated budget of trainings, on draws with seeds that no measurement uses;
what was chosen is then frozen in the cell. Rates are compared as kernels are, by the n* they would
have: the rate that is best where nothing is learned yet is often too small (docs/measurement.md).
All of them share the stacks, so that trying eight costs little more than trying one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from bfc.baselines.selection import choose
from bfc.errors import require
from bfc.field_types import Accepts
from bfc.types import Training, Tuning

WORST = 1e6
"""Risk that stands for a training that diverged."""


@dataclass(frozen=True)
class Tune(Tuning):
    """Try every learning rate of ``lr`` with every ``n`` of labels on ``draws`` tuning draws.

    The rate whose median risk first reaches ``eps`` at the smallest n (interpolated) is chosen;
    among equals, and if none does, the one with the lowest median risk at the largest n, then the
    smallest. Budget: len(lr) * len(n) * draws trainings.
    """

    identity_name: ClassVar[str] = "bfc.measure.tuning.Tune"

    lr: tuple[float, ...]
    n: Annotated[tuple[int, ...], Accepts(tuple[int, ...] | int)]
    """Around a first estimate of n*; 0: fresh samples at every step."""
    draws: int = 4
    eps: float = 0.01

    def __post_init__(self) -> None:
        in_range = len(self.lr) > 0 and all(0 < rate < float("inf") for rate in self.lr)
        require(in_range, "measure.tune.lr", list(self.lr), "numbers > 0")
        is_unique = len(set(self.lr)) == len(self.lr)
        require(is_unique, "measure.tune.lr", list(self.lr), "without repetition")
        object.__setattr__(self, "lr", tuple(sorted(self.lr)))
        n = self.n if isinstance(self.n, tuple) else (self.n,)
        object.__setattr__(self, "n", tuple(sorted(n)))
        require(
            self.fresh or _are_sizes(self.n),
            "measure.tune.n",
            self.n[0] if len(self.n) == 1 else list(self.n),
            "0 (fresh samples), an integer >= 2 or a list of such without repetition",
        )
        words = "an integer from 1 to 1000"
        require(1 <= self.draws <= 1000, "measure.tune.draws", self.draws, words)
        require(0 < self.eps < 1, "measure.tune.eps", self.eps, "a number between 0 and 1")

    @property
    def fresh(self) -> bool:
        return self.n == (0,)

    @property
    def seeds(self) -> list[int]:
        """−1, −2, …: seeds that no measurement uses."""
        return [-1 - i for i in range(self.draws)]

    def trainings(self) -> list[tuple[Training, float]]:
        """What is tried: every draw with every n and every rate."""
        trainings = []
        for lr in self.lr:
            for seed in self.seeds:
                trainings += [(Training(n, seed), lr) for n in self.n]
        return trainings

    def choose(self, risks: Mapping[tuple[float, int, int], float]) -> dict[str, Any]:
        """What was chosen and tried, as plain values, from (rate, n, seed) → risk.

        ``lr``; ``reached`` (whether any rate reached ``eps``); ``at_edge`` (the best rate is the
        smallest or largest tried); ``tried`` (per rate its ``nstar`` or null, its median ``risk``
        at the largest n, and all risks, draw by draw, on ``n``); ``n``, ``eps``, ``seeds``,
        ``trainings``.
        """
        curves = {}
        for lr in self.lr:
            curves[lr] = [[risks[lr, n, seed] for n in self.n] for seed in self.seeds]
        selection = choose("lr", curves, self.n, self.eps)
        tried = [{**entry, "risks": curves[entry["lr"]]} for entry in selection["tried"]]
        return {
            **selection,
            "tried": tried,
            "at_edge": len(self.lr) > 1 and selection["lr"] in (self.lr[0], self.lr[-1]),
            "n": list(self.n),
            "eps": self.eps,
            "seeds": self.seeds,
            "trainings": len(self.lr) * len(self.n) * self.draws,
        }

    @staticmethod
    def risk(record: Mapping[str, Any]) -> float:
        """The test risk of a finished training, ``WORST`` where it diverged."""
        risk: float = record.get("risk", WORST)
        return WORST if record.get("diverged") or not risk < WORST else risk


def _are_sizes(n: tuple[int, ...]) -> bool:
    """Whether they are sample sizes, at least one and without repetition."""
    return len(set(n)) == len(n) > 0 and all(2 <= size < 1 << 31 for size in n)
