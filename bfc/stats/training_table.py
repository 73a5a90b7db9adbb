"""A table of trainings as plain arrays, classified at one eps.

It says which trainings succeed, why the others fail and which say nothing about the amount of data.
It exists apart from the likelihood because the regressions read the same rows, and because every
rule about what counts must be written once.

Success is risk <= eps, whatever the stored outcome says: outcomes are judged at the strictest eps
of a run, so they only tell failures apart, and where a row has ``train_risk`` its failure is judged
anew at this eps by :func:`bfc.stats.outcomes.classify`. A diverged training, or one without a risk,
is a failure whatever its risk, and a plateau is one at its n (right-censored).
Optimisation-limited failures are counted apart. Where something is learned
(:func:`bfc.stats.outcomes.shows_learning`), they stay among the failures: leaving them out would
leave out the unlucky half of the seeds near n* and put n* too low (simulated in
tests/test_likelihood.py); the lapses of the likelihood stand for those that no n would have
helped. Where nothing is learned they say nothing about data and are excluded.
In an online run every evaluation but the last is a step on the way, so nothing in it is excluded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bfc.errors import UserError
from bfc.stats.columns import (
    KINDS,
    OUTCOMES,
    describe_value,
    read_flags,
    read_numbers,
    read_seeds,
    read_sizes,
    read_words,
)
from bfc.stats.outcomes import (
    UNFINISHED,
    UNJUDGED,
    BoolArray,
    FloatArray,
    Outcome,
    OutcomeArray,
    TrainingArrays,
    classify,
    is_in,
    learning_threshold,
)
from bfc.stats.reasons import DropReason
from bfc.stats.table_frame import tidy_frame
from bfc.stats.table_notices import NoisyRisk, TableNotice
from bfc.stats.trend import find_rising_d

CONFIRMATION = ("confirmation", "probe")
"""Words for a confirming run; the second is that of earlier versions."""
MOST_NEGATIVE = 0.1
"""How far noise may put a relative risk below zero, where a noise floor was subtracted."""
LONGEST_OUTCOME: str = max((*Outcome, UNJUDGED), key=len)
"""Fills an array that any outcome fits into."""
KEPT_OUTCOMES = [
    outcome.value for outcome in Outcome if outcome not in (Outcome.SUCCESS, Outcome.DIVERGED)
]
"""Stored outcomes that say why a failure failed."""


@dataclass(frozen=True)
class TrainingTable:
    """N trainings at one eps, sorted by (d, seed, n); arrays of shape (N,)."""

    eps: float
    d: FloatArray
    n: FloatArray
    seed: NDArray[np.int64]
    """Integer codes."""
    risk: FloatArray
    """Infinite where diverged."""
    outcome: OutcomeArray
    """``unjudged`` for a failure where the table does not say why it failed."""
    online: BoolArray
    learning: BoolArray
    """Whether something is learned at the training's d, see
    :func:`bfc.stats.outcomes.shows_learning`."""
    rises: BoolArray
    """Whether trainings with more samples do worse at the training's d, see
    :func:`bfc.stats.trend.find_rising_d`."""
    dropped: Mapping[DropReason, int]
    """Rows that are not used as they stand: reason → count."""
    notices: tuple[TableNotice, ...] = ()

    @property
    def u(self) -> FloatArray:
        """log n"""
        return np.log(self.n)

    @property
    def success(self) -> BoolArray:
        return np.asarray(self.outcome == Outcome.SUCCESS.value)

    @property
    def limited(self) -> BoolArray:
        """Optimisation-limited failures."""
        return is_in(self.outcome, UNFINISHED) & ~self.online

    @property
    def excluded(self) -> BoolArray:
        """Those of them that say nothing about n*, because nothing is learned at their d."""
        return self.limited & ~self.learning

    def select(self, rows: BoolArray | NDArray[np.int64]) -> TrainingTable:
        """The table of some of its rows, given as a mask or as positions."""
        return TrainingTable(
            eps=self.eps,
            d=self.d[rows],
            n=self.n[rows],
            seed=self.seed[rows],
            risk=self.risk[rows],
            outcome=self.outcome[rows],
            online=self.online[rows],
            learning=self.learning[rows],
            rises=self.rises[rows],
            dropped=self.dropped,
            notices=self.notices,
        )


@dataclass(frozen=True)
class _Columns:
    """The columns of a table of trainings as they were given, repaired where they are odd."""

    d: FloatArray
    n: FloatArray
    seed: NDArray[np.int64]
    has_seed: BoolArray
    risk: FloatArray
    """Infinite where diverged."""
    has_lost_risk: BoolArray
    """No risk, and nothing says that the training diverged."""
    is_negative: BoolArray
    """A risk slightly below zero, read as zero."""
    diverged: BoolArray
    train_risk: FloatArray
    stored: OutcomeArray
    confirming: BoolArray
    online: BoolArray
    notices: tuple[TableNotice, ...]


def build_training_table(trainings: pd.DataFrame, eps: float) -> TrainingTable:
    """The rows of ``trainings`` at ``eps``.

    Columns ``n, seed, risk``; optional ``d`` (else one cell), ``outcome``, ``kind``
    (``confirmation`` or ``probe``: a confirming run; ``online``, or ``curve`` with ``fresh``: an
    evaluation of an online run), ``diverged``, ``train_risk``. Of rows with equal (d, n, seed) the
    last counts. Raises :class:`bfc.errors.UserError` where a column is missing, there twice or
    holds a value that it cannot mean, and where eps is not positive.
    """
    is_number = isinstance(eps, int | float | np.number) and not isinstance(eps, bool)
    if not (is_number and 0 < eps < np.inf):
        raise UserError(f"eps={eps}: must be one positive number; call nstar once per eps")
    frame, notices = tidy_frame(trainings)
    columns = _read_columns(frame, eps)
    usable, dropped = _find_usable_rows(columns)
    outcome, learning = _classify_cells(columns, usable, eps)
    order, repeated = _sort_rows(columns, usable)
    dropped[DropReason.REPEATED] = repeated
    table = TrainingTable(
        eps=float(eps),
        d=columns.d[order],
        n=columns.n[order],
        seed=columns.seed[order],
        risk=columns.risk[order],
        outcome=outcome[order],
        online=columns.online[order],
        learning=learning[order],
        rises=np.zeros(len(order), dtype=bool),
        dropped={reason: count for reason, count in dropped.items() if count},
        notices=(*notices, *columns.notices),
    )
    comparable = table.select(~table.limited & ~table.online)
    rising = find_rising_d(comparable.d, comparable.n, comparable.risk, table.eps)
    return replace(table, rises=np.isin(table.d, rising))


def _read_columns(trainings: pd.DataFrame, eps: float) -> _Columns:
    risk = read_numbers(trainings, "risk", np.nan)
    _refuse_negative_risk(risk)
    d, d_notices = read_sizes(trainings, "d", 1.0)
    n, n_notices = read_sizes(trainings, "n", 0.0)
    kind, kind_notices = read_words(trainings, "kind", (*KINDS, CONFIRMATION[1]), "training")
    outcome, outcome_notices = read_words(trainings, "outcome", OUTCOMES, UNJUDGED)
    is_flagged, flag_notices = read_flags(trainings, "diverged")
    is_fresh, fresh_notices = read_flags(trainings, "fresh")
    is_stored_diverged = outcome == Outcome.DIVERGED.value
    diverged = is_flagged | np.isnan(risk) | is_stored_diverged
    seed, has_seed = read_seeds(trainings)
    stored = np.where(np.isin(outcome, KEPT_OUTCOMES), outcome, UNJUDGED)
    notices = [
        *d_notices,
        *n_notices,
        *kind_notices,
        *outcome_notices,
        *flag_notices,
        *fresh_notices,
    ]
    if (risk < -eps).any():
        notices.append(NoisyRisk(float(risk[risk < -eps].min()), eps))
    return _Columns(
        d=d,
        n=n,
        seed=seed,
        has_seed=has_seed,
        risk=np.where(diverged, np.inf, np.maximum(risk, 0.0)),
        has_lost_risk=np.isnan(risk) & ~is_flagged & ~is_stored_diverged,
        is_negative=~diverged & (risk < 0),
        diverged=diverged,
        train_risk=read_numbers(trainings, "train_risk", np.nan),
        stored=stored.astype(np.str_),
        confirming=np.isin(kind, CONFIRMATION),
        online=(kind == "online") | ((kind == "curve") & is_fresh),
        notices=tuple(notices),
    )


def _refuse_negative_risk(risk: FloatArray) -> None:
    """Refuse risks further below zero than noise: logarithms, or scores such as R²."""
    rows = np.flatnonzero(risk < -MOST_NEGATIVE)
    if len(rows):
        raise UserError(
            f"trainings: risk={describe_value(risk[rows[0]])} in row {rows[0]}: must be a relative "
            f"risk, of which noise puts at most {MOST_NEGATIVE:g} below 0, and no logarithm or "
            "score"
        )


def _find_usable_rows(columns: _Columns) -> tuple[BoolArray, dict[DropReason, int]]:
    """The rows that count, and how many do not by reason; confirming runs are no trainings."""
    defects = {
        DropReason.NO_D: ~np.isfinite(columns.d),
        DropReason.D_NOT_POSITIVE: columns.d <= 0,
        DropReason.NO_N: ~np.isfinite(columns.n),
        DropReason.N_NOT_POSITIVE: columns.n <= 0,
        DropReason.NO_SEED: ~columns.has_seed,
    }
    usable = ~columns.confirming
    dropped = {}
    for reason, is_defective in defects.items():
        dropped[reason] = int((usable & is_defective).sum())
        usable &= ~is_defective
    dropped[DropReason.NEGATIVE_RISK] = int((usable & columns.is_negative).sum())
    dropped[DropReason.NO_RISK] = int((usable & columns.has_lost_risk).sum())
    return usable, dropped


def _classify_cells(
    columns: _Columns, usable: BoolArray, eps: float
) -> tuple[OutcomeArray, BoolArray]:
    """Outcome of every usable row, and whether something is learned at its d."""
    outcome = np.full(len(columns.n), LONGEST_OUTCOME)
    learning = np.zeros(len(columns.n), dtype=bool)
    for d in np.unique(columns.d[usable]):
        rows = np.flatnonzero(usable & (columns.d == d))
        trainings = TrainingArrays(
            n=columns.n[rows],
            risk=columns.risk[rows],
            train_risk=columns.train_risk[rows],
            diverged=columns.diverged[rows],
            flat=np.zeros(len(rows), dtype=bool),
            stored=columns.stored[rows],
        )
        confirming = columns.risk[columns.confirming & (columns.d == d)]
        threshold = learning_threshold(trainings.n, trainings.risk <= eps)
        outcome[rows] = classify(trainings, eps, confirming, threshold)
        learning[rows] = threshold < inf
    return outcome, learning


def _sort_rows(columns: _Columns, usable: BoolArray) -> tuple[NDArray[np.int64], int]:
    """Positions of the usable rows by (d, seed, n), and how many are repeated.

    Of equal ones only the last is among them.
    """
    order = np.flatnonzero(usable)
    order = order[np.lexsort((order, columns.n[order], columns.seed[order], columns.d[order]))]
    key = np.stack([columns.d[order], columns.seed[order], columns.n[order]])
    is_last = np.ones(len(order), dtype=bool)
    is_last[:-1] = (key[:, 1:] != key[:, :-1]).any(0)
    return order[is_last], int((~is_last).sum())
