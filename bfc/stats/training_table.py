"""A table of trainings as plain arrays, judged at one eps: which trainings succeed, why the others
fail and which say nothing about the amount of data. It exists apart from the likelihood because the
quick estimators read the same rows, and because every rule about what counts must be written once.

Success is risk <= eps, whatever the stored outcome says: outcomes are judged at the strictest eps
of a run, so they only tell failures apart, and where a row has ``train_risk`` its failure is judged
anew at this eps by the rules of :func:`bfc.stats.outcomes.judge`. A diverged training, or one
without a risk, is a failure, and a plateau is one at its n (right-censored). Optimisation-limited
failures are counted apart. Where something is learned (:func:`bfc.stats.outcomes.learns`), they
stay among the failures: leaving them out would leave out the unlucky half of the seeds near n* and
put n* too low (simulated in tests/test_likelihood.py); the lapses of the likelihood stand for those
that no n would have helped. Where nothing is learned they say nothing about data and are excluded.
In an online run every look but the last is a step on the way, so nothing in it is excluded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bfc.errors import UserError, nearest
from bfc.stats.outcomes import OUTCOMES, learns

NEEDED = ("n", "seed", "risk")
OPTIONAL = ("d", "outcome", "kind", "diverged", "train_risk", "fresh")
CONFIRMATION = ("confirmation", "probe")
"""Words for a confirming run; the second is that of earlier versions."""
FAILURES = [name for name in OUTCOMES if name not in ("success", "diverged")]


@dataclass(frozen=True)
class Judged:
    """N trainings at one eps, sorted by (d, seed, n); arrays of shape (N,)."""

    eps: float
    d: np.ndarray
    n: np.ndarray
    seed: np.ndarray
    """Integer codes."""
    risk: np.ndarray
    """Infinite where diverged."""
    failure: np.ndarray
    """Why a training failed, empty for a success; ``unjudged`` where the table does not say."""
    online: np.ndarray
    learns: np.ndarray
    """Whether something is learned at the training's d, see :func:`bfc.stats.outcomes.learns`."""
    dropped: Mapping[str, int]
    """Rows that could not be used at all: reason → count."""

    @property
    def u(self) -> np.ndarray:
        """log n"""
        return np.log(self.n)

    @property
    def success(self) -> np.ndarray:
        return self.failure == ""

    @property
    def limited(self) -> np.ndarray:
        """Optimisation-limited failures."""
        return (self.failure == "optimisation_limited") & ~self.online

    @property
    def excluded(self) -> np.ndarray:
        """Those of them that say nothing about n*, because nothing is learned at their d."""
        return self.limited & ~self.learns

    def where(self, mask: np.ndarray) -> Judged:
        fields = {
            name: getattr(self, name)[mask]
            for name in ("d", "n", "seed", "risk", "failure", "online", "learns")
        }
        return Judged(self.eps, **fields, dropped=self.dropped)


def judge_table(trainings: pd.DataFrame, eps: float) -> Judged:
    """The rows of ``trainings`` at ``eps``. Columns ``n, seed, risk``; optional ``d`` (else one
    cell), ``outcome``, ``kind`` (``probe``: a confirming run; ``online``, or ``curve`` with
    ``fresh``: a look of an online run), ``diverged``, ``train_risk``. Of rows with equal (d, n,
    seed) the last counts. Raises :class:`bfc.errors.UserError` where a column is missing, there
    twice or of a type that holds no numbers, and where eps is not positive."""
    if isinstance(eps, bool) or not (isinstance(eps, (int, float, np.number)) and 0 < eps < np.inf):
        raise UserError(f"eps={eps}: must be a positive number, one at a call")
    for name in NEEDED:
        if name not in trainings:
            raise UserError(
                f"trainings: has no column {name}; {nearest(name, map(str, trainings.columns))}"
            )
    if len(
        repeated := sorted(
            {*trainings.columns[trainings.columns.duplicated()]} & {*NEEDED, *OPTIONAL}
        )
    ):
        raise UserError(f"trainings: has more than one column {repeated[0]}; must have one")
    size = len(trainings)
    d, n, risk = (
        _numbers(trainings, name, default)
        for name, default in (("d", 1.0), ("n", 0.0), ("risk", np.nan))
    )
    kind, outcome = _texts(trainings, "kind", "training"), _texts(trainings, "outcome", "unjudged")
    fresh = _flags(trainings, "fresh")
    seed = trainings["seed"]
    known = seed.notna().to_numpy(dtype=bool)
    try:
        codes = pd.factorize(seed)[0] if size else np.zeros(0, int)
    except TypeError:
        raise UserError(
            "trainings: column seed holds values that cannot be compared; must hold numbers or words"
        ) from None
    train_risk = _numbers(trainings, "train_risk", np.nan)
    lost = np.isnan(risk) & ~_flags(trainings, "diverged") & (outcome != "diverged")
    diverged = (
        _flags(trainings, "diverged") | np.isnan(risk) | ((outcome == "diverged") & ~(risk <= eps))
    )
    risk = np.where(diverged, np.inf, risk)
    probe = np.isin(kind, CONFIRMATION)
    online = (kind == "online") | ((kind == "curve") & fresh)

    checks = {
        "without d": ~np.isfinite(d),
        "with d <= 0": d <= 0,
        "without n": ~np.isfinite(n),
        "with n <= 0": n <= 0,
        "without seed": ~known,
        "with negative risk": risk < 0,
    }
    keep, dropped = ~probe, {}
    for reason, bad in checks.items():
        dropped[reason] = int((keep & bad).sum())
        keep &= ~bad
    dropped["without risk, counted as failures"] = int((keep & lost).sum())
    failure = np.where(np.isin(outcome, FAILURES), outcome, "unjudged")
    learned = np.zeros(size, bool)
    for value in np.unique(d[keep]):
        rows = np.flatnonzero(keep & (d == value))
        begins = _learned_at(n[rows], risk[rows] <= eps)
        failure[rows] = _why(
            n[rows],
            risk[rows],
            train_risk[rows],
            failure[rows],
            risk[probe & (d == value)],
            eps,
            begins,
        )
        learned[rows] = begins > 0
    failure[diverged] = "diverged"

    order = np.flatnonzero(keep)
    order = order[np.lexsort((order, n[order], codes[order], d[order]))]
    key = np.stack([d[order], codes[order], n[order]])
    last = np.ones(len(order), bool)
    last[:-1] = (key[:, 1:] != key[:, :-1]).any(0)
    dropped["repeated (the last of equal d, n, seed counts)"] = int((~last).sum())
    order = order[last]
    return Judged(
        float(eps),
        d[order],
        n[order],
        codes[order],
        risk[order],
        failure[order],
        online[order],
        learned[order],
        {reason: count for reason, count in dropped.items() if count},
    )


def _why(
    n: np.ndarray,
    risk: np.ndarray,
    train_risk: np.ndarray,
    stored: np.ndarray,
    confirming: np.ndarray,
    eps: float,
    begins: float,
) -> np.ndarray:
    """Why each training of one cell fails, diverged ones apart: empty for a success; by
    :func:`bfc.stats.outcomes.judge` where the train risk is known, else as ``stored``.
    ``confirming``: risks of the confirming runs; without them a stored plateau stands. ``begins``:
    where learning begins."""
    success = risk <= eps
    unfit = (
        "optimisation_limited" if not len(confirming) or np.median(confirming) <= eps else "plateau"
    )
    enough = (train_risk <= eps) | (n < begins)
    stands = (stored == "plateau") & (len(confirming) == 0)
    judged = np.where(enough, "data_limited", np.where(stands, stored, unfit))
    return np.where(success, "", np.where(np.isnan(train_risk), stored, judged))


def _learned_at(n: np.ndarray, success: np.ndarray) -> float:
    """:func:`bfc.stats.outcomes.learned_at`, but minus infinity where nothing is learned, so that
    no n lies below it."""
    order = np.argsort(n, kind="stable")
    sizes, first = np.unique(n[order], return_index=True)
    below = np.r_[0, np.cumsum(success[order])][first]
    wrong = below + (~success).sum() - (first - below)
    best = sizes[np.flatnonzero(wrong == np.min(wrong))[-1]]
    return float(best) if learns(int(success.sum()), int(np.min(wrong)), len(n)) else -np.inf


def _numbers(table: pd.DataFrame, name: str, default: float) -> np.ndarray:
    if name not in table:
        return np.full(len(table), default)
    if table[name].dtype.kind in "cmM":
        raise UserError(
            f"trainings: column {name} is of type {table[name].dtype}; must hold numbers"
        )
    values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return values.copy()


def _texts(table: pd.DataFrame, name: str, default: str) -> np.ndarray:
    if name not in table:
        return np.full(len(table), default, dtype=object)
    return (
        table[name]
        .astype(object)
        .where(table[name].notna(), default)
        .astype(str)
        .to_numpy(dtype=object)
        .copy()
    )


def _flags(table: pd.DataFrame, name: str) -> np.ndarray:
    if name not in table:
        return np.zeros(len(table), bool)
    if table[name].dtype == bool:
        return table[name].to_numpy(copy=True)
    return np.array(
        [value is True or str(value).lower() in ("true", "1", "1.0") for value in table[name]],
        dtype=bool,
    )
