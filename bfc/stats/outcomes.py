"""Why a training did not succeed, decided in this module alone.

A failure says "needs more samples" only if nothing else explains it. Every training is therefore
classified from its test risk, its lowest train risk and the confirming runs of its cell (fresh
data, 4 times the steps). Stored rows and tables of trainings go through the one function
:func:`classify`; a new outcome is a member of :class:`Outcome`, a rule there and, where it matters,
an entry in the groups below (docs/add_an_outcome.md is a worked example).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]
OutcomeArray = NDArray[np.str_]
"""Values of :class:`Outcome`, or ``UNJUDGED``."""


class Outcome(StrEnum):
    """How a training ends at one eps; the values are stored."""

    SUCCESS = "success"
    DATA_LIMITED = "data_limited"
    """It fits its own rows, or succeeds in the same steps with more of them."""
    PLATEAU = "plateau"
    """Neither fresh data nor more steps help."""
    OPTIMISATION_LIMITED = "optimisation_limited"
    """It does not fit its own rows, and more steps would help or have not been tried."""
    DIVERGED = "diverged"


UNJUDGED = "unjudged"
"""Stands for the outcome of a failure where a table does not say why it failed."""
LACK_OF_DATA = frozenset({Outcome.DATA_LIMITED.value, UNJUDGED})
"""Failures that may be a lack of data."""
HOPELESS = frozenset({Outcome.PLATEAU, Outcome.DIVERGED})
"""Failures that no larger n and no further round would avoid."""
UNFINISHED = frozenset({Outcome.OPTIMISATION_LIMITED})
"""Failures that say nothing about data where nothing is learned, and that confirming runs explain.
"""

LEARNING_MARGIN = 2
FEWEST_SUCCESSES = 3
SUCCESS_SHARE = 0.15
SATURATION_RATIO = 4
HALVING_FALL = 0.1


@dataclass(frozen=True)
class TrainingArrays:
    """What was measured of N trainings of one cell; arrays of shape (N,)."""

    n: FloatArray
    risk: FloatArray
    train_risk: FloatArray
    """NaN where there is none; infinite where it was lost."""
    diverged: BoolArray
    flat: BoolArray
    """Where a learning curve is saturated, see :func:`is_saturated`."""
    stored: OutcomeArray
    """The outcome that a failure without a train risk keeps."""


def classify(
    trainings: TrainingArrays, eps: float, confirming: FloatArray, threshold: float = inf
) -> OutcomeArray:
    """The outcome of every training at ``eps``, (N,): the first rule that holds decides.

    A training that fits its own rows below eps but not the test is data-limited. One that does not
    fit them is on a plateau if the median confirming run stays above eps too, and
    optimisation-limited if that run succeeds or none was made. ``confirming`` holds the test risks
    of the cell's confirming runs; ``threshold`` is the n from which the cell's trainings succeed
    (:func:`learning_threshold`), and below it a failure is data-limited, since the same steps
    suffice with more data.
    """
    below = (trainings.n < threshold) & np.isfinite(threshold)
    is_confirmed = len(confirming) > 0
    stays_above = is_confirmed and bool(np.median(confirming) > eps)
    rules: list[tuple[BoolArray, str | OutcomeArray]] = [
        (trainings.diverged, Outcome.DIVERGED.value),
        (trainings.risk <= eps, Outcome.SUCCESS.value),
        (trainings.flat & ~below, Outcome.PLATEAU.value),
        (np.isnan(trainings.train_risk), trainings.stored),
        ((trainings.train_risk <= eps) | below, Outcome.DATA_LIMITED.value),
        (np.full(len(trainings.n), stays_above), Outcome.PLATEAU.value),
        ((trainings.stored == Outcome.PLATEAU) & (not is_confirmed), Outcome.PLATEAU.value),
    ]
    conditions = [holds for holds, _ in rules]
    choices = [outcome for _, outcome in rules]
    outcomes = np.select(conditions, choices, default=Outcome.OPTIMISATION_LIMITED.value)
    return np.asarray(outcomes, dtype=np.str_)


def is_confirming(row: Mapping[str, Any]) -> bool:
    """Whether a stored row is of a confirming run."""
    return bool(row["kind"] == "confirmation")


def is_in(outcomes: OutcomeArray, group: Iterable[str]) -> BoolArray:
    """Where an outcome belongs to a group such as ``UNFINISHED``, (N,)."""
    return np.isin(outcomes, [str(name) for name in group])


def shows_learning(successes: int, errors: int, trainings: int) -> bool:
    """Whether the ``trainings`` of a cell show learning and not luck.

    ``errors`` is the fewest that any n of the grid leaves, successes below it and failures at or
    above it. Learning is at least 2 errors fewer than successes, or a share of 15 % (3 at least)
    that succeed.
    """
    if successes >= errors + LEARNING_MARGIN:
        return True
    return successes >= max(FEWEST_SUCCESSES, SUCCESS_SHARE * trainings)


def learning_threshold(n: FloatArray, success: BoolArray) -> float:
    """The n from which the trainings of a cell succeed; infinite where nothing is learned.

    It is the n of the grid with the fewest errors, that is successes below and failures at or above
    it (the largest such n); :func:`shows_learning` decides whether anything is learned.
    """
    if not len(n):
        return inf
    order = np.argsort(n, kind="stable")
    sizes, first = np.unique(n[order], return_index=True)
    successes_below = np.r_[0, np.cumsum(success[order])][first]
    failures_below = first - successes_below
    failures_above = (~success).sum() - failures_below
    errors = successes_below + failures_above
    fewest = int(errors.min())
    if not shows_learning(int(success.sum()), fewest, len(n)):
        return inf
    return float(sizes[np.flatnonzero(errors == fewest)[-1]])


def classify_rows(
    rows: Sequence[Mapping[str, Any]],
    eps: float,
    confirming: Iterable[float | None] = (),
    threshold: float = inf,
) -> list[Outcome]:
    """The outcome of every stored row at ``eps``; see :func:`classify`.

    A row without a train risk is of a method that has none (kernels): its failures are data-limited
    unless the row is ``flat``. A confirming run without a risk counts as infinitely bad.
    """
    risks = np.array([_finite_or(inf, risk) for risk in confirming], dtype=float)
    outcomes = classify(_read_arrays(rows), eps, risks, threshold)
    return [Outcome(outcome) for outcome in outcomes.tolist()]


def learning_threshold_of_rows(rows: Iterable[Mapping[str, Any]], eps: float) -> float:
    """:func:`learning_threshold` at ``eps`` of stored rows, confirming runs left out."""
    counted = [row for row in rows if not is_confirming(row)]
    outcomes = classify_rows(counted, eps)
    n = np.array([row["n"] for row in counted], dtype=float)
    success = np.array([outcome is Outcome.SUCCESS for outcome in outcomes], dtype=bool)
    return learning_threshold(n, success)


def seeds_to_confirm(
    rows: Iterable[Mapping[str, Any]], eps: float, seeds: int, at_top: int = 1
) -> list[int]:
    """Seeds to run the confirming trainings with, at most ``seeds``.

    They are due where no training of the largest n (of the largest ones, at least ``at_top``
    trainings) succeeds at ``eps`` and most do not fit even their own rows: then the first of these.
    """
    trainings = [row for row in rows if row["kind"] == "training"]
    if not trainings:
        return []
    trainings.sort(key=lambda row: -row["n"])
    smallest = trainings[min(at_top, len(trainings)) - 1]["n"]
    top = [row for row in trainings if row["n"] >= smallest]
    outcomes = classify_rows(top, eps)
    unfinished = []
    for row, outcome in zip(top, outcomes, strict=True):
        if outcome in UNFINISHED:
            unfinished.append(row["seed"])
    if Outcome.SUCCESS in outcomes or 2 * len(unfinished) <= len(top):
        return []
    return sorted(unfinished)[:seeds]


def is_saturated(n: Sequence[int], risk: Sequence[float], features: float | None) -> list[bool]:
    """Where a learning curve has shown all its method can do, one value per n.

    It has with at least 4 times as many samples as ``features`` (None: infinitely many), and a risk
    that fell by less than a tenth since half as many samples. A flat stretch alone shows nothing:
    with n < features kernels descend by steps, one per degree, with flat stretches between them.
    """
    saturated = []
    for size, now in zip(n, risk, strict=True):
        halves = [i for i, other in enumerate(n) if 2 * other <= size]
        is_past_features = features is not None and size >= SATURATION_RATIO * features
        stalls = bool(halves) and now > (1 - HALVING_FALL) * risk[halves[-1]]
        saturated.append(is_past_features and stalls)
    return saturated


def _read_arrays(rows: Sequence[Mapping[str, Any]]) -> TrainingArrays:
    """Stored rows as arrays."""
    risk = np.array([_finite_or(nan, row["risk"]) for row in rows], dtype=float)
    diverged = np.array([bool(row["diverged"]) for row in rows], dtype=bool)
    train_risk = [row.get("train_risk") for row in rows]
    return TrainingArrays(
        n=np.array([row.get("n", 0) for row in rows], dtype=float),
        risk=risk,
        train_risk=np.array(
            [nan if value is None else _finite_or(inf, value) for value in train_risk], dtype=float
        ),
        diverged=diverged | np.isnan(risk),
        flat=np.array([bool(row.get("flat")) for row in rows], dtype=bool),
        stored=np.full(len(rows), Outcome.DATA_LIMITED.value),
    )


def _finite_or(default: float, value: float | None) -> float:
    """``value``, or ``default`` where it is missing or NaN."""
    return default if value is None or value != value else float(value)
