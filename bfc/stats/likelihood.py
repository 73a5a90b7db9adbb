"""What one cell says about its n*: a likelihood curve ℓ(log n*) on a grid, which needs no special
case for cells that always or never succeed, and which the scaling posterior, the growth candidates
and the placement of further trainings all read.

Model. Every seed has a threshold T, the log n from which it succeeds: T ~ N(μ, s²) with μ = log n*,
except that a share λ (0 to 35 %) never succeeds and a share γ = 0.001 always does. So P(success at
n) = γ + (1 − γ − λ) Φ((log n − μ)/s), the psychometric function of a yes-no experiment. s and λ are
shared by the cells of a sweep; s has a log-normal prior around 0.35, and λ is small unless the data
say otherwise: trainings that are stuck whatever their n (``optimisation_limited``) are lapses, not
a lack of data.

Data. A seed trained at one n gives a one-sided interval of T. A seed with several n (a ladder, or a
kernel's learning curve, whose training sets are nested, so that its outcomes are not independent)
gives one interval: the split of its n with the fewest outcomes on the wrong side, widened to the
hull of all such splits; an online run gives the first look at or below eps that the next look
confirms. The mass of an interval (lo, hi] is (1 − γ − λ)(Φ(hi) − Φ(lo)), plus λ where hi is
infinite and γ where lo is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from bfc.stats.training_table import Judged, judge_table

COLUMNS = ("eps", "nstar", "lo", "hi", "censored", "outcome")
GUESS = 1e-3
"""γ"""
LAPSES, LAPSE_WEIGHTS = np.array([0.0, 0.05, 0.15, 0.35]), np.array([1.0, 0.5, 0.25, 0.2])
SPREADS = np.geomspace(0.03, 1.6, 15)
SPREAD, SPREAD_LOG_SD = 0.35, 0.7
PRIOR = (
    -0.5 * (np.log(SPREADS[:, None] / SPREAD) / SPREAD_LOG_SD) ** 2 + np.log(LAPSE_WEIGHTS)
).ravel()
PRIOR = PRIOR - special.logsumexp(PRIOR)
"""Log prior of every node (s, λ), shape (S · L,)."""
FINEST, REACH, POINTS = 0.01, 12.0, 241
STEPS = np.linspace(-np.arcsinh(REACH / FINEST), np.arcsinh(REACH / FINEST), POINTS)
OFFSETS = FINEST * np.sinh(STEPS)
"""The grid of μ around a cell's centre: as fine as 0.0007 there, 6.5 % of the distance from it
further out."""
EDGES = np.concatenate([[-np.inf], 0.5 * (OFFSETS[1:] + OFFSETS[:-1]), [np.inf]])
DROP = 1.92
"""Fall of a log likelihood from its maximum to the end of a 95 % likelihood interval."""
OUTSIDE = 1.0
"""Beyond the tested n the prior of a lone cell's μ falls by a factor e over this distance in log n.
"""
CHUNK = 4_000_000


@dataclass(frozen=True)
class Cell:
    """One cell at one eps: the interval of log n* of every seed."""

    lo: np.ndarray
    hi: np.ndarray
    tested: tuple[float, float]
    """Smallest and largest n of the trainings that count."""
    succeeded: int
    """Trainings, not seeds."""
    failed: int
    excluded: int
    """Optimisation-limited trainings that do not count."""
    failures: dict[str, int]
    """How the trainings at the largest n fail: outcome → count."""
    seeds: int = 0
    """Distinct seeds of the trainings that count."""
    learns: bool = True
    """Whether more than a lucky training succeeds, see :func:`bfc.stats.outcomes.learns`."""
    lack: bool = True
    """Whether failures may be a lack of data: some at the largest n is data-limited or unjudged;
    where none fails there, any; or nothing fails."""

    @property
    def reason(self) -> str:
        """How this cell fails where it does: the one outcome of all failures at the largest n, or
        ``mixed``."""
        return (
            next(iter(self.failures))
            if len(self.failures) == 1
            else "mixed"
            if self.failures
            else "success"
        )

    @property
    def bears(self) -> bool:
        """Whether the cell says anything about how much data is needed: one that learns does, and
        one that does not if some failure at the largest n may be a lack of data. Plateaus and
        divergences are none, also where a lucky training among them succeeds."""
        return len(self.lo) > 0 and (self.learns or self.lack)


@dataclass(frozen=True)
class Curve:
    """ℓ(μ) of one cell at μ = ``centre`` + ``OFFSETS``, for every node (s, λ): ``values`` of shape
    (POINTS, S · L). Beyond the grid it is constant."""

    centre: float
    values: np.ndarray

    @property
    def mu(self) -> np.ndarray:
        return self.centre + OFFSETS

    @property
    def marginal(self) -> np.ndarray:
        """ℓ(μ) of this cell alone, averaged over the prior of (s, λ), shape (POINTS,)."""
        return special.logsumexp(
            self.values + (PRIOR if self.values.shape[1] == len(PRIOR) else 0.0), axis=1
        )

    @property
    def bounded(self) -> tuple[bool, bool]:
        """Whether the data bound μ from below and from above."""
        marginal = self.marginal
        return bool(marginal.max() - marginal[0] > DROP), bool(marginal.max() - marginal[-1] > DROP)


def split_cells(judged: Judged) -> dict[float, Cell]:
    """d → :class:`Cell`, in increasing d; a d whose trainings are all excluded has a cell without
    intervals."""
    return {float(d): _cell(judged.where(judged.d == d)) for d in np.unique(judged.d)}


def curve(cell: Cell) -> Curve:
    """ℓ of one cell on a grid around where its intervals balance."""
    (lo, hi), counts = np.unique(np.stack([cell.lo, cell.hi]), axis=1, return_counts=True)
    centre = _centre(cell)
    mu = centre + OFFSETS
    values = np.zeros((POINTS, len(SPREADS), len(LAPSES)))
    step = max(1, CHUNK // (POINTS * len(SPREADS)))
    for start in range(0, len(lo), step):
        part = slice(start, start + step)
        mass = _mass(lo[part], hi[part], mu)
        floor = GUESS * np.isneginf(lo[part])[:, None] + np.isposinf(hi[part])[:, None] * LAPSES
        for k, lapse in enumerate(LAPSES):
            p = floor[:, k, None, None] + (1 - GUESS - lapse) * mass
            values[:, :, k] += np.einsum(
                "i,ims->ms", counts[part].astype(float), np.log(np.maximum(p, 1e-12))
            )
    return Curve(centre, values.reshape(POINTS, -1))


def estimate(trainings: pd.DataFrame, eps: Sequence[float]) -> pd.DataFrame:
    """n* of one cell at every eps: a frame with the columns ``eps, nstar, lo, hi, censored,
    outcome``, one row per eps as given.

    ``trainings``: one row per training, columns as for
    :func:`bfc.stats.training_table.judge_table`. ``nstar`` is the posterior median and (``lo``,
    ``hi``) the 95 % interval, from this cell alone: μ has a flat prior over the tested n that falls
    off beyond them.

    ``censored``: empty where the data bound n* on both sides and its median lies within the tested
    n; ``right`` where they do not bound it from above or its median lies above the largest n, as it
    does where one lucky training succeeds (``nstar`` is the largest n, ``hi`` is infinite);
    ``left`` where they do not bound it from below or its median lies below the smallest n
    (``nstar`` is the smallest n, ``lo`` is 0). ``outcome``: ``success``, or for ``right`` the one
    outcome of all failures at the largest n (``plateau`` means: never by this method;
    ``data_limited`` where none fails there), ``mixed`` if they differ; ``optimisation_limited`` or
    ``unmeasured`` where no training counts (``nstar`` is NaN)."""
    rows = []
    for e in eps:
        cell = _cell(judge_table(trainings, e))
        rows.append({"eps": float(e), **summary(cell)})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def failures(trainings: pd.DataFrame, eps: float) -> dict[str, int]:
    """How the trainings at the largest n fail at ``eps``: outcome → count, empty if none fails."""
    return _cell(judge_table(trainings, eps)).failures


def summary(cell: Cell) -> dict[str, float | str]:
    """``nstar, lo, hi, censored, outcome`` of one cell; see :func:`estimate`."""
    if not len(cell.lo):
        outcome = "optimisation_limited" if cell.excluded else "unmeasured"
        return {"nstar": np.nan, "lo": np.nan, "hi": np.nan, "censored": "", "outcome": outcome}
    found = curve(cell)
    marginal, mu = found.marginal, found.mu
    below, above = found.bounded
    least, most = cell.tested
    inside = np.flatnonzero(marginal >= marginal.max() - DROP)
    density = np.exp(marginal - marginal.max() + outside(cell, mu))
    lo, middle, hi = np.exp(quantiles(mu, density, (0.025, 0.5, 0.975))).tolist()
    if not above or not cell.bears:
        lo, middle = float(np.exp(mu[inside[0]])) if below else 0.0, np.inf
    elif not below:
        hi, middle = float(np.exp(mu[inside[-1]])), 0.0
    if middle > most:
        return {
            "nstar": most,
            "lo": min(lo, most),
            "hi": np.inf,
            "censored": "right",
            "outcome": cell.reason if cell.failures else "data_limited",
        }
    if middle < least:
        return {
            "nstar": least,
            "lo": 0.0,
            "hi": max(hi, least),
            "censored": "left",
            "outcome": "success",
        }
    return {"nstar": middle, "lo": lo, "hi": hi, "censored": "", "outcome": "success"}


def outside(cell: Cell, mu: np.ndarray) -> np.ndarray:
    """Log prior of μ of a lone cell: flat over the tested n, falling off beyond them."""
    lo, hi = np.log(cell.tested)
    return -(np.maximum(lo - mu, 0) + np.maximum(mu - hi, 0)) / OUTSIDE


def quantiles(x: np.ndarray, density: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Quantiles of a density known up to a factor at increasing ``x`` (linear between the points)."""
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(x))])
    return np.interp(np.asarray(levels) * mass[-1], mass, x)


def _mass(lo: np.ndarray, hi: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """Φ((hi − μ)/s) − Φ((lo − μ)/s) for intervals (I,) → (I, POINTS, S), without cancellation in
    the upper tail."""
    mass = np.empty((len(lo), len(mu), len(SPREADS)))
    below, above = np.isneginf(lo), np.isposinf(hi)
    both = ~below & ~above
    mass[below & above] = 1.0
    for one, end, sign in ((below & ~above, hi, 1.0), (above & ~below, lo, -1.0)):
        mass[one] = special.ndtr(sign * (end[one, None, None] - mu[:, None]) / SPREADS)
    low, high = ((end[both, None, None] - mu[:, None]) / SPREADS for end in (lo, hi))
    flip = low + high > 0
    mass[both] = special.ndtr(np.where(flip, -low, high)) - special.ndtr(np.where(flip, -high, low))
    return mass


def _centre(cell: Cell) -> float:
    """Where as many intervals end below as begin above: a first guess of μ, never infinite."""
    lo, hi = np.sort(cell.lo[np.isfinite(cell.lo)]), np.sort(cell.hi[np.isfinite(cell.hi)])
    points = np.unique(np.concatenate([lo, hi]))
    if not len(points):
        return 0.5 * float(np.log(cell.tested).sum())
    middle = 0.5 * (points[1:] + points[:-1]) if len(points) > 1 else points
    balance = np.searchsorted(hi, middle) - (len(lo) - np.searchsorted(lo, middle))
    if balance[-1] < 0 or balance[0] > 0:
        return float(points[-1] if balance[-1] < 0 else points[0])
    least = np.abs(balance) == np.abs(balance).min()
    return float(0.5 * (middle[least][0] + middle[least][-1]))


def _cell(judged: Judged) -> Cell:
    used = judged.where(~judged.excluded)
    top = judged.where(judged.n == judged.n.max()) if len(judged.n) else judged
    names, counts = np.unique(top.failure[~top.success].astype(str), return_counts=True)
    reasons = set(names) or set(used.failure[~used.success])
    lo, hi = _intervals(used)
    informative = ~(np.isneginf(lo) & np.isposinf(hi))
    tested = (float(used.n.min()), float(used.n.max())) if len(used.n) else (np.nan, np.nan)
    success = int(used.success.sum())
    return Cell(
        lo[informative],
        hi[informative],
        tested,
        success,
        len(used.u) - success,
        int(judged.excluded.sum()),
        dict(zip(names.tolist(), counts.tolist(), strict=True)),
        len(np.unique(used.seed)),
        bool(used.learns.any()),
        not reasons or bool(reasons & {"data_limited", "unjudged"}),
    )


def _intervals(judged: Judged) -> tuple[np.ndarray, np.ndarray]:
    """One interval per seed of one cell, whose rows are sorted by (seed, n)."""
    if not len(judged.u):
        return np.zeros(0), np.zeros(0)
    starts = np.flatnonzero(np.r_[True, judged.seed[1:] != judged.seed[:-1]])
    ends = np.r_[starts[1:], len(judged.u)]
    success, u = judged.success, judged.u
    lo, hi = (
        np.where(success[starts], -np.inf, u[starts]),
        np.where(success[starts], u[starts], np.inf),
    )
    for i in np.flatnonzero((ends - starts > 1) | judged.online[starts]):
        rows = slice(starts[i], ends[i])
        lo[i], hi[i] = (
            _passage(u[rows], success[rows])
            if judged.online[starts[i]]
            else _split(u[rows], success[rows])
        )
    return lo, hi


def _split(u: np.ndarray, success: np.ndarray) -> tuple[float, float]:
    """Hull of the splits of increasing ``u`` with the fewest successes below and failures above."""
    wrong = np.r_[0, np.cumsum(success)] + np.r_[np.cumsum(~success[::-1])[::-1], 0]
    best = np.flatnonzero(wrong == wrong.min())
    ends = np.r_[-np.inf, u, np.inf]
    return float(ends[best[0]]), float(ends[best[-1] + 1])


def _passage(u: np.ndarray, success: np.ndarray) -> tuple[float, float]:
    """The first look at or below eps that the next look confirms; beyond the last unconfirmed one
    if there is none."""
    first = np.flatnonzero(success[:-1] & success[1:])
    ends = np.r_[-np.inf, u, np.inf]
    if len(first):
        return float(ends[first[0]]), float(ends[first[0] + 1])
    return float(ends[len(u) - 1] if success[-1] else ends[len(u)]), np.inf
