"""How much the trainings of one seed have in common, and how much of a training each counts.

Trainings with equal seeds share draws; if their residuals agree, k of them say little more than
one. The binary likelihood settles this by one interval per seed. A regression of log risk would
count all k, so each gets the weight of the design effect, 1/(1 + (k − 1) r) (Kish, *Survey
Sampling*, 1965), with r the correlation of residuals within seeds, measured over the whole sweep.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from bfc.stats.latent_threshold import LatentThresholds
from bfc.stats.outcomes import FloatArray

CAUTION = 0.25
"""r is the upper end of a one-sided interval of level 1 − CAUTION."""


def bound_correlation(cells: Sequence[LatentThresholds], residuals: Sequence[FloatArray]) -> float:
    """Upper bound of the correlation of residuals (N,) within seeds, between 0 and 1.

    From the ratio of mean squares between and within seeds and its F distribution (Shrout & Fleiss
    1979); ranks replace residuals, so that outliers do not hide a correlation. 0 where no seed has
    several trainings inside the window, 1 where too few have.
    """
    groups, values, shares_seeds = [], [], False
    for number, (cell, residual) in enumerate(zip(cells, residuals, strict=True)):
        shares_seeds |= len(np.unique(cell.seed)) < len(cell.seed)
        inside = cell.is_inside
        groups += [(number, seed) for seed in cell.seed[inside].tolist()]
        values.append(residual[inside] - np.median(residual[inside]))
    if not shares_seeds:
        return 0.0
    codes = np.unique(np.array(groups).reshape(-1, 2), axis=0, return_inverse=True)[1].ravel()
    counts = np.bincount(codes)
    several = counts[codes] > 1
    seeds = int((counts > 1).sum())
    within = int(several.sum()) - seeds
    if seeds < 3 or within < 3:
        return 1.0
    x = stats.rankdata(np.concatenate(values)[several])
    codes = np.unique(codes[several], return_inverse=True)[1]
    counts = np.bincount(codes)
    means = np.bincount(codes, x) / counts
    between = np.sum(counts * (means - x.mean()) ** 2) / (seeds - 1)
    rest = max(np.sum((x - means[codes]) ** 2) / within, 1e-12)
    ratio = between / rest / stats.f.ppf(CAUTION, seeds - 1, within)
    size = (counts.sum() - np.sum(counts**2) / counts.sum()) / (seeds - 1)
    return float(np.clip((ratio - 1) / (ratio + size - 1), 0, 1))


def weigh_trainings(cell: LatentThresholds, correlation: float) -> FloatArray:
    """How much of an independent training each counts, (N,)."""
    codes, counts = np.unique(cell.seed, return_inverse=True, return_counts=True)[1:]
    return np.asarray(1 / (1 + (counts[codes] - 1) * correlation))
