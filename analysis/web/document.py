"""The page: the template filled with cards, board, claims and studies.

One file that opens anywhere, loads nothing from a network and prints. Everything that came from a
results folder is escaped by the template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.web.claim_views import MARKS, ClaimView, Group
from analysis.web.template import read_asset, render_template
from bfc.stats.claim_verdicts import DECIDED

SCRIPTS = ("tables.js", "figures.js", "claims.js")
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

    @property
    def decided(self) -> int:
        return sum(self.paper.counts.get(verdict, 0) for verdict in DECIDED)

    @property
    def total(self) -> int:
        return sum(self.paper.counts.values())


def make_cards(papers: Sequence[Group], headlines: Mapping[str, Sequence[str]]) -> list[Card]:
    """One card per paper, those with the most claims first; the first ones show a figure.

    ``headlines``: study → the sentences of the claims that may stand for their paper. Where none of
    these was measured, the first claim that was decided does, else the first that was measured.
    """
    cards: list[Card] = []
    for paper in sorted(papers, key=lambda paper: -sum(paper.counts.values())):
        claims = list(paper.list_claims())
        measured = [claim for claim in claims if claim.measured]
        chosen = [claim for claim in measured if claim.sentence in headlines.get(claim.study, ())]
        decided = [claim for claim in measured if claim.verdict in DECIDED]
        candidates = [*chosen, *decided, *measured]
        headline = candidates[0] if candidates else None
        cards.append(Card(paper, headline, has_figure=len(cards) < CARDS_WITH_FIGURE))
    return cards


def render_page(**values: Any) -> str:
    """The page from the template's values, see ``assets/page.html``."""
    anchors = {
        study["name"]: f"study-{number}" for number, study in enumerate(values["studies"], 1)
    }
    return render_template(
        read_asset("page.html"), SCRIPTS, **values, anchors=anchors, verdict_names=tuple(MARKS)
    )
