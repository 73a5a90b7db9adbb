"""A study as the page shows it: its question, an answer with numbers from the store, its growth.

The answer is made from the tables of the study, never written by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.display_table import PageTable, make_page_table
from analysis.fitted_line import name_scarce_sizes
from analysis.page_tables import SHARED
from analysis.series import format_exponent, format_level_factor
from analysis.swept_lines import select_axis
from bfc.stats.verdict import STRONG

LISTED = 2
"""Methods that an answer names from either end."""
GROWTH_WORDS = {
    "untested": "too few sizes to tell",
    "polynomial": "polynomial",
    "no_single_power": "not a single power",
    "faster": "faster than polynomial",
    "undecided": "not told apart",
}


def answer_question(
    exponents: pd.DataFrame, risks: pd.DataFrame, verdicts: Mapping[str, int]
) -> str:
    """What a study found, in a sentence or two: exponents or median risks, and its verdicts."""
    sentences = [_describe_exponents(exponents) or _describe_risks(risks)]
    total = sum(verdicts.values())
    if total:
        parts = [f"{count} {verdict}" for verdict, count in verdicts.items() if count]
        noun = "claim" if total == 1 else "claims"
        sentences.append(f"Of its {total} {noun}: {', '.join(parts)}.")
    return " ".join(filter(None, sentences))


def _describe_exponents(exponents: pd.DataFrame) -> str:
    """The smallest and the largest exponents at the smallest eps at which any is known."""
    against_d = select_axis(exponents, "d")
    known = against_d[np.isfinite(against_d["exponent"].astype(float))]
    if known.empty:
        return ""
    eps = known["eps"].min()
    rows = known[known["eps"] == eps].sort_values("exponent").to_dict("records")
    phrases = [f"{_format_growth(row)} for {_name_line(row, known)}" for row in _take_ends(rows)]
    rest = len(rows) - len(phrases)
    more = f" ({rest} more lie between)" if rest > 0 else ""
    return f"At ε = {eps:g}, n* grows as {_join(phrases)}{more}."


def _format_growth(row: Mapping[str, Any]) -> str:
    """``d^1.20 [1.00, 1.40]``, with a mark where it runs through two or three d."""
    scarce = name_scarce_sizes(row["n_d"])
    mark = f" ({scarce}: too few to tell)" if scarce else ""
    return f"d^{row['exponent']:.2f} [{row['lo']:.2f}, {row['hi']:.2f}]{mark}"


def _name_line(row: Mapping[str, Any], table: pd.DataFrame) -> str:
    """The line, with its target and depth where these vary."""
    parts = [str(row["line"])]
    for column in ("target", "L"):
        if column in table and table[column].nunique() > 1:
            parts.append(f"{column} = {row[column]}" if column == "L" else str(row[column]))
    return ", ".join(parts)


def _describe_risks(risks: pd.DataFrame) -> str:
    """The lowest and the highest median risks at the largest d."""
    if risks.empty:
        return ""
    largest = risks[risks["d"] == risks["d"].max()]
    rows = largest[np.isfinite(largest["median"].astype(float))].sort_values("median")
    records = rows.to_dict("records")
    phrases = [
        f"{row['median']:.2g} [{row['lo']:.2g}, {row['hi']:.2g}] for {_name_line(row, largest)}"
        for row in _take_ends(records)
    ]
    if not phrases:
        return ""
    rest = len(records) - len(phrases)
    more = f" ({rest} more lie between)" if rest > 0 else ""
    return f"At d = {risks['d'].max()}, the median relative test risk is {_join(phrases)}{more}."


def _take_ends(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first and the last rows, all where there are few."""
    if len(rows) <= 2 * LISTED:
        return list(rows)
    return [*rows[:LISTED], *rows[-LISTED:]]


def _join(phrases: Sequence[str]) -> str:
    if len(phrases) == 1:
        return phrases[0]
    return f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def make_growth_table(exponents: pd.DataFrame) -> PageTable:
    """How n* grows with d, one row per line and eps.

    Whether the growth is polynomial, an exponential is excluded, a single power fits, and factors
    of log d are compatible.
    """
    records = []
    for row in select_axis(exponents, "d").to_dict("records"):
        exponent = format_exponent(pd.DataFrame([row])) if np.isfinite(row["exponent"]) else ""
        records.append(
            {
                "method": row["line"],
                "target": row["target"],
                "L": row["L"],
                "ε": row["eps"],
                "exponent": (exponent or row["reason"], row["exponent"]),
                "growth": GROWTH_WORDS.get(row["growth_verdict"], ""),
                "exponential": (_describe_odds(row["exponential_gap"]), row["exponential_gap"]),
                "one power for all d": row["single_power"],
                "log factors": row["log_factors"],
                "warnings": row["warnings"],
            }
        )
    return make_page_table(records, fold=SHARED)


def make_depth_growth_table(exponents: pd.DataFrame) -> PageTable:
    """How n* grows with L, one row per line along L and eps.

    The factor by which n* grows from level to level, the power of L in its place, and which of the
    two the held-out L prefers.
    """
    records = []
    for row in select_axis(exponents, "L").to_dict("records"):
        exponent = format_exponent(pd.DataFrame([row])) if np.isfinite(row["exponent"]) else ""
        records.append(
            {
                "method": row["line"],
                "target": row["target"],
                "d": row["d"],
                "ε": row["eps"],
                "factor per level": (format_level_factor(row), row["rate"]),
                "or power of L": (exponent or row["reason"], row["exponent"]),
                "growth in L": GROWTH_WORDS.get(row["growth_verdict"], ""),
                "exponential": (_describe_odds(row["exponential_gap"]), row["exponential_gap"]),
                "number of L": row["n_d"],
                "warnings": row["warnings"],
            }
        )
    return make_page_table(records, fold=SHARED)


def _describe_odds(gap: float) -> str:
    """What the held-out scores say about exponential growth against a power law."""
    if not np.isfinite(gap):
        return ""
    odds = f"odds {np.exp(min(abs(gap), np.log(9999.0))):.2g} : 1"
    if gap >= STRONG:
        return f"excluded ({odds})"
    if gap <= -STRONG:
        return f"fits better ({odds})"
    return "not excluded"
