"""Sample sizes placed where they say most about n*: rounds of one stack each, spread over what is still possible for log n* given the
trainings so far. A fresh seed per training keeps them independent. The next round is a function of the stored rows and of the prior
frozen into the cell, nothing else, so a killed cell goes on with the same round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from bfc.errors import require
from bfc.measure.base import Measure, request
from bfc.measure.outcomes import judge
from bfc.types import Training

if TYPE_CHECKING:
    from bfc.measure.planning import Density

PRIOR_TAIL = 6.0
PRIOR_POINTS = 801
MOST_ABOVE = 0.95
"""A cell ends early where this much of the probability of n* lies above n_max."""


@dataclass(frozen=True, kw_only=True)
class Adaptive(Measure):
    """Up to ``rounds`` rounds of ``replicas`` trainings, until the standard deviation of log n* at the strictest eps is below ``stop``,
    the budget of ``seconds`` is spent, or the method shows that it never gets there. A training's cost in this engine is its steps, not
    its n, so n is not weighted by cost. ``seeds`` is used by baselines only."""

    at_top: ClassVar[int] = 4
    numerics: ClassVar[int] = 1

    rounds: int = request(3)
    replicas: int = request(16)
    n_min: int = request(16)
    n_max: int = request(16384)
    stop: float = request(0.1)
    seconds: float | None = request(None)
    """Training seconds, summed over stored trainings; null: no such limit."""
    prior: tuple[float, float] | Literal["auto"] | None = request("auto")
    """Mean and standard deviation of log n* before the first round; auto: in a sweep from smaller d (waves by d), else wide; null:
    wide, flat in log n between n_min and n_max."""
    first_seed: int = request(1000)
    """Seeds from here on belong to the rounds."""
    fresh: bool = field(default=False, init=False)
    """Always false here; in the identity so that all finite measures share one cell."""

    def __post_init__(self) -> None:
        require(1 <= self.rounds <= 1000, "measure.rounds", self.rounds, "an integer from 1 to 1000")
        require(2 <= self.replicas <= 100_000, "measure.replicas", self.replicas, "an integer from 2 to 100000")
        require(2 <= self.n_min, "measure.n_min", self.n_min, "an integer >= 2")
        require(self.n_min < self.n_max < 1 << 31, "measure.n_max", self.n_max, f"an integer above measure.n_min = {self.n_min}")
        require(self.stop >= 0, "measure.stop", self.stop, "a number >= 0")
        require(self.seconds is None or self.seconds > 0, "measure.seconds", self.seconds, "null or a number > 0")
        require(0 <= self.first_seed < 1 << 61, "measure.first_seed", self.first_seed, "an integer >= 0")
        valid = self.prior in ("auto", None) or (len(self.prior) == 2 and self.prior[1] > 0)
        require(valid, "measure.prior", self.prior, "auto, null or [mean of log n*, standard deviation > 0]")
        super().__post_init__()

    def trainings(self) -> list[Training]:
        return []

    def next_round(self, rows: Sequence[dict[str, Any]]) -> list[Training]:
        stored = {row["seed"]: row for row in rows if row["kind"] == "training" and row["seed"] >= self.first_seed}
        for start in range(self.first_seed, self.first_seed + self.rounds * self.replicas, self.replicas):
            seeds = range(start, start + self.replicas)
            missing = [seed for seed in seeds if seed not in stored]
            if missing:
                before = [row for seed, row in stored.items() if seed < start]
                if missing == list(seeds) and before and self._settled(before, rows):
                    return []
                sizes = dict(zip(seeds, self._place(before), strict=True))
                return [Training(sizes[seed], seed) for seed in missing]
        return []

    def between_rounds(self, rows: Sequence[dict[str, Any]]) -> bool:
        count = sum(row["kind"] == "training" and row["seed"] >= self.first_seed for row in rows)
        return count > 0 and count % self.replicas == 0

    def believed(self, rows: Sequence[dict[str, Any]]) -> Density:
        """Density of log n* at the strictest eps given ``rows`` and the prior."""
        import pandas

        from bfc.measure.planning import posterior_mu

        table = pandas.DataFrame(rows, columns=["n", "seed", "risk", "train_risk", "kind", "diverged"])
        return posterior_mu(table, self._prior(), min(self.eps))

    def _prior(self) -> Density:
        import numpy as np

        from bfc.measure.planning import density, wide

        if self.prior in ("auto", None):
            return wide(self.n_min, self.n_max)
        mean, sd = self.prior
        mu = mean + sd * np.linspace(-PRIOR_TAIL, PRIOR_TAIL, PRIOR_POINTS)
        return density(mu, -0.5 * ((mu - mean) / sd) ** 2)

    def _place(self, before: Sequence[dict[str, Any]]) -> list[int]:
        from bfc.measure.planning import place

        believed = self.believed(before) if before else self._prior()
        return [min(max(int(n), self.n_min), self.n_max) for n in place(believed, self.replicas)]

    def _settled(self, before: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> bool:
        """Whether no further round is worth it."""
        import numpy as np

        eps = min(self.eps)
        confirming = [row["risk"] for row in rows if row["kind"] == "probe"]
        if confirming and all(judge(row, eps, confirming) in ("plateau", "diverged") for row in before):
            return True
        if self.seconds is not None and sum(row["seconds"] for row in before) >= self.seconds:
            return True
        believed = self.believed(before)
        beyond = np.where(believed.mu > np.log(self.n_max), believed.pdf, 0.0)
        above = float(np.trapezoid(beyond, believed.mu))
        return believed.sd < self.stop or above > MOST_ABOVE
