"""The likelihood of log risk near eps: against closed forms and finite differences, what the cells
share against the truth of simulations, the correlation of trainings with one seed, every rule that
sends a cell back to the binary likelihood, and coverage and width of the exponents that follow,
beside those of the binary likelihood on the same sweeps. Random numbers have fixed seeds."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from simulated_coverage import least_coverage

from benchmarks.estimators import CASES, Case, compare, draw_sweep
from bfc.stats import latent_fit
from bfc.stats.cell_counts import split_cells
from bfc.stats.exponent_fit import fit_exponent
from bfc.stats.latent_fit import fit_latent, predict_classes
from bfc.stats.latent_threshold import (
    ABOVE,
    BELOW,
    INSIDE,
    LatentModel,
    RiskWindow,
    log_likelihood,
    read_thresholds,
    sharpen_curve,
)
from bfc.stats.likelihood import GUESS, LAPSES, OFFSETS, SPREADS, likelihood_curve
from bfc.stats.seed_correlation import bound_correlation, weigh_trainings
from bfc.stats.simulation import RiskShape, World
from bfc.stats.smooth_cells import Likelihood, choose_curves
from bfc.stats.training_table import build_training_table

EPS = 0.1
WINDOW = RiskWindow(2.0, 1.5)
CASE = {case.name: case for case in CASES}


def cell_table(u, y, seed=None, **columns):
    """Trainings of one cell at log n ``u`` with log risk ``y`` above log eps."""
    rows = {"n": np.exp(u), "seed": np.arange(len(u)) if seed is None else seed}
    return build_training_table(
        pd.DataFrame({**rows, "risk": EPS * np.exp(np.asarray(y, float)), **columns}), EPS
    )


def node(values, spread, lapse=0.0):
    """ℓ(μ) of the nodes nearest to a spread and a lapse, and that spread."""
    j, k = np.abs(np.log(SPREADS / spread)).argmin(), list(LAPSES).index(lapse)
    return values.reshape(len(OFFSETS), len(SPREADS), len(LAPSES))[:, j, k], SPREADS[j]


def test_what_is_read_of_a_training():
    """Within the window its size, beyond it the end, and 0 where only the side of eps counts."""
    y = [-3.0, -1.0, 0.5, 1.6, 2.5, 0.5, 0.7, -np.inf]
    outcome = ["", "", "", "", "", "plateau", "diverged", ""]
    table = cell_table(np.arange(8.0), y, outcome=outcome, diverged=[0, 0, 0, 0, 0, 0, 1, 0])
    found = read_thresholds(table, WINDOW)
    want = [BELOW, INSIDE, INSIDE, ABOVE, ABOVE, ABOVE, ABOVE, BELOW]
    assert found.side.tolist() == want
    np.testing.assert_allclose(found.y, [-2.0, -1.0, 0.5, 1.5, 1.5, 0.0, 0.0, 0.0], atol=1e-12)
    assert found.measured.tolist() == [True] * 5 + [False] * 3


@pytest.mark.parametrize("freedom", [3.0, 30.0])
def test_the_likelihood_is_the_sum_of_log_densities_and_masses(freedom):
    """Against scipy.stats at several μ and every node (s, λ), weights included."""
    u, y = np.array([4.0, 4.5, 5.0, 5.5, 5.2]), np.array([2.2, 0.4, -0.6, -2.5, 0.3])
    table = cell_table(u, y, outcome=["", "", "", "", "plateau"])
    thresholds = read_thresholds(table, WINDOW)
    weights, slope = np.array([1.0, 0.5, 1.0, 1.0, 1.0]), 2.5
    found = log_likelihood(thresholds, weights, slope, freedom, 4.9)
    found = found.reshape(len(OFFSETS), len(SPREADS), len(LAPSES))
    for i in range(40, 241, 40):
        for j, s in enumerate(SPREADS):
            law = stats.t(freedom, 4.9 + OFFSETS[i], s)
            for k, lapse in enumerate(LAPSES):
                rest = 1 - GUESS - lapse
                p = [
                    0.5 * lapse + rest * law.sf(4.0 + 1.5 / slope),
                    0.5 * lapse / 1.5 + rest * law.pdf(4.5 + 0.4 / slope) / slope,
                    0.5 * GUESS / 2.0 + rest * law.pdf(5.0 - 0.6 / slope) / slope,
                    0.5 * GUESS + rest * law.cdf(5.5 - 2.0 / slope),
                    lapse + rest * law.sf(5.2),
                ]
                want = weights @ np.log(np.maximum(p, 1e-12))
                assert found[i, j, k] == pytest.approx(want, rel=1e-9, abs=1e-9)


def test_without_censoring_and_with_normal_errors_it_is_the_normal_likelihood_of_the_mean():
    """−N (μ − mean T)²/(2 s²), T = u + y/b, up to a constant; ν = 10⁷ stands for a normal. Guesses
    of one in a thousand remain, so it is compared within two standard errors of the mean."""
    rng = np.random.default_rng(0)
    u = np.linspace(-0.4, 0.4, 24)
    thresholds = read_thresholds(cell_table(u, -2 * (u - 0.3 * rng.normal(size=24))), WINDOW)
    assert thresholds.is_inside.all()
    at = thresholds.u + thresholds.y / 2
    values = log_likelihood(thresholds, np.ones(24), 2.0, 1e7, at.mean())
    curve, s = node(values, 0.35)
    near = np.abs(OFFSETS) < 2 * s / np.sqrt(24)
    want = -0.5 * 24 * (OFFSETS / s) ** 2
    np.testing.assert_allclose((curve - curve.max())[near], (want - want.max())[near], atol=0.03)


def test_a_closed_window_gives_the_binary_likelihood():
    """At λ = 0 and near n*, where guesses hardly matter."""
    rng = np.random.default_rng(1)
    u = 5 + np.linspace(-0.5, 0.5, 20)
    table = cell_table(u, -3 * (u - 5 - 0.35 * rng.normal(size=20)), d=8.0)
    thresholds = read_thresholds(table, RiskWindow(1e-9, 1e-9))
    (cell,) = split_cells(table).values()
    binary = likelihood_curve(cell)
    sharp = log_likelihood(thresholds, np.ones(20), 3.0, 1e7, binary.centre)
    near = np.abs(OFFSETS) < 0.3
    for spread in (0.3, 0.5):
        one, two = node(binary.values, spread)[0], node(sharp, spread)[0]
        np.testing.assert_allclose(one[near], two[near], atol=0.05)


def test_an_unknown_slope_is_integrated_out():
    """Off centre an error of b moves n*: the curve is wider than at the true b, and the log
    posterior of the steps peaks near it."""
    rng = np.random.default_rng(2)
    u = np.repeat(np.linspace(0.1, 0.7, 12), 4)
    thresholds = read_thresholds(cell_table(u, -2 * (u - 0.2 * rng.normal(size=48))), WINDOW)
    curve, steps = sharpen_curve(thresholds, np.ones(48), LatentModel(2.0, 30.0, 0.2), 0.0)
    fixed = log_likelihood(thresholds, np.ones(48), 2.0, 30.0, 0.0)
    one, two = node(curve.values, 0.2)[0], node(fixed, 0.2)[0]
    credible = [np.ptp(OFFSETS[values > values.max() - 1.92]) for values in (one, two)]
    assert credible[0] > 1.05 * credible[1]
    assert abs(int(steps.argmax()) - 3) <= 1


def test_the_gradient_of_the_fit():
    """Against finite differences, with all kinds of trainings and weights."""
    rng = np.random.default_rng(3)
    cells = []
    for centre in (4.0, 5.0):
        u = centre + np.linspace(-1, 1, 20)
        y = -2.5 * (u - centre - 0.4 * rng.standard_t(3, 20))
        outcome = np.where(np.arange(20) % 7 == 0, "plateau", "")
        cells.append(read_thresholds(cell_table(u, y, outcome=outcome), WINDOW))
    data = latent_fit._Observations.from_cells(cells, [np.ones(20), np.full(20, 0.4)])
    at = np.array([4.1, 4.9, np.log(2), np.log(0.3), np.log(0.05)])
    for freedom in (3.0, 30.0):
        _, gradient = data.penalised_loss(at, freedom)
        want = optimize.approx_fprime(at, lambda x, f=freedom: data.penalised_loss(x, f)[0], 1e-6)
        np.testing.assert_allclose(gradient, want, atol=1e-3)


def thresholds_of(world, designs, seed=0, labels=None):
    """Per d the trainings as the regression sees them, and the truth."""
    rng = np.random.default_rng(seed)
    mu = world.draw(rng)
    cells = []
    for d, centre in zip(world.d, mu, strict=True):
        rows = world.train(rng, d, centre, np.exp(centre + designs), labels)
        cells.append(read_thresholds(build_training_table(rows, world.eps), WINDOW))
    return cells, mu


MANY = tuple(range(100, 140))


@pytest.mark.parametrize("heavy", [False, True])
def test_what_the_cells_share_is_recovered(heavy):
    """40 cells of 24 trainings, about 400 of them inside: the slope within a tenth (3 standard
    errors), the spread within 15 %, hardly any lapses, ν small only with heavy tails; the predicted
    shares of the four places within 0.03 (2.5 standard errors)."""
    world = World(d=MANY, steepness=2.5, heavy=heavy)
    cells, mu = thresholds_of(world, np.linspace(-0.8, 0.8, 24))
    fit = fit_latent(cells, [np.ones(24)] * 40, mu + 0.2)
    assert fit.model.slope == pytest.approx(2.5, rel=0.1)
    assert fit.model.spread == pytest.approx(0.35, rel=0.15) and fit.lapse < (
        0.04 if heavy else 0.02
    )
    assert fit.model.freedom < 30 if heavy else fit.model.freedom == 30
    assert np.sqrt(np.mean((fit.mu - mu) ** 2)) < 0.35 / np.sqrt(24) * (1.5 if heavy else 1.25)
    places = np.zeros(4)
    expected = np.zeros(4)
    for cell, centre in zip(cells, fit.mu, strict=True):
        p = predict_classes(fit, cell.u, centre, cell.window)
        np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
        expected += p.sum(0) / 960
        signs = cell.side[cell.is_inside == 0]
        inside = cell.y[cell.is_inside]
        places += np.array(
            [
                (signs == BELOW).sum(),
                (inside <= 0).sum(),
                (inside > 0).sum(),
                (signs == ABOVE).sum(),
            ]
        )
    np.testing.assert_allclose(places / 960, expected, atol=0.03)


def correlation_of(sd, scatter, seeds=5):
    """Of residuals of 7 cells of 6 n by 5 seeds around their true lines."""
    world = World(sd=sd, scatter=scatter, steepness=2.0)
    labels = np.arange(30) % seeds if seeds else None
    cells, mu = thresholds_of(world, np.repeat(np.linspace(-0.7, 0.7, 6), 5), labels=labels)
    residuals = [cell.u + cell.y / 2 - centre for cell, centre in zip(cells, mu, strict=True)]
    return bound_correlation(cells, residuals), cells[0]


def test_trainings_with_one_seed_count_as_what_they_have_in_common():
    """r is 0.5 where half of the variance is the seed's; its bound is a little above the truth (35
    seeds: standard error 0.08)."""
    alone, cell = correlation_of(0.35, 0.0, seeds=0)
    assert alone == 0 and (weigh_trainings(cell, alone) == 1).all()
    assert correlation_of(0.0, 0.7)[0] < 0.25
    half, cell = correlation_of(0.25, 0.5)
    assert 0.4 < half < 0.8
    np.testing.assert_allclose(weigh_trainings(cell, 0.5), 1 / 3.5)
    same, cell = correlation_of(0.25, 1e-3)
    assert same > 0.95
    np.testing.assert_allclose(weigh_trainings(cell, 1.0), 1 / 6)


def kinds_of(trainings, eps=EPS):
    table = build_training_table(trainings, eps)
    cells = split_cells(table)
    chosen = choose_curves(table, cells)
    for d, choice in chosen.items():
        if choice.kind is Likelihood.BINARY:
            np.testing.assert_array_equal(
                choice.curve.values, likelihood_curve(cells[d]).values, "that of before"
            )
    return {d: choice.kind.value for d, choice in chosen.items()}


def sweep(seed=0, name="smooth, 16 fresh"):
    return draw_sweep(CASE[name], np.random.default_rng([9, seed]))


def jitter(risk):
    return risk * np.exp(0.15 * np.random.default_rng(4).normal(size=len(risk)))


def test_smooth_cells_are_found_and_said_in_the_table():
    found = fit_exponent(sweep(), EPS)
    assert found.nstar["likelihood"].value_counts()["smooth"] >= 6
    assert found.lo < 2 < found.hi and found.reason == ""


@pytest.mark.parametrize(
    ("change", "eps"),
    [
        (lambda t: t.assign(risk=np.where(t["risk"] <= EPS, 1e-4, 0.5)), EPS),
        (lambda t: t.assign(risk=np.where(t["risk"] <= EPS, 1e-4, 0.11)), EPS),
        (lambda t: t.assign(risk=np.where(t["risk"] <= EPS, 0.09, 0.11)), EPS),
        (lambda t: t.assign(risk=jitter(np.where(t["risk"] <= EPS, 0.04, 0.25))), EPS),
        (lambda t: t.assign(risk=t["risk"] * 8), 0.8),
        (lambda t: t.assign(kind="online", seed=t["seed"] % 4), EPS),
        (lambda t: t.assign(risk=t["risk"].where(t["seed"] % 2 > 0, 0.5)), EPS),
        (lambda t: t.groupby("d").head(7), EPS),
    ],
    ids=[
        "jump",
        "jump from eps",
        "two values",
        "near modes",
        "eps near 1",
        "online",
        "lapses",
        "few",
    ],
)
def test_where_the_size_of_risks_is_no_guide_all_cells_keep_the_binary_likelihood(change, eps):
    for seed in range(3):
        assert set(kinds_of(change(sweep(seed)), eps).values()) == {"binary"}


@pytest.mark.parametrize("name", ["jump", "smooth, 6 n x 5 shared seeds"])
def test_simulated_jumps_and_copied_seeds_keep_the_binary_likelihood(name):
    for seed in range(5):
        assert set(kinds_of(sweep(seed, name)).values()) == {"binary"}


def test_single_cells_fall_back_while_the_others_stay_smooth():
    """A censored one, one that jumps, and one whose slope is ten times that of the others."""
    rows = sweep(1)
    largest = rows["d"] == 64
    n_small = rows["n"].where(~largest, rows["n"] // 8)
    risk = rows["risk"] * 8.0**3
    cut = kinds_of(rows.assign(n=n_small, risk=rows["risk"].where(~largest, risk.clip(upper=2))))
    jump = kinds_of(
        rows.assign(
            risk=rows["risk"].where(~largest, np.where(rows["risk"] <= EPS, 1e-4, 0.5)),
        )
    )
    steep = kinds_of(
        rows.assign(risk=rows["risk"].where(~largest, EPS * (rows["risk"] / EPS) ** 10))
    )
    for kinds in (cut, jump, steep):
        assert kinds[64] == "binary" and list(kinds.values()).count("smooth") >= 5


def test_a_shape_that_most_cells_do_not_have_is_no_ground_for_the_others():
    rows = sweep(2)
    jumps = rows["d"] > 16
    rows["risk"] = rows["risk"].where(~jumps, np.where(rows["risk"] <= EPS, 1e-4, 0.5))
    assert set(kinds_of(rows).values()) == {"binary"}


@pytest.mark.parametrize(
    "name", ["smooth, 16 fresh", "smooth, 6 n x 5 labels, scatter of trainings"]
)
def test_smooth_risks_give_sharper_exponents_that_cover(name, is_exhaustive):
    """With τ = 0.15: median width at most 0.45 and 0.93 of the binary likelihood's, RMSE at most
    0.115 and smaller."""
    sweeps = 100 if is_exhaustive else 20
    row = compare(CASE[name], sweeps, seed=21)
    assert row["coverage after"] >= least_coverage(sweeps) and row["smooth"] > 0.9
    assert row["width after"] <= min(0.45, 0.93 * row["width before"])
    assert row["rmse after"] <= 0.115 and row["rmse after"] < row["rmse before"]


@pytest.mark.parametrize(
    "name",
    ["lapses .2", "heavy tails", "largest d censored", "knee, drifting"],
)
def test_risks_of_other_shapes_are_no_worse_off(name, is_exhaustive):
    """No wider than before and RMSE at most a tenth larger, on the same sweeps."""
    sweeps = 60 if is_exhaustive else 12
    row = compare(CASE[name], sweeps, seed=21)
    assert row["coverage after"] >= least_coverage(sweeps)
    assert row["width after"] <= 1.01 * row["width before"]
    assert row["rmse after"] <= 1.1 * row["rmse before"]


def test_intervals_of_single_cells_cover_and_are_sharper(is_exhaustive):
    """n* of seven cells per sweep: a tenth narrower in the median than the binary likelihood's."""
    hits, ratios = [], []
    for seed in range(40 if is_exhaustive else 8):
        rng = np.random.default_rng([22, seed])
        world = World()
        mu = dict(zip(world.d, world.draw(rng), strict=True))
        rows = [world.train(rng, d, mu[d], np.exp(mu[d] + np.linspace(-1, 1, 20))) for d in world.d]
        found = fit_exponent(pd.concat(rows), EPS).nstar
        plain = fit_exponent(
            pd.concat(rows).assign(risk=lambda t: np.where(t["risk"] <= EPS, 1e-3, 0.9)), EPS
        ).nstar
        truth = np.exp([mu[d] for d in found["d"]])
        hits += list((found["lo"] <= truth) & (truth <= found["hi"]))
        ratios += list(np.log(found["hi"] / found["lo"]) / np.log(plain["hi"] / plain["lo"]))
    assert np.mean(hits) >= least_coverage(len(hits)) and np.median(ratios) < 0.9


@pytest.mark.parametrize("shape", list(RiskShape))
def test_simulated_risks_cross_eps_at_their_threshold(shape):
    world = World(d=(16,), sd=0.0, shape=shape)
    rows = world.train(np.random.default_rng(0), 16, np.log(400), [100, 390, 410, 1600])
    assert (rows["risk"] > world.eps).tolist() == [True, True, False, False]
    assert rows["risk"].max() <= np.exp(2)


def test_the_benchmark_prints_before_and_after(capsys, monkeypatch):
    from benchmarks import estimators

    few: tuple[Case, ...] = (CASE["smooth, 16 fresh"], CASE["jump"])
    monkeypatch.setattr(estimators, "CASES", few)
    estimators.main(["--sweeps", "2"])
    printed = capsys.readouterr().out
    assert "width before" in printed and "width after" in printed and "jump" in printed
