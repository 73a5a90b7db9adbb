"""The stored rows of a finished training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bfc.engine.recipe import Recipe
from bfc.environment import hardware
from bfc.experiment.checkpointed_training import TrainedStack
from bfc.types import Training

NAN = float("nan")


def training_rows(
    training: Training, record: dict[str, Any], recipe: Recipe, stack: TrainedStack
) -> list[dict[str, Any]]:
    """One row of a training of ``stack``; for the online measure one per observation on the way."""
    fresh = training.n == 0
    common = {
        "seed": training.seed,
        "fresh": fresh,
        "validation": "none" if fresh else recipe.validation,
        "seconds": stack.seconds,
        "stack": stack.stack,
        "execution": stack.execution,
        "lr": recipe.optimizer.lr,
        "hardware": hardware(recipe.device),
        "dtype": str(recipe.dtype).removeprefix("torch."),
    }
    curve = record.pop("curve", [])
    measured = {
        "risk": NAN,
        "train_risk": NAN,
        "validation_risk": NAN,
        "steps": None,
        "diverged": False,
        **record,
    }
    batch = recipe.optimizer.batch
    if recipe.observe and curve:
        return _curve_rows(curve, batch, common, measured)
    n = batch * recipe.total_steps() if fresh else training.n
    return [{"kind": training.kind, "n": n, **common, **measured}]


def _curve_rows(
    curve: Sequence[tuple[int, float]],
    batch: int,
    common: dict[str, Any],
    measured: dict[str, Any],
) -> list[dict[str, Any]]:
    """A row per observation; the last one holds what was measured at the end, too."""
    rows = []
    for step, risk in curve:
        row = {"kind": "curve", "n": step * batch, **common, "risk": risk, "train_risk": NAN}
        rows.append({**row, "steps": step, "diverged": risk != risk})
    last = {**measured, **rows[-1]}
    last["diverged"] = measured["diverged"] or rows[-1]["diverged"]
    return [*rows[:-1], last]


def trace_rows(
    trainings: Sequence[Training], records: Sequence[dict[str, Any]], batch: int
) -> list[dict[str, Any]]:
    """What the probe measured on the way: one row per training and evaluation."""
    rows = []
    for training, record in zip(trainings, records, strict=True):
        for evaluation in record.pop("trace", []):
            head = {
                "n": training.n or evaluation["step"] * batch,
                "seed": training.seed,
                "fresh": training.n == 0,
                "kind": training.kind,
            }
            rows.append({**head, **evaluation})
    return rows
