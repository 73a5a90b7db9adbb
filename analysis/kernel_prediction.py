"""The risk that theory predicts for stored kernel ridge regressions, row by row.

On a random hierarchy the law of a kernel is exact at every n (:mod:`bfc.bounds.kernel_law`), so
that a measured learning curve has a predicted one without a free constant beside it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from analysis.stored_components import read_config, rebuild
from bfc.baselines.ridge import KernelRidge
from bfc.bounds.kernel_law import predict_risks
from bfc.errors import UserError
from bfc.targets.hierarchy import Hierarchy


def predict_kernel_risks(trainings: pd.DataFrame) -> pd.Series:
    """The predicted relative risk of every row, NaN where there is no law for it.

    There is one for kernels of the number of agreeing symbols on hierarchies with uniform strings
    that are judged by squares, without label noise, a task or a representation.
    """
    predicted = pd.Series(np.nan, index=trainings.index)
    if trainings.empty or not {"cell_id", "ridge"} <= set(trainings):
        return predicted
    for _, rows in trainings[trainings["kind"] == "curve"].groupby("cell_id"):
        parts = _read_parts(rows)
        if parts is None:
            continue
        for (seed, ridge), curve in rows.groupby(["seed", "ridge"]):
            n = tuple(int(size) for size in curve["n"])
            risks = _predict(*parts, float(ridge), int(seed), n)
            if risks is not None:
                predicted[curve.index] = risks
    return predicted


def _read_parts(rows: pd.DataFrame) -> tuple[Hierarchy, KernelRidge] | None:
    """Target and kernel of one cell, where the law may describe them."""
    task = read_config(rows, "task")
    is_plain = not read_config(rows, "representation") and task.get("noise", 0) == 0
    if not is_plain or "regression" not in str(task.get("_target_", "regression")).lower():
        return None
    try:
        target = rebuild("target", read_config(rows, "target"))
        kernel = rebuild("baseline", read_config(rows, "baseline"))
    except (UserError, TypeError, ValueError, ArithmeticError):
        return None
    if not isinstance(target, Hierarchy) or not isinstance(kernel, KernelRidge):
        return None
    is_described = target.judged == "squared" and not kernel.tuned_parameters
    return (target, kernel) if is_described else None


@lru_cache(maxsize=1024)
def _predict(
    target: Hierarchy, kernel: KernelRidge, ridge: float, seed: int, n: tuple[int, ...]
) -> list[float] | None:
    try:
        return predict_risks(target, kernel, ridge, seed, n)
    except UserError:
        return None
