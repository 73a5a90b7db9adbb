"""What would decide a claim that is undecided: how many times the seeds, if the estimates stay.

The half width of an interval shrinks as one over the root of the number of seeds, and faster where
they are few (:mod:`bfc.stats.half_widths`), so the factor at which an interval would clear its
threshold with a stated probability follows from the estimate and its interval. Where the estimate
sits on the threshold no number will do. A slope through two or three values of d has a wide
interval whatever the seeds, wherever the estimate lies, and one through values that scatter from
cell to cell (the exponent of n* in d) keeps that scatter: these take more d.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from analysis.verdicts import Finding, Measurement, Part, choose_levels, find_open_parts
from bfc.durations import format_duration
from bfc.launch.devices import usable_cores
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.estimates import CountEstimate
from bfc.stats.half_widths import describe_half_width
from bfc.stats.looks import POWER, REPEATED_LEVEL

LARGEST_FACTOR = 100.0
"""Beyond this many times the seeds no number of them is said to decide."""
ON_THRESHOLD = 1.0
"""Standard errors, with :data:`LARGEST_FACTOR` times the data, within which an estimate is said to
sit on its threshold."""
FACTORS = np.geomspace(1.0, LARGEST_FACTOR, 100)
"""Those that are tried where none follows from a formula."""
MARGIN = float(stats.norm.ppf(POWER))
"""Standard errors beyond the critical value at which a verdict has probability :data:`POWER`."""


@dataclass(frozen=True)
class MissingSeeds:
    """How many more seeds decide a claim, and of which cells."""

    count: int
    cells: frozenset[str]


def find_missing_seeds(measurement: Measurement, finding: Finding) -> MissingSeeds | None:
    """The seeds that decide an undecided claim with probability :data:`POWER`; else None."""
    growth = estimate_growth(measurement)
    seeds = finding.source.seeds
    parts = find_open_parts(measurement, REPEATED_LEVEL)
    is_open = finding.verdict is Verdict.UNDECIDED and not any(part.obstacle for part in parts)
    if not is_open or math.isinf(growth) or not seeds:
        return None
    cells: frozenset[str] = frozenset()
    for part in parts:
        cells |= part.cells or measurement.source.cells
    return MissingSeeds(max(1, math.ceil(seeds * (growth - 1.0))), cells)


def describe_power(
    measurement: Measurement, finding: Finding, seconds_per_seed: Mapping[str, float] | None = None
) -> str:
    """What decides an undecided claim, as a sentence; empty for any other.

    ``seconds_per_seed``: cell id → training seconds of one seed, from which the sentence says how
    long it takes on the cores of this machine; without it the time is left out.
    """
    if finding.verdict is not Verdict.UNDECIDED:
        return ""
    parts = find_open_parts(measurement, REPEATED_LEVEL)
    obstacles = [f"{part.place}: {part.obstacle}" for part in parts if part.obstacle]
    if obstacles:
        return f"no number of seeds decides this; {'; '.join(obstacles)}"
    factor = max((estimate_factor(part, measurement) for part in parts), default=math.nan)
    if math.isnan(factor):
        return "a first interval is needed before it can be said what decides this"
    missing = find_missing_seeds(measurement, finding)
    if missing is not None:
        where = _list_places(parts)
        cost = _describe_cost(missing, seconds_per_seed or {})
        return (
            f"about {missing.count} more seeds{where}{cost} decide this with probability "
            f"{POWER:g}, if the estimate stays"
        )
    growth = estimate_growth(measurement)
    if growth <= LARGEST_FACTOR:
        return f"about {growth:.2g} times the data decide this with probability {POWER:g}"
    return _explain_vain_seeds(measurement, parts, factor)


def _explain_vain_seeds(measurement: Measurement, parts: Sequence[Part], factor: float) -> str:
    """Why no number of seeds decides a claim, and what would.

    ``parts``: those that are open; ``factor``: times the information that decide them.
    """
    scarce = dict.fromkeys(part.scarce for part in parts if part.scarce)
    if scarce:
        return (
            f"{' and '.join(scarce)} leave the interval this wide: it takes more of them, and no "
            "number of seeds is likely to decide this"
        )
    if factor <= LARGEST_FACTOR:
        return (
            f"more seeds do not decide this, since values scatter from cell to cell: it takes "
            f"about {factor:.2g} times as many d, or a wider range of them"
        )
    if any(_is_on_threshold(part, measurement) for part in parts):
        return (
            "the estimate sits on the threshold: no number of seeds is likely to decide this, "
            "unless it moves"
        )
    return (
        f"not even {LARGEST_FACTOR:g} times the data decide this with probability {POWER:g}: the "
        "interval is far wider than the distance from the estimate to the threshold"
    )


def _is_on_threshold(part: Part, region: Measurement) -> bool:
    """Whether the data that could be had would leave the estimate beside its threshold."""
    distance = abs(estimate_distance(part, region)) * math.sqrt(LARGEST_FACTOR)
    return distance <= ON_THRESHOLD


def estimate_growth(measurement: Measurement) -> float:
    """How many times the seeds decide a claim that is undecided with probability :data:`POWER`.

    Infinite where more seeds do not, above :data:`LARGEST_FACTOR`, or without an interval.
    """
    growths = []
    for part in find_open_parts(measurement, REPEATED_LEVEL):
        factor = estimate_factor(part, measurement)
        if math.isnan(factor) or factor > LARGEST_FACTOR:
            return math.inf
        growths.append(_compute_growth(part, measurement))
    growth = max(growths, default=math.inf)
    return growth if growth <= LARGEST_FACTOR else math.inf


def _compute_growth(part: Part, region: Measurement) -> float:
    """How many times the seeds decide one part, given what of its error they do not lower."""
    error_left = 1.0 / estimate_factor(part, region) - part.fixed_share
    return (1.0 - part.fixed_share) / error_left if error_left > 0 else math.inf


def _describe_cost(missing: MissingSeeds, seconds_per_seed: Mapping[str, float]) -> str:
    """The time of these seeds in every cell; empty where it is not known."""
    cells = missing.cells
    if not cells or not cells <= seconds_per_seed.keys():
        return ""
    seconds = missing.count * sum(seconds_per_seed[cell] for cell in cells)
    return f" ({describe_time(seconds)})"


def describe_time(core_seconds: float) -> str:
    """The time of a computation on all cores of this machine, such as ``6 min on 2 cores``."""
    cores = usable_cores()
    return f"{format_duration(core_seconds / cores)} on {cores} core{'s' * (cores > 1)}"


def estimate_factor(part: Part, region: Measurement) -> float:
    """How many times the seeds decide one part; NaN without an interval, infinite on the threshold.

    The smallest factor at which its interval clears the threshold with probability :data:`POWER`,
    and of counts that at which the same share is decided.
    """
    if isinstance(part.estimate, CountEstimate):
        return _search_count_factor(part.estimate, region)
    distance = estimate_distance(part, region)
    if math.isnan(distance) or distance == 0.0:
        return math.nan if math.isnan(distance) else math.inf
    level = _choose_level(distance, region)
    half_width = describe_half_width(part.estimate)
    if not half_width.draws:
        return ((half_width.at(level) + MARGIN) / distance) ** 2
    for factor in FACTORS:
        if math.sqrt(factor) * abs(distance) >= half_width.at(level, factor) + MARGIN:
            return float(factor)
    return math.inf


def estimate_distance(part: Part, region: Measurement) -> float:
    """Standard errors from the estimate of a part to the nearest threshold of the region.

    Negative where the estimate lies outside of the region, NaN where it has no interval. Between
    logarithms where value, interval and threshold are positive. Of counts it is the distance at
    which a normal estimate would be decided by as many times the data.
    """
    value = part.estimate.value
    sign = 1.0 if region.at_least <= value <= region.at_most else -1.0
    half_width = describe_half_width(part.estimate)
    if isinstance(part.estimate, CountEstimate):
        factor = _search_count_factor(part.estimate, region)
        errors = half_width.at(_choose_level(sign, region)) + MARGIN
        return sign * errors / math.sqrt(factor)
    shown_level, _ = choose_levels(region, REPEATED_LEVEL)
    lo, hi = part.estimate.interval(shown_level)
    distances = []
    for threshold in (region.at_least, region.at_most):
        if math.isfinite(threshold):
            end = lo if threshold < value else hi
            distances.append(half_width.at(shown_level) * _divide_lengths(value, threshold, end))
    return sign * min(distances, default=math.nan)


def _choose_level(distance: float, region: Measurement) -> float:
    """That of the interval that judges on the side of the threshold where an estimate lies."""
    shown_level, refuted_level = choose_levels(region, REPEATED_LEVEL)
    return shown_level if distance > 0.0 else refuted_level


def _search_count_factor(estimate: CountEstimate, region: Measurement) -> float:
    for factor in FACTORS:
        grown = Part(estimate.grow(factor))
        if not find_open_parts(replace(region, parts=[grown] * len(region.parts)), REPEATED_LEVEL):
            return float(factor)
    return math.inf


def _divide_lengths(value: float, threshold: float, end: float) -> float:
    """How many times as far the threshold is from the value as the end of its interval is."""
    numbers = (value, threshold, end)
    if not all(map(math.isfinite, numbers)):
        return math.nan
    if min(numbers) > 0:
        value, threshold, end = map(math.log, numbers)
    if threshold == value:
        return 0.0
    return abs(threshold - value) / abs(end - value) if end != value else math.nan


def _list_places(parts: Sequence[Part]) -> str:
    places = [part.place for part in parts if part.place]
    return f" at {', '.join(places)}" if places else ""
