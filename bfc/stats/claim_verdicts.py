"""The verdicts on a claim: what they are called in tables, on the page and in dashboards."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What the evidence says about a claim; the values stand in ``claims.csv``."""

    REPRODUCED = "reproduced"
    """All that the claim speaks of satisfies it, interval and all."""
    CONTRADICTED = "contradicted"
    """Something that it speaks of does not, interval and all."""
    UNDECIDED = "undecided"
    """It was measured, and the intervals leave it open."""
    NOT_RUN = "not run"
    """What it speaks of was not measured."""


DECIDED = (Verdict.REPRODUCED, Verdict.CONTRADICTED)
"""The verdicts after which a claim needs no more trainings."""
