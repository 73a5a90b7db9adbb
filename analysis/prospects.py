"""How likely it is that more data decide a claim that is undecided, and what they cost.

``bfc reproduce`` compares by these what it could run next. Chances are those of a normal
approximation (:func:`bfc.stats.looks.estimate_decision_chance`); costs are those of the stored
trainings of the same cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.power import MARGIN, choose_critical_value, estimate_factor
from analysis.training_kinds import count_curves_once, drop_confirming
from analysis.verdicts import Measurement, find_open_parts
from bfc.stats.looks import CRITICAL_VALUE, REPEATED_LEVEL, estimate_decision_chance

FIRST_INTERVAL_SEEDS = 9
"""Seeds from which a median has an interval at the level that judges, whatever the values."""
UNKNOWN_CHANCE = 0.5
"""Taken for the chance that a first interval decides, of which nothing is known."""


@dataclass(frozen=True)
class Stock:
    """What is stored of one cell."""

    seeds: int
    seconds_per_seed: float


def take_stock(trainings: pd.DataFrame) -> dict[str, Stock]:
    """Cell id → what is stored of it, confirming runs left out."""
    if trainings.empty or "seconds" not in trainings:
        return {}
    rows = count_curves_once(drop_confirming(trainings))
    stock = {}
    for cell_id, cell in rows.groupby("cell_id"):
        seconds = cell.groupby("seed")["seconds"].sum().astype(float)
        stock[str(cell_id)] = Stock(len(seconds), float(seconds.mean()))
    return stock


@dataclass(frozen=True)
class OpenPart:
    """One place of a claim that is open."""

    cells: frozenset[str]
    """What its estimate comes from."""
    distance: float
    """Standard errors from the estimate to its threshold; NaN where there is no interval."""
    fixed_share: float
    """Share of the squared standard error that no number of seeds lowers."""
    has_value: bool = True
    """False where there is no estimate at all, such as that of an n* beyond all n."""


@dataclass(frozen=True)
class Prospect:
    """What is open of a claim that is undecided."""

    parts: tuple[OpenPart, ...]
    seeds: int
    """The smallest number of seeds of any of its cells."""
    critical_value: float = CRITICAL_VALUE
    """Standard errors from the threshold at which it is decided."""

    @property
    def cells(self) -> frozenset[str]:
        """The cells that more seeds would help."""
        return frozenset().union(*(part.cells for part in self.parts))

    def estimate_chance(self, growths: Mapping[str, float]) -> float:
        """The chance of a decision when cells grow (cell id → how many times its seeds).

        Each open part is taken to be decided independently of the others, and the claim with all.
        """
        chance = 1.0
        for part in self.parts:
            growth = min((growths.get(cell, 1.0) for cell in part.cells), default=1.0)
            chance *= self._estimate_part_chance(part, growth)
        return chance if self.parts else 0.0

    def _estimate_part_chance(self, part: OpenPart, growth: float) -> float:
        if math.isnan(part.distance):
            if not part.has_value and self.seeds >= FIRST_INTERVAL_SEEDS:
                return 0.0  # so many seeds left it without a value, and more of them will
            has_interval = growth * self.seeds >= FIRST_INTERVAL_SEEDS
            return UNKNOWN_CHANCE if growth > 1.0 and has_interval else 0.0
        information = 1.0 / (part.fixed_share + (1.0 - part.fixed_share) / growth)
        return float(estimate_decision_chance(part.distance, information, self.critical_value))


def make_prospect(measurement: Measurement) -> Prospect:
    """What is open of a measurement at the level that judges; without parts where nothing is."""
    critical_value = choose_critical_value(measurement)
    parts = []
    for part in find_open_parts(measurement, REPEATED_LEVEL):
        factor = estimate_factor(part, measurement)
        distance = (critical_value + MARGIN) / math.sqrt(factor) if factor > 0 else math.nan
        cells = part.cells or measurement.source.cells
        has_value = not math.isnan(part.estimate.value)
        parts.append(OpenPart(cells, distance, part.fixed_share, has_value))
    return Prospect(tuple(parts), measurement.source.seeds, critical_value)
