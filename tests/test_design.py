"""The densities that place trainings: the prediction of the next d covers, trainings narrow it, and
sample sizes lie where it says; and the benchmark of procedures, which uses them.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats
from simulated_coverage import least_coverage
from sweep_designs import EPS, centred, spread_n

from bfc.errors import UserError
from bfc.stats.design import (
    Density,
    choose_sample_sizes,
    normalise_density,
    predict_density,
    update_density,
    wide_density,
)
from bfc.stats.simulation import World


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
