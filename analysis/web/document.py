"""The page: the template filled with cards, board, claims and studies.

One file that opens anywhere, loads nothing from a network and prints. Everything that came from a
results folder is escaped by the template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

from analysis.chart import Chart
from analysis.web.claim_views import MARKS, ClaimView, Group, count_measured
from analysis.web.template import read_asset, render_template
from bfc.stats.claim_verdicts import DECIDED

SCRIPTS = ("tables.js", "figures.js", "filters.js", "contents.js", "claims.js")
CARDS_WITH_FIGURE = 3
"""Cards that show the figure of their headline; more would fill the first screen."""


@dataclass(frozen=True)
class Card:
    """A paper at the top of the page.

    ``headline``: the claim whose number and figure stand for the paper, None where none was
    measured.
    """

    paper: Group
    headline: ClaimView | None
    has_figure: bool = True
    column: int = 0
    """Of that figure, the one that is shown."""

    @property
    def decided(self) -> int:
        return sum(self.paper.counts.get(verdict, 0) for verdict in DECIDED)

    @property
    def total(self) -> int:
        return sum(self.paper.counts.values())


def make_cards(
    papers: Sequence[Group],
    headlines: Mapping[str, Sequence[str]],
    charts: Mapping[str, Chart] = MappingProxyType({}),
) -> list[Card]:
    """One card per paper, those with the most claims first; the first ones show a figure.

    ``headlines``: study → the sentences of the claims that may stand for their paper. Where none of
    these was measured, the first claim that was decided does, else the first that was measured.
    ``charts``: those of the page by name, of each of which a card shows one column
    (:func:`choose_column`).
    """
    cards: list[Card] = []
    for paper in sorted(papers, key=lambda paper: -sum(paper.counts.values())):
        claims = list(paper.list_claims())
        measured = [claim for claim in claims if claim.measured]
        chosen = [claim for claim in measured if claim.sentence in headlines.get(claim.study, ())]
        decided = [claim for claim in measured if claim.verdict in DECIDED]
        candidates = [*chosen, *decided, *measured]
        headline = candidates[0] if candidates else None
        chart = charts.get(headline.figure) if headline else None
        column = choose_column(chart, headline.methods) if headline and chart else 0
        cards.append(Card(paper, headline, len(cards) < CARDS_WITH_FIGURE, column))
    return cards


def choose_column(chart: Chart, methods: Sequence[str]) -> int:
    """The column of a chart, such as an ε, that shows most of what was measured.

    The one with the most points that are not censored: of lines of ``methods``, and of all lines
    where those have none. Of equals the last, which is the smallest ε.
    """
    for names in (methods, [""]):
        counts = [count_measured(stack[0], names) for stack in chart.columns]
        if any(counts):
            return max(range(len(counts)), key=lambda number: (counts[number], number))
    return len(chart.columns) - 1


def render_page(**values: Any) -> str:
    """The page from the template's values, see ``assets/page.html``."""
    anchors = {
        study["name"]: f"study-{number}" for number, study in enumerate(values["studies"], 1)
    }
    with_claims = {study.name for study in chain.from_iterable(p.groups for p in values["papers"])}
    return render_template(
        read_asset("page.html"),
        SCRIPTS,
        **values,
        anchors=anchors,
        without_claims=[name for name in anchors if name not in with_claims],
        verdict_names=tuple(MARKS),
    )
