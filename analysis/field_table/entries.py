"""What the store says about every entry: the exponent of n*, n* at the reference, what is open.

One estimator for all methods (:func:`bfc.stats.exponent_fit.fit_exponent`). Where it gives no
exponent, the entry says what was seen instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
import pandas as pd

from analysis.field_table.features import FeatureNStar, estimate_features
from analysis.field_table.requests import EntryRequest, RowRequest, TableRequest
from analysis.training_kinds import count_curves_once
from bfc.stats.exponent_fit import ExponentFit, fit_exponent
from bfc.stats.nstar import Censored, NStar, estimate_at
from bfc.stats.outcomes import Outcome
from bfc.types import Theory


class EntryStatus(StrEnum):
    """What an entry shows; the values are columns of tables."""

    EXPONENT = "exponent"
    NO_EXPONENT = "no exponent"
    """n* is bracketed at some sizes, which do not determine an exponent."""
    NEVER = "never"
    """Not reached at any size, and every failure at the largest n is a confirmed plateau."""
    MORE_THAN = "more than"
    """Not reached at any size with the n that were tried."""
    LESS_THAN = "less than"
    """Reached at the smallest n at every size."""
    NOT_RUN = "not run"
    CANNOT_RUN = "cannot run"
    FAILED = "failed"


class Agreement(StrEnum):
    """How the interval of an exponent stands to a rate from theory."""

    COMPATIBLE = "compatible"
    ABOVE = "above theory"
    BELOW = "below theory"
    NONE = ""
    """There is no rate, or no exponent."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One method on one target; intervals are 95 %.

    ``seconds``: of one core, of all its trainings. ``reason``: why there is no exponent.
    """

    row: str
    column: str
    status: EntryStatus
    reason: str = ""
    fit: ExponentFit | None = None
    reference: NStar | None = None
    """n* at the reference size of the row; None where it was not measured."""
    features: tuple[FeatureNStar, ...] = ()
    """n* of what the target plants, at the reference size; empty where nothing of it is measured.
    """
    theory: Theory | None = None
    seconds: float = 0.0
    seconds_left: float = 0.0
    failure: str = ""
    """Why one of its cells failed, where others are measured."""
    num_sizes: int = 0
    """Values of d or L that were measured."""
    trainings: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def is_incomplete(self) -> bool:
        """Whether some of its cells are measured and others are not."""
        return bool(self.num_sizes and self.seconds_left)

    @property
    def agreement(self) -> Agreement:
        """Upper bounds are exceeded from above only, and lower ones from below."""
        if self.fit is None or self.theory is None or not math.isfinite(self.fit.exponent):
            return Agreement.NONE
        rate, bound = self.theory.exponent, self.theory.bound
        if self.fit.lo > rate and bound != "lower":
            return Agreement.ABOVE
        if self.fit.hi < rate and bound != "upper":
            return Agreement.BELOW
        return Agreement.COMPATIBLE


def estimate_entries(request: TableRequest, trainings: pd.DataFrame) -> list[Entry]:
    """Every entry of a table from the stored ``trainings``, which have the column ``cell_id``."""
    groups: Mapping[str, pd.DataFrame] = {}
    if len(trainings):
        groups = dict(list(trainings.groupby("cell_id")))
    rows = {row.name: row for row in request.rows}
    return [
        estimate_entry(entry, rows[entry.row], groups, request.eps) for entry in request.entries
    ]


def estimate_entry(
    request: EntryRequest, row: RowRequest, groups: Mapping[str, pd.DataFrame], eps: float
) -> Entry:
    """One entry; ``groups``: cell id → its trainings."""
    nothing = Entry(
        request.row,
        request.column,
        EntryStatus.NOT_RUN,
        theory=request.theory,
        seconds_left=request.seconds_left,
        failure=request.failure,
    )
    if request.refusal:
        return replace(nothing, status=EntryStatus.CANNOT_RUN, reason=request.refusal)
    parts = [groups[cell] for cell in request.cells if cell in groups]
    if not parts and request.failure:
        return replace(nothing, status=EntryStatus.FAILED, reason=request.failure)
    if not parts:
        return nothing
    trainings = pd.concat(parts, ignore_index=True)
    fit = fit_exponent(trainings, eps, axis=row.axis)
    at_reference = trainings[trainings[row.axis] == row.reference]
    return replace(
        nothing,
        status=find_status(fit),
        reason="" if math.isfinite(fit.exponent) else fit.reason,
        fit=fit,
        reference=estimate_at(at_reference, eps) if len(at_reference) else None,
        features=estimate_features(at_reference),
        seconds=_sum_seconds(trainings),
        num_sizes=len(fit.nstar),
        trainings=trainings,
    )


def find_status(fit: ExponentFit) -> EntryStatus:
    """What a fit shows."""
    if math.isfinite(fit.exponent):
        return EntryStatus.EXPONENT
    measured = fit.nstar[fit.nstar["nstar"].notna()]
    censored = set(measured["censored"])
    if censored == {Censored.RIGHT.value}:
        is_plateau = set(measured["outcome"]) == {Outcome.PLATEAU.value}
        return EntryStatus.NEVER if is_plateau else EntryStatus.MORE_THAN
    if censored == {Censored.LEFT.value}:
        return EntryStatus.LESS_THAN
    return EntryStatus.NO_EXPONENT


def _sum_seconds(trainings: pd.DataFrame) -> float:
    """Seconds of one core."""
    runs = count_curves_once(trainings)
    return float(np.nansum(runs["seconds"].astype(float))) if "seconds" in runs else 0.0
