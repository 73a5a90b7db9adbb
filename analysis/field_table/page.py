"""The table as a page: one file that opens offline, with a figure and the trainings per entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import markupsafe

from analysis.display_table import make_page_table
from analysis.field_table.charts import choose_styles, draw_row
from analysis.field_table.entries import Agreement, Entry, EntryStatus
from analysis.field_table.requests import ColumnRequest, RowRequest
from analysis.field_table.table import FieldTable
from analysis.field_table.wording import (
    MARKS,
    describe_absence,
    describe_entry,
    describe_features,
    describe_interval,
    describe_value,
    format_nstar,
)
from analysis.web.data import encode_figure, encode_trainings, pack_data, write_json
from analysis.web.template import read_asset, render_template

PACKAGE = "analysis.field_table"
TITLE = "Who needs how many samples on which target"
LEAD = (
    "Rows are targets, columns are methods. An entry is the exponent of n*, the number of samples "
    "at which half of the trainings reach a relative risk of {eps:g}, in the dimension d or the "
    "depth L, with its 95 % interval; below it stand n* at the size in the first column and, where "
    "features were compared with what the target plants, n* of each feature there."
)
NEUTRAL = 1.5
"""Exponents below it are tinted blue, those above it orange."""
STRONGEST = 3.0
"""Distance from it at which the tint is full."""


@dataclass(frozen=True)
class ShownEntry:
    """An entry as the template shows it."""

    key: str
    value: str
    interval: str
    nstar: str
    features: Sequence[str]
    """n* of each feature."""
    absence: str
    """Why nothing was measured."""
    mark: str
    sort: float | str
    sentence: str
    status: str
    agreement: str
    tint: int
    """Percent of the tint, negative for blue."""
    method: str


def render_table(table: FieldTable) -> str:
    """The page."""
    columns = {column.name: column for column in table.request.columns}
    styles = choose_styles(table.request.columns)
    charts = {}
    shown_rows = []
    for row in table.request.rows:
        entries = [entry for entry in table.entries if entry.row == row.name]
        figure = draw_row(row, entries, table.request.columns, styles, table.request.eps)
        if figure is not None:
            charts[row.name] = write_json(encode_figure(figure))
        shown = [show_entry(entry, row, columns[entry.column]) for entry in entries]
        shown_rows.append({"row": row, "entries": shown, "has_figure": figure is not None})
    trainings = {
        f"{entry.row}/{entry.column}": write_json(
            encode_trainings(entry.trainings.assign(line=entry.column))
        )
        for entry in table.entries
        if len(entry.trainings)
    }
    return render_template(
        read_asset("table.html", PACKAGE),
        ("tables.js", "figures.js", read_asset("field_table.js", PACKAGE)),
        table_style=markupsafe.Markup(read_asset("table.css", PACKAGE)),
        title=TITLE,
        lead=LEAD.format(eps=table.request.eps),
        columns=table.request.columns,
        rows=shown_rows,
        marks={MARKS[kind]: kind.value for kind in Agreement if MARKS[kind]},
        statuses=count_values(EntryStatus, [entry.status for entry in table.entries]),
        agreements=count_values(Agreement, [entry.agreement for entry in table.entries]),
        rankings=make_ranking_table(table),
        profiles=make_profile_table(table),
        citation=table.citation,
        command=table.provenance.command,
        data=pack_data(charts, trainings),
    )


def count_values(kind: type[StrEnum], values: Sequence[StrEnum]) -> dict[str, int]:
    """How often each value of an enumeration that has a name occurs, in its order."""
    counts = Counter(values)
    return {value.value: counts[value] for value in kind if value.value and counts[value]}


def show_entry(entry: Entry, row: RowRequest, column: ColumnRequest) -> ShownEntry:
    """An entry in words, with its tint."""
    exponent = entry.fit.exponent if entry.fit and entry.status is EntryStatus.EXPONENT else None
    tint = 0
    if exponent is not None:
        share = max(-1.0, min(1.0, (exponent - NEUTRAL) / STRONGEST))
        tint = round(60 * share)
    nstar = format_nstar(entry.reference)
    value = describe_value(entry)
    return ShownEntry(
        key=f"{entry.row}/{entry.column}",
        value=value,
        interval=describe_interval(entry),
        nstar="" if nstar == value else nstar,
        features=describe_features(entry),
        absence=describe_absence(entry),
        mark=MARKS[entry.agreement],
        sort=exponent if exponent is not None else "",
        sentence=describe_entry(entry, row, column),
        status=entry.status.value,
        agreement=entry.agreement.value,
        tint=tint,
        method=column.title,
    )


def make_ranking_table(table: FieldTable) -> Any:
    """Per target: who needs the fewest samples, and with what probability."""
    titles = {column.name: column.title for column in table.request.columns}
    records = []
    for ranking in table.rankings:
        first, *others = ranking.probabilities.items()
        records.append(
            {
                "target": ranking.row.title,
                "at": f"{ranking.row.axis} = {ranking.size:g}",
                "fewest samples": titles[first[0]],
                "probability": (_format_probability(first[1]), first[1]),
                "next": _list_others(others, titles),
            }
        )
    return make_page_table(records, "no two methods were measured at one size of a target")


def _list_others(others: Sequence[tuple[str, float]], titles: dict[str, str]) -> str:
    """Those that may be first, too."""
    named = [f"{titles[name]} {_format_probability(p)}" for name, p in others if p >= 0.005]
    return ", ".join(named)


def _format_probability(probability: float) -> str:
    if probability > 0.995:
        return "> .99"
    return f"{probability:.2f}".lstrip("0")


def make_profile_table(table: FieldTable) -> Any:
    """Per method: how many targets have which status, and on which it is first."""
    records = []
    for profile in table.profiles:
        counts = {status.value: profile.counts.get(status, 0) for status in EntryStatus}
        records.append(
            {
                "method": profile.column.title,
                "knows": profile.column.uses or "samples only",
                **{name: count for name, count in counts.items()},
                "first on": ", ".join(profile.first),
            }
        )
    return make_page_table(records)
