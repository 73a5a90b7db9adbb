"""Why a training did not succeed. A failure says "needs more samples" only if nothing else explains
it, so every training is judged from its test risk, its lowest train risk and the cell's confirming
runs (fresh data, 4 times the steps)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

MARGIN, FEW, SHARE = 2, 3, 0.15
OVER_FEATURES, HALVING_FALL = 4, 0.1
OUTCOMES = ("success", "data_limited", "plateau", "optimisation_limited", "diverged")


def learns(successes: int, errors: int, trainings: int) -> bool:
    """Whether the ``trainings`` of a cell show learning and not luck, ``errors`` being the fewest
    that any n of the grid leaves, successes below it and failures at or above it: at least 2 errors
    fewer than successes, or a share of 15 % (3 at least) that succeed."""
    return successes >= errors + MARGIN or successes >= max(FEW, SHARE * trainings)


def learned_at(rows: Iterable[Mapping[str, Any]], eps: float) -> float:
    """Where the trainings of a cell begin to succeed at ``eps``: the n of the grid with the fewest
    errors, that is successes below and failures at or above it (the largest such n); infinite where
    nothing is learned, see :func:`learns`."""
    good = [
        (row["n"], judge(row, eps, []) == "success")
        for row in rows
        if row["kind"] != "confirmation"
    ]
    errors = {
        size: sum(success == (n < size) for n, success in good)
        for size in sorted({n for n, _ in good}, reverse=True)
    }
    best = min(errors, key=errors.__getitem__, default=float("inf"))
    return (
        best
        if errors and learns(sum(success for _, success in good), errors[best], len(good))
        else float("inf")
    )


def judge(
    row: Mapping[str, Any], eps: float, confirming: Iterable[float], learned_at: float = 0.0
) -> str:
    """Outcome of one training at ``eps``.

    ``confirming`` holds the test risks of the cell's confirming runs; ``learned_at`` is where the
    cell's trainings succeed: below it a failure is data-limited, since the same steps suffice with
    more data. A training that fits its own rows below eps but not the test is data-limited. One
    that does not fit them is on a plateau if the median confirming run stays above eps too (neither
    fresh data nor more steps help), and optimisation-limited if that run succeeds or none was made.
    A method without a train risk (kernels) is data-limited, unless the row is ``flat``, see
    :func:`saturated`.
    """
    if row["diverged"] or row["risk"] is None or row["risk"] != row["risk"]:
        return "diverged"
    if row["risk"] <= eps:
        return "success"
    train_risk, below = row["train_risk"], row.get("n", 0) < learned_at < float("inf")
    if row.get("flat") and not below:
        return "plateau"
    if train_risk is None or train_risk <= eps or below:
        return "data_limited"
    confirming = [float("inf") if risk is None or risk != risk else risk for risk in confirming]
    return "plateau" if confirming and median(confirming) > eps else "optimisation_limited"


def saturated(n: Sequence[int], risk: Sequence[float], features: float | None) -> list[bool]:
    """Where a learning curve has shown all its method can do: with at least 4 times as many samples
    as ``features`` (None: infinitely many), and a risk that fell by less than a tenth since half as
    many samples. A flat stretch alone shows nothing: with n < features kernels descend by steps,
    one per degree, with flat stretches between them."""
    earlier = [
        max((i for i, other in enumerate(n) if 2 * other <= size), default=None) for size in n
    ]
    return [
        features is not None
        and size >= OVER_FEATURES * features
        and half is not None
        and now > (1 - HALVING_FALL) * risk[half]
        for size, now, half in zip(n, risk, earlier, strict=True)
    ]


def to_confirm(
    rows: Iterable[Mapping[str, Any]], eps: float, seeds: int, at_top: int = 1
) -> list[int]:
    """Seeds to run the confirming trainings with: where no training of the largest n (of the
    largest ones, at least ``at_top`` trainings) succeeds at ``eps`` and most do not fit even their
    own rows, the first ``seeds`` of them; otherwise none."""
    rows = sorted((row for row in rows if row["kind"] == "training"), key=lambda row: -row["n"])
    if not rows:
        return []
    least = rows[min(at_top, len(rows)) - 1]["n"]
    top = [row for row in rows if row["n"] >= least]
    verdicts = [judge(row, eps, []) for row in top]
    stuck = sorted(
        row["seed"]
        for row, verdict in zip(top, verdicts, strict=True)
        if verdict == "optimisation_limited"
    )
    return stuck[:seeds] if "success" not in verdicts and 2 * len(stuck) > len(top) else []
