"""The table as files: ``table.csv``, ``table.json`` and ``table.tex``.

``table.json`` holds everything that a later version needs to be compared with this one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.field_table.entries import Entry, Status
from analysis.field_table.ranking import Profile, Ranking
from analysis.field_table.requests import TableRequest
from analysis.field_table.wording import describe_interval, describe_value
from analysis.paper_export import to_latex
from bfc.stats.nstar import NStar

CSV, JSON, LATEX = "table.csv", "table.json", "table.tex"
COLUMNS = (
    "row",
    "column",
    "target",
    "method",
    "uses",
    "status",
    "axis",
    "eps",
    "exponent",
    "lo",
    "hi",
    "growth",
    "sizes",
    "reference",
    "nstar",
    "nstar_lo",
    "nstar_hi",
    "censored",
    "feature",
    "feature_overlap",
    "feature_nstar",
    "feature_nstar_lo",
    "feature_nstar_hi",
    "theory",
    "theory_bound",
    "theory_status",
    "theory_source",
    "agreement",
    "seconds",
    "seconds_left",
    "reason",
)
"""Of ``table.csv``, one row per entry."""


@dataclass(frozen=True)
class FieldTable:
    """An estimated table: what was asked for, its entries, who is first, and how it was made."""

    request: TableRequest
    entries: Sequence[Entry]
    rankings: Sequence[Ranking]
    profiles: Sequence[Profile]
    provenance: Mapping[str, str]
    """Version, commit, hardware, budget, command and date."""

    @property
    def citation(self) -> str:
        """How it was made, in a line."""
        made = self.provenance
        commit = f", commit {made['commit'][:10]}" if made.get("commit") else ""
        return (
            f"bfc {made['version']}{commit}, table of size {self.request.size} at a relative risk "
            f"of {self.request.eps:g}, {made['hardware']}, budget {made['budget']}, {made['date']}."
        )


def tabulate_entries(table: FieldTable) -> pd.DataFrame:
    """One row per entry, columns :data:`COLUMNS`."""
    rows = {row.name: row for row in table.request.rows}
    columns = {column.name: column for column in table.request.columns}
    records = []
    for entry in table.entries:
        row, column = rows[entry.row], columns[entry.column]
        records.append(
            {
                "row": row.name,
                "column": column.name,
                "target": row.title,
                "method": column.title,
                "uses": column.uses,
                "status": entry.status.value,
                "axis": row.axis,
                "eps": table.request.eps,
                **_list_exponent(entry),
                "sizes": entry.num_sizes,
                "reference": row.reference,
                **_list_nstar(entry.reference, "nstar"),
                "censored": entry.reference.censored.value if entry.reference else "",
                **_list_feature(entry),
                **_list_theory(entry),
                "agreement": entry.agreement.value,
                "seconds": round(entry.seconds, 1),
                "seconds_left": round(entry.seconds_left, 1),
                "reason": entry.reason,
            }
        )
    return pd.DataFrame(records, columns=list(COLUMNS))


def _list_exponent(entry: Entry) -> dict[str, Any]:
    if entry.fit is None:
        return {"exponent": math.nan, "lo": math.nan, "hi": math.nan, "growth": ""}
    fit = entry.fit
    return {"exponent": fit.exponent, "lo": fit.lo, "hi": fit.hi, "growth": fit.growth}


def _list_nstar(nstar: NStar | None, name: str) -> dict[str, float]:
    if nstar is None:
        return {name: math.nan, f"{name}_lo": math.nan, f"{name}_hi": math.nan}
    return {name: nstar.value, f"{name}_lo": nstar.lo, f"{name}_hi": nstar.hi}


def _list_feature(entry: Entry) -> dict[str, Any]:
    feature = entry.feature
    return {
        "feature": feature.feature if feature else "",
        "feature_overlap": feature.overlap if feature else math.nan,
        **_list_nstar(feature.nstar if feature else None, "feature_nstar"),
    }


def _list_theory(entry: Entry) -> dict[str, Any]:
    theory = entry.theory
    return {
        "theory": theory.exponent if theory else math.nan,
        "theory_bound": theory.bound if theory else "",
        "theory_status": (theory.status or "") if theory else "",
        "theory_source": theory.source if theory else "",
    }


def write_files(table: FieldTable, folder: Path) -> None:
    """Write the CSV, the JSON and the LaTeX of a table into a folder that exists."""
    entries = tabulate_entries(table)
    entries.to_csv(folder / CSV, index=False)
    text = json.dumps(to_json(table, entries), indent=1, allow_nan=False)
    (folder / JSON).write_text(text + "\n", encoding="utf-8")
    (folder / LATEX).write_text(format_latex(table), encoding="utf-8")


def to_json(table: FieldTable, entries: pd.DataFrame) -> dict[str, Any]:
    """Plain values; what is not finite is null, except that an open end is ``"inf"``."""
    records = []
    for record in entries.to_dict("records"):
        records.append({str(name): _to_plain(value) for name, value in record.items()})
    rankings = []
    for ranking in table.rankings:
        rankings.append(
            {
                "row": ranking.row.name,
                "size": ranking.size,
                "probabilities": {
                    name: float(f"{value:.4g}") for name, value in ranking.probabilities.items()
                },
            }
        )
    return {
        "size": table.request.size,
        "eps": table.request.eps,
        **table.provenance,
        "entries": records,
        "rankings": rankings,
    }


def _to_plain(value: Any) -> Any:
    if isinstance(value, float):
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        return None if math.isnan(value) else float(f"{value:.8g}")
    return value


def format_latex(table: FieldTable) -> str:
    """The matrix for the package booktabs: exponents with intervals, targets by methods."""
    entries = {(entry.row, entry.column): entry for entry in table.entries}
    records = []
    for row in table.request.rows:
        record = {"Target": row.title}
        for column in table.request.columns:
            entry = entries[row.name, column.name]
            text = f"{describe_value(entry)} {describe_interval(entry)}".strip()
            record[column.title] = "--" if entry.status is Status.CANNOT_RUN else text
        records.append(record)
    names = ["Target", *(column.title for column in table.request.columns)]
    return to_latex(pd.DataFrame(records, columns=names), "l" * len(names))
