"""A grid of sample sizes times seeds, all in one stack: the plainest way to measure n*."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import ClassVar

from bfc.measure.base import REQUEST, FixedMeasure, Sizes, check_sizes
from bfc.types import Training


@dataclass(frozen=True, kw_only=True)
class Ladder(FixedMeasure):
    """Every ``n`` with every seed.

    One seed's training sets are nested: the first n rows of its pool.
    """

    identity_name: ClassVar[str] = "bfc.measure.base.Measure"

    n: Sizes = field(default=(64, 128, 256, 512, 1024), metadata=REQUEST)
    fresh: bool = field(default=False, init=False)
    """Always false here; in the identity so that a ladder and a single n share one cell."""

    def __post_init__(self) -> None:
        n = self.n if isinstance(self.n, tuple) else (self.n,)
        check_sizes(n)
        object.__setattr__(self, "n", tuple(sorted(n)))
        super().__post_init__()

    def trainings(self) -> list[Training]:
        return [Training(n, seed) for seed, n in itertools.product(self.seeds, self.n)]
