"""Does n* grow as a polynomial of d? A straight line through a few cells always exists, and d log d
looks like an exponent of 1.33 on d = 8 to 64; so every candidate is fitted to the same likelihood
curves, judged by the probability it gives to the outcomes of the LARGEST d when fitted to the
others, and the answer is a sentence that also says what the data cannot exclude.

Fitting. For every node (τ, s, λ) the posterior of the coefficients (flat prior) is taken as normal
around its mode (Laplace); nodes are weighted by prior times evidence. A hinge is fitted with every
inner d as its knot and averaged over knots. AICc and BIC use the largest likelihood over nodes, the
number of cells as sample size, and count coefficients, knot and τ; s and λ are common to all."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from bfc.stats.exponent_posterior import Posterior, at, smoothed, tau_prior
from bfc.stats.likelihood import OFFSETS, PRIOR, Curve, quantiles

MODELS = ("model", "formula", "parameters", "score", "aicc", "bic", "term", "value", "lo", "hi")
LOCAL = ("d_lo", "d_hi", "exponent", "lo", "hi")
STRONG = 3.0
"""Difference of held-out log scores (odds of 20) from which one candidate is said to beat another.
"""
FORMULAS = {
    "power": "a + α log d",
    "power_log": "a + α log d + δ log log d",
    "power_log2": "a + α log d + γ (log d)²",
    "exponential": "a + b d",
    "mixed": "a + b d + α log d",
    "hinge": "a + α log d + δ min(log d − log k, 0)",
}
TERMS = {
    "power": "α",
    "power_log": "δ",
    "power_log2": "γ",
    "exponential": "b",
    "mixed": "b",
    "hinge": "δ",
}
HERMITE_X, HERMITE_W = np.polynomial.hermite_e.hermegauss(41)


@dataclass(frozen=True)
class Fitted:
    """One design fitted: per node (N,) the mode (N, K), covariance (N, K, K), log evidence and log
    likelihood at the mode."""

    mode: np.ndarray
    covariance: np.ndarray
    evidence: np.ndarray
    likelihood: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        return np.exp(self.evidence - special.logsumexp(self.evidence))


@dataclass(frozen=True)
class _Cells:
    """Curves blurred by every τ, as tables (N, POINTS, 1) with first and second derivatives, over
    the nodes N of (τ, s, λ)."""

    d: np.ndarray
    centres: tuple[float, ...]
    tables: tuple[np.ndarray, ...]
    """Per cell (N, POINTS, 3): value, slope and curvature."""
    prior: np.ndarray

    def without_last(self) -> _Cells:
        return _Cells(self.d[:-1], self.centres[:-1], self.tables[:-1], self.prior)


def compare(
    curves: Mapping[float, Curve], found: Posterior
) -> tuple[pd.DataFrame, dict[int, float]]:
    """Every candidate, best held-out score first (columns ``MODELS``; NaN where the d are too few
    for it), and the numbers of log factors q = 1, 2 that are compatible with the data: q → exponent
    of d beside (log d)^q.

    ``score``: log probability of the largest d's outcomes, predicted from the others. ``term``: the
    coefficient that tells the candidate from a power law (for a power law its exponent), with its
    95 % interval."""
    cells = _cells(curves, found)
    rows, factors = [], {}
    for name, formula in FORMULAS.items():
        designs = _designs(name, cells.d)
        extra = 1 if name == "hinge" else 0
        row = {
            "model": name,
            "formula": formula,
            "parameters": designs[0].shape[1] + extra + 1 if designs else np.nan,
            "term": TERMS[name],
            **dict.fromkeys(("score", "aicc", "bic", "value", "lo", "hi"), np.nan),
        }
        bracketed = sum(all(c.bounded) for c in curves.values())
        if designs and bracketed > designs[0].shape[1]:
            fits = [_fit(cells, design) for design in designs]
            row |= _criteria(fits, len(cells.d), row["parameters"])
            term = {"power": 1, "exponential": 1, "mixed": 1}.get(name, 2)
            row |= dict(zip(("lo", "value", "hi"), _coefficient(fits, term), strict=True))
            if name == "power_log":
                factors = _log_factors(fits[0], row["lo"], row["hi"])
        if (
            designs
            and sum(all(c.bounded) for c in list(curves.values())[:-1]) > designs[0].shape[1]
        ):
            row["score"] = _held_out(cells, name)
        rows.append(row)
    table = pd.DataFrame(rows, columns=list(MODELS))
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True), factors


def local_exponents(
    curves: Mapping[float, Curve],
    found: Posterior,
    priors: Mapping[float, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Δ log n* / Δ log d between neighbouring d with a 95 % band (columns ``LOCAL``), each cell
    from its own data given the s and λ of the sweep. ``priors``: d → log prior of μ on the curve's
    grid; default flat. An end is infinite where a cell is open on the side that matters; the
    exponent is then NaN."""
    levels = (np.arange(200) + 0.5) / 200
    log_nodes = np.log(np.maximum(found.nodes, 1e-300)) if found.nodes is not None else PRIOR
    own, rows = {}, []
    for d, one in curves.items():
        log_density = special.logsumexp(one.values + log_nodes, axis=1) + (
            0.0 if priors is None else priors[d]
        )
        own[d] = quantiles(one.mu, np.exp(log_density - log_density.max()), levels)
    for d_lo, d_hi in itertools.pairwise(curves):
        run = np.log(d_hi / d_lo)
        lo, middle, hi = np.quantile(own[d_hi][:, None] - own[d_lo], (0.025, 0.5, 0.975)) / run
        (small_below, small_above), (large_below, large_above) = (
            curves[d_lo].bounded,
            curves[d_hi].bounded,
        )
        lo = lo if small_above and large_below else -np.inf
        hi = hi if small_below and large_above else np.inf
        rows.append((d_lo, d_hi, middle if np.isfinite([lo, hi]).all() else np.nan, lo, hi))
    return pd.DataFrame(rows, columns=list(LOCAL), dtype=float)


def _cells(curves: Mapping[float, Curve], found: Posterior) -> _Cells:
    """Tables over (τ, s, λ), keeping the (s, λ) that carry 99 % of the posterior."""
    taus, prior = tau_prior(len(found.levels) > 1)
    order = np.argsort(found.nodes)[::-1]
    nodes = np.sort(order[: np.searchsorted(np.cumsum(found.nodes[order]), 0.99) + 1])
    tables = []
    for one in curves.values():
        value = (
            smoothed(one, nodes)[: len(taus)].transpose(0, 2, 1).reshape(len(taus) * len(nodes), -1)
        )
        slope = np.gradient(value, OFFSETS, axis=1)
        tables.append(np.stack([value, slope, np.gradient(slope, OFFSETS, axis=1)], 2))
    both = (
        prior[:, None] + (PRIOR[nodes] if len(found.nodes) == len(PRIOR) else np.zeros(len(nodes)))
    ).ravel()
    return _Cells(
        np.array(list(curves)), tuple(c.centre for c in curves.values()), tuple(tables), both
    )


def _designs(name: str, d: np.ndarray) -> list[np.ndarray]:
    """Design matrices (D, K) of a candidate, one per knot for the hinge; empty if it is not defined
    on these d."""
    x, one = np.log(d), np.ones(len(d))
    if name == "power":
        return [np.stack([one, x], 1)]
    if name == "power_log":
        return [np.stack([one, x, np.log(x)], 1)] if x.min() > 0 else []
    if name == "power_log2":
        return [np.stack([one, x, x * x], 1)]
    if name == "exponential":
        return [np.stack([one, d], 1)]
    if name == "mixed":
        return [np.stack([one, d, x], 1)]
    return [np.stack([one, x, np.minimum(x - knot, 0)], 1) for knot in x[1:-2]]


def _fit(cells: _Cells, design: np.ndarray) -> Fitted:
    """Mode by damped Newton steps at all nodes at once; columns are orthonormalised meanwhile."""
    basis, triangle = np.linalg.qr(design)
    k = basis.shape[1]
    beta = np.tile(
        np.linalg.lstsq(basis, np.array(cells.centres), rcond=None)[0], (len(cells.prior), 1)
    )
    here = _sum(cells, basis, beta)
    for _ in range(40):
        value, gradient, curvature = here
        step = np.linalg.solve(curvature + 1e-6 * np.eye(k), gradient[..., None])[..., 0]
        step /= np.maximum(1.0, np.abs(step @ basis.T).max(1))[:, None]
        scale = np.ones(len(beta))
        for _ in range(12):
            there = _sum(cells, basis, beta + scale[:, None] * step)
            worse = there[0] < value - 1e-9
            if not worse.any():
                break
            scale = np.where(worse, scale / 2, scale)
        scale = np.where(worse, 0.0, scale)
        beta = beta + scale[:, None] * step
        here = _sum(cells, basis, beta)
        if np.abs(scale[:, None] * step).max() < 1e-6:
            break
    value, _, curvature = here
    curvature = curvature + 1e-6 * np.eye(k)
    inverse = np.linalg.inv(triangle)
    evidence = (
        value + cells.prior + 0.5 * k * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(curvature)[1]
    )
    covariance = inverse @ np.linalg.inv(curvature) @ inverse.T
    return Fitted(
        beta @ inverse.T, covariance, evidence - np.log(np.abs(np.linalg.det(triangle))), value
    )


def _sum(
    cells: _Cells, basis: np.ndarray, beta: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log likelihood (N,), its gradient (N, K) and its negative curvature (N, K, K), the concave
    part only."""
    mu = beta @ basis.T
    parts = np.stack(
        [
            at(table, centre, mu[:, i : i + 1])[:, 0]
            for i, (table, centre) in enumerate(zip(cells.tables, cells.centres, strict=True))
        ],
        1,
    )
    bend = np.maximum(-parts[:, :, 2], 0.0)
    return (
        parts[:, :, 0].sum(1),
        parts[:, :, 1] @ basis,
        np.einsum("nd,di,dj->nij", bend, basis, basis),
    )


def _held_out(cells: _Cells, name: str) -> float:
    """Log probability of the outcomes of the largest d given those of the others."""
    scores, weights = [], []
    rest = cells.without_last()
    full = _designs(name, cells.d)
    for design in full[: max(len(full) - 1, 1)]:
        fitted = _fit(rest, design[:-1])
        new = design[-1]
        mean, sd = fitted.mode @ new, np.sqrt(np.einsum("i,nij,j->n", new, fitted.covariance, new))
        mu = mean[:, None] + sd[:, None] * HERMITE_X
        table = at(cells.tables[-1][:, :, :1], cells.centres[-1], mu)[:, :, 0]
        inner = special.logsumexp(table, b=HERMITE_W / HERMITE_W.sum(), axis=1)
        scores.append(inner + fitted.evidence)
        weights.append(fitted.evidence)
    return float(special.logsumexp(scores) - special.logsumexp(weights))


def _criteria(fits: Sequence[Fitted], cells: int, parameters: int) -> dict[str, float]:
    best = max(float(fitted.likelihood.max()) for fitted in fits)
    spare = cells - parameters - 1
    penalty = 2 * parameters * (parameters + 1) / spare if spare > 0 else np.inf
    return {
        "aicc": -2 * best + 2 * parameters + penalty,
        "bic": -2 * best + parameters * np.log(cells),
    }


def _coefficient(fits: Sequence[Fitted], k: int) -> tuple[float, float, float]:
    """2.5, 50 and 97.5 % quantiles of coefficient k over the mixture of all nodes and knots."""
    mean = np.concatenate([fitted.mode[:, k] for fitted in fits])
    sd = np.concatenate([np.sqrt(fitted.covariance[:, k, k]) for fitted in fits])
    evidence = np.concatenate([fitted.evidence for fitted in fits])
    weight = np.exp(evidence - special.logsumexp(evidence))
    kept = weight > 1e-6
    mean, sd, weight = mean[kept], sd[kept], weight[kept]
    grid = np.linspace((mean - 6 * sd).min(), (mean + 6 * sd).max(), 4001)
    mass = weight @ special.ndtr((grid - mean[:, None]) / sd[:, None])
    return tuple(float(q) for q in np.interp([0.025, 0.5, 0.975], mass / weight.sum(), grid))


def _log_factors(fitted: Fitted, lo: float, hi: float) -> dict[int, float]:
    """The q = 1, 2 for which δ = q lies in its interval, each with the mean of α given δ = q."""
    factors = {}
    for q in (1, 2):
        spread = fitted.covariance[:, 2, 2]
        mean = fitted.mode[:, 1] + fitted.covariance[:, 1, 2] / spread * (q - fitted.mode[:, 2])
        log_weight = fitted.evidence - 0.5 * (
            (q - fitted.mode[:, 2]) ** 2 / spread + np.log(spread)
        )
        if lo <= q <= hi:
            factors[q] = float(np.exp(log_weight - special.logsumexp(log_weight)) @ mean)
    return factors


def verdict(found: Posterior, table: pd.DataFrame, factors: Mapping[int, float]) -> str:
    """The sentence: what grows how, with its interval, and what this range of d cannot exclude."""
    if not np.isfinite(found.exponent):
        return f"no verdict: {found.reason}"
    own = table.set_index("model")
    value = f"exponent {interval(found.exponent, found.lo, found.hi)}"
    gap = own.loc["power", "score"] - own.loc["exponential", "score"]
    if not np.isfinite(gap):
        return f"{value} if the growth is polynomial, which so few d cannot tell"
    b = own.loc["exponential"]
    rate = f"exponential growth e^(b d), b = {interval(b['value'], b['lo'], b['hi'])},"
    odds = _odds(abs(gap))
    term, lo, hi = own.loc["power_log2", ["value", "lo", "hi"]]
    straight = not np.isfinite([lo, hi]).all() or lo <= 0 <= hi
    if gap >= STRONG:
        head = (
            f"polynomial with {value}"
            if straight
            else f"not a single power of d (taken as one: {value})"
        )
        parts = [f"{head}; exponential growth predicts the largest d worse (odds 1 : {odds})"]
    elif gap <= -STRONG:
        parts = [
            f"faster than polynomial: {rate} predicts the largest d better (odds {odds} : 1) than a power law with {value}"
        ]
    else:
        which = "first" if gap > 0 else "second"
        told = (
            f"the {which} preferred by odds of only {odds} : 1"
            if abs(gap) > 1
            else "not told apart on this range"
        )
        parts = [f"polynomial with {value} or {rate} {told}"]
    if np.isfinite([lo, hi]).all():
        parts.append(
            f"(log d)² term below {max(-lo, hi):.2g} cannot be excluded on this range"
            if straight
            else f"the local exponent {'rises' if lo > 0 else 'falls'} with d: (log d)² term {interval(term, lo, hi)}"
        )
    if np.isfinite(own.loc["power_log", "lo"]) and gap > -STRONG:
        names = [
            f"d^{alpha:.2f} {'log d' if q == 1 else f'(log d)^{q}'}" for q, alpha in factors.items()
        ]
        parts.append(
            f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} compatible too"
            if names
            else "one or two log factors beside a power are excluded"
        )
    return "; ".join(parts)


def interval(value: float, lo: float, hi: float) -> str:
    """ "0.92 (0.81–1.03)" with as many digits as the interval supports."""
    digits = int(np.clip(1 - np.floor(np.log10(max(hi - lo, 1e-6))), 1, 6))
    return f"{value:.{digits}f} ({lo:.{digits}f}–{hi:.{digits}f})"


def _odds(gap: float) -> str:
    return "over 10000" if gap > np.log(1e4) else f"{np.exp(gap):.{0 if gap > np.log(10) else 1}f}"
