"""The table of claims as a reader of the page sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.page import PageTable, format_value, make_page_table
from analysis.page_tables import NO_VALUE

THRESHOLD_SET = {
    "before": "threshold set before a look at results",
    "after": "threshold set after a look at results",
    "unknown": "unknown whether the threshold was set before a look at results",
}
"""``threshold_set`` of a claim → what its row says."""


def make_claim_table(verdicts: pd.DataFrame) -> PageTable:
    """The verdicts of :func:`analysis.claims.judge_claims`.

    The remark says from which d, L, n and seeds a claim was judged and, where it is undecided or
    not run, what would decide it and what to run next.
    """
    records = []
    for row in verdicts.to_dict("records"):
        measured, interval = format_finding(row)
        is_judged = row["verdict"] != "not run" and row["source"] not in ("", "certified")
        remarks = [
            row["remark"],
            _describe_judgement(row) if is_judged else "",
            row["power"],
            f"next: {row['next']}" if row["next"] else "",
        ]
        records.append(
            {
                "verdict": row["verdict"],
                "claim": row["claim"],
                "predicted": row["predicted"],
                "measured": (measured, row["measured"]),
                "95 % interval": (interval, row["lo"]),
                "remark": "; ".join(filter(None, remarks)),
                "paper": (_name_place(row), row["paper"], row["study"]),
                "command": row["command"],
            }
        )
    return make_page_table(records, "no study here states a claim")


def _describe_judgement(row: Mapping[str, Any]) -> str:
    """From what a claim was judged, by which interval, and at which look."""
    interval = format_interval(row, "judged_lo", "judged_hi")
    kind = "one-sided bounds" if row["judged_sides"] == 1 else "interval"
    judged_by = "" if interval == NO_VALUE else f" by the {kind} {interval}"
    return f"judged{judged_by} at look {row['look']}, from {row['source']}"


def _name_place(row: Mapping[str, Any]) -> str:
    """The paper, where the claim stands in it, and when its threshold was set."""
    when = THRESHOLD_SET.get(row["threshold_set"], "")
    return "; ".join(filter(None, (row["paper"], row["place"], when)))


def format_finding(row: Mapping[str, Any]) -> tuple[str, str]:
    """What was measured for a claim and its 95 % interval, as text."""
    return _format_number(row["measured"]), format_interval(row, "lo", "hi")


def format_interval(row: Mapping[str, Any], lower: str, upper: str) -> str:
    """An interval of a claim, given by its columns, as text; an open end is left out."""
    ends = row[lower], row[upper]
    lo, hi = map(_format_number, ends)
    if row["source"] == "certified" and ends[0] == ends[1]:
        return "certified"
    if np.isnan(ends).any():
        return NO_VALUE
    if not np.isfinite(ends[1]):
        return f"≥ {lo}" if np.isfinite(ends[0]) else NO_VALUE
    return f"{lo} – {hi}" if np.isfinite(ends[0]) else f"≤ {hi}"


def _format_number(value: Any) -> str:
    return format_value(float(value)) if np.isfinite(value) else NO_VALUE
