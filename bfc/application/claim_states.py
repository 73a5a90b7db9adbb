"""Where the claims of a study stand, and what is stored of the cells that they read.

:mod:`bfc.application.moves` decides by these what to run next; they change only where a study is
assessed from its store, which is a look at its claims (:mod:`analysis.look_log`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.claims import Assessment, assess_claim
from analysis.evidence import Evidence
from analysis.load import load_results
from analysis.look_log import LookLog
from analysis.prospects import Prospect, Stock, make_prospect, take_stock
from bfc.application.study_jobs import StudyJobs
from bfc.stats.claim_verdicts import DECIDED, Verdict
from bfc.stats.looks import MAX_LOOKS

NOTHING_OPEN = Prospect((), 0)


@dataclass(eq=False)
class ClaimState:
    """One claim: its verdict so far, None before the first look."""

    study: str
    claim: Mapping[str, Any]
    verdict: Verdict | None = None
    looks: int = 0
    prospect: Prospect = NOTHING_OPEN
    """What is open, where it is undecided."""
    dimensions: frozenset[int] = frozenset()
    """The d that it was judged from."""
    is_in_flight: bool = False
    """Whether something runs that is to decide it."""

    @property
    def is_headline(self) -> bool:
        """Whether it stands on the card of its paper."""
        return bool(self.claim.get("headline", False))

    @property
    def is_decided(self) -> bool:
        return self.verdict is not None and self.verdict.value in DECIDED

    @property
    def is_open(self) -> bool:
        """Whether it has been looked at, is not decided, and may be looked at again."""
        return self.verdict is not None and not self.is_decided and self.looks < MAX_LOOKS

    def update(self, assessment: Assessment) -> None:
        """Note a look."""
        finding, measurement = assessment.finding, assessment.measurement
        self.verdict, self.looks = finding.verdict, assessment.look
        self.dimensions = measurement.source.d
        is_undecided = finding.verdict is Verdict.UNDECIDED
        self.prospect = make_prospect(measurement) if is_undecided else NOTHING_OPEN


@dataclass(eq=False)
class StudyState:
    """One study: its jobs, its claims, and the stock of its cells."""

    jobs: StudyJobs
    claims: Sequence[ClaimState]
    stock: dict[str, Stock] = field(default_factory=dict)
    """Cell id → what is stored of it."""
    failed_cells: set[str] = field(default_factory=set)
    """Cells whose job failed; nothing is run that needs them."""
    has_failed: bool = False
    """Whether a job failed, or none has stored a result."""

    @property
    def name(self) -> str:
        return self.jobs.study

    @property
    def has_headline(self) -> bool:
        """Whether one of its claims stands on the card of its paper."""
        return any(claim.is_headline for claim in self.claims)


def assess_study(study: StudyState, results: Path, claims: Collection[ClaimState]) -> None:
    """Look at some claims of a study in the store, and take stock of its cells.

    Claims that are decided already are left alone.
    """
    evidence = load_results(results, study.name).studies[study.name]
    log = LookLog(results, study.name)
    assess_claims(study, evidence, claims, log)
    log.save()


def assess_claims(
    study: StudyState, evidence: Evidence, claims: Collection[ClaimState], log: LookLog
) -> None:
    """As :func:`assess_study`, from tables that are loaded."""
    study.stock = take_stock(evidence.trainings)
    for state in claims:
        if not state.is_decided:
            state.update(assess_claim(study.name, state.claim, evidence, log))
