"""Which likelihood each cell of a sweep gets: that of log risk where it is sound, else the binary.

The latent-threshold model of :mod:`bfc.stats.latent_threshold` is sharper but assumes that log risk
is a line near eps. Every rule about where that may be assumed is here. A cell is *smooth* if

- the binary likelihood brackets its n*, and enough of its trainings lie within the window, on both
  sides of eps (a cell that jumps from a plateau to success has none, a censored one no successes);
- log risk falls there beyond doubt, with the slope of the other cells;
- the model predicts how many trainings end below, within and above the window, at small and at
  large n, and how risks within it are spread around the line (it does neither where risks have two
  modes, bend, or lapse);
- its n* agrees with the binary one within their uncertainty, in this cell and on average;
- few of the trainings that should succeed fail; seeds that share draws are not almost copies.

Where fewer than half of the cells that bracket n* pass, none is smooth: a shape that most cells do
not have is no ground for the others. Windows are tried from the widest to the narrowest, the first
that passes is used. All other cells keep their binary curve, and the posterior does not know which
is which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import special

from bfc.stats.cell_counts import CellCounts
from bfc.stats.latent_fit import LatentFit, fit_latent, predict_classes
from bfc.stats.latent_threshold import (
    ABOVE,
    BELOW,
    LOG_SLOPE_STEPS,
    LatentThresholds,
    RiskWindow,
    read_thresholds,
    sharpen_curve,
)
from bfc.stats.likelihood import LikelihoodCurve, likelihood_curve
from bfc.stats.outcomes import FloatArray
from bfc.stats.seed_correlation import bound_correlation, weigh_trainings
from bfc.stats.training_table import TrainingTable

WINDOWS = ((2.0, 0.85), (1.2, 0.5), (0.8, 0.35))
"""Half width in log risk, and the largest share of the way from eps to risk 1."""
NARROWEST = 0.3
"""A window must reach this far above eps, in log risk."""
FEWEST_INSIDE = 6
FEWEST_PER_SIDE = 2
MOST_TRAININGS = 500
"""In one cell; with more, thresholds alone are sharp and the sums slow."""
LARGEST_CORRELATION = 0.5
"""Of residuals within seeds; above it a seed's interval of its threshold says as much."""
STEEP = 2.0
"""Standard errors that the fall of log risk within the window must lie above zero."""
REJECTION = 1e-3
"""Level at which the counts of a cell, or of all, reject the model."""
FARTHEST = 2.5
"""Standard errors between the two n* of a cell, and of all on average, from which they disagree."""
USUAL_LAPSES = 0.15
LOG_SLOPE_REACH = 3.0
"""Fall of the log posterior of a cell's slope from its maximum to where the prior's nodes end."""


class Likelihood(StrEnum):
    """Which likelihood a cell has; the values are columns of tables."""

    BINARY = "binary"
    """Of success and failure, :mod:`bfc.stats.likelihood`."""
    SMOOTH = "smooth"
    """Of log risk near eps, :mod:`bfc.stats.latent_threshold`."""


@dataclass(frozen=True)
class CellCurve:
    """The curve of one cell and where it comes from."""

    curve: LikelihoodCurve
    kind: Likelihood


def choose_curves(
    table: TrainingTable, cells: Mapping[float, CellCounts]
) -> dict[float, CellCurve]:
    """d → the curve of every informative cell; ``cells`` are those of ``table``."""
    binary = {d: likelihood_curve(cell) for d, cell in cells.items() if cell.is_informative}
    smooth: dict[float, LikelihoodCurve] = {}
    bracketed = [d for d, curve in binary.items() if all(curve.bounded)]
    log_room = -np.log(table.eps)
    for reach, share in WINDOWS:
        window = RiskWindow(reach, min(reach, share * log_room))
        if window.high < NARROWEST:
            break
        smooth = _sharpen(table, {d: binary[d] for d in bracketed}, window)
        if smooth:
            break
    return {
        d: CellCurve(smooth[d], Likelihood.SMOOTH)
        if d in smooth
        else CellCurve(curve, Likelihood.BINARY)
        for d, curve in binary.items()
    }


def _sharpen(
    table: TrainingTable, binary: Mapping[float, LikelihoodCurve], window: RiskWindow
) -> dict[float, LikelihoodCurve]:
    """The sharper curves of the smooth cells, with one window for all."""
    chosen = {}
    for d in binary:
        thresholds = read_thresholds(table.select((table.d == d) & ~table.excluded), window)
        is_online = bool(table.online[table.d == d].any())
        if not is_online and _has_enough(thresholds) and _is_falling(thresholds):
            chosen[d] = thresholds
    while 2 * len(chosen) >= len(binary) > 0:
        fit, weights = _fit(chosen, binary)
        if fit is None:
            return {}
        curves, rejected = {}, set()
        for i, (d, thresholds) in enumerate(chosen.items()):
            mu = float(fit.mu[i])
            curve, log_slopes = sharpen_curve(thresholds, weights[i], fit.model, mu)
            curves[d] = curve
            if not (
                _predicts_counts(fit, [thresholds], [mu])
                and _predicts_sizes(fit, [thresholds], [mu])
                and _slope_fits(log_slopes)
                and _agree([binary[d]], [curve])
            ):
                rejected.add(d)
        if not rejected:
            cells, mu_list = list(chosen.values()), fit.mu.tolist()
            is_sound = (
                _predicts_counts(fit, cells, mu_list)
                and _predicts_sizes(fit, cells, mu_list)
                and _agree([binary[d] for d in chosen], list(curves.values()))
            )
            return curves if is_sound else {}
        chosen = {d: cell for d, cell in chosen.items() if d not in rejected}
    return {}


def _fit(
    chosen: Mapping[float, LatentThresholds], binary: Mapping[float, LikelihoodCurve]
) -> tuple[LatentFit | None, list[FloatArray]]:
    """The model of the chosen cells and the weights of their trainings; None where lapses or
    copied seeds dominate."""
    cells = list(chosen.values())
    starts = np.array([_describe(binary[d])[0] for d in chosen])
    weights: list[FloatArray] = [np.ones(len(cell.u)) for cell in cells]
    fit = fit_latent(cells, weights, starts)
    if fit.lapse > USUAL_LAPSES:
        return None, weights
    residuals = [
        cell.u + cell.y / fit.model.slope - mu for cell, mu in zip(cells, fit.mu, strict=True)
    ]
    correlation = bound_correlation(cells, residuals)
    if correlation > LARGEST_CORRELATION:
        return None, weights
    return fit, [weigh_trainings(cell, correlation) for cell in cells]


def _has_enough(thresholds: LatentThresholds) -> bool:
    """Whether enough trainings lie within the window, on both sides of eps and at several n."""
    y = thresholds.y[thresholds.is_inside]
    sides = min(int((y > 0).sum()), int((y <= 0).sum()))
    is_enough = len(y) >= FEWEST_INSIDE and sides >= FEWEST_PER_SIDE
    return is_enough and len(thresholds.u) <= MOST_TRAININGS


def _is_falling(thresholds: LatentThresholds) -> bool:
    """Whether log risk, cut off at the ends of the window, falls with log n beyond doubt."""
    near = thresholds.measured
    x, y = thresholds.u[near], thresholds.y[near]
    x = x - x.mean()
    squares = float(x @ x)
    if len(x) < FEWEST_INSIDE or squares <= 0:
        return False
    slope = float(x @ y) / squares
    rest = y - y.mean() - slope * x
    error = np.sqrt(float(rest @ rest) / (len(x) - 2) / squares)
    return bool(slope < -STEEP * error)


def _predicts_counts(
    fit: LatentFit, cells: Sequence[LatentThresholds], mu: Sequence[float]
) -> bool:
    """Whether the trainings fall below, within and above the window as predicted, those with n
    below n* and those above it told apart."""
    observed, expected, variance = np.zeros((2, 4)), np.zeros((2, 4)), np.zeros((2, 4))
    for cell, centre in zip(cells, mu, strict=True):
        near = cell.measured
        u, y, side = cell.u[near], cell.y[near], cell.side[near]
        p = predict_classes(fit, u, centre, cell.window)
        place = np.where(side == BELOW, 0, np.where(side == ABOVE, 3, np.where(y <= 0, 1, 2)))
        hits = np.eye(4)[place]
        for half, rows in enumerate((u < centre, u >= centre)):
            observed[half] += hits[rows].sum(0)
            expected[half] += p[rows].sum(0)
            variance[half] += (p * (1 - p))[rows].sum(0)
    distance = float(np.sum((observed - expected) ** 2 / np.maximum(variance, 0.5)))
    return bool(special.chdtrc(6, distance) > REJECTION)


def _predicts_sizes(fit: LatentFit, cells: Sequence[LatentThresholds], mu: Sequence[float]) -> bool:
    """Whether log risks within the window are spread around the line as predicted.

    Each is as likely to lie in any quarter of its predicted distribution, whether n is below, near
    or above n*; two modes, or a step instead of a line, fill the wrong quarters.
    """
    counts = np.zeros((3, 4))
    for cell, centre in zip(cells, mu, strict=True):
        inside = cell.is_inside
        excess = (cell.u[inside] - centre) / fit.model.spread
        ends = np.stack(
            [-cell.window.low + 0 * excess, cell.y[inside], cell.window.high + 0 * excess]
        )
        low, middle, high = special.stdtr(
            fit.model.freedom, excess + ends / fit.model.slope / fit.model.spread
        )
        share = (middle - low) / np.maximum(high - low, 1e-12)
        quarter = np.clip((4 * share).astype(int), 0, 3)
        place = np.where(excess < -0.5, 0, np.where(excess > 0.5, 2, 1))
        np.add.at(counts, (place, quarter), 1)
    expected = counts.sum(1, keepdims=True) / 4
    distance = float(np.sum((counts - expected) ** 2 / np.maximum(expected, 0.5)))
    return bool(special.chdtrc(9, distance) > REJECTION)


def _slope_fits(log_slopes: FloatArray) -> bool:
    """Whether the slopes of other cells are possible for this one."""
    inner = log_slopes[np.abs(LOG_SLOPE_STEPS) < LOG_SLOPE_STEPS[-1]].max()
    return bool(inner > log_slopes.max() - LOG_SLOPE_REACH)


def _agree(binary: Sequence[LikelihoodCurve], smooth: Sequence[LikelihoodCurve]) -> bool:
    """Whether the n* of both likelihoods agree on average over the cells.

    The variance of the difference is that of the binary one alone less the smooth one's, since the
    latter uses all that the former does (Hausman 1978); at least a quarter of the former.
    """
    differences, variances = [], []
    for one, two in zip(binary, smooth, strict=True):
        (mean, error), (sharper, sharp_error) = _describe(one), _describe(two)
        differences.append(mean - sharper)
        variances.append(max(error**2 - sharp_error**2, 0.25 * error**2))
    return bool(abs(np.sum(differences)) <= FARTHEST * np.sqrt(np.sum(variances)))


def _describe(curve: LikelihoodCurve) -> tuple[float, float]:
    """Mean and standard deviation of log n* of one cell with a flat prior on its grid."""
    marginal, mu = curve.marginal, curve.mu
    weight = np.exp(marginal - marginal.max()) * np.gradient(mu)
    weight /= weight.sum()
    mean = float(weight @ mu)
    return mean, float(np.sqrt(weight @ (mu - mean) ** 2))
