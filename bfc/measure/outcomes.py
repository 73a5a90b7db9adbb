"""Why a training did not succeed. A failure says "needs more samples" only if nothing else explains it, so every training is
judged from its test risk, its lowest train risk and the cell's confirming runs (fresh data, 4 times the steps)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

OUTCOMES = ("success", "data_limited", "plateau", "optimisation_limited", "diverged")


def learned_at(rows: Iterable[Mapping[str, Any]], eps: float) -> float:
    """The smallest n of a cell at which at least half of the trainings succeed at ``eps``; infinite if there is none."""
    verdicts: dict[int, list[bool]] = {}
    for row in rows:
        if row["kind"] != "probe":
            verdicts.setdefault(row["n"], []).append(judge(row, eps, []) == "success")
    return min((n for n, good in verdicts.items() if 2 * sum(good) >= len(good)), default=float("inf"))


def judge(row: Mapping[str, Any], eps: float, confirming: Iterable[float], learned_at: float = 0.0) -> str:
    """Outcome of one training at ``eps``.

    ``confirming`` holds the test risks of the cell's confirming runs; ``learned_at`` is where the cell's trainings succeed: below it
    a failure is data-limited, since the same steps suffice with more data. A training that fits its own rows below eps but not the
    test is data-limited. One that does not fit them is on a plateau if the median confirming run stays above eps too
    (neither fresh data nor more steps help), and optimisation-limited if that run succeeds or none was made.
    """
    if row["diverged"] or row["risk"] is None or row["risk"] != row["risk"]:
        return "diverged"
    if row["risk"] <= eps:
        return "success"
    train_risk = row["train_risk"]
    if train_risk is None or train_risk <= eps or row.get("n", 0) < learned_at < float("inf"):
        return "data_limited"
    confirming = [float("inf") if risk is None or risk != risk else risk for risk in confirming]
    return "plateau" if confirming and median(confirming) > eps else "optimisation_limited"


def to_confirm(rows: Iterable[Mapping[str, Any]], eps: float, seeds: int) -> list[int]:
    """Seeds to run the confirming trainings with: where no training of the largest n succeeds at ``eps`` and most do not fit
    even their own rows, the first ``seeds`` of them; otherwise none."""
    rows = [row for row in rows if row["kind"] == "training"]
    if not rows:
        return []
    largest = max(row["n"] for row in rows)
    top = [row for row in rows if row["n"] == largest]
    verdicts = [judge(row, eps, []) for row in top]
    stuck = sorted(row["seed"] for row, verdict in zip(top, verdicts, strict=True) if verdict == "optimisation_limited")
    return stuck[:seeds] if "success" not in verdicts and 2 * len(stuck) > len(top) else []
