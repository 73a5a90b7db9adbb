"""Two estimates of the exponent that share no code with the likelihood and are printed beside it: a
probit regression of success on (log n, log d), which anyone can repeat in two lines of R, and a
regression of log risk on log n, which uses the sizes of the risks and not only on which side of eps
they lie (1/0.64 times the information near n*) but is right only where risk is smooth in n. They
are there to be disagreed with: a difference beyond the uncertainties is a warning about the data or
the model.

Neither has a random effect in its interval except the smooth one's slope, which is fitted with the
τ of the scaling posterior. Outcomes of one (d, seed) at several n are dependent, so variances are
clustered by (d, seed)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import special

from bfc.stats.exponent_posterior import posterior
from bfc.stats.likelihood import OFFSETS, Curve
from bfc.stats.training_table import Judged

Z95 = 1.959963984540054
WINDOWS = (0.35, 0.5, 0.7, 1.0)
"""Half widths in log n around n* within which log risk is taken as linear: the first with many
trainings, else the widest if it has enough."""
MANY_ROWS, FEWEST_ROWS, FEWEST_N, FEWEST_SEEDS = 24, 12, 3, 3
STEEP = 3.0
"""Standard errors that the local slope must lie below zero."""
NSTAR = ("d", "nstar", "lo", "hi", "trainings")


@dataclass(frozen=True)
class Quick:
    """An exponent with its 95 % interval; NaN with a ``reason``. ``nstar`` (smooth only): columns
    ``d, nstar, lo, hi, trainings``."""

    exponent: float = np.nan
    lo: float = np.nan
    hi: float = np.nan
    reason: str = ""
    nstar: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(NSTAR)))


@dataclass(frozen=True)
class Probit:
    """Coefficients (K,) and their covariance (K, K), clustered if clusters were given; ``reason``
    where there are none."""

    coefficients: np.ndarray
    covariance: np.ndarray
    reason: str = ""


def glm(judged: Judged) -> Quick:
    """Probit regression of success on (1, log n, log d): the exponent is −b_d/b_n, its interval
    Fieller's. It knows no lapses, so optimisation-limited trainings are left out."""
    rows = judged.where(~judged.limited)
    x = np.log(rows.d)
    if len(np.unique(x)) < 2:
        return Quick(reason="fewer than two d")
    middle_u, middle_x = rows.u.mean(), x.mean()
    design = np.stack([np.ones_like(x), rows.u - middle_u, x - middle_x], 1)
    groups = np.unique(np.stack([rows.d, rows.seed]), axis=1, return_inverse=True)[1].ravel()
    fitted = probit(design, rows.success, groups if np.bincount(groups).max() > 1 else None)
    if fitted.reason:
        return Quick(reason=fitted.reason)
    b, v = fitted.coefficients, fitted.covariance
    lo, hi = fieller(-b[2], b[1], v[2, 2], v[1, 1], -v[1, 2])
    reason = "" if np.isfinite(lo) else "success does not depend on n clearly enough: open interval"
    return Quick(float(-b[2] / b[1]) if not reason else np.nan, lo, hi, reason)


def probit(design: np.ndarray, success: np.ndarray, clusters: np.ndarray | None = None) -> Probit:
    """Maximum-likelihood probit of ``success`` (N,) on ``design`` (N, K) by Newton's method; with
    ``clusters`` (N,) the covariance is the sandwich summed over clusters, times G/(G − 1) · (N −
    1)/(N − K)."""
    rows, k = design.shape
    nothing = np.full(k, np.nan), np.full((k, k), np.nan)
    if success.all() or not success.any():
        return Probit(*nothing, reason=f"all trainings {'succeed' if success.any() else 'fail'}")
    if np.linalg.matrix_rank(design) < k:
        return Probit(*nothing, reason="log n and log d are collinear")
    separated = "successes and failures are separated without overlap"
    sign, b = 2.0 * success - 1, np.zeros(k)
    for _ in range(100):
        eta = design @ b
        value = special.log_ndtr(sign * eta).sum()
        mills = sign * np.exp(
            -0.5 * eta**2 - 0.5 * np.log(2 * np.pi) - special.log_ndtr(sign * eta)
        )
        information = (design * (mills * (mills + eta))[:, None]).T @ design
        if value > -1e-6 * rows or np.linalg.cond(information) > 1e12:
            return Probit(*nothing, reason=separated)
        step = np.linalg.solve(information, design.T @ mills)
        if np.abs(step).max() < 1e-10 * (1 + np.abs(b).max()):
            break
        while special.log_ndtr(sign * (design @ (b + step))).sum() < value - 1e-9 * abs(value):
            step = 0.5 * step
        b = b + step
    else:
        return Probit(*nothing, reason=separated)
    inverse = np.linalg.inv(information)
    if clusters is None:
        return Probit(b, inverse)
    scores = np.zeros((int(clusters.max()) + 1, k))
    np.add.at(scores, clusters, design * mills[:, None])
    count = len(np.unique(clusters))
    if count <= k:
        return Probit(*nothing, reason=f"{count} seeds are too few for a clustered variance")
    return Probit(
        b, inverse @ (scores.T @ scores) @ inverse * count / (count - 1) * (rows - 1) / (rows - k)
    )


def fieller(
    top: float, bottom: float, var_top: float, var_bottom: float, covariance: float
) -> tuple[float, float]:
    """95 % interval of top/bottom, two jointly normal estimates; infinite where bottom is not told
    from zero."""
    a = bottom**2 - Z95**2 * var_bottom
    b, c = top * bottom - Z95**2 * covariance, top**2 - Z95**2 * var_top
    if a <= 0 or b * b < a * c:
        return -np.inf, np.inf
    half = np.sqrt(b * b - a * c)
    return float((b - half) / a), float((b + half) / a)


def smooth(judged: Judged, nstar: Mapping[float, float], random_effect: bool = True) -> Quick:
    """Where the local line of log risk on log n crosses log eps, for every d of ``nstar`` (d → n*
    to look around), and the exponent of these crossings with the τ of the scaling posterior."""
    curves: dict[float, Curve] = {}
    rows = []
    for d, around in nstar.items():
        found = _crossing(
            judged.where(
                (judged.d == d) & ~judged.limited & np.isfinite(judged.risk) & (judged.risk > 0)
            ),
            np.log(around),
        )
        if found is None:
            continue
        u, error, freedom, used = found
        half = error * special.stdtrit(freedom, 0.975)
        rows.append((d, np.exp(u), np.exp(u - half), np.exp(u + half), used))
        t = (OFFSETS / max(error, 1e-3)) ** 2 / freedom
        curves[d] = Curve(u, (-0.5 * (freedom + 1) * np.log1p(t))[:, None])
    table = pd.DataFrame(rows, columns=list(NSTAR))
    if len(curves) < 2:
        return Quick(reason=f"risk falls smoothly through eps at {len(curves)} d", nstar=table)
    fit = posterior(curves, random_effect)
    return Quick(fit.exponent, fit.lo, fit.hi, fit.reason, table)


def _crossing(rows: Judged, around: float) -> tuple[float, float, int, int] | None:
    """Crossing, its standard error (jackknife over seeds), degrees of freedom and number of
    trainings; None where log risk is not a falling line there."""
    for window in WINDOWS:
        near = rows.where(np.abs(rows.u - around) <= window)
        seeds, groups = np.unique(near.seed, return_inverse=True)
        enough = len(np.unique(near.n)) >= FEWEST_N and len(seeds) >= FEWEST_SEEDS
        if enough and len(near.n) >= MANY_ROWS:
            break
    if not enough or len(near.n) < FEWEST_ROWS:
        return None
    y, x = np.log(near.risk / near.eps), near.u - around
    count = len(seeds)
    design = np.stack([np.ones_like(x), x], 1)
    squares, products = np.zeros((count, 2, 2)), np.zeros((count, 2))
    np.add.at(squares, groups, design[:, :, None] * design[:, None, :])
    np.add.at(products, groups, design * y[:, None])
    without = squares.sum(0) - squares
    if (np.linalg.det(without) <= 1e-9 * len(x) ** 2).any():
        return None
    level, slope = np.linalg.solve(squares.sum(0), products.sum(0))
    levels, slopes = np.linalg.solve(without, (products.sum(0) - products)[..., None])[..., 0].T

    def error(values: np.ndarray) -> float:
        return float(np.sqrt((count - 1) / count * np.sum((values - values.mean()) ** 2)))

    if not (
        slope < -STEEP * error(slopes)
        and (slopes < 0).all()
        and x.min() <= -level / slope <= x.max()
    ):
        return None
    return float(around - level / slope), error(-levels / slopes), count - 1, len(x)


def disagree(
    one: tuple[float, float, float], two: tuple[float, float, float], z: float = Z95
) -> bool:
    """Whether two estimates (value, lo, hi) differ by more than ``z`` standard errors of the
    difference of independent ones; False where either has no interval."""
    return bool(
        np.isfinite([*one, *two]).all()
        and abs(one[0] - two[0]) > z * np.hypot(one[2] - one[1], two[2] - two[1]) / (2 * Z95)
    )
