"""A grid of sample sizes times seeds, all in one stack: the plainest way to see where learning
starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from bfc.measure.base import Measure, check_counts, request
from bfc.types import Training


@dataclass(frozen=True, kw_only=True)
class Ladder(Measure):
    """Every ``n`` with every seed. One seed's training sets are nested: the first n rows of its
    pool."""

    identity_name: ClassVar[str] = "bfc.measure.base.Measure"

    n: tuple[int, ...] | int = request((64, 128, 256, 512, 1024))
    fresh: bool = field(default=False, init=False)
    """Always false here; in the identity so that a ladder and a single n share one cell."""

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "n", tuple(sorted(self.n)) if isinstance(self.n, tuple) else (self.n,)
        )
        check_counts(self.n)
        super().__post_init__()

    def trainings(self) -> list[Training]:
        return [Training(n, seed) for seed in self.seeds for n in self.n]
