"""Learning curves at fixed settings and their n*: what the tables of benchmarks.frontier share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from bfc.baselines.feature_learner import FeatureLearner
from bfc.baselines.selection import crossing
from bfc.types import LearningCurve, Target

RATIO = 1.3
TEST = 4096
RIDGE = 1e-3


def curves(machine: FeatureLearner, target: Target, seeds: int) -> list[LearningCurve]:
    """One curve per seed at the machine's own ridge."""
    return [machine.curve(target, seed, TEST, {"ridge": machine.ridge}) for seed in range(seeds)]


def crossings(results: Sequence[LearningCurve], eps: float = 0.1) -> list[float]:
    """n* of every seed; infinite where the curve never gets there."""
    return [crossing(curve.n, curve.risk, eps) or math.inf for curve in results]


def feature_crossings(results: Sequence[LearningCurve], name: str, overlap: float) -> list[float]:
    """The same for the overlap: where 1 − overlap comes down to 1 − ``overlap``."""
    crossings = []
    for curve in results:
        missing = [1 - value for value in curve.overlap[name]]
        crossings.append(crossing(curve.n, missing, 1 - overlap) or math.inf)
    return crossings


def median_nstar(results: Sequence[LearningCurve], eps: float = 0.1) -> float:
    """The median over seeds of the crossings; infinite where half of them never get there."""
    return float(np.median(crossings(results, eps)))


def feature_nstar(results: Sequence[LearningCurve], name: str, overlap: float) -> float:
    return float(np.median(feature_crossings(results, name, overlap)))


def relative_risk(predicted: Tensor, truth: Tensor, variance: Tensor) -> float:
    return float((predicted - truth).square().mean() / variance[0])
