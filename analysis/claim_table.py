"""What was measured for claims, as text, and the table of claims that a terminal shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.display_table import NO_VALUE, PageTable, format_number, make_page_table
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.looks import MAX_LOOKS

DIGITS = 3
MAX_DIGITS = 12
"""Of an interval whose ends are equal in fewer digits."""


def make_claim_table(verdicts: pd.DataFrame) -> PageTable:
    """The verdicts of :func:`analysis.claims.judge_claims`, as a terminal shows them.

    The page has a view of its own for every claim (:mod:`analysis.web.claim_views`).
    """
    records = []
    for row in verdicts.to_dict("records"):
        measured, interval = format_finding(row)
        records.append(
            {
                "claim": row["claim"],
                "measured": (measured, row["measured"]),
                "95 % interval": (interval, row["lo"]),
                "verdict": row["verdict"],
            }
        )
    return make_page_table(records)


def describe_judgement(row: Mapping[str, Any]) -> str:
    """The interval that judged a claim, and at which look; empty where no draws judged it."""
    interval = format_judging_interval(row)
    if not interval:
        return ""
    kind = "one-sided bounds" if row["judged_sides"] == 1 else "the interval"
    return f"{kind} {interval}, look {row['look']} of at most {MAX_LOOKS}"


def format_judging_interval(row: Mapping[str, Any]) -> str:
    """The interval that judged a claim, as text; empty where no draws judged it."""
    if row["verdict"] == Verdict.NOT_RUN or row["source"] in ("", "certified"):
        return ""
    interval = format_claim_interval(row, "judged_lo", "judged_hi")
    return "" if interval == NO_VALUE else interval


def format_finding(row: Mapping[str, Any]) -> tuple[str, str]:
    """What was measured for a claim and its 95 % interval, as text."""
    digits = count_digits(row["lo"], row["hi"])
    return format_number(row["measured"], digits), format_claim_interval(row, "lo", "hi")


def count_digits(lo: float, hi: float) -> int:
    """The digits that the ends of an interval need to differ as text, at least :data:`DIGITS`."""
    if not (np.isfinite([lo, hi]).all() and lo < hi):
        return DIGITS
    for digits in range(DIGITS, MAX_DIGITS):
        if format_number(lo, digits) != format_number(hi, digits):
            return digits
    return MAX_DIGITS


def format_claim_interval(row: Mapping[str, Any], lower: str, upper: str) -> str:
    """An interval of a claim, given by its columns, as text; an open end is left out."""
    ends = row[lower], row[upper]
    digits = count_digits(*ends)
    lo, hi = (format_number(end, digits) for end in ends)
    if row["source"] == "certified" and ends[0] == ends[1]:
        return "certified"
    if np.isnan(ends).any():
        return NO_VALUE
    if not np.isfinite(ends[1]):
        return f"≥ {lo}" if np.isfinite(ends[0]) else NO_VALUE
    return f"{lo} – {hi}" if np.isfinite(ends[0]) else f"≤ {hi}"
