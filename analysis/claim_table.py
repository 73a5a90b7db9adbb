"""The table of claims as a reader of the page sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.page import PageTable, format_value, make_page_table
from analysis.page_tables import NO_VALUE


def make_claim_table(verdicts: pd.DataFrame) -> PageTable:
    """The verdicts of :func:`analysis.claims.judge_claims`.

    The remark says from which d, L, n and seeds a claim was judged and, where it is undecided or
    not run, what to run next.
    """
    records = []
    for row in verdicts.to_dict("records"):
        measured, interval = format_finding(row)
        is_judged = row["verdict"] != "not run" and row["source"] not in ("", "certified")
        remarks = [
            row["remark"],
            f"judged from {row['source']}" if is_judged else "",
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
                "paper": (row["paper"], row["paper"], row["study"]),
                "command": row["command"],
            }
        )
    return make_page_table(records, "no study here states a claim")


def format_finding(row: Mapping[str, Any]) -> tuple[str, str]:
    """What was measured for a claim and its interval, as text; an open end is left out."""
    measured, lo, hi = (_format_number(row[name]) for name in ("measured", "lo", "hi"))
    if row["source"] == "certified" and row["lo"] == row["hi"]:
        return measured, "certified"
    if np.isnan(row["lo"]) or np.isnan(row["hi"]):
        return measured, NO_VALUE
    if not np.isfinite(row["hi"]):
        return measured, f"≥ {lo}" if np.isfinite(row["lo"]) else NO_VALUE
    return measured, f"{lo} – {hi}" if np.isfinite(row["lo"]) else f"≤ {hi}"


def _format_number(value: Any) -> str:
    return format_value(float(value)) if np.isfinite(value) else NO_VALUE
