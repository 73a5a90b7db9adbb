"""One sample size, or fresh samples at every step: the measure for asking what a method reaches
rather than how many samples it needs (the chain of backward feature correction is stated this way).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from bfc.errors import require
from bfc.measure.base import Measure, check_counts, request
from bfc.types import Training


@dataclass(frozen=True, kw_only=True)
class Single(Measure):
    """``n`` labels per training, or ``fresh``: new samples at every step (n is then batch times
    steps of all phases)."""

    identity_name: ClassVar[str] = "bfc.measure.base.Measure"

    n: int | Literal["fresh"] = request("fresh")
    fresh: bool = field(default=False, init=False)
    """Set from ``n``; part of the identity because fresh data change every number."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fresh", self.n == "fresh")
        if self.fresh:
            require(
                self.validation != "free",
                "measure.validation",
                self.validation,
                "none or left out with measure.n=fresh",
            )
            object.__setattr__(self, "validation", "none")
        else:
            check_counts((self.n,))
        super().__post_init__()

    def trainings(self) -> list[Training]:
        return [Training(0 if self.fresh else self.n, seed) for seed in self.seeds]
