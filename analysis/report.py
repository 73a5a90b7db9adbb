"""``python -m analysis.report RESULTS -o OUT``: from a results folder to tables, exponents, figures and one page.
Everything is made in a temporary folder beside OUT and moved there at the end, the page last, so a failed run leaves
no half page."""

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

from analysis import claims as claims_module
from analysis import page
from analysis.collect import UNNAMED, Collected, collect
from analysis.correction import correction_table
from analysis.evidence import Evidence
from analysis.gallery import Drawn, draw_study
from analysis.risks import risk_table
from analysis.scaling import depth_table, exponents, line_fits, local_table, nstar_table
from analysis.series import slope_text
from analysis.style import looks
from bfc.errors import UserError, nearest

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


def report(results: str | Path, out: str | Path, study: str | None = None, claims: Claims | None = None) -> Report:
    """Write ``trainings.parquet``, ``trainings.csv``, ``nstar.csv``, ``exponents.csv``, ``local.csv``, ``depth.csv``,
    ``risk.csv``, ``claims.csv``, ``figures/`` and ``index.html`` into ``out``; files of an earlier report there are
    replaced, others are left.

    ``study`` restricts to one study. ``claims``: study → its claims, as in the files under ``sweeps/``; None reads
    them there. Raises :class:`UserError` where there is nothing to report.
    """
    found = collect(results)
    if found.cells.empty:
        skipped = f" ({len(found.problems)} folders skipped, the first: {found.problems[0]})" if found.problems else ""
        raise UserError(f"{results}: holds no measured cell{skipped}")
    names = set(found.cells["study"])
    if study is not None:
        if study not in names:
            raise UserError(f"study {study}: is not in {results}; {nearest(study, names)}")
        found = found.study(study)
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        tables, drawn = _write(found, claims, work, str(results))
        _publish(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    figure = next(
        (target / "figures" / path.name for made in drawn for path in made.files if path.suffix == ".png"), None
    )
    return Report(target, target / "index.html", figure, **tables, problems=found.problems)


def _write(
    found: Collected, claims: Claims | None, work: Path, source: str
) -> tuple[dict[str, pd.DataFrame], list[Drawn]]:
    """Everything of the report into the empty folder ``work``: the tables by name, and the figures."""
    nstar, keys = nstar_table(found)
    lines = line_fits(found, nstar)
    slopes, local, depth = exponents(nstar, keys, lines), local_table(nstar, lines), depth_table(nstar)
    (work / "figures").mkdir()
    look = looks(nstar)
    sections, drawn, verdicts, risks = [], [], [], []
    for name in sorted(set(found.cells["study"]), key=lambda study: (study == UNNAMED, study)):
        part = found.study(name)
        own, fits, steps, deep = (table[table["study"] == name] for table in (nstar, slopes, local, depth))
        labels = dict(zip(own["cell_id"], own["line"], strict=True))
        trainings = part.trainings.assign(line=part.trainings["cell_id"].map(labels))
        single = risk_table(trainings, own)
        evidence = Evidence(own, fits, trainings, steps, deep, look, name)
        node = claims_module.study_node(name) if re.fullmatch(r"[\w-]+", name) else {}  # a store may name a study in any way
        judged = claims_module.judge(name, evidence, node.get("claims", []) if claims is None else claims.get(name, []))
        made = draw_study(evidence, node.get("figures", []), work / "figures")
        verdicts.append(judged)
        risks.append(single)
        drawn += made
        own_keys = [key for key in keys if own[key].notna().any()]
        free = sorted(own.loc[own["validation"].str.contains("free"), "line"].unique())
        sections.append(
            {
                "name": name,
                "free": free,
                "figures": [_embedded(figure, work) for figure in made],
                "claims": page.claim_view(judged),
                "growth": page.growth_view(fits),
                "exponents": page.exponent_view(fits, own_keys),
                "risks": page.risk_view(single),
                "nstar": page.nstar_view(own, own_keys),
                "depth": page.depth_view(deep),
                "correction": page.correction_view(correction_table(trainings)),
                "outcomes": page.outcome_view(trainings),
                "cost": page.cost_view(trainings),
                "environment": page.environment_view(part),
            }
        )
    tables = {
        "nstar": nstar,
        "exponents": slopes,
        "local": local,
        "depth": depth,
        "risk": _joined(risks),
        "claims": _joined(verdicts),
    }
    for name, table in {**tables, "trainings": found.trainings}.items():
        table.to_csv(work / f"{name}.csv", index=False)
    found.trainings.to_parquet(work / "trainings.parquet", index=False)
    links = [{"name": f"{name}.csv", "href": page.data_uri(work / f"{name}.csv", "text/csv")} for name in tables]
    links += [{"name": name, "href": name} for name in ("trainings.csv", "trainings.parquet")]
    summary = f"{found.cells['cell_id'].nunique()} cells, {len(found.trainings):,} trainings, from {source}"
    text = page.render(title=TITLE, summary=summary, downloads=links, problems=found.problems, studies=sections)
    (work / "index.html").write_text(text, encoding="utf-8")
    return tables, drawn


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _embedded(figure: Drawn, work: Path) -> dict[str, Any]:
    svg = next((path for path in figure.files if path.suffix == ".svg"), None)
    files = [path.relative_to(work).as_posix() for path in figure.files]
    return {
        "name": figure.name,
        "caption": figure.exhibit.caption,
        "source": page.data_uri(svg, "image/svg+xml") if svg else None,
        "files": files,
    }


def _publish(work: Path, target: Path) -> None:
    """Move everything from ``work`` into ``target``, the page last."""
    target.mkdir(exist_ok=True)
    for path in sorted(work.iterdir(), key=lambda path: path.name == "index.html"):
        if path.is_dir() and (target / path.name).is_dir():
            os.replace(target / path.name, work / f"old-{path.name}")
        os.replace(path, target / path.name)


def show(made: Report, console: Console) -> None:
    """Print the tables of n* and of exponents, and where the figure and the page are."""
    for name, own in made.nstar.groupby("study", sort=False):
        risks = made.risk[made.risk["study"] == name]
        if len(risks):
            table = Table("method", "L", "d", "n", "median risk", "95 % interval", "seeds at or below ε", title=escape(f"{name}: risk"),
                          title_justify="left")
            for row in risks.to_dict("records"):
                place = (f"{row[key]:,}" for key in ("L", "d", "n"))
                table.add_row(escape(row["line"]), *place, f"{row['median']:.3g}", f"{row['lo']:.3g} – {row['hi']:.3g}", row["reached"])
            console.print(table)
            continue
        table = Table("method", "L", "d", "ε", "n*", "95 % interval", title=escape(f"{name}: n*"), title_justify="left")
        for row in own.to_dict("records"):
            failed = page.failed_text(row)
            table.add_row(
                escape(row["line"]),
                str(row["L"]),
                str(row["d"]),
                f"{row['eps']:g}",
                page.nstar_text(row) + (f" ({failed})" if failed else ""),
                page.interval_text(row),
            )
        console.print(table)
        slopes = made.exponents[made.exponents["study"] == name]
        if len(slopes):
            table = Table(
                "method",
                "L",
                "ε",
                "exponent [95 %]",
                "growth",
                title=escape(f"{name}: n* ∝ d^exponent"),
                title_justify="left",
                show_lines=True,
            )
            for _, row in slopes.iterrows():
                table.add_row(
                    escape(row["line"]),
                    str(row["L"]),
                    f"{row['eps']:g}",
                    escape(slope_text(row.to_frame().T)),
                    escape(row["growth"]),
                )
            console.print(table)
    if len(made.claims):
        table = Table("claim", "measured", "95 %", "verdict", title="claims", title_justify="left")
        for row in made.claims.to_dict("records"):
            table.add_row(escape(f"{row['study']}: {row['claim']}"), *page.finding_text(row), row["verdict"])
        console.print(table)
    for problem in made.problems:
        console.print(f"problem: {problem}", soft_wrap=True, markup=False, highlight=False)
    if made.figure is not None:
        console.print(f"figure: {made.figure}", soft_wrap=True, markup=False, highlight=False)
    console.print(f"page:   {made.page}", soft_wrap=True, markup=False, highlight=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; 0 on success, 2 with one sentence on standard error where there is nothing to report."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.report", description="Tables, exponents, figures and one page from a results folder."
    )
    parser.add_argument("results", help="the results folder")
    parser.add_argument("-o", "--out", default="report", help="folder for the page and its files (default: report)")
    parser.add_argument("--study", help="only this study")
    options = parser.parse_args(argv)
    try:
        made = report(options.results, options.out, options.study)
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    show(made, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
