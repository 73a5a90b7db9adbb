"""One cell at one eps: what each of its seeds says about the n from which it succeeds.

A seed trained at one n gives a one-sided interval of its threshold. A seed with several n (a
ladder, or a kernel's learning curve, whose training sets are nested, so that its outcomes are not
independent) gives one interval: the split of its n with the fewest outcomes on the wrong side,
widened to the hull of all such splits; an online run gives the first evaluation at or below eps
that the next one confirms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bfc.stats.outcomes import LACK_OF_DATA, BoolArray, FloatArray, Outcome
from bfc.stats.training_table import TrainingTable

MIXED = "mixed"
"""Stands for the outcome of failures that differ."""


@dataclass(frozen=True)
class CellCounts:
    """One cell at one eps: the interval of log n* of every seed."""

    lo: FloatArray
    hi: FloatArray
    tested: tuple[float, float]
    """Smallest and largest n of the trainings that count."""
    succeeded: int
    """Trainings, not seeds."""
    failed: int
    excluded: int
    """Optimisation-limited trainings that do not count."""
    failures: dict[str, int]
    """How the trainings at the largest n fail: outcome → count."""
    seeds: int = 0
    """Distinct seeds of the trainings that count."""
    shows_learning: bool = True
    """Whether more than a lucky training succeeds, see
    :func:`bfc.stats.outcomes.shows_learning`."""
    may_lack_data: bool = True
    """Whether failures may be a lack of data: some at the largest n is data-limited or unjudged;
    where none fails there, any; or nothing fails."""
    rises: bool = False
    """Whether trainings with more samples do worse, so that n* means nothing."""

    @property
    def trainings(self) -> int:
        """Trainings that count."""
        return self.succeeded + self.failed

    @property
    def failure_mode(self) -> str:
        """The one outcome of all failures at the largest n, ``mixed`` where they differ, and
        ``success`` where none fails there."""
        if not self.failures:
            return Outcome.SUCCESS.value
        return next(iter(self.failures)) if len(self.failures) == 1 else MIXED

    @property
    def is_informative(self) -> bool:
        """Whether the cell says anything about how much data is needed.

        One that learns does, and one that does not if some failure at the largest n may be a lack
        of data. Plateaus and divergences are none, also where a lucky training among them succeeds,
        and a cell whose risk rises with n says nothing.
        """
        if self.rises:
            return False
        return len(self.lo) > 0 and (self.shows_learning or self.may_lack_data)


def split_cells(table: TrainingTable) -> dict[float, CellCounts]:
    """d → :class:`CellCounts`, in increasing d; a d whose trainings are all excluded has a cell
    without intervals."""
    return {float(d): count_cell(table.select(table.d == d)) for d in np.unique(table.d)}


def count_cell(table: TrainingTable) -> CellCounts:
    """The counts of a table of one d."""
    used = table.select(~table.excluded)
    top = table.select(table.n == table.n.max()) if len(table.n) else table
    failures = _count_outcomes(top)
    reasons = set(failures) or set(used.outcome[~used.success].tolist())
    lo, hi = _find_intervals(used)
    is_bounded = ~(np.isneginf(lo) & np.isposinf(hi))
    succeeded = int(used.success.sum())
    return CellCounts(
        lo=lo[is_bounded],
        hi=hi[is_bounded],
        tested=(float(used.n.min()), float(used.n.max())) if len(used.n) else (np.nan, np.nan),
        succeeded=succeeded,
        failed=len(used.n) - succeeded,
        excluded=int(table.excluded.sum()),
        failures=failures,
        seeds=len(np.unique(used.seed)),
        shows_learning=bool(used.learning.any()),
        may_lack_data=not reasons or bool(reasons & LACK_OF_DATA),
        rises=bool(table.rises.any()),
    )


def _count_outcomes(table: TrainingTable) -> dict[str, int]:
    """Outcome → number of failures."""
    names, counts = np.unique(table.outcome[~table.success], return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _find_intervals(table: TrainingTable) -> tuple[FloatArray, FloatArray]:
    """One interval per seed of one cell, whose rows are sorted by (seed, n)."""
    if not len(table.n):
        return np.zeros(0), np.zeros(0)
    starts = np.flatnonzero(np.r_[True, table.seed[1:] != table.seed[:-1]])
    ends = np.r_[starts[1:], len(table.n)]
    success, u = table.success, table.u
    lo = np.where(success[starts], -np.inf, u[starts])
    hi = np.where(success[starts], u[starts], np.inf)
    is_online = table.online[starts]
    for i in np.flatnonzero((ends - starts > 1) | is_online):
        rows = slice(starts[i], ends[i])
        find_interval = _find_passage if is_online[i] else _find_split
        lo[i], hi[i] = find_interval(u[rows], success[rows])
    return lo, hi


def _find_split(u: FloatArray, success: BoolArray) -> tuple[float, float]:
    """Hull of the splits of increasing ``u`` with the fewest successes below and failures above."""
    successes_below = np.r_[0, np.cumsum(success)]
    failures_above = np.r_[np.cumsum(~success[::-1])[::-1], 0]
    errors = successes_below + failures_above
    best = np.flatnonzero(errors == errors.min())
    ends = np.r_[-np.inf, u, np.inf]
    return float(ends[best[0]]), float(ends[best[-1] + 1])


def _find_passage(u: FloatArray, success: BoolArray) -> tuple[float, float]:
    """The first evaluation at or below eps that the next one confirms; beyond the last unconfirmed
    one if there is none."""
    first = np.flatnonzero(success[:-1] & success[1:])
    ends = np.r_[-np.inf, u, np.inf]
    if len(first):
        return float(ends[first[0]]), float(ends[first[0] + 1])
    return float(ends[len(u) - 1] if success[-1] else ends[len(u)]), np.inf
