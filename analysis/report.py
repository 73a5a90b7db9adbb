"""``python -m analysis.report RESULTS -o OUT``: from a results folder to one page.

Writes tables, exponents, figures and the page. Everything is made in a temporary folder next to OUT
and moved there at the end, the page last, so that a failed run leaves no incomplete page.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analysis import page
from analysis.board import describe_board, find_standing
from analysis.claim_table import make_claim_table
from analysis.claims import judge_claims
from analysis.evidence import Evidence
from analysis.figures import SavedFigure, save_figures
from analysis.load import Results, load_results
from analysis.look_log import LookLog
from analysis.page_sections import embed_figure, make_section
from analysis.page_tables import (
    describe_growth,
    make_exponent_table,
    make_nstar_table,
    make_risk_table,
    select_keys,
)
from analysis.provenance import find_command
from analysis.risks import tabulate_risks
from bfc.errors import UserError, describe_error
from bfc.paths import local_path
from bfc.streams import print_line, secure_streams
from bfc.studies import study_node

TITLE = "Sample complexity of hierarchical targets"
Claims = Mapping[str, Sequence[Mapping[str, Any]]]
"""Study → its claims, as in the files under ``sweeps/``."""
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


@dataclass(frozen=True)
class Report:
    """What a run made: the folder, the page, the first figure (None without any), the tables."""

    out: Path
    page: Path
    figure: Path | None
    nstar: pd.DataFrame
    exponents: pd.DataFrame
    local: pd.DataFrame
    depth: pd.DataFrame
    risk: pd.DataFrame
    claims: pd.DataFrame
    keys: list[str]
    """The configuration keys that vary."""
    problems: list[str]


@dataclass
class _Draft:
    """What has been made so far, study by study."""

    results: Path
    sections: list[dict[str, Any]] = field(default_factory=list)
    figures: list[SavedFigure] = field(default_factory=list)
    verdicts: list[pd.DataFrame] = field(default_factory=list)
    risks: list[pd.DataFrame] = field(default_factory=list)


def write_report(
    results: str | Path, out: str | Path, study: str | None = None, claims: Claims | None = None
) -> Report:
    """Write tables, figures and the page of a results folder into ``out``.

    These are ``trainings.parquet``, ``trainings.csv``, ``nstar.csv``, ``exponents.csv``,
    ``local.csv``, ``depth.csv``, ``risk.csv``, ``claims.csv``, ``figures/`` (each figure as PNG,
    SVG, PDF and CSV) and ``index.html``; files of an earlier report there are replaced, others are
    left.

    ``study`` restricts the report to one study. ``claims``: None reads them under ``sweeps/``.
    Raises :class:`UserError` where there is nothing to report.
    """
    results, target = local_path(results, "results"), local_path(out, "out")
    loaded = load_results(results, study)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        tables, figures = _write_files(loaded, claims, work, str(results))
        _publish(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Report(
        target,
        target / "index.html",
        _find_first_png(figures, target),
        **tables,
        keys=loaded.keys,
        problems=loaded.stored.problems,
    )


def _find_first_png(figures: Sequence[SavedFigure], target: Path) -> Path | None:
    for figure in figures:
        for path in figure.files:
            if path.suffix == ".png":
                return target / "figures" / path.name
    return None


def _write_files(
    loaded: Results, claims: Claims | None, work: Path, source: str
) -> tuple[dict[str, pd.DataFrame], list[SavedFigure]]:
    """Write the report into the empty folder ``work``: the tables by name, and the figures."""
    (work / "figures").mkdir()
    stored = loaded.stored
    draft = _Draft(Path(source))
    for evidence in loaded.studies.values():
        _add_study(draft, loaded, evidence, claims, work)
    tables = {
        "nstar": loaded.nstar,
        "exponents": loaded.exponents,
        "local": loaded.local,
        "depth": loaded.depth,
        "risk": _concatenate(draft.risks),
        "claims": _mark_standing(_concatenate(draft.verdicts)),
    }
    for name, table in {**tables, "trainings": stored.trainings}.items():
        table.to_csv(work / f"{name}.csv", index=False)
    with open(work / "trainings.parquet", "wb") as file:  # a name could be taken for an address
        stored.trainings.to_parquet(file, index=False)
    cells = stored.cells["cell_id"].nunique()
    text = page.render_page(
        title=TITLE,
        summary=f"{cells} cells, {len(stored.trainings):,} trainings, from {source}",
        downloads=_list_downloads(tables, work),
        problems=stored.problems,
        studies=draft.sections,
        claims=make_claim_table(tables["claims"]),
        verdicts=tables["claims"]["verdict"].value_counts().to_dict(),
        board=describe_board(tables["claims"]),
    )
    (work / "index.html").write_text(text, encoding="utf-8")
    return tables, draft.figures


def _add_study(
    draft: _Draft, loaded: Results, evidence: Evidence, claims: Claims | None, work: Path
) -> None:
    """Judge, draw and describe one study."""
    name, stored = evidence.name, loaded.stored
    # A store may name a study in any way; only such names can have a file.
    has_plain_name = bool(re.fullmatch(r"[\w-]+", name))
    try:
        node = study_node(name) if has_plain_name else {}
    except UserError as error:
        stored.problems.append(f"{error}; its claims and figures are left out")
        node = {"claims": []}
    stated = node.get("claims", []) if claims is None else claims.get(name, [])
    sizes = stored.sizes.get(name, ())
    log = _open_look_log(draft.results if has_plain_name else None, name, stored.problems)
    verdicts = judge_claims(name, evidence, stated, sizes, log)
    draft.verdicts.append(_name_commands(verdicts, name, draft.results))
    try:
        log.save()
    except OSError as error:
        stored.problems.append(f"{log.path}: looks are not counted ({error.strerror})")
    risks = tabulate_risks(evidence.trainings, evidence.nstar)
    draft.risks.append(risks)
    figures = save_figures(evidence, node.get("figures", []), work / "figures")
    draft.figures.extend(figures)
    section = make_section(stored.study(name), evidence, risks, loaded.keys)
    section["figures"] = [embed_figure(figure, work) for figure in figures]
    draft.sections.append(section)


def _name_commands(verdicts: pd.DataFrame, study: str, results: Path) -> pd.DataFrame:
    """The table of claims with the commands that made what they were judged from."""
    commands = []
    for row in verdicts.to_dict("records"):
        command = find_command(study, str(row["cells"]).split(), results)
        commands.append(command or row["command"])
    return verdicts.assign(command=commands)


def _open_look_log(results: Path | None, study: str, problems: list[str]) -> LookLog:
    """The looks at a study so far; where they cannot be read, none are counted."""
    try:
        return LookLog(results, study)
    except (UserError, OSError) as error:
        problems.append(f"{study}: looks are not counted ({describe_error(error)})")
        return LookLog(None, study)


def _mark_standing(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The table of claims with the column ``stands``: after Benjamini and Hochberg, over all."""
    if verdicts.empty:
        return verdicts
    return verdicts.assign(stands=find_standing(verdicts["p_value"].tolist()))


def _list_downloads(tables: Mapping[str, pd.DataFrame], work: Path) -> list[dict[str, str]]:
    """Name and address of every table: the small ones are embedded in the page."""
    downloads = []
    for name in tables:
        address = page.encode_data_uri(work / f"{name}.csv", "text/csv")
        downloads.append({"name": f"{name}.csv", "href": address})
    for file in ("trainings.csv", "trainings.parquet"):
        downloads.append({"name": file, "href": file})
    return downloads


def _concatenate(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all tables; the first table where all are empty."""
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _publish(work: Path, target: Path) -> None:
    """Move everything from ``work`` into ``target``, the page last."""
    target.mkdir(exist_ok=True)
    for path in sorted(work.iterdir(), key=lambda path: path.name == "index.html"):
        if path.is_dir() and (target / path.name).is_dir():
            os.replace(target / path.name, work / f"old-{path.name}")
        os.replace(path, target / path.name)


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
        columns = ("claim", "measured", "95 % interval", "verdict")
        _print_table(console, "claims", make_claim_table(report.claims), columns)
    for problem in report.problems:
        _print_line(console, f"problem: {problem}")
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
    table = make_exponent_table(exponents, nstar)
    _print_table(console, f"{name}: n* ∝ d^exponent", table, EXPONENT_COLUMNS)
    for line in describe_growth(exponents, keys):
        console.print(f"  {line['head']}: {line['growth']}", markup=False, highlight=False)


def _print_line(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _print_table(
    console: Console, title: str, table: page.PageTable, names: Sequence[str] = ()
) -> None:
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


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point.

    Returns 0 on success, 2 with one sentence on standard error where there is nothing to report.
    """
    secure_streams()
    parser = argparse.ArgumentParser(
        prog="python -m analysis.report",
        description="Tables, exponents, figures and one page from a results folder.",
    )
    parser.add_argument("results", help="the results folder")
    parser.add_argument(
        "-o", "--out", default="report", help="folder for the page and its files (default: report)"
    )
    parser.add_argument("--study", help="only this study")
    options = parser.parse_args(argv)
    try:
        report = write_report(options.results, options.out, options.study)
    except (UserError, OSError) as error:
        print_line(str(error), to_stderr=True)
        return 2
    print_report(report, make_console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
