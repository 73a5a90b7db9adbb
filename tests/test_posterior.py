"""The exponent posterior: coverage of its interval where the truth is known and unkind, and its
numbers against closed forms.

Every simulation has a fixed seed, and its bound follows from the number of sweeps
(``simulated_coverage``); the random effect makes the interval conservative where there is none.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from simulated_coverage import least_coverage
from sweep_designs import (
    EPS,
    centred,
    drifting,
    largest_censored,
    lucky_plateaus,
    off_centre,
    plateaus,
    shared_seeds,
    stuck,
)

from bfc.stats.cell_counts import split_cells
from bfc.stats.exponent_posterior import fit_posterior
from bfc.stats.likelihood import OFFSETS, LikelihoodCurve, likelihood_curve
from bfc.stats.random_effect import TAU_SCALE, tau_prior
from bfc.stats.simulation import World
from bfc.stats.training_table import build_training_table

LOG_D = np.log(World.d)


def curves_of(trainings):
    return {
        d: likelihood_curve(cell)
        for d, cell in split_cells(build_training_table(trainings, EPS)).items()
        if cell.is_informative
    }


@pytest.mark.parametrize(
    ("design", "world"),
    [
        (centred, World()),
        (centred, World(tau=0.15)),
        (centred, World(lapse=0.05, tau=0.15)),
        (centred, World(heavy=True)),
        (off_centre, World(tau=0.15)),
        (drifting, World()),
        (largest_censored, World(tau=0.15)),
        (plateaus, World(tau=0.15)),
        (lucky_plateaus, World(tau=0.15)),
        (stuck, World(tau=0.15)),
        (shared_seeds, World()),
        (shared_seeds, World(lapse=0.05, tau=0.15)),
    ],
    ids=lambda value: (
        value.__name__
        if callable(value)
        else f"tau{value.tau:g}-lapse{value.lapse:g}-{'heavy' if value.heavy else 'normal'}"
    ),
)
def test_the_interval_covers(design, world, is_exhaustive):
    sweeps = 200 if is_exhaustive else 25
    rng = np.random.default_rng(11)
    posteriors = []
    for _ in range(sweeps):
        mu = world.draw(rng)
        rows = [design(world, rng, d, m) for d, m in zip(world.d, mu, strict=True)]
        posteriors.append(fit_posterior(curves_of(pd.concat(rows, ignore_index=True))))
    exponents = np.array([p.exponent for p in posteriors])
    known = np.isfinite(exponents)
    assert np.mean([p.lo <= 2 <= p.hi for p in posteriors]) >= least_coverage(sweeps)
    assert known.mean() >= 0.98, "a sweep of seven d gives an exponent"
    widths = np.array([p.hi - p.lo for p in posteriors])
    assert np.median(widths) < 1.0, "the interval covers without being vague"
    error = exponents[known] - 2
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(known.sum()) + 0.02, "no bias beyond 0.02"


def gaussian(values, error):
    """Cells whose curve is a normal density around ``values``."""
    return {
        d: LikelihoodCurve(float(v), (-0.5 * (OFFSETS / error) ** 2)[:, None])
        for d, v in zip(World.d, values, strict=True)
    }


def closed_form(values, error, random_effect=True):
    """Median and 95 % interval of the slope where every cell is normal: a mixture over τ of
    weighted least squares."""
    taus, prior = tau_prior(random_effect)
    x = np.stack([np.ones(7), LOG_D - LOG_D.mean()], 1)
    means, sds, weights = [], [], []
    for tau, p in zip(taus, prior, strict=True):
        precision = 1 / (error**2 + tau**2)
        cov = np.linalg.inv(precision * x.T @ x)
        beta = cov @ x.T @ values * precision
        means.append(beta[1])
        sds.append(np.sqrt(cov[1, 1]))
        residual = precision * np.sum((values - x @ beta) ** 2)
        weights.append(
            p + 0.5 * (7 * np.log(precision * error**2) + np.linalg.slogdet(cov)[1] - residual)
        )
    weights = np.exp(np.array(weights) - max(weights))
    grid = np.linspace(-10, 10, 200_001)
    mass = (
        sum(w * stats.norm.cdf(grid, m, s) for w, m, s in zip(weights, means, sds, strict=True))
        / weights.sum()
    )
    return np.interp([0.5, 0.025, 0.975], mass, grid)


@pytest.mark.parametrize("error", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("random_effect", [True, False])
@pytest.mark.parametrize("tau", [0.0, 0.15, 0.5])
def test_normal_cells_give_the_closed_form(error, random_effect, tau):
    """Grids, zooms and convolutions against weighted least squares: within 3 % of the interval's
    half width."""
    rng = np.random.default_rng(12)
    values = 1 + 1.3 * LOG_D + rng.normal(0, np.hypot(error, tau if random_effect else 0.0), 7)
    posterior = fit_posterior(gaussian(values, error), random_effect)
    expected = closed_form(values, error, random_effect)
    np.testing.assert_allclose(
        [posterior.exponent, posterior.lo, posterior.hi],
        expected,
        atol=0.03 * 0.5 * (expected[2] - expected[1]),
    )


def test_the_prior_of_tau_is_half_normal():
    """Mean and mean square of the nodes against the half-normal's, within 5 %."""
    taus, prior = tau_prior()
    assert np.exp(prior).sum() == pytest.approx(1)
    assert np.exp(prior) @ taus == pytest.approx(TAU_SCALE * np.sqrt(2 / np.pi), rel=0.05)
    assert np.exp(prior) @ taus**2 == pytest.approx(TAU_SCALE**2, rel=0.05)


def test_tau_and_the_spread_are_recovered():
    """One sweep of 60 d, 64 trainings each: s = 0.35 and τ = 0.3.

    The posterior of s is a few percent wide, its nodes 33 % apart; that of τ is 0.3/√120 = 0.03.
    """
    world = World(
        d=tuple(int(d) for d in np.unique(np.geomspace(8, 4000, 60).astype(int))), tau=0.3
    )
    rng = np.random.default_rng(13)
    rows = [
        world.train(rng, d, mu, np.rint(np.exp(mu + np.linspace(-0.7, 0.7, 64))))
        for d, mu in zip(world.d, world.draw(rng), strict=True)
    ]
    posterior = fit_posterior(curves_of(pd.concat(rows)))
    assert (
        0.2 < posterior.tau[0] < posterior.tau[1] < posterior.tau[2] < 0.45
        and abs(posterior.tau[1] - 0.3) < 0.1
    )
    assert 0.28 < posterior.spread[1] < 0.44
    assert abs(posterior.exponent - 2) < 3 * 0.3 / np.sqrt(
        np.sum((np.log(world.d) - np.log(world.d).mean()) ** 2)
    )


def test_leaving_out_the_random_effect_narrows_the_interval():
    world, rng = World(tau=0.15), np.random.default_rng(14)
    rows = pd.concat(
        [centred(world, rng, d, m) for d, m in zip(world.d, world.draw(rng), strict=True)]
    )
    full, fixed = (fit_posterior(curves_of(rows), effect) for effect in (True, False))
    assert fixed.hi - fixed.lo < full.hi - full.lo and fixed.tau == (0, 0, 0)


def open_cells(side, at):
    """Curves open on one side: step functions of width 0.2 at ``at``."""
    return {
        d: LikelihoodCurve(float(a), special.log_ndtr(side * OFFSETS / 0.2)[:, None])
        for d, a in at.items()
    }


@pytest.mark.parametrize(("side", "want"), [(1, "above"), (-1, "below")])
def test_cells_open_on_one_side_bound_the_exponent_on_one_side(side, want):
    """One bracketed d, and larger ones that only say "more" or "less": no exponent, one bound, near
    the line through the known cell."""
    posterior = fit_posterior(
        {8: gaussian(np.full(7, 4.0), 0.1)[8], **open_cells(side, {16: 6.0, 32: 6.5})},
        random_effect=False,
    )
    assert np.isnan(posterior.exponent) and f"it is {want}" in posterior.reason
    line = 2 / np.log(2) if side > 0 else 2.5 / np.log(4)
    end, open_end = (posterior.lo, posterior.hi) if side > 0 else (posterior.hi, posterior.lo)
    assert open_end == side * np.inf and abs(end - line) < 0.6


def test_no_or_one_d_has_no_exponent():
    one_cell = {8: gaussian(np.full(7, 4.0), 0.1)[8]}
    for curves, reason in (
        ({}, "no d"),
        (one_cell, "one d"),
        (open_cells(1, {8: 1.0, 16: 2.0}), "bracketed at no d"),
    ):
        posterior = fit_posterior(curves)
        assert (
            np.isnan([posterior.exponent, posterior.lo, posterior.hi]).all()
            and reason in posterior.reason
        )
