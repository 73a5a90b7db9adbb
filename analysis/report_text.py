"""What a report prints: the tables of n* or risks, of exponents and of claims, and its files."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analysis.claim_table import make_claim_table
from analysis.display_table import PageTable
from analysis.page_tables import (
    make_exponent_table,
    make_nstar_table,
    make_risk_table,
    select_keys,
)
from analysis.report_writer import Report
from analysis.swept_lines import VARIES, select_axis
from analysis.web.study_views import make_depth_growth_table

NSTAR_COLUMNS = (
    "method",
    "target",
    "L",
    "degree",
    "d",
    "further settings",
    "ε",
    "n*",
    "95 % interval",
    "at the largest n",
)
"""Columns of the printed table of n*; those that do not vary are named once above it."""
EXPONENT_COLUMNS = ("method", "target", "L", "ε", "exponent")
DEPTH_COLUMNS = ("method", "target", "d", "ε", "factor per level", "or power of L", "growth in L")


def print_report(report: Report, console: Console) -> None:
    """Print the tables of n* or risks, of exponents and of claims, and where the files are."""
    for name, nstar in report.nstar.groupby("study", sort=False):
        risks = report.risk[report.risk["study"] == name]
        if len(risks):
            _print_table(console, f"{name}: risk", make_risk_table(risks))
        else:
            exponents = report.exponents[report.exponents["study"] == name]
            _print_study(console, name, nstar, exponents, report.keys)
    if len(report.claims):
        _print_table(console, "claims", make_claim_table(report.claims))
    for problem in report.problems:
        _print_line(console, f"problem: {problem}")
    if report.extent:
        _print_line(console, f"the page {report.extent}")
    if report.figure is not None:
        _print_line(console, f"figure: {report.figure}")
    _print_line(console, f"page:   {report.page}")


def _print_study(
    console: Console,
    name: str,
    nstar: pd.DataFrame,
    exponents: pd.DataFrame,
    keys: Sequence[str],
) -> None:
    """Print n* of one study and how it grows with d.

    ``keys``: configuration keys that vary, which tell rows apart.
    """
    keys = select_keys(nstar, keys)
    table = make_nstar_table(nstar, keys)
    _print_table(console, f"{name}: n*", table, NSTAR_COLUMNS)
    if exponents.empty:
        return
    against_d, against_depth = (select_axis(exponents, axis) for axis in ("d", "L"))
    if len(against_d):
        table = make_exponent_table(against_d, nstar)
        _print_table(console, f"{name}: n* ∝ d^exponent", table, EXPONENT_COLUMNS)
    if len(against_depth):
        table = make_depth_growth_table(against_depth)
        _print_table(console, f"{name}: n* ∝ factor^L", table, DEPTH_COLUMNS)
    for line in describe_growth(exponents, keys):
        console.print(f"  {line}", markup=False, highlight=False)


def describe_growth(exponents: pd.DataFrame, keys: Sequence[str] = ()) -> list[str]:
    """How n* grows along every line, per eps, each in a sentence.

    It names those ``keys`` that change along the line, too.
    """
    places = [name for name in ("target", "d", "L") if _differs(exponents, name)]
    sentences = []
    for row in exponents.to_dict("records"):
        fixed = [f"{name} {row[name]}" for name in places if row[name] != VARIES]
        axis = [] if row["axis"] == "d" else [f"against {row['axis']}"]
        head = ", ".join([row["line"], *fixed, *axis, f"ε = {row['eps']:g}"])
        growth = row["growth"].replace("no exponent: ", "")
        moving = [key for key in keys if row[key] == VARIES]
        if moving:
            growth += f" (with {row['axis']} also changes: {', '.join(moving)})"
        sentences.append(f"{head}: {growth}")
    return sentences


def _differs(exponents: pd.DataFrame, name: str) -> bool:
    """Whether lines differ in a value that is fixed along each of them."""
    return bool(exponents.loc[exponents[name].ne(VARIES), name].nunique() > 1)


def _print_line(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _print_table(console: Console, title: str, table: PageTable, names: Sequence[str] = ()) -> None:
    """Print some columns of a table of the page; all where none of ``names`` is there."""
    numbers = [table.columns.index(name) for name in names if name in table.columns]
    numbers = numbers or list(range(len(table.columns)))
    printed = Table(title=escape(title), title_justify="left")
    for number in numbers:
        name = table.columns[number]
        printed.add_column(escape(name), justify="right" if name in table.numbers else "left")
    for row in table.rows:
        printed.add_row(*(escape(row[number].text) for number in numbers))
    if table.constant:
        printed.caption, printed.caption_justify = escape(table.constant), "left"
    console.print(printed)


def make_console() -> Console:
    """Standard output; 120 columns wide where it is a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=120)
