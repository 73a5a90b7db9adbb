"""Two estimates of the exponent that share no code with the likelihood and are printed beside it.

One is a probit regression of success on (log n, log d), which anyone can repeat in two lines of R;
the other a regression of log risk on log n, which uses the sizes of the risks and not only on which
side of eps they lie (1/0.64 times the information near n*) but is right only where risk is smooth
in n. They are there to be disagreed with: a difference beyond the uncertainties is a warning about
the data or the model.

Neither has a random effect in its interval except the smooth one's slope, which is fitted with the
τ of the exponent posterior. Outcomes of one (d, seed) at several n are dependent, so variances are
clustered by (d, seed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import special

from bfc.stats.exponent_posterior import fit_posterior
from bfc.stats.likelihood import OFFSETS, LikelihoodCurve
from bfc.stats.messages import describe_reason
from bfc.stats.outcomes import FloatArray
from bfc.stats.probit import Z95, fieller_interval, fit_probit
from bfc.stats.reasons import FewCrossings, Interval, NoRegression, Reason
from bfc.stats.swept_axis import DIMENSION
from bfc.stats.training_table import TrainingTable

WINDOWS = (0.35, 0.5, 0.7, 1.0)
"""Half widths in log n around n* within which log risk is taken as linear: the first with many
trainings, else the widest if it has enough."""
MANY_ROWS = 24
FEWEST_ROWS = 12
FEWEST_N = 3
FEWEST_SEEDS = 3
STEEP = 3.0
"""Standard errors that the local slope must lie below zero."""
SMALLEST_ERROR = 1e-3
NSTAR = ("d", "nstar", "lo", "hi", "trainings")


@dataclass(frozen=True)
class RegressionFit:
    """An exponent with its 95 % interval; NaN with a ``cause``."""

    exponent: float = np.nan
    lo: float = np.nan
    hi: float = np.nan
    cause: Reason = None
    nstar: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(NSTAR)))
    """Of the smooth regression only: columns ``d, nstar, lo, hi, trainings``."""
    axis: str = DIMENSION.name
    """What the reason calls the sizes."""

    @property
    def reason(self) -> str:
        """Why there is no exponent, as a sentence; empty where there is one."""
        return describe_reason(self.cause, self.axis)

    @property
    def interval(self) -> Interval:
        """Exponent, lower and upper end."""
        return self.exponent, self.lo, self.hi


def fit_glm(table: TrainingTable) -> RegressionFit:
    """Probit regression of success on (1, log n, log d).

    The exponent is −b_d/b_n, its interval Fieller's. It knows no lapses, so optimisation-limited
    trainings are left out.
    """
    rows = table.select(~table.limited)
    x = np.log(rows.d)
    if len(np.unique(x)) < 2:
        return RegressionFit(cause=NoRegression.FEWER_THAN_TWO_D)
    design = np.stack([np.ones_like(x), rows.u - rows.u.mean(), x - x.mean()], 1)
    key = np.stack([rows.d, rows.seed])
    groups = np.unique(key, axis=1, return_inverse=True)[1].ravel()
    has_clusters = np.bincount(groups).max() > 1
    fit = fit_probit(design, rows.success, groups if has_clusters else None)
    if fit.cause is not None:
        return RegressionFit(cause=fit.cause)
    b, v = fit.coefficients, fit.covariance
    lo, hi = fieller_interval(-b[2], b[1], v[2, 2], v[1, 1], -v[1, 2])
    if not np.isfinite(lo):
        return RegressionFit(np.nan, lo, hi, NoRegression.OPEN_INTERVAL)
    return RegressionFit(float(-b[2] / b[1]), lo, hi)


def fit_smooth(
    table: TrainingTable, nstar: Mapping[float, float], random_effect: bool = True
) -> RegressionFit:
    """Where the local line of log risk on log n crosses log eps, and the exponent of the crossings.

    ``nstar``: d → n* to look around. The exponent is fitted with the τ of the exponent posterior.
    """
    curves: dict[float, LikelihoodCurve] = {}
    rows = []
    has_log_risk = ~table.limited & np.isfinite(table.risk) & (table.risk > 0)
    for d, around in nstar.items():
        cell = table.select((table.d == d) & has_log_risk)
        crossing = _find_crossing(cell, float(np.log(around)))
        if crossing is None:
            continue
        lo, hi = crossing.u - crossing.half_width, crossing.u + crossing.half_width
        rows.append((d, np.exp(crossing.u), np.exp(lo), np.exp(hi), crossing.trainings))
        curves[d] = crossing.as_curve()
    crossings = pd.DataFrame(rows, columns=list(NSTAR))
    if len(curves) < 2:
        return RegressionFit(cause=FewCrossings(len(curves)), nstar=crossings)
    fit = fit_posterior(curves, random_effect)
    return RegressionFit(fit.exponent, fit.lo, fit.hi, fit.cause, crossings)


def estimates_disagree(one: Interval, two: Interval, z: float = Z95) -> bool:
    """Whether two estimates differ by more than ``z`` standard errors of the difference.

    They are taken as independent; False where either has no interval.
    """
    if not np.isfinite([*one, *two]).all():
        return False
    error = np.hypot(one[2] - one[1], two[2] - two[1]) / (2 * Z95)
    return bool(abs(one[0] - two[0]) > z * error)


@dataclass(frozen=True)
class _Crossing:
    """Where log risk crosses log eps: log n, its standard error (jackknife over seeds), degrees of
    freedom and number of trainings."""

    u: float
    error: float
    freedom: int
    trainings: int

    @property
    def half_width(self) -> float:
        """Of the 95 % interval."""
        return self.error * float(special.stdtrit(self.freedom, 0.975))

    def as_curve(self) -> LikelihoodCurve:
        """Student's t around the crossing as the likelihood of a cell."""
        t = (OFFSETS / max(self.error, SMALLEST_ERROR)) ** 2 / self.freedom
        return LikelihoodCurve(self.u, (-0.5 * (self.freedom + 1) * np.log1p(t))[:, None])


def _find_crossing(rows: TrainingTable, around: float) -> _Crossing | None:
    """The crossing near ``around``; None where log risk is not a falling line there."""
    near = _choose_window(rows, around)
    if near is None:
        return None
    y, x = np.log(near.risk / near.eps), near.u - around
    seeds, groups = np.unique(near.seed, return_inverse=True)
    design = np.stack([np.ones_like(x), x], 1)
    squares, products = np.zeros((len(seeds), 2, 2)), np.zeros((len(seeds), 2))
    np.add.at(squares, groups, design[:, :, None] * design[:, None, :])
    np.add.at(products, groups, design * y[:, None])
    without = squares.sum(0) - squares
    if (np.linalg.det(without) <= 1e-9 * len(x) ** 2).any():
        return None
    level, slope = np.linalg.solve(squares.sum(0), products.sum(0))
    rest = (products.sum(0) - products)[..., None]
    levels, slopes = np.linalg.solve(without, rest)[..., 0].T
    is_falling = slope < -STEEP * _jackknife_error(slopes) and (slopes < 0).all()
    if not (is_falling and x.min() <= -level / slope <= x.max()):
        return None
    error = _jackknife_error(-levels / slopes)
    return _Crossing(float(around - level / slope), error, len(seeds) - 1, len(x))


def _choose_window(rows: TrainingTable, around: float) -> TrainingTable | None:
    """The trainings of the first window with many of them, else of the widest; None where they are
    too few."""
    for window in WINDOWS:
        near = rows.select(np.abs(rows.u - around) <= window)
        has_n = len(np.unique(near.n)) >= FEWEST_N
        is_enough = has_n and len(np.unique(near.seed)) >= FEWEST_SEEDS
        if is_enough and len(near.n) >= MANY_ROWS:
            break
    return near if is_enough and len(near.n) >= FEWEST_ROWS else None


def _jackknife_error(values: FloatArray) -> float:
    count = len(values)
    return float(np.sqrt((count - 1) / count * np.sum((values - values.mean()) ** 2)))
