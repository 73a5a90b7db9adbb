"""Judges a study's claims from the store.

A claim is data in the study's file under ``sweeps/``: the paper, the sentence, one predicate (a
file of :mod:`analysis.predicates`) and its thresholds. So a reader sees what was demanded, and
changing a threshold retrains nothing. The predicate measures, :func:`analysis.verdicts.judge` makes
the verdict. The d, L and n that the sentence names stand under ``at`` and select what is read of
the store, so that a larger size, which measures other d or n too, does not change what is judged.
What must be among what was read, such as a least number of seeds, is listed under ``requires``.
Where either was not measured the verdict is *not run*, whatever was measured instead, and where a
claim is undecided or not run, the column ``next`` names what to run.

Verdicts are made from repeated confidence intervals, which are wide enough for all looks that a
claim may get (:mod:`bfc.stats.looks`); the looks are counted by :mod:`analysis.look_log`. The plain
95 % interval stands beside them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.board import compute_p_value
from analysis.demands import describe_demand
from analysis.evidence import Evidence, NotMeasured
from analysis.filters import restrict_evidence
from analysis.look_log import LookLog
from analysis.looking import look_at
from analysis.power import describe_power, find_missing_seeds
from analysis.prospects import take_stock
from analysis.registry import call_part, load_constant, load_part
from analysis.requirements import REQUIREMENTS, check_requirements
from analysis.verdicts import Finding, Measurement, judge, not_run
from bfc.errors import UserError, nearest
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.looks import MAX_LOOKS, REPEATED_LEVEL
from bfc.studies import SIZES, claims_of

COLUMNS = (
    "claim",
    "paper",
    "study",
    "predicted",
    "measured",
    "lo",
    "hi",
    "judged_lo",
    "judged_hi",
    "judged_sides",
    "look",
    "verdict",
    "p_value",
    "source",
    "remark",
    "power",
    "place",
    "threshold_set",
    "command",
    "next",
    "at_least",
    "at_most",
    "methods",
    "figure",
    "cells",
    "more_seeds",
    "open_cells",
)

AT = ("d", "L", "n")
"""What a claim may name as the place that it speaks of."""


METHOD_KEYS = ("method", "methods", "over", "under", "slow", "fast")
"""Thresholds that name a method."""


@dataclass(frozen=True)
class Assessment:
    """What was measured for a claim, and the finding that stands, with its p-value."""

    measurement: Measurement
    finding: Finding
    p_value: float
    look: int

    @property
    def is_exhausted(self) -> bool:
        """Whether the claim is undecided after its last look."""
        return self.finding.verdict is Verdict.UNDECIDED and self.look >= MAX_LOOKS


def assess_claim(
    study: str, claim: Mapping[str, Any], evidence: Evidence, log: LookLog
) -> Assessment:
    """Measure and judge one claim of ``study``, which is a look that ``log`` counts.

    Raises :class:`UserError` for an unknown predicate, threshold, place or requirement.
    """
    measurement = measure_claim(study, claim, evidence)
    finding = judge(measurement, REPEATED_LEVEL)
    p_value = compute_p_value(measurement, finding)
    look, finding, p_value = look_at(claim, finding, p_value, log)
    return Assessment(measurement, finding, p_value, look)


def judge_claims(
    study: str,
    evidence: Evidence,
    claims: Sequence[Mapping[str, Any]] | None = None,
    sizes: Collection[str] = (),
    log: LookLog | None = None,
) -> pd.DataFrame:
    """One row per claim of ``study``, with the columns :data:`COLUMNS`.

    ``claims``: as in the study's file, which is read where it is None. ``sizes``: the sizes of the
    study that were run. ``log``: the looks so far, to which this one is added; without it this is
    the first. Raises :class:`UserError` for an unknown predicate or threshold.
    """
    log = log or LookLog(None, study)
    seconds_per_seed = {
        cell: stock.seconds_per_seed for cell, stock in take_stock(evidence.trainings).items()
    }
    rows = []
    for claim in claims_of(study) if claims is None else claims:
        assessment = assess_claim(study, claim, evidence, log)
        rows.append(_make_row(study, claim, assessment, sizes, seconds_per_seed))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _make_row(
    study: str,
    claim: Mapping[str, Any],
    assessment: Assessment,
    sizes: Collection[str],
    seconds_per_seed: Mapping[str, float],
) -> dict[str, Any]:
    """The row of one claim; ``seconds_per_seed``: of every cell."""
    measurement, finding = assessment.measurement, assessment.finding
    thresholds = dict(claim.get("thresholds", {}))
    size = claim.get("size", SIZES[1])
    larger, power, missing = None, "", None
    if assessment.is_exhausted:
        power = f"nothing decides this any more: its {MAX_LOOKS} looks are used up"
    elif finding.verdict in (Verdict.UNDECIDED, Verdict.NOT_RUN):
        larger = choose_next_size(size, sizes)
        power = describe_power(measurement, finding, seconds_per_seed)
        missing = find_missing_seeds(measurement, finding)
    return {
        "claim": claim["statement"],
        "paper": claim["paper"],
        "study": study,
        "predicted": describe_demand(thresholds, claim["predicate"]),
        "measured": finding.measured,
        "lo": finding.lo,
        "hi": finding.hi,
        "judged_lo": finding.judged_lo,
        "judged_hi": finding.judged_hi,
        "judged_sides": 1 if finding.is_one_sided else 2,
        "look": assessment.look,
        "verdict": finding.verdict.value,
        "p_value": assessment.p_value,
        "source": finding.describe_source(),
        "remark": finding.remark,
        "power": power,
        "place": claim.get("place", ""),
        "threshold_set": claim.get("threshold_set", ""),
        "command": format_command(study, size),
        "next": format_command(study, larger) if larger else "",
        "at_least": measurement.at_least,
        "at_most": measurement.at_most,
        "methods": "; ".join(list_methods(thresholds)),
        "figure": load_constant("predicates", claim["predicate"], "FIGURE", ""),
        "cells": " ".join(sorted(measurement.source.cells)),
        "more_seeds": missing.count if missing else 0,
        "open_cells": " ".join(sorted(missing.cells)) if missing else "",
    }


def measure_claim(study: str, claim: Mapping[str, Any], evidence: Evidence) -> Measurement:
    """What the predicate of a claim measures at what it speaks of.

    Raises :class:`UserError` for an unknown predicate, threshold, place or requirement.
    """
    where = f"{study}: claim predicate"
    at, required = claim.get("at", {}), claim.get("requires", {})
    _check_keys(study, "names a place", at, AT)
    _check_keys(study, "requires", required, tuple(REQUIREMENTS))
    load_part("predicates", claim["predicate"], where)
    try:
        part = restrict_evidence(evidence, at) if at else evidence
    except NotMeasured as reason:
        return not_run(str(reason))
    thresholds = claim.get("thresholds", {})
    return check_requirements(
        measure_predicate(claim["predicate"], part, thresholds, where), required
    )


def measure_predicate(
    name: str, evidence: Evidence, thresholds: Mapping[str, Any], where: str
) -> Measurement:
    """What a predicate measures, *not run* where it raises :class:`NotMeasured`.

    Raises :class:`UserError`, beginning with ``where``, for an unknown predicate or threshold.
    """
    predicate = load_part("predicates", name, where)
    try:
        measurement: Measurement = call_part(predicate, evidence, thresholds, where)
    except NotMeasured as reason:
        return not_run(str(reason))
    return measurement


def _check_keys(study: str, verb: str, given: Iterable[str], allowed: Sequence[str]) -> None:
    for name in given:
        if name not in allowed:
            raise UserError(
                f"{study}: a claim {verb} {name}: no such key; {nearest(name, allowed)}"
            )


def list_methods(thresholds: Mapping[str, Any]) -> list[str]:
    """The methods that a claim speaks of, each once; also those of a predicate inside another."""
    names: list[str] = []
    for key, value in thresholds.items():
        if isinstance(value, Mapping):
            names.extend(list_methods(value) if key == "thresholds" else [])
        elif key in METHOD_KEYS:
            names.extend(value if isinstance(value, list) else [value])
    return list(dict.fromkeys(map(str, names)))


def format_command(study: str, size: str) -> str:
    """The command that runs a study in one of its sizes."""
    return f"python -m bfc.train -m +sweeps={study} study.size={size}"


def choose_next_size(deciding: str, run: Collection[str]) -> str | None:
    """The size to run for a claim that is undecided.

    The size that decides it, or the next larger one than any that was ``run``; None where the
    largest was.
    """
    if deciding not in run and not _has_larger(deciding, run):
        return deciding
    largest = max((SIZES.index(size) for size in [*run, deciding] if size in SIZES), default=0)
    return SIZES[largest + 1] if largest + 1 < len(SIZES) else None


def _has_larger(size: str, run: Collection[str]) -> bool:
    """Whether one of the sizes that were run is larger than ``size``."""
    if size not in SIZES:
        return False
    larger = SIZES[SIZES.index(size) + 1 :]
    return any(name in larger for name in run)
