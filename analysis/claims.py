"""Judges a study's claims from the store.

A claim is data in the study's file under ``sweeps/``: the paper, the sentence, one predicate (a
file of :mod:`analysis.predicates`) and its thresholds. So a reader sees what was demanded, and
changing a threshold retrains nothing. A claim is *reproduced* only where the whole 95 % interval
satisfies it, *contradicted* where none of it does, and otherwise *undecided*; then the column
``next`` names what to run, if the study has a larger size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.demands import describe_demand
from analysis.evidence import Evidence, Finding, Verdict
from analysis.registry import call_part, load_part
from bfc.studies import SIZES, claims_of

COLUMNS = (
    "claim",
    "paper",
    "study",
    "predicted",
    "measured",
    "lo",
    "hi",
    "verdict",
    "remark",
    "command",
    "next",
)


def judge_claims(
    study: str,
    evidence: Evidence,
    claims: Sequence[Mapping[str, Any]] | None = None,
    sizes: Collection[str] = (),
) -> pd.DataFrame:
    """One row per claim of ``study``, with the columns :data:`COLUMNS`.

    ``claims``: as in the study's file, which is read where it is None. ``sizes``: the sizes of the
    study that were run. Raises :class:`UserError` for an unknown predicate or threshold.
    """
    rows = []
    for claim in claims_of(study) if claims is None else claims:
        thresholds = dict(claim.get("thresholds", {}))
        finding = _judge_claim(study, claim["predicate"], thresholds, evidence)
        size = claim.get("size", SIZES[1])
        larger = None
        if finding.verdict == Verdict.UNDECIDED:
            larger = choose_next_size(size, sizes)
        rows.append(
            {
                "claim": claim["statement"],
                "paper": claim["paper"],
                "study": study,
                "predicted": describe_demand(thresholds, claim["predicate"]),
                "measured": finding.measured,
                "lo": finding.lo,
                "hi": finding.hi,
                "verdict": finding.verdict.value,
                "remark": finding.remark,
                "command": format_command(study, size),
                "next": format_command(study, larger) if larger else "",
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _judge_claim(
    study: str, predicate: str, thresholds: Mapping[str, Any], evidence: Evidence
) -> Finding:
    where = f"{study}: claim predicate"
    finding: Finding = call_part(
        load_part("predicates", predicate, where), evidence, thresholds, where
    )
    return finding


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
