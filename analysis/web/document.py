"""The page: the template filled with cards, board, claims and studies.

One file that opens anywhere, loads nothing from a network and prints. Everything that came from a
results folder is escaped by the template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from analysis.web.claim_views import MARKS, ClaimView, Group
from analysis.web.template import read_asset, render_template
from bfc.stats.claim_verdicts import DECIDED

SCRIPTS = ("tables.js", "figures.js", "filters.js", "contents.js", "claims.js")


@dataclass(frozen=True)
class Card:
    """A paper at the top of the page, with all that the page states of it.

    ``headline``: the claim whose number stands for the paper, None where none was measured.
    """

    paper: Group
    headline: ClaimView | None
    work: str
    """What its claims share, see :attr:`ClaimView.work`."""
    parts: list[str]
    """Which of its claims stand in a section of the board under a longer name."""

    @property
    def total(self) -> int:
        return sum(self.paper.counts.values())


def make_cards(papers: Sequence[Group], headlines: Mapping[str, Sequence[str]]) -> list[Card]:
    """One card per arXiv number, or paper without one, those with the most claims first.

    ``headlines``: study → the sentences of the claims that may stand for their paper. A claim that
    was decided goes before one that was only measured, and among either these go first.
    """
    works: dict[str, list[Group]] = {}
    for paper in papers:
        works.setdefault(next(paper.list_claims()).work, []).append(paper)
    cards = [_make_card(work, groups, headlines) for work, groups in works.items()]
    return sorted(cards, key=lambda card: -card.total)


def _make_card(work: str, groups: Sequence[Group], headlines: Mapping[str, Sequence[str]]) -> Card:
    name = min((group.name for group in groups), key=len)
    paper = Group(name, groups=list(groups))
    measured = [claim for claim in paper.list_claims() if claim.measured]
    headline = min(
        measured,
        key=lambda claim: (
            claim.verdict not in DECIDED,
            claim.sentence not in headlines.get(claim.study, ()),
        ),
        default=None,
    )
    parts = [_describe_part(group, name) for group in groups if group.name != name]
    return Card(paper, headline, work, parts)


def _describe_part(group: Group, name: str) -> str:
    """A further section of the paper ``name``: how many claims, and what its name adds."""
    rest = group.name.removeprefix(name).strip()
    return f"{sum(group.counts.values())} of these: {rest.removeprefix('(').removesuffix(')')}"


def render_page(**values: Any) -> str:
    """The page from the template's values, see ``assets/page.html``."""
    anchors = {
        study["name"]: f"study-{number}" for number, study in enumerate(values["studies"], 1)
    }
    questions = {study["name"]: study["question"] for study in values["studies"]}
    with_claims = {study.name for study in chain.from_iterable(p.groups for p in values["papers"])}
    return render_template(
        read_asset("page.html"),
        SCRIPTS,
        **values,
        anchors=anchors,
        questions=questions,
        without_claims=[name for name in anchors if name not in with_claims],
        marks=MARKS,
    )
