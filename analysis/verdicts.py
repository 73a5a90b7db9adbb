"""The one function that turns what was measured for a claim into a verdict.

A predicate (:mod:`analysis.predicates`) measures: it returns a :class:`Measurement`, one
:class:`Part` for every place (d, depth, cell) that its claim speaks of, each with an estimate. It
has no rule of its own. :func:`judge` compares the intervals with the demanded region:

- a claim about *every* place is an intersection: reproduced where the interval of every part lies
  in the region (no correction is needed, Berger 1982), contradicted where that of some part lies
  outside of it at the level divided by the number of parts (Bonferroni);
- a claim about *some* place is a union, and the reverse holds;
- otherwise it is undecided, and where its places were not measured it was not run.

A region with one end ("at least 2.7") is judged by one-sided bounds at the level, hence by the
interval of level 2 · level − 1: whatever the truth, only one kind of verdict is false, so each end
may err with the whole probability 1 − level (Hayter and Hsu 1994). With two ends both may be false,
and the interval of the level itself judges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from analysis.source import Source
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.estimates import (
    FEWEST_FOR_ORDER,
    LEVEL,
    Certified,
    Estimate,
    SampleMedian,
    count_needed,
)
from bfc.stats.median_ratio import MedianRatio


@dataclass(frozen=True)
class Part:
    """One place that a claim speaks of, such as ``d = 24``, with its estimate."""

    estimate: Estimate
    place: str = ""
    cells: frozenset[str] = frozenset()
    """The cells that it was estimated from; empty where these are all that were read."""
    fixed_share: float = 0.0
    """Share of the squared standard error that no number of seeds lowers, since values scatter
    from cell to cell."""
    scarce: str = ""
    """What it has too few of for a narrow interval, whatever the seeds: ``two values of d``."""
    obstacle: str = ""
    """What leaves it open whatever the number of seeds, and what would help, as a sentence."""


Quantifier = Literal["every", "some"]
"""Whether a claim speaks of every one of its places, or of some."""


@dataclass(frozen=True)
class Measurement:
    """What was measured for a claim: parts, and the region in which their values must lie."""

    parts: Sequence[Part] = ()
    at_least: float = -math.inf
    at_most: float = math.inf
    source: Source = field(default_factory=Source)
    remark: str = ""
    quantifier: Quantifier = "every"
    missing: str = ""
    """What was not measured, where something that the claim speaks of was not."""

    @property
    def is_one_sided(self) -> bool:
        """Whether the region has a single end."""
        return math.isinf(self.at_least) != math.isinf(self.at_most)

    def judging_level(self, level: float) -> float:
        """The level of the interval whose ends judge with confidence ``level``."""
        return max(0.0, 2.0 * level - 1.0) if self.is_one_sided else level


@dataclass(frozen=True)
class Finding:
    """The part that decides, or leaves open, a claim; its intervals; and the verdict.

    ``lo, hi``: its 95 % interval; ``judged_lo, judged_hi``: the one that judges, whose ends are
    one-sided bounds where ``is_one_sided``, at a stricter level where one of several places could
    make the verdict by chance. ``remark`` names the part, and explains a missing number.
    ``source``: what was read; ``earlier_source``: where an earlier look stands, what that was
    judged from, in words.
    """

    measured: float
    lo: float
    hi: float
    verdict: Verdict
    remark: str = ""
    source: Source = field(default_factory=Source)
    is_certified: bool = False
    judged_lo: float = math.nan
    judged_hi: float = math.nan
    is_one_sided: bool = False
    earlier_source: str = ""

    def describe_source(self) -> str:
        """What it was judged from, in words."""
        return "certified" if self.is_certified else self.earlier_source or str(self.source)


def not_run(reason: str) -> Measurement:
    """The measurement where nothing was measured that the claim is about."""
    return Measurement(missing=reason)


def measure_one(
    estimate: Estimate,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    source: Source | None = None,
    remark: str = "",
) -> Measurement:
    """The measurement of a claim that speaks of one place."""
    return Measurement([Part(estimate)], at_least, at_most, source or Source(), remark)


def judge(measurement: Measurement, level: float = LEVEL) -> Finding:
    """The finding for a measurement, judged by intervals at a level of confidence."""
    if measurement.missing or not measurement.parts:
        return Finding(
            math.nan, math.nan, math.nan, Verdict.NOT_RUN, measurement.missing, measurement.source
        )
    positions = _locate_parts(measurement, level)
    verdict = _combine(positions, measurement.quantifier)
    part = _choose_part(measurement, positions, verdict, level)
    lo, hi = part.estimate.interval(LEVEL)
    judged_lo, judged_hi = part.estimate.interval(_choose_shown_level(measurement, verdict, level))
    return Finding(
        measured=float(part.estimate.value),
        lo=float(lo),
        hi=float(hi),
        verdict=verdict,
        remark=_describe(measurement, part, positions, verdict, level),
        source=measurement.source,
        is_certified=isinstance(part.estimate, Certified),
        judged_lo=float(judged_lo),
        judged_hi=float(judged_hi),
        is_one_sided=measurement.is_one_sided,
    )


def decide(measurement: Measurement, level: float) -> Verdict:
    """The verdict of :func:`judge` alone, for a measurement with at least one part."""
    return _combine(_locate_parts(measurement, level), measurement.quantifier)


def find_open_parts(measurement: Measurement, level: float) -> list[Part]:
    """The parts whose intervals leave open whether they satisfy the claim."""
    positions = _locate_parts(measurement, level)
    return [
        part
        for part, position in zip(measurement.parts, positions, strict=True)
        if position == "open"
    ]


Position = Literal["inside", "outside", "open"]


def choose_levels(measurement: Measurement, level: float) -> tuple[float, float]:
    """The levels of the intervals that show a part to lie inside the region, and outside of it."""
    strict = measurement.judging_level(1.0 - (1.0 - level) / max(1, len(measurement.parts)))
    plain = measurement.judging_level(level)
    return (strict, plain) if measurement.quantifier == "some" else (plain, strict)


def _choose_shown_level(measurement: Measurement, verdict: Verdict, level: float) -> float:
    """The level of the interval that made the verdict; of the wider one where neither made any."""
    inside_level, outside_level = choose_levels(measurement, level)
    levels = {Verdict.REPRODUCED: inside_level, Verdict.CONTRADICTED: outside_level}
    return levels.get(verdict, max(inside_level, outside_level))


def _locate_parts(measurement: Measurement, level: float) -> list[Position]:
    """Where the interval of every part lies; one side is judged at a stricter level."""
    inside_level, outside_level = choose_levels(measurement, level)
    return [
        _locate(part.estimate, measurement, inside_level, outside_level)
        for part in measurement.parts
    ]


def _locate(
    estimate: Estimate, region: Measurement, inside_level: float, outside_level: float
) -> Position:
    """Where the interval of an estimate lies, compared with the demanded region."""
    lo, hi = estimate.interval(inside_level)
    if region.at_least <= lo and hi <= region.at_most:
        return "inside"
    lo, hi = estimate.interval(outside_level)
    if hi < region.at_least or lo > region.at_most:
        return "outside"
    return "open"


def _combine(positions: Sequence[Position], quantifier: Quantifier) -> Verdict:
    if quantifier == "some":
        if "inside" in positions:
            return Verdict.REPRODUCED
        is_refuted = all(position == "outside" for position in positions)
        return Verdict.CONTRADICTED if is_refuted else Verdict.UNDECIDED
    if "outside" in positions:
        return Verdict.CONTRADICTED
    is_shown = all(position == "inside" for position in positions)
    return Verdict.REPRODUCED if is_shown else Verdict.UNDECIDED


def _choose_part(
    measurement: Measurement, positions: Sequence[Position], verdict: Verdict, level: float
) -> Part:
    """The part that decides: of those with the position that does, the one nearest to leaving the
    region or, where it holds, the furthest outside; for a union the nearest to entering it."""
    deciding: dict[Verdict, Position] = {
        Verdict.CONTRADICTED: "outside",
        Verdict.REPRODUCED: "inside",
    }
    position = deciding.get(verdict, "open")
    parts = [
        part for part, other in zip(measurement.parts, positions, strict=True) if other == position
    ]
    sign = -1.0 if measurement.quantifier == "some" else 1.0
    judging = measurement.judging_level(level)
    return min(parts, key=lambda part: sign * _compute_margin(part.estimate, measurement, judging))


def _compute_margin(estimate: Estimate, region: Measurement, level: float) -> float:
    """How far the interval stays inside the region, negative where it reaches beyond; in units of
    the region's end, and minus infinity where there is no interval."""
    lo, hi = estimate.interval(level)
    if math.isnan(lo) or math.isnan(hi):
        return -math.inf
    margins = []
    if math.isfinite(region.at_least):
        margins.append((lo - region.at_least) / max(abs(region.at_least), 1e-12))
    if math.isfinite(region.at_most):
        margins.append((region.at_most - hi) / max(abs(region.at_most), 1e-12))
    return min(margins, default=math.inf)


def _describe(
    measurement: Measurement,
    part: Part,
    positions: Sequence[Position],
    verdict: Verdict,
    level: float,
) -> str:
    """The place whose numbers are shown, which places are open, and why an interval is missing."""
    count = len(measurement.parts)
    remarks = [measurement.remark]
    if part.place:
        remarks.append(_name_place(part, count))
    if verdict is Verdict.UNDECIDED and count > 1:
        places = [
            other.place
            for other, position in zip(measurement.parts, positions, strict=True)
            if position == "open" and other.place
        ]
        remarks.append(f"open at {', '.join(places)}" if places else "")
    judging = measurement.judging_level(level)
    if any(map(math.isnan, part.estimate.interval(judging))):
        remarks.append(_explain_missing_interval(part.estimate, judging))
    return "; ".join(filter(None, remarks))


def _name_place(part: Part, count: int) -> str:
    """Where the shown numbers are from, of how many places, and there of how many seeds."""
    if count == 1:
        return f"at {part.place}"
    seeds = ""
    if isinstance(part.estimate, SampleMedian):
        seeds = f" ({len(part.estimate.values)} seeds)"
    return f"at {part.place}{seeds}, of {count} places"


def _explain_missing_interval(estimate: Estimate, level: float) -> str:
    """Why a part has no interval at the level that judges, and with how many seeds it would."""
    if isinstance(estimate, SampleMedian):
        count, needed = len(estimate.values), count_needed(level)
    elif isinstance(estimate, MedianRatio):
        count, needed = min(len(estimate.over), len(estimate.under)), FEWEST_FOR_ORDER
    else:
        return "no interval"
    if count < 2:
        return "no interval: it takes 2 seeds"
    reason = "values are equal, infinite, censored or missing"
    return f"no interval that judges: it takes {needed} seeds where {reason}"
