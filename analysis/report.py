"""``python -m analysis.report RESULTS -o OUT``: from a results folder to tables, exponents, figures
and one page. Everything is made in a temporary folder beside OUT and moved there at the end, the
page last, so a failed run leaves no half page."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analysis import page
from analysis import page_tables as views
from analysis.chart import Sheet
from analysis.claims import judge
from analysis.collect import Collected
from analysis.correction import correction_table
from analysis.evidence import Evidence
from analysis.figures import Drawn, draw_study
from analysis.load import Gathered, gather
from analysis.risks import risk_table
from bfc.errors import UserError
from bfc.studies import study_node

TITLE = "Sample complexity of hierarchical targets"
Claims = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Report:
    """What a run made: the folder, the page, the first figure (None without any) and the tables."""

    out: Path
    page: Path
    figure: Path | None
    nstar: pd.DataFrame
    exponents: pd.DataFrame
    local: pd.DataFrame
    depth: pd.DataFrame
    risk: pd.DataFrame
    claims: pd.DataFrame
    problems: list[str]


def report(
    results: str | Path, out: str | Path, study: str | None = None, claims: Claims | None = None
) -> Report:
    """Write ``trainings.parquet``, ``trainings.csv``, ``nstar.csv``, ``exponents.csv``,
    ``local.csv``, ``depth.csv``, ``risk.csv``, ``claims.csv``, ``figures/`` (each figure as PNG,
    SVG, PDF and CSV) and ``index.html`` into ``out``; files of an earlier report there are
    replaced, others are left.

    ``study`` restricts to one study. ``claims``: study → its claims, as in the files under
    ``sweeps/``; None reads them there. Raises :class:`UserError` where there is nothing to report.
    """
    whole = gather(results, study)
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        tables, drawn = _write(whole, claims, work, str(results))
        _publish(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    figure = next(
        (
            target / "figures" / path.name
            for made in drawn
            for path in made.files
            if path.suffix == ".png"
        ),
        None,
    )
    return Report(target, target / "index.html", figure, **tables, problems=whole.found.problems)


def _write(
    whole: Gathered, claims: Claims | None, work: Path, source: str
) -> tuple[dict[str, pd.DataFrame], list[Drawn]]:
    """Everything of the report into the empty folder ``work``: the tables by name, and the figures."""
    (work / "figures").mkdir()
    found, sections, drawn, verdicts, risks = whole.found, [], [], [], []
    for name, evidence in whole.studies.items():
        node = (
            study_node(name) if re.fullmatch(r"[\w-]+", name) else {}
        )  # a store may name a study in any way
        stated = node.get("claims", []) if claims is None else claims.get(name, [])
        verdicts.append(judge(name, evidence, stated, found.sizes.get(name, ())))
        risks.append(risk_table(evidence.trainings, evidence.nstar))
        drawn += (made := draw_study(evidence, node.get("figures", []), work / "figures"))
        sections.append(_section(found.study(name), evidence, risks[-1], made, whole.keys, work))
    scaling = {name: getattr(whole, name) for name in ("nstar", "exponents", "local", "depth")}
    tables = {**scaling, "risk": _joined(risks), "claims": _joined(verdicts)}
    for name, table in {**tables, "trainings": found.trainings}.items():
        table.to_csv(work / f"{name}.csv", index=False)
    found.trainings.to_parquet(work / "trainings.parquet", index=False)
    links = [
        {"name": f"{name}.csv", "href": page.data_uri(work / f"{name}.csv", "text/csv")}
        for name in tables
    ]
    links += [{"name": name, "href": name} for name in ("trainings.csv", "trainings.parquet")]
    summary = f"{found.cells['cell_id'].nunique()} cells, {len(found.trainings):,} trainings, from {source}"
    text = page.render(
        title=TITLE,
        summary=summary,
        downloads=links,
        problems=found.problems,
        studies=sections,
        claims=views.claim_view(tables["claims"]),
        verdicts=tables["claims"]["verdict"].value_counts().to_dict(),
    )
    (work / "index.html").write_text(text, encoding="utf-8")
    return tables, drawn


def _section(
    part: Collected,
    evidence: Evidence,
    risks: pd.DataFrame,
    made: Sequence[Drawn],
    keys: Sequence[str],
    work: Path,
) -> dict[str, Any]:
    """What the page shows of one study."""
    nstar, trainings = evidence.nstar, evidence.trainings
    keys, lines = (
        [key for key in keys if nstar[key].notna().any()],
        dict(zip(nstar["cell_id"], nstar["line"], strict=True)),
    )
    return {
        "name": evidence.name,
        "free": sorted(nstar.loc[nstar["validation"].str.contains("free"), "line"].unique()),
        "notes": views.variance_notes(trainings),
        "figures": [_embedded(figure, work) for figure in made],
        "growth": views.growth_view(evidence.exponents, keys),
        "exponents": views.exponent_view(evidence.exponents),
        "local": views.local_view(evidence.local),
        "risks": views.risk_view(risks),
        "nstar": views.nstar_view(nstar, keys),
        "correction": views.correction_view(correction_table(trainings)),
        "outcomes": views.outcome_view(trainings),
        "tuning": views.tuning_view(part, lines),
        "cost": views.cost_view(part, trainings),
        "environment": views.environment_view(part),
    }


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _embedded(figure: Drawn, work: Path) -> dict[str, Any]:
    """A figure as the template shows it: a chart as data, a sheet as a table, and its files."""
    exhibit, files = figure.exhibit, [path.relative_to(work).as_posix() for path in figure.files]
    if isinstance(exhibit, Sheet):
        return {
            "name": figure.name,
            "caption": exhibit.caption,
            "files": files,
            "title": exhibit.title,
            "chart": None,
            "table": page.view(exhibit.data.to_dict("records")),
        }
    return {
        "name": figure.name,
        "caption": exhibit.caption,
        "files": files,
        "chart": exhibit.plain(),
    }


def _publish(work: Path, target: Path) -> None:
    """Move everything from ``work`` into ``target``, the page last."""
    target.mkdir(exist_ok=True)
    for path in sorted(work.iterdir(), key=lambda path: path.name == "index.html"):
        if path.is_dir() and (target / path.name).is_dir():
            os.replace(target / path.name, work / f"old-{path.name}")
        os.replace(path, target / path.name)


def show(made: Report, console: Console) -> None:
    """Print the tables of n* or risks, of exponents and of claims, and where the figures and the
    page are."""
    for name, own in made.nstar.groupby("study", sort=False):
        risks, slopes = (table[table["study"] == name] for table in (made.risk, made.exponents))
        if len(risks):
            _print(console, f"{name}: risk", views.risk_view(risks))
            continue
        _print(
            console,
            f"{name}: n*",
            views.nstar_view(own, ()),
            ("method", "L", "d", "ε", "n*", "95 % interval", "at the largest n"),
        )
        if len(slopes):
            _print(
                console,
                f"{name}: n* ∝ d^exponent",
                views.exponent_view(slopes),
                ("method", "L", "ε", "exponent"),
            )
            for line in views.growth_view(slopes):
                console.print(f"  {line['head']}: {line['growth']}", markup=False, highlight=False)
    if len(made.claims):
        _print(
            console,
            "claims",
            views.claim_view(made.claims),
            ("claim", "measured", "95 % interval", "verdict"),
        )
    for problem in made.problems:
        console.print(f"problem: {problem}", soft_wrap=True, markup=False, highlight=False)
    if made.figure is not None:
        console.print(f"figure: {made.figure}", soft_wrap=True, markup=False, highlight=False)
    console.print(f"page:   {made.page}", soft_wrap=True, markup=False, highlight=False)


def _print(console: Console, title: str, shown: page.View, columns: Sequence[str] = ()) -> None:
    """Some columns of a table of the page in the terminal."""
    places = [shown.columns.index(name) for name in columns if name in shown.columns] or range(
        len(shown.columns)
    )
    table = Table(title=escape(title), title_justify="left")
    for place in places:
        table.add_column(
            escape(shown.columns[place]),
            justify="right" if shown.columns[place] in shown.numbers else "left",
        )
    for row in shown.rows:
        table.add_row(*(escape(row[place].text) for place in places))
    if shown.constant:
        table.caption, table.caption_justify = escape(shown.constant), "left"
    console.print(table)


def terminal() -> Console:
    """Standard output; 120 columns wide where it is a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; 0 on success, 2 with one sentence on standard error where there is nothing to
    report."""
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
        made = report(options.results, options.out, options.study)
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    show(made, terminal())
    return 0


if __name__ == "__main__":
    sys.exit(main())
