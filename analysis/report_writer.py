"""Writes the report of a results folder: tables, exponents and the page, and figures on request.

Everything is made in a temporary folder next to the report's and moved there at the end, the page
last, so that a failed run leaves no incomplete page.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.board import describe_board, mark_standing
from analysis.figures import NamedFigure, write_tables
from analysis.load import Results, load_results
from analysis.page_sections import embed_figure
from analysis.paper_files import check_formats, draw_files
from analysis.study_report import StudyReport, StudyTask, report_studies
from analysis.trainings_csv import write_trainings
from analysis.web.claim_views import group_claims, make_claim_views
from analysis.web.data import pack_data
from analysis.web.document import make_cards, render_page
from bfc.extras import require_package
from bfc.launch.devices import usable_cores
from bfc.paths import local_path

TITLE = "Sample complexity of hierarchical targets"
LEAD = (
    "How many samples does a learner need to learn a hierarchical target as the input dimension d "
    "and the depth L grow? And does learning the hierarchy, by depth and joint training, beat what "
    "is not hierarchical?"
)
Claims = Mapping[str, Sequence[Mapping[str, Any]]]
"""Study → its claims, as in the files under ``sweeps/``."""


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
    nstar_feature: pd.DataFrame
    exponents_feature: pd.DataFrame
    risk: pd.DataFrame
    claims: pd.DataFrame
    keys: list[str]
    """The configuration keys that vary."""
    problems: list[str]
    extent: str = ""
    """What is shown and left out of the store; empty where everything is shown."""


@dataclass
class _Draft:
    """What has been made so far, study by study."""

    results: Path
    unfinished: Collection[str] = ()
    """Cells that nothing looks at, since a budget has cut them short."""
    studies: list[StudyReport] = field(default_factory=list)

    @property
    def figures(self) -> dict[str, list[NamedFigure]]:
        """Study → its figures."""
        return {study.name: study.figures for study in self.studies}

    def list_figures(self) -> list[NamedFigure]:
        """The figures of all studies."""
        return list(chain.from_iterable(study.figures for study in self.studies))


def write_report(
    results: str | Path,
    out: str | Path,
    study: str | None = None,
    claims: Claims | None = None,
    formats: Sequence[str] = (),
    unfinished: Collection[str] = (),
    cells: int | None = None,
) -> Report:
    """Write tables and the page of a results folder into ``out``.

    These are ``trainings.parquet``, ``trainings.csv``, ``nstar.csv``, ``exponents.csv``,
    ``local.csv``, ``depth.csv``, ``nstar_feature.csv``, ``exponents_feature.csv``, ``risk.csv``,
    ``claims.csv``, ``figures/`` (each figure as CSV, and in the ``formats`` of
    :data:`analysis.paper_files.FORMATS`) and ``index.html``; files of an earlier report there are
    replaced, others are left.

    ``study`` restricts the report to one study. ``claims``: None reads them under ``sweeps/``.
    ``unfinished``: cells whose measurement was cut short, at which no claim looks. ``cells``: the
    most cells that are shown (:mod:`analysis.cell_selection`); None shows all. Raises
    :class:`UserError` where there is nothing to report, for an unknown format and without Plotly.
    """
    require_package("plotly", "report", "page")
    formats = check_formats(formats)
    results, target = local_path(results, "results"), local_path(out, "out")
    processes = usable_cores()
    loaded = load_results(results, study, processes, cells)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        draft = _add_studies(loaded, claims, _Draft(results, unfinished), processes)
        tables = _write_tables(loaded, draft, work)
        drawn = _draw_figures(draft.list_figures(), formats, work, target)
        text = _render(loaded, draft, tables, work)
        (work / "index.html").write_text(text, encoding="utf-8")
        _publish(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Report(
        target,
        target / "index.html",
        next((target / "figures" / path.name for path in drawn if path.suffix == ".png"), None),
        **tables,
        keys=loaded.keys,
        problems=loaded.stored.problems,
        extent=loaded.extent,
    )


def _add_studies(loaded: Results, claims: Claims | None, draft: _Draft, processes: int) -> _Draft:
    """Judge and describe every study, and keep the looks at its claims."""
    problems = loaded.stored.problems
    tasks = []
    without_rows = replace(loaded.stored, trainings=pd.DataFrame(), traces=pd.DataFrame())
    for name, evidence in loaded.studies.items():
        stated = None if claims is None else claims.get(name, [])
        if name in loaded.partial:
            stated = []
        stored = without_rows.study(name)
        task = StudyTask(evidence, stored, loaded.keys, stated, draft.results, draft.unfinished)
        tasks.append(task)
    for report in report_studies(tasks, processes):
        problems += report.problems
        try:
            report.log.save()
        except OSError as error:
            problems.append(f"{report.log.path}: looks are not counted ({error.strerror})")
        draft.studies.append(report)
    return draft


def _write_tables(loaded: Results, draft: _Draft, work: Path) -> dict[str, pd.DataFrame]:
    """Write every table as a file; returns those of the report by name."""
    trainings = loaded.stored.trainings
    tables = {
        "nstar": loaded.nstar,
        "exponents": loaded.exponents,
        "local": loaded.local,
        "depth": loaded.depth,
        "nstar_feature": loaded.nstar_feature,
        "exponents_feature": loaded.exponents_feature,
        "risk": _concatenate([study.risks for study in draft.studies]),
        "claims": mark_standing(_concatenate([study.verdicts for study in draft.studies])),
    }
    for name, table in tables.items():
        table.to_csv(work / f"{name}.csv", index=False)
    write_trainings(loaded.stored, work / "trainings.csv")
    with open(work / "trainings.parquet", "wb") as file:  # a name could be taken for an address
        trainings.to_parquet(file, index=False)
    return tables


def _draw_figures(
    figures: Sequence[NamedFigure], formats: Sequence[str], work: Path, target: Path
) -> list[Path]:
    """Write what the figures show, and draw them in the formats of papers that were asked for."""
    (work / "figures").mkdir()
    write_tables(figures, work / "figures")
    if not formats:
        return []
    return draw_files(figures, work / "figures", formats, target / "figures")


def _render(loaded: Results, draft: _Draft, tables: Mapping[str, pd.DataFrame], work: Path) -> str:
    """The page."""
    stored, verdicts = loaded.stored, tables["claims"]
    sections = []
    for study in draft.studies:
        figures = [embed_figure(figure, work) for figure in study.figures]
        sections.append({**study.section, "figures": figures})
    views = make_claim_views(verdicts, draft.figures)
    papers = group_claims(views)
    with_claims = list(dict.fromkeys(view.study for view in views))
    methods = sorted(set(chain.from_iterable(view.methods for view in views)))
    cards = make_cards(papers, {study.name: study.headlines for study in draft.studies})
    cells = stored.cells["cell_id"].nunique()
    encoded: dict[str, Any] = {}
    for study in draft.studies:
        encoded.update(study.encoded)
    return render_page(
        title=TITLE,
        lead=LEAD,
        summary=f"{cells} cells, {len(stored.trainings):,} trainings, from {_name_folder(draft)}",
        extent=loaded.extent,
        tables=[f"{name}.csv" for name in tables],
        problems=stored.problems,
        studies=sections,
        cards=cards,
        papers=papers,
        filters={
            "paper": {card.work: card.paper.name for card in cards},
            "study": {name: name for name in with_claims},
            "method": {name: name for name in methods},
        },
        verdicts=verdicts["verdict"].value_counts().to_dict(),
        board=describe_board(verdicts),
        data=pack_data(
            encoded,
            {study.name: study.trainings for study in draft.studies if len(study.verdicts)},
            {f"{name}.csv": (work / f"{name}.csv").read_text(encoding="utf-8") for name in tables},
        ),
    )


def _name_folder(draft: _Draft) -> str:
    """The results folder without the path, which says nothing on another machine."""
    return draft.results.resolve().name or str(draft.results)


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
