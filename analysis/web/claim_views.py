"""Claims as the page shows them: a line of the board, and what unfolds below it.

A view holds the sentence, what was demanded and measured, both intervals, looks and seeds, what
would decide the claim, the commands, and which figure and which trainings stand behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from analysis.chart import Chart, Panel
from analysis.claim_table import describe_judgement, format_finding, format_judging_interval
from analysis.display_table import NO_VALUE
from analysis.figures import NamedFigure
from analysis.web.forest import ForestLine, make_forest_line
from bfc.stats.claim_verdicts import Verdict

MARKS: Mapping[str, str] = {
    Verdict.REPRODUCED: "✓",
    Verdict.CONTRADICTED: "✗",
    Verdict.UNDECIDED: "?",
    Verdict.NOT_RUN: "–",
}
ARXIV = re.compile(r"arXiv:\d{4}\.\d{4,5}")
MEASURED_FORMS = ("points", "curve")
"""Forms of series that show measured values, not fits to them."""


@dataclass(frozen=True)
class ClaimView:
    """One claim; texts are empty where there is nothing to say."""

    number: int
    """Over all claims of the page, from 1; its anchor is ``claim-<number>``."""
    study: str
    paper: str
    place: str
    sentence: str
    verdict: str
    predicted: str
    measured: str
    plain: str
    judging: str
    """The interval that judges; empty where no draws judged it."""
    judged: str
    """That interval, whether it is one-sided, and at which look."""
    source: str
    remark: str
    power: str
    p_value: str
    stands: bool
    threshold_set: str
    command: str
    next: str
    """The command to run for a claim that is open."""
    next_price: str
    """What that takes; empty where it is not known."""
    methods: tuple[str, ...]
    cells: str
    """The ids of the cells that it was judged from, separated by spaces."""
    figure: str
    """The name of the figure that shows it; empty without one."""
    line: ForestLine | None = None

    @property
    def mark(self) -> str:
        return MARKS[self.verdict]

    @property
    def css(self) -> str:
        """The verdict as the name of a class."""
        return self.verdict.replace(" ", "-")

    @property
    def work(self) -> str:
        """The arXiv numbers of the paper, else its name: claims that share a card share it."""
        return ", ".join(ARXIV.findall(self.paper)) or self.paper


@dataclass(frozen=True)
class Group:
    """The claims of one study, or of one paper study by study."""

    name: str
    claims: list[ClaimView] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Verdict → number of claims with it, of those that have any."""
        verdicts = [claim.verdict for claim in self.list_claims()]
        counts = {verdict: verdicts.count(verdict) for verdict in MARKS}
        return {verdict: count for verdict, count in counts.items() if count}

    def list_claims(self) -> Iterator[ClaimView]:
        yield from self.claims
        for group in self.groups:
            yield from group.list_claims()


def make_claim_views(
    verdicts: pd.DataFrame, figures: Mapping[str, Sequence[NamedFigure]]
) -> list[ClaimView]:
    """A view per row of the table of claims; ``figures``: study → its figures in their order."""
    views = []
    for number, row in enumerate(verdicts.to_dict("records"), 1):
        methods = tuple(name for name in str(row["methods"]).split("; ") if name)
        figure = _choose_figure(row, methods, figures.get(row["study"], ()))
        views.append(_make_view(number, row, methods, figure))
    return views


def _make_view(
    number: int, row: Mapping[str, Any], methods: tuple[str, ...], figure: str
) -> ClaimView:
    measured, plain = format_finding(row)
    p_value = row["p_value"]
    return ClaimView(
        number=number,
        study=row["study"],
        paper=row["paper"],
        place=row["place"],
        sentence=row["claim"],
        verdict=row["verdict"],
        predicted=row["predicted"],
        measured="" if measured == NO_VALUE else measured,
        plain="" if plain == NO_VALUE else plain,
        judging=format_judging_interval(row),
        judged=describe_judgement(row),
        source=row["source"],
        remark=row["remark"],
        power=row["power"],
        p_value=f"{p_value:.2g}" if np.isfinite(p_value) and p_value > 0 else "",
        stands=bool(row["stands"]),
        threshold_set=row["threshold_set"],
        command=row["command"],
        next=row["next"],
        next_price=row["next_price"],
        methods=methods,
        cells=row["cells"],
        figure=figure,
        line=make_forest_line(row),
    )


def _choose_figure(
    row: Mapping[str, Any], methods: Sequence[str], figures: Sequence[NamedFigure]
) -> str:
    """The first figure of the kind that the predicate names which shows all its methods.

    Else the first of that kind or with these methods, of several one that shows more of them than
    where they are censored, and nothing where no figure fits.
    """
    charts: dict[str, Chart] = {}
    for figure in figures:
        if isinstance(figure.description, Chart):
            charts[figure.name] = figure.description

    def score(name: str) -> tuple[bool, int, bool]:
        is_kind = bool(row["figure"]) and charts[name].name.startswith(str(row["figure"]))
        panels = list(chain.from_iterable(charts[name].columns))
        shown = sum(any(_shows(panel, method) for panel in panels) for method in methods)
        is_measured = any(_is_measured(panel, methods) for panel in panels)
        return is_kind, shown, is_measured

    best = max(charts, key=score, default="")
    return best if best and any(score(best)[:2]) else ""


def _shows(panel: Panel, method: str) -> bool:
    """Whether a panel draws a line of a method."""
    return any(series.name.startswith(method) for series in panel.series)


def _is_measured(panel: Panel, methods: Sequence[str]) -> bool:
    """Whether a measured point of ``methods`` is finite and not marked as censored."""
    for series in panel.series:
        if series.form in MEASURED_FORMS and series.name.startswith(tuple(methods)):
            is_measured = np.isfinite(series.data["y"].to_numpy(float))
            if "mark" in series.data:
                is_measured &= (series.data["mark"] == "").to_numpy(bool)
            if is_measured.any():
                return True
    return False


def group_claims(views: Sequence[ClaimView]) -> list[Group]:
    """The claims by paper, and within a paper by study, both in the order of the table."""
    papers: dict[str, dict[str, Group]] = {}
    for view in views:
        studies = papers.setdefault(view.paper, {})
        studies.setdefault(view.study, Group(view.study)).claims.append(view)
    return [Group(paper, groups=list(studies.values())) for paper, studies in papers.items()]
