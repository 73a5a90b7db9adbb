"""One sample size, or fresh samples at every step.

The measure for asking what a method reaches rather than how many samples it needs (the chain of
backward feature correction is stated this way).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from bfc.errors import require
from bfc.measure.base import REQUEST, FixedMeasure, check_sizes
from bfc.types import Training


@dataclass(frozen=True, kw_only=True)
class Single(FixedMeasure):
    """``n`` labels per training, or ``fresh``: new samples at every step.

    n is then the batch times the steps of all phases.
    """

    identity_name: ClassVar[str] = "bfc.measure.base.Measure"

    n: int | Literal["fresh"] = field(default="fresh", metadata=REQUEST)
    fresh: bool = field(default=False, init=False)
    """Set from ``n``; part of the identity because fresh data change every number."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fresh", self.n == "fresh")
        if isinstance(self.n, int):
            check_sizes((self.n,))
        else:
            require(
                self.validation != "free",
                "measure.validation",
                self.validation,
                "none or left out with measure.n=fresh",
            )
            object.__setattr__(self, "validation", "none")
        super().__post_init__()

    def trainings(self) -> list[Training]:
        n = self.n if isinstance(self.n, int) else 0
        return [Training(n, seed) for seed in self.seeds]
