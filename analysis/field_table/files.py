"""The table as files: CSV and LaTeX of its entries and of n* of features, and ``table.json``.

``table.json`` holds everything that a later version needs to be compared with this one.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.field_table.entries import Entry, EntryStatus
from analysis.field_table.table import FieldTable
from analysis.field_table.wording import describe_interval, describe_value, format_nstar
from analysis.paper_export import to_latex
from bfc.stats.nstar import NStar

CSV, JSON, LATEX = "table.csv", "table.json", "table.tex"
FEATURES_CSV, FEATURES_LATEX = "table_features.csv", "table_features.tex"
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
FEATURE_COLUMNS = (
    "row",
    "column",
    "feature",
    "overlap",
    "axis",
    "reference",
    "nstar",
    "nstar_lo",
    "nstar_hi",
    "censored",
)
"""Of ``table_features.csv``, one row per entry and feature."""


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
                **_list_nstar(entry.reference),
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


def _list_nstar(nstar: NStar | None) -> dict[str, Any]:
    if nstar is None:
        return {"nstar": math.nan, "nstar_lo": math.nan, "nstar_hi": math.nan, "censored": ""}
    return {
        "nstar": nstar.value,
        "nstar_lo": nstar.lo,
        "nstar_hi": nstar.hi,
        "censored": nstar.censored.value,
    }


def _list_theory(entry: Entry) -> dict[str, Any]:
    theory = entry.theory
    return {
        "theory": theory.exponent if theory else math.nan,
        "theory_bound": theory.bound if theory else "",
        "theory_status": (theory.status or "") if theory else "",
        "theory_source": theory.source if theory else "",
    }


def tabulate_features(table: FieldTable) -> pd.DataFrame:
    """One row per entry and feature of which n* is known, columns :data:`FEATURE_COLUMNS`."""
    rows = {row.name: row for row in table.request.rows}
    records = []
    for entry in table.entries:
        for feature in entry.features:
            records.append(
                {
                    "row": entry.row,
                    "column": entry.column,
                    "feature": feature.feature,
                    "overlap": feature.overlap,
                    "axis": rows[entry.row].axis,
                    "reference": rows[entry.row].reference,
                    **_list_nstar(feature.nstar),
                }
            )
    return pd.DataFrame(records, columns=list(FEATURE_COLUMNS))


def write_files(table: FieldTable, folder: Path) -> None:
    """Write the CSV, the LaTeX and the JSON of a table into a folder that exists."""
    tabulate_entries(table).to_csv(folder / CSV, index=False)
    tabulate_features(table).to_csv(folder / FEATURES_CSV, index=False)
    text = json.dumps(to_json(table), indent=1, allow_nan=False)
    (folder / JSON).write_text(text + "\n", encoding="utf-8")
    (folder / LATEX).write_text(format_latex(table), encoding="utf-8")
    (folder / FEATURES_LATEX).write_text(format_features_latex(table), encoding="utf-8")


def to_json(table: FieldTable) -> dict[str, Any]:
    """Plain values; what is not finite is null, except that an open end is ``"inf"``."""
    features: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in tabulate_features(table).to_dict("records"):
        plain = {str(name): _to_plain(value) for name, value in record.items()}
        pair = plain.pop("row"), plain.pop("column")
        features.setdefault(pair, []).append(plain)
    entries = []
    for record in tabulate_entries(table).to_dict("records"):
        plain = {str(name): _to_plain(value) for name, value in record.items()}
        entries.append({**plain, "features": features.get((plain["row"], plain["column"]), [])})
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
        **table.provenance.to_json(),
        "entries": entries,
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
            record[column.title] = "--" if entry.status is EntryStatus.CANNOT_RUN else text
        records.append(record)
    names = ["Target", *(column.title for column in table.request.columns)]
    return to_latex(pd.DataFrame(records, columns=names), "l" * len(names))


def format_features_latex(table: FieldTable) -> str:
    """n* of features beside n* of the risk, for the package booktabs."""
    targets = {row.name: row for row in table.request.rows}
    methods = {column.name: column.title for column in table.request.columns}
    names = ["Target", "Method", "Size", "Feature", "n* of the feature", "n* of the risk"]
    records = []
    for entry in table.entries:
        row = targets[entry.row]
        size = f"{row.axis} = {row.reference}"
        risk = format_nstar(entry.reference)
        for feature in entry.features:
            nstar = format_nstar(feature.nstar)
            values = [row.title, methods[entry.column], size, feature.feature, nstar, risk]
            records.append(dict(zip(names, values, strict=True)))
    return to_latex(pd.DataFrame(records, columns=names), "l" * len(names))
