"""Does n* grow as a polynomial of d?

A straight line through a few cells always exists, and d log d looks like an exponent of 1.33 on
d = 8 to 64; so every candidate of :mod:`bfc.stats.growth_models` is fitted to the same likelihood
curves and judged by the probability it gives to the outcomes of the LARGEST d when fitted to the
others. AICc and BIC use the largest likelihood over nodes, the number of cells as sample size, and
count coefficients, knot and τ; s and λ are common to all.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import special

from bfc.stats.exponent_posterior import Posterior, PosteriorGrid
from bfc.stats.growth_models import (
    FORMULAS,
    TERM_COLUMNS,
    TERMS,
    BlurredCells,
    LaplaceFit,
    blur_cells,
    fit_design,
    list_designs,
    mixture_weights,
)
from bfc.stats.likelihood import LEVELS_95, LikelihoodCurve, density_quantiles
from bfc.stats.outcomes import FloatArray
from bfc.stats.random_effect import interpolate_table
from bfc.stats.reasons import Interval

MODELS = ("model", "formula", "parameters", "score", "aicc", "bic", "term", "value", "lo", "hi")
LOCAL = ("d_lo", "d_hi", "exponent", "lo", "hi", "rate", "rate_lo", "rate_hi")
HERMITE_X, HERMITE_W = np.polynomial.hermite_e.hermegauss(41)
LOG_FACTORS = (1, 2)
"""The q of the factors (log d)^q that are looked for."""
LEAST_WEIGHT = 1e-6
"""Nodes below this weight are left out of quantiles."""
LOCAL_LEVELS = (np.arange(200) + 0.5) / 200


def compare_models(
    curves: Mapping[float, LikelihoodCurve], posterior: Posterior, axis: str = "d"
) -> tuple[pd.DataFrame, dict[int, float]]:
    """Every candidate, best held-out score first, and the log factors compatible with the data.

    The table has the columns ``MODELS``, NaN where the d are too few for a candidate. ``score``:
    log probability of the largest d's outcomes, predicted from the others. ``term``: the
    coefficient that tells the candidate from a power law (for a power law its exponent), with its
    95 % interval. The log factors are the q = 1, 2 that are compatible: q → exponent of d beside
    (log d)^q. ``axis``: the symbol of d in the formulas. The posterior must have a grid, that is at
    least two d and one that brackets n*.
    """
    if posterior.grid is None:
        raise ValueError("posterior: must have a grid of points")
    cells = blur_cells(curves, posterior.grid)
    bracketed = [all(curve.bounded) for curve in curves.values()]
    rows = []
    log_factors: dict[int, float] = {}
    for name in FORMULAS:
        row, factors = _describe_model(name, cells, bracketed)
        row["formula"] = FORMULAS[name].format(x=axis)
        rows.append(row)
        log_factors |= factors
    table = pd.DataFrame(rows, columns=list(MODELS))
    table = table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
    return table, log_factors


def _describe_model(
    name: str, cells: BlurredCells, bracketed: Sequence[bool]
) -> tuple[dict[str, float | str], dict[int, float]]:
    """The row of one candidate, NaN where the d are too few, and the log factors it allows."""
    row: dict[str, float | str] = {"model": name, "term": TERMS[name]}
    designs = list_designs(name, cells.d)
    if not designs:
        return row, {}
    coefficients = designs[0].shape[1]
    parameters = coefficients + (2 if name == "hinge" else 1)
    row["parameters"] = parameters
    log_factors: dict[int, float] = {}
    if sum(bracketed) > coefficients:
        fits = [fit_design(cells, design) for design in designs]
        lo, value, hi = _coefficient_quantiles(fits, TERM_COLUMNS[name])
        row |= {"lo": lo, "value": value, "hi": hi}
        row |= _compute_criteria(fits, len(cells.d), parameters)
        if name == "power_log":
            log_factors = _find_log_factors(fits[0], lo, hi)
    if sum(bracketed[:-1]) > coefficients:
        row["score"] = _score_held_out(cells, name)
    return row, log_factors


def estimate_local_exponents(
    curves: Mapping[float, LikelihoodCurve],
    posterior: Posterior,
    priors: Mapping[float, FloatArray] | None = None,
) -> pd.DataFrame:
    """Growth of log n* between neighbouring d with a 95 % band (columns ``LOCAL``).

    ``exponent, lo, hi``: Δ log n* / Δ log d; ``rate, rate_lo, rate_hi``: Δ log n* / Δ d, whose
    exponential is the factor per unit of d. Each cell enters from its own data given the s and λ
    of the sweep. ``priors``: d → log prior of μ on the curve's grid; default flat. An end is
    infinite where a cell is open on the side that matters; exponent and rate are then NaN.
    """
    quantiles = {}
    for d, curve in curves.items():
        log_prior = None if priors is None else priors[d]
        quantiles[d] = _local_quantiles(curve, posterior.grid, log_prior)
    rows = []
    for d_lo, d_hi in itertools.pairwise(curves):
        differences = quantiles[d_hi][:, None] - quantiles[d_lo]
        lo, median, hi = np.quantile(differences, LEVELS_95)
        small_below, small_above = curves[d_lo].bounded
        large_below, large_above = curves[d_hi].bounded
        lo = lo if small_above and large_below else -np.inf
        hi = hi if small_below and large_above else np.inf
        growth = np.array([median if np.isfinite([lo, hi]).all() else np.nan, lo, hi])
        rows.append((d_lo, d_hi, *(growth / np.log(d_hi / d_lo)), *(growth / (d_hi - d_lo))))
    return pd.DataFrame(rows, columns=list(LOCAL), dtype=float)


def _local_quantiles(
    curve: LikelihoodCurve, grid: PosteriorGrid | None, log_prior: FloatArray | None
) -> FloatArray:
    """Evenly spaced quantiles of log n* of one cell."""
    log_nodes = curve.log_node_prior
    if grid is not None:
        log_nodes = np.log(np.maximum(grid.nodes, 1e-300))
    log_density = special.logsumexp(curve.values + log_nodes, axis=1)
    if log_prior is not None:
        log_density = log_density + log_prior
    density = np.exp(log_density - log_density.max())
    return density_quantiles(curve.mu, density, LOCAL_LEVELS)


def _score_held_out(cells: BlurredCells, name: str) -> float:
    """Log probability of the outcomes of the largest d given those of the others."""
    scores, weights = [], []
    rest = cells.without_last()
    designs = list_designs(name, cells.d)
    for design in designs[: max(len(designs) - 1, 1)]:
        fit = fit_design(rest, design[:-1])
        largest = design[-1]
        mean = fit.mode @ largest
        sd = np.sqrt(np.einsum("i,nij,j->n", largest, fit.covariance, largest))
        mu = mean[:, None] + sd[:, None] * HERMITE_X
        table = interpolate_table(cells.tables[-1][:, :, :1], cells.centres[-1], mu)[:, :, 0]
        inner = special.logsumexp(table, b=HERMITE_W / HERMITE_W.sum(), axis=1)
        scores.append(inner + fit.evidence)
        weights.append(fit.evidence)
    return float(special.logsumexp(scores) - special.logsumexp(weights))


def _compute_criteria(fits: Sequence[LaplaceFit], cells: int, parameters: int) -> dict[str, float]:
    best = max(float(fit.likelihood.max()) for fit in fits)
    spare = cells - parameters - 1
    penalty = 2 * parameters * (parameters + 1) / spare if spare > 0 else np.inf
    return {
        "aicc": -2 * best + 2 * parameters + penalty,
        "bic": -2 * best + parameters * np.log(cells),
    }


def _coefficient_quantiles(fits: list[LaplaceFit], k: int) -> Interval:
    """2.5, 50 and 97.5 % quantiles of coefficient k over the mixture of all nodes and knots."""
    mean = np.concatenate([fit.mode[:, k] for fit in fits])
    sd = np.concatenate([np.sqrt(fit.covariance[:, k, k]) for fit in fits])
    weight = mixture_weights(fits)
    counts = weight > LEAST_WEIGHT
    mean, sd, weight = mean[counts], sd[counts], weight[counts]
    grid = np.linspace((mean - 6 * sd).min(), (mean + 6 * sd).max(), 4001)
    mass = weight @ special.ndtr((grid - mean[:, None]) / sd[:, None])
    lo, median, hi = np.interp(LEVELS_95, mass / weight.sum(), grid).tolist()
    return lo, median, hi


def _find_log_factors(fit: LaplaceFit, lo: float, hi: float) -> dict[int, float]:
    """The q for which δ = q lies in its interval, each with the mean of α given δ = q."""
    variance = fit.covariance[:, 2, 2]
    slope = fit.covariance[:, 1, 2] / variance
    factors = {}
    for q in LOG_FACTORS:
        if not lo <= q <= hi:
            continue
        distance = q - fit.mode[:, 2]
        mean = fit.mode[:, 1] + slope * distance
        log_weight = fit.evidence - 0.5 * (distance**2 / variance + np.log(variance))
        weights = np.exp(log_weight - special.logsumexp(log_weight))
        factors[q] = float(weights @ mean)
    return factors
