"""Judges and describes one study: its claims, tables and figures, as the page shows them.

Studies are independent of each other, so they are made in several processes. What the page holds of
a figure is encoded there, too, and texts come back. The looks at claims come back uncounted: they
are counted one study after the other by whoever asked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.claims import judge_claims
from analysis.evidence import Evidence
from analysis.figures import NamedFigure, name_figures
from analysis.look_log import LookLog
from analysis.page_sections import make_section
from analysis.progress_message import track
from analysis.prospects import take_stock
from analysis.provenance import PricedCommand, find_command, find_extension, read_requests
from analysis.risks import tabulate_risks
from analysis.web.data import encode_figure, encode_trainings, write_json
from bfc.errors import UserError, describe_error
from bfc.store.reading import Collected
from bfc.studies import study_node

FEWEST_PER_PROCESS = 3
"""Studies for which starting another process pays."""


@dataclass(frozen=True)
class StudyTask:
    """What a study is judged and described from."""

    evidence: Evidence
    stored: Collected
    """The part of the store that the study asked for, without trainings and traces."""
    keys: Sequence[str]
    """The configuration keys that vary in the store."""
    claims: Sequence[Mapping[str, Any]] | None
    """None: those of its file under ``sweeps/``."""
    results: Path
    unfinished: Collection[str] = ()
    """Cells that nothing looks at, since a budget has cut them short."""


@dataclass(frozen=True)
class StudyReport:
    """What the page shows of one study."""

    name: str
    section: dict[str, Any]
    """As :func:`analysis.page_sections.make_section` gives it, with the ``question``."""
    figures: list[NamedFigure]
    encoded: dict[str, str]
    """Name of a figure → what the page's scripts read of it, as JSON."""
    trainings: str
    """Its trainings as JSON, for the page's scripts."""
    verdicts: pd.DataFrame
    """Columns :data:`analysis.claims.COLUMNS` and ``next_price``."""
    risks: pd.DataFrame
    headlines: list[str]
    """The sentences of the claims that may stand for their paper."""
    log: LookLog
    """The looks at its claims, with those that are new."""
    problems: list[str]
    """What of the study is left out, in sentences."""


def report_studies(tasks: Sequence[StudyTask], processes: int = 1) -> Iterable[StudyReport]:
    """The reports in the order of the tasks, made in several processes where there are enough.

    The studies with the most trainings are begun first. Raises :class:`UserError` as
    :func:`report_study` does, of the first study in that order.
    """
    processes = min(processes, len(tasks) // FEWEST_PER_PROCESS)
    if processes < 2:
        yield from map(report_study, track(tasks, "judging claims"))
        return
    by_size = sorted(tasks, key=lambda task: -len(task.evidence.trainings))
    with ProcessPoolExecutor(processes) as pool:
        pending = {task.evidence.name: pool.submit(report_study, task) for task in by_size}
        ordered = [pending[task.evidence.name] for task in tasks]
        for future in track(ordered, "judging claims"):
            yield future.result()


def report_study(task: StudyTask) -> StudyReport:
    """Judge and describe one study.

    Raises :class:`UserError` for an unknown predicate, threshold, figure or option.
    """
    evidence = task.evidence
    name, problems = evidence.name, []
    # A store may name a study in any way; only such names can have a file.
    has_plain_name = bool(re.fullmatch(r"[\w-]+", name))
    node: Mapping[str, Any] = {}
    try:
        node = study_node(name) if has_plain_name else {}
    except UserError as error:
        problems.append(f"{error}; its claims and figures are left out")
    stated = node.get("claims", []) if task.claims is None else task.claims
    log = _open_look_log(task, name if has_plain_name else None, problems)
    verdicts = judge_claims(name, evidence, stated, task.stored.sizes.get(name, ()), log)
    risks = tabulate_risks(evidence.trainings, evidence.nstar)
    figures = name_figures(evidence, node.get("figures", []))
    counts = verdicts["verdict"].value_counts().to_dict()
    section = make_section(task.stored, evidence, risks, task.keys, counts)
    return StudyReport(
        name,
        {**section, "question": node.get("question", "")},
        figures,
        {figure.name: write_json(encode_figure(figure)) for figure in figures},
        write_json(encode_trainings(evidence.trainings) if len(verdicts) else None),
        _name_commands(verdicts, evidence, task.results),
        risks,
        [claim["statement"] for claim in stated if claim.get("headline")],
        log,
        problems,
    )


def _name_commands(verdicts: pd.DataFrame, evidence: Evidence, results: Path) -> pd.DataFrame:
    """The table of claims with the commands that made what they were judged from.

    And, for those that more seeds would decide, the command for these with its ``next_price``.
    """
    stock = take_stock(evidence.trainings)
    rows = []
    cells = {*stock, *" ".join(map(str, verdicts["cells"])).split()}
    requests = read_requests(evidence.name, cells, results)
    for row in verdicts.to_dict("records"):
        command = find_command(evidence.name, str(row["cells"]).split(), requests)
        extension = find_extension(
            evidence.name, str(row["open_cells"]).split(), row["more_seeds"], requests, stock
        )
        following = extension or PricedCommand(row["next"], "")
        rows.append((command or row["command"], following.text, following.price))
    names = ["command", "next", "next_price"]
    return verdicts.assign(**pd.DataFrame(rows, columns=names, dtype=object).to_dict("list"))


def _open_look_log(task: StudyTask, study: str | None, problems: list[str]) -> LookLog:
    """The looks at a study so far; where they cannot be read, none are counted."""
    if study is None:
        return LookLog(None, "")
    try:
        return LookLog(task.results, study, task.unfinished)
    except (UserError, OSError) as error:
        problems.append(f"{study}: looks are not counted ({describe_error(error)})")
        return LookLog(None, study)
