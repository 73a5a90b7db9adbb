"""The exponent posterior: coverage of its interval where the truth is known and unkind, its numbers
against closed forms, and what stands beside it: the probit regression against statsmodels,
Fieller's interval, the smooth regression, and the densities that place trainings. Every simulation
has a fixed seed, and its bound follows from the number of sweeps (``simulated_coverage``); the
random effect makes the interval conservative where there is none."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import integrate, special, stats
from simulated_coverage import least_coverage

from bfc.errors import UserError
from bfc.stats.cell_counts import split_cells
from bfc.stats.design import (
    Density,
    choose_sample_sizes,
    normalise_density,
    predict_density,
    update_density,
    wide_density,
)
from bfc.stats.exponent_posterior import fit_posterior
from bfc.stats.likelihood import OFFSETS, LikelihoodCurve, likelihood_curve
from bfc.stats.probit import fieller_interval, fit_probit
from bfc.stats.random_effect import TAU_SCALE, tau_prior
from bfc.stats.regressions import estimates_disagree, fit_glm, fit_smooth
from bfc.stats.simulation import World
from bfc.stats.training_table import build_training_table

EPS = 0.1
LOG_D = np.log(World.d)


def curves_of(trainings):
    return {
        d: likelihood_curve(cell)
        for d, cell in split_cells(build_training_table(trainings, EPS)).items()
        if cell.is_informative
    }


def spread_n(world, d, offset=0.0, per=16, half=0.8):
    """n around the theory (not around the truth, which a tau moves)."""
    return np.rint(
        np.exp(
            np.log(world.prefactor)
            + world.exponent * np.log(d)
            + offset
            + np.linspace(-half, half, per)
        )
    )


def centred(world, rng, d, mu):
    return world.train(rng, d, mu, spread_n(world, d))


def off_centre(world, rng, d, mu):
    return world.train(rng, d, mu, spread_n(world, d, 0.6))


def drifting(world, rng, d, mu):
    """The grid's centre grows as d^2.5."""
    return world.train(rng, d, mu, spread_n(world, d, 0.5 * np.log(d / 23)))


def largest_censored(world, rng, d, mu):
    return world.train(rng, d, mu, spread_n(world, d, -1.2 if d == 64 else 0.0))


def plateaus(world, rng, d, mu):
    """At d = 23 and 64 the method never gets there, however large n."""
    n = np.r_[spread_n(world, d), spread_n(world, d, 1.5)]
    return (
        world.train(rng, d, mu, n).assign(risk=0.5, outcome="plateau")
        if d in (23, 64)
        else centred(world, rng, d, mu)
    )


def lucky_plateaus(world, rng, d, mu):
    """The same, but one training in twenty succeeds there, whatever its n."""
    rows = plateaus(world, rng, d, mu)
    return (
        rows.assign(risk=rows["risk"].where(rng.random(len(rows)) > 0.05, 0.01))
        if d in (23, 64)
        else rows
    )


def stuck(world, rng, d, mu):
    """One training in five does not fit its rows whatever its n; nor do those that lack data."""
    rows = world.train(rng, d, mu, spread_n(world, d, 0.3, per=24, half=1.1))
    rows["risk"] = rows["risk"].where(rng.random(len(rows)) > 0.2, 0.5)
    return rows.assign(train_risk=rows["risk"])


def shared_seeds(world, rng, d, mu):
    """Ladders of 8 n for each of 8 seeds."""
    return world.train(
        rng, d, mu, np.tile(spread_n(world, d, per=8, half=1.2), 8), np.repeat(np.arange(8), 8)
    )


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


def sweep(seed, world=World(), per=16):  # noqa: B008 (a constant)
    rng = np.random.default_rng(seed)
    rows = [
        world.train(rng, d, m, spread_n(world, d, per=per))
        for d, m in zip(world.d, world.draw(rng), strict=True)
    ]
    return build_training_table(pd.concat(rows), EPS)


@pytest.mark.parametrize("clustered", [False, True])
def test_probit_regression_against_statsmodels(clustered):
    """The same likelihood and, with shared seeds, the same sandwich: to 1e-6."""
    world, rng = World(), np.random.default_rng(15)
    design = shared_seeds if clustered else centred
    training_table = build_training_table(
        pd.concat(
            [design(world, rng, d, m) for d, m in zip(world.d, world.draw(rng), strict=True)]
        ),
        EPS,
    )
    x = np.stack([np.ones(len(training_table.n)), training_table.u, np.log(training_table.d)], 1)
    groups = None
    if clustered:
        clusters = np.stack([training_table.d, training_table.seed])
        groups = np.unique(clusters, axis=1, return_inverse=True)[1].ravel()
    ours = fit_probit(x, training_table.success, groups)
    options = {"cov_type": "cluster", "cov_kwds": {"groups": groups}} if clustered else {}
    peer = sm.Probit(training_table.success.astype(float), x).fit(disp=0, tol=1e-12, **options)
    np.testing.assert_allclose(ours.coefficients, peer.params, rtol=1e-6)
    np.testing.assert_allclose(ours.covariance, peer.cov_params(), rtol=1e-5)
    regression = fit_glm(training_table)
    assert (
        regression.exponent == pytest.approx(-peer.params[2] / peer.params[1], rel=1e-6)
        and regression.lo < regression.exponent < regression.hi
    )


def test_probit_interval_covers_without_scatter():
    """150 sweeps with τ = 0, which is what this estimator assumes."""
    regressions = [fit_glm(sweep(seed)) for seed in range(150)]
    assert np.mean([q.lo <= 2 <= q.hi for q in regressions]) >= least_coverage(150)
    assert np.median([q.hi - q.lo for q in regressions]) < 1.0


@pytest.mark.parametrize(
    ("success", "reason"),
    [
        ([1, 1, 1, 1], "all trainings succeed"),
        ([0, 0, 0, 0], "all trainings fail"),
        ([0, 0, 1, 1], "separated"),
        ([0, 1, 0, 1], ""),
    ],
)
def test_probit_says_why_it_has_no_answer(success, reason):
    regression = fit_probit(
        np.stack([np.ones(4), [1.0, 2.0, 3.0, 4.0]], 1), np.array(success, bool)
    )
    assert (
        (reason in regression.reason and np.isnan(regression.coefficients).all())
        if reason
        else np.isfinite(regression.coefficients).all()
    )
    assert "collinear" in fit_probit(np.ones((4, 2)), np.array([0, 1, 0, 1], bool)).reason


def test_fieller_interval():
    """Every end θ satisfies (top − θ bottom)² = z² var; a denominator that is not told from zero
    leaves it open."""
    for end in fieller_interval(3.0, 2.0, 0.1, 0.2, 0.05):
        variance = 0.1 - 2 * end * 0.05 + end**2 * 0.2
        assert (3.0 - end * 2.0) ** 2 == pytest.approx(stats.norm.ppf(0.975) ** 2 * variance)
    assert fieller_interval(3.0, 0.5, 0.1, 0.2, 0.0) == (-np.inf, np.inf)
    assert fieller_interval(3.0, 2.0, 1e-12, 1e-12, 0.0) == pytest.approx((1.5, 1.5), abs=1e-5)


def test_smooth_regression_uses_more_of_the_data_than_thresholds():
    """Where log risk is linear in log n: the 95 % intervals of the 280 n* of 40 sweeps cover at
    least 0.92 (2.3 standard errors), and their RMSE is below the likelihood's (by 1/√0.64 = 1.25 in
    theory at n*, more further out)."""
    likelihood_errors, smooth_errors, hits = [], [], []
    for seed in range(40):
        training_table = sweep(100 + seed, per=24)
        curves = {d: likelihood_curve(cell) for d, cell in split_cells(training_table).items()}
        nstar = {d: float(np.exp(c.mu[c.marginal.argmax()])) for d, c in curves.items()}
        regression = fit_smooth(training_table, nstar)
        assert len(regression.nstar) >= 6 and regression.lo < 2.2 and regression.hi > 1.8
        truth = np.log(1.6) + 2 * np.log(regression.nstar["d"])
        hits += list(
            (np.log(regression.nstar["lo"]) <= truth) & (truth <= np.log(regression.nstar["hi"]))
        )
        smooth_errors += list(np.log(regression.nstar["nstar"]) - truth)
        likelihood_errors += [
            np.log(nstar[d]) - t for d, t in zip(regression.nstar["d"], truth, strict=True)
        ]
    assert np.mean(hits) >= 0.92
    assert np.sqrt(np.mean(np.square(smooth_errors))) < np.sqrt(
        np.mean(np.square(likelihood_errors))
    )


def test_disagreement_needs_two_intervals():
    assert estimates_disagree((2.0, 1.9, 2.1), (2.5, 2.4, 2.6)) and not estimates_disagree(
        (2.0, 1.9, 2.1), (2.1, 2.0, 2.2)
    )
    assert not estimates_disagree(
        (2.0, 1.9, 2.1), (np.nan, np.nan, np.nan)
    ) and not estimates_disagree((2.0, -np.inf, 2.1), (9.0, 8.9, 9.1))


def test_prediction_of_the_next_d_covers(is_exhaustive):
    """log n* of d = 45 from d ≤ 32 falls into its predicted 90 % range, which is at most 2.5 times
    as wide as a known line and τ would make it."""
    sweeps = 160 if is_exhaustive else 40
    world, hits, widths = World(tau=0.15), [], []
    for seed in range(sweeps):
        rng = np.random.default_rng(seed)
        mu = dict(zip(world.d, world.draw(rng), strict=True))
        prediction = predict_density(
            {d: centred(world, rng, d, mu[d]) for d in world.d if d <= 32}, 45, EPS
        )
        lo, hi = prediction.quantile(np.array([0.05, 0.95]))
        hits.append(lo <= mu[45] <= hi)
        widths.append(hi - lo)
    assert np.mean(hits) >= least_coverage(sweeps, 0.9)
    assert np.median(widths) < 2.5 * 2 * stats.norm.ppf(0.95) * world.tau


def test_prediction_from_little():
    """No bracketed d: None, so that one starts wide. One d: centred on the prior exponent 2, as
    wide as its standard deviation 2 says."""
    world, rng = World(), np.random.default_rng(16)
    (mu, *_) = world.draw(rng)
    rows = world.train(rng, 8, mu, spread_n(world, 8, per=64))
    assert (
        predict_density({}, 16, EPS) is None
        and predict_density({8: rows.assign(risk=0.9)}, 16, EPS) is None
    )
    prediction = predict_density({8: rows}, 16, EPS)
    assert abs(prediction.mean - (mu + 2 * np.log(2))) < 0.3 and prediction.sd == pytest.approx(
        2 * np.log(2), rel=0.15
    )
    assert integrate.trapezoid(prediction.pdf, prediction.mu) == pytest.approx(1)
    np.testing.assert_array_equal(predict_density({8: rows}, 16, EPS).pdf, prediction.pdf)


def test_a_cells_own_trainings_narrow_what_was_known():
    world, rng = World(d=(16,)), np.random.default_rng(17)
    mu = world.draw(rng)[0]
    prior = wide_density(16, 4096)
    rows = world.train(rng, 16, mu, choose_sample_sizes(prior, 16))
    first = update_density(rows, prior, EPS)
    rows = pd.concat([rows, world.train(rng, 16, mu, choose_sample_sizes(first, 16), first=16)])
    second = update_density(rows, prior, EPS)
    assert prior.sd > 2 * first.sd > 2 * second.sd and abs(second.mean - mu) < 3 * second.sd
    assert update_density(rows.iloc[:0], prior, EPS) is prior
    limited = rows.assign(risk=0.9, outcome="optimisation_limited")
    assert update_density(limited, prior, EPS) is prior, (
        "optimisation-limited trainings say nothing about n*"
    )
    narrow = normalise_density(np.linspace(mu - 0.01, mu + 0.01, 50), np.zeros(50))
    assert abs(update_density(rows, narrow, EPS).mean - mu) < 0.01, (
        "the prior is kept outside the cell's own view"
    )


def test_places():
    """Even in z between ±1.3 of a normal density; costs shift them down; integers of at least 2."""
    mu = np.linspace(0, 14, 2001)
    pdf = normalise_density(mu, -0.5 * ((mu - 7) / 0.5) ** 2)
    n = choose_sample_sizes(pdf, 9)
    np.testing.assert_allclose(np.log(n), 7 + 0.5 * np.linspace(-1.3, 1.3, 9), atol=2e-3)
    assert n.dtype == np.int64 and choose_sample_sizes(pdf, 1) == [round(np.exp(7))]
    tilted = choose_sample_sizes(
        pdf, 9, cost=lambda n: n**2
    )  # a normal tilted by 1/n keeps its width and moves by its variance
    np.testing.assert_allclose(np.log(tilted), np.log(n) - 0.25, atol=5e-3)
    assert (
        choose_sample_sizes(Density(np.array([-3.0, -2.0]), np.array([1.0, 1.0])), 3) == 2
    ).all()
    with pytest.raises(UserError, match="count=0"):
        choose_sample_sizes(pdf, 0)
    with pytest.raises(UserError, match="n_lo"):
        wide_density(8, 8)


def test_wide_is_flat_in_log_n():
    density = wide_density(16, 4096)
    quantiles = density.quantile(special.ndtr(np.array([-1.0, 0.0, 1.0])))
    assert quantiles[1] == pytest.approx(np.log(256), abs=1e-6) and integrate.trapezoid(
        density.pdf, density.mu
    ) == pytest.approx(1)


def test_the_benchmark_of_procedures_runs(tmp_path, capsys, monkeypatch):
    """Two repeats of three procedures: table, sentences, files and figure; and the wall of the
    design, .08."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    from benchmarks import procedures

    three_procedures = tuple(
        p
        for p in procedures.PROCEDURES
        if " 3 seeds" in p.name or "bisection" in p.name or "8x1" in p.name
    )
    monkeypatch.setattr(procedures.study, "__defaults__", (0, three_procedures))
    procedures.main(["--repeats", "2", "--out", str(tmp_path)])
    assert "adaptive 8x1" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "procedures.csv")
    assert (
        len(table) == 4 * 4 and (table.loc[table["family"] == "adaptive", "trainings"] == 56).all()
    )
    assert json.loads((tmp_path / "procedures.json").read_text())["floor"] == pytest.approx(
        0.08, abs=0.005
    )
    assert (tmp_path / "procedures.png").stat().st_size > 10_000
