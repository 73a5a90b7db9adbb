"""How likely it is that more data decide a claim that is undecided, and what they cost.

``bfc reproduce`` compares by these what it could run next. Chances are those of a normal
approximation (:func:`bfc.stats.looks.estimate_chance_above`), and exact for counts
(:mod:`bfc.stats.predicted_counts`); costs are those of the stored trainings of the same cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from analysis.power import estimate_distance
from analysis.training_kinds import count_curves_once, drop_confirming
from analysis.verdicts import Measurement, Quantifier, choose_levels, find_open_parts
from bfc.stats.estimates import CountEstimate, SampleMedian
from bfc.stats.half_widths import HalfWidth, describe_half_width
from bfc.stats.looks import REPEATED_LEVEL, estimate_chance_above

FIRST_INTERVAL_SEEDS = 9
"""Seeds from which a median has an interval at the level that judges, whatever the values."""
NORMAL = HalfWidth()
UNKNOWN_CHANCE = 0.5
"""Taken for the chance that a first interval decides, of which nothing is known."""


@dataclass(frozen=True)
class Stock:
    """What is stored of one cell."""

    seeds: int
    seconds_per_seed: float
    """Their median: the first ones also generated the code of their steps."""


def take_stock(trainings: pd.DataFrame) -> dict[str, Stock]:
    """Cell id → what is stored of it, confirming runs left out."""
    if trainings.empty or "seconds" not in trainings:
        return {}
    rows = count_curves_once(drop_confirming(trainings))
    stock = {}
    for cell_id, cell in rows.groupby("cell_id"):
        seconds = cell.groupby("seed")["seconds"].sum().astype(float)
        stock[str(cell_id)] = Stock(len(seconds), float(seconds.median()))
    return stock


@dataclass(frozen=True)
class OpenPart:
    """One place of a claim that is open."""

    cells: frozenset[str]
    """What its estimate comes from."""
    distance: float
    """Standard errors from the estimate to its threshold, negative where it does not satisfy the
    claim; NaN where there is no interval."""
    fixed_share: float
    """Share of the squared standard error that no number of seeds lowers."""
    has_end: bool = True
    """False where many seeds leave it without an end towards its threshold, such as that of an n*
    beyond all n."""
    half_width: HalfWidth = NORMAL
    """Of its interval, in the standard errors in which the distance is."""
    counts: CountEstimate | None = None
    """Its estimate where that is one from counts, whose chances need no approximation."""
    is_paired: bool = False
    """Whether it has a single value per seed, which is read from all of its cells."""


@dataclass(frozen=True)
class Chances:
    """The chances that data show a place to satisfy its claim, and that they refute it."""

    shown: float
    refuted: float


@dataclass(frozen=True)
class Prospect:
    """What is open of a claim that is undecided."""

    parts: tuple[OpenPart, ...]
    seeds: int
    """The smallest number of seeds of any of its cells."""
    shown_level: float = REPEATED_LEVEL
    """The level of the interval that shows a place to satisfy the claim."""
    refuted_level: float = REPEATED_LEVEL
    """That of the interval that refutes it."""
    quantifier: Quantifier = "every"
    at_least: float = -math.inf
    at_most: float = math.inf

    @property
    def cells(self) -> frozenset[str]:
        """The cells that more seeds would help."""
        return frozenset().union(*(part.cells for part in self.parts))

    def estimate_chance(self, growths: Mapping[str, float]) -> float:
        """The chance of a decision when cells grow (cell id → how many times its seeds).

        A claim about every place is reproduced by all that are open, and contradicted by one of
        them; for a claim about some place the reverse holds. Places are taken to be decided
        independently of each other, and those without an interval all together.
        """
        shown, refuted = 1.0, 1.0
        not_shown, not_refuted = 1.0, 1.0
        for chances in self._list_chances(growths):
            shown *= chances.shown
            refuted *= chances.refuted
            not_shown *= 1.0 - chances.shown
            not_refuted *= 1.0 - chances.refuted
        if not self.parts:
            return 0.0
        if self.quantifier == "some":
            return (1.0 - not_shown) + refuted
        return shown + (1.0 - not_refuted)

    def estimate_chance_of_range(self, factor: float) -> float:
        """The chance of a decision when a wider range of d multiplies the information.

        Other than more seeds it does so to all of the squared standard error.
        """
        parts = tuple(replace(part, fixed_share=0.0) for part in self.parts)
        growths = dict.fromkeys(self.cells, factor)
        return replace(self, parts=parts).estimate_chance(growths)

    def find_decisive_cells(self) -> frozenset[str]:
        """The cells of the place that is likeliest to decide the claim alone.

        Of a claim about every place one that does not seem to satisfy it, of a claim about some
        place one that does. Empty where there is none, or no other place is open.
        """
        sign = 1.0 if self.quantifier == "some" else -1.0
        candidates = [part for part in self.parts if sign * part.distance > 0.0]
        if len(self.parts) < 2 or not candidates:
            return frozenset()
        return max(candidates, key=lambda part: sign * part.distance).cells

    def _list_chances(self, growths: Mapping[str, float]) -> list[Chances]:
        """Of every open place; one for all of those without an interval."""
        unknown = [part for part in self.parts if math.isnan(part.distance)]
        known = [part for part in self.parts if not math.isnan(part.distance)]
        chances = [self._estimate_chances(part, _find_growth(part, growths)) for part in known]
        if unknown:
            growth = min(_find_growth(part, growths) for part in unknown)
            chances.append(self._guess_chances(unknown, growth))
        return chances

    def _estimate_chances(self, part: OpenPart, growth: float) -> Chances:
        if part.counts is not None:
            return self._predict_counts(part.counts, growth)
        information = 1.0 / (part.fixed_share + (1.0 - part.fixed_share) / growth)
        return Chances(
            estimate_chance_above(
                part.distance, information, part.half_width.at(self.shown_level, growth)
            ),
            estimate_chance_above(
                -part.distance, information, part.half_width.at(self.refuted_level, growth)
            ),
        )

    def _predict_counts(self, counts: CountEstimate, growth: float) -> Chances:
        """The probability of the counts that decide."""
        probability, lo, hi = counts.predict_intervals(growth, self.shown_level)
        shown = probability[(lo >= self.at_least) & (hi <= self.at_most)].sum()
        probability, lo, hi = counts.predict_intervals(growth, self.refuted_level)
        refuted = probability[(hi < self.at_least) | (lo > self.at_most)].sum()
        return Chances(float(shown), float(refuted))

    def _guess_chances(self, parts: Sequence[OpenPart], growth: float) -> Chances:
        """Of places without an interval: half of :data:`UNKNOWN_CHANCE` to either side once they
        have one."""
        has_enough = self.seeds >= FIRST_INTERVAL_SEEDS
        stays_without = has_enough and not all(part.has_end for part in parts)
        if stays_without or growth <= 1.0 or growth * self.seeds < FIRST_INTERVAL_SEEDS:
            return Chances(0.0, 0.0)
        return Chances(UNKNOWN_CHANCE / 2.0, UNKNOWN_CHANCE / 2.0)


def _find_growth(part: OpenPart, growths: Mapping[str, float]) -> float:
    """How many times its seeds a place has: as many as the cell of it that grows least."""
    return min((growths.get(cell, 1.0) for cell in part.cells), default=1.0)


def make_prospect(measurement: Measurement) -> Prospect:
    """What is open of a measurement at the level that judges; without parts where nothing is."""
    shown_level, refuted_level = choose_levels(measurement, REPEATED_LEVEL)
    parts = []
    for part in find_open_parts(measurement, REPEATED_LEVEL):
        cells = part.cells or measurement.source.cells
        distance = estimate_distance(part, measurement)
        is_paired = isinstance(part.estimate, SampleMedian | CountEstimate)
        parts.append(
            OpenPart(
                cells,
                distance,
                part.fixed_share,
                has_end=math.isinf(part.estimate.value) or not math.isnan(distance),
                half_width=describe_half_width(part.estimate),
                counts=part.estimate if isinstance(part.estimate, CountEstimate) else None,
                is_paired=is_paired,
            )
        )
    return Prospect(
        tuple(parts),
        measurement.source.seeds,
        shown_level,
        refuted_level,
        measurement.quantifier,
        measurement.at_least,
        measurement.at_most,
    )
