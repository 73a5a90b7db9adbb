"""First passage on fresh samples: one run per seed shows every n at once.

The samples used so far are a clock. The risk is taken on a log grid of steps, so one training
yields a whole curve.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from bfc.errors import require
from bfc.measure.base import FixedMeasure
from bfc.types import Training


@dataclass(frozen=True, kw_only=True)
class Online(FixedMeasure):
    """n* is where the risk is at or below eps at two evaluations in a row.

    n counts the samples of all phases.
    """

    identity_name: ClassVar[str] = "bfc.measure.online.Online"
    needs_constant_rate: ClassVar[bool] = True

    validation: Literal["inside", "free", "none"] = "none"
    ratio: float = 1.15
    """Between two evaluations, in samples."""
    fresh: bool = field(default=True, init=False)
    """Always true here; in the identity."""

    def __post_init__(self) -> None:
        require(
            self.validation == "none",
            "measure.validation",
            self.validation,
            "none with measure=online, where every sample is fresh",
        )
        require(1.001 <= self.ratio <= 4, "measure.ratio", self.ratio, "a number from 1.001 to 4")
        super().__post_init__()

    def trainings(self) -> list[Training]:
        return [Training(0, seed) for seed in self.seeds]

    def observe(self, batch: int, steps: int) -> tuple[int, ...]:
        """The last step and those of a geometric grid, each ``ratio`` times the one before."""
        evaluations = {steps}
        step = 1.0
        while step < steps:
            evaluations.add(int(step))
            step = max(step * self.ratio, step + 1)
        return tuple(sorted(evaluations))
