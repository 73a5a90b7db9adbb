"""The one call for anyone's table: an oracle whose exponent is known, the example of the
documentation, and what the answer depends on."""

import re
import subprocess
import sys
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sweep_designs import EPS, simulate_trainings

import bfc.measure
from bfc.baselines.kernels import Polynomial
from bfc.errors import UserError
from bfc.stats.exponent_fit import NSTAR, fit_exponent
from bfc.stats.model_comparison import LOCAL, MODELS
from bfc.stats.simulation import World
from bfc.stats.verdict import Growth
from bfc.targets.parity import Parity

DOCS = Path(__file__).parents[1] / "docs"


def test_oracle_parity_of_degree_two():
    """Kernel (1 + x·z/d)⁴ and products of two signs: n* tends to a constant times C(d, 2), so the
    exponent is 2; the design measured 1.98 to 2.01 and 1.63. Eight seeds: sd(log n*) is .03 at d ≥
    16, and finite-d scatter of .1 makes the interval ±.24."""
    torch.set_num_threads(1)
    rows = []
    for d in (8, 11, 16, 23, 32):
        kernel = Polynomial(degree=4, ridge=1e-6, n_max=int(1.6 * d * d))
        for seed in range(8):
            curve = kernel.curve(Parity(d=d), seed, 512, {"ridge": 1e-6})
            rows.append(
                pd.DataFrame(
                    {
                        "d": d,
                        "n": curve.n,
                        "seed": seed,
                        "risk": curve.risk,
                        "kind": "curve",
                        "train_risk": None,
                    }
                )
            )
    fit = fit_exponent(pd.concat(rows, ignore_index=True), eps=0.25)
    assert 1.9 <= fit.exponent <= 2.1 and fit.lo < 2 < fit.hi < fit.lo + 0.7
    assert 1.9 <= fit.glm.exponent <= 2.1 and 1.9 <= fit.smooth.exponent <= 2.1
    ratio = fit.nstar["nstar"] / [comb(d, 2) for d in fit.nstar["d"]]
    np.testing.assert_allclose(ratio[2:], 1.63, rtol=0.1)
    assert (
        fit.growth.startswith("polynomial with exponent")
        and not fit.warnings
        and (fit.nstar["censored"] == "").all()
    )


def test_the_documented_example_runs_and_prints_what_is_documented(capsys, monkeypatch):
    """On a table made by scikit-learn; (d + 1)(d + 2)/2 coefficients: n* lies between 0.8 and 1.1
    of them."""
    monkeypatch.chdir(DOCS.parent)
    code, output = re.search(
        r"```python\n(.*?)```\n\n```output\n(.*?)\n```", (DOCS / "measurement.md").read_text(), re.S
    ).groups()
    space = {}
    exec(code, space)
    assert capsys.readouterr().out.strip() == output.strip()
    nstar = space["fit"].nstar
    assert (nstar["nstar"] / ((nstar["d"] + 1) * (nstar["d"] + 2) / 2)).between(0.8, 1.1).all()


def test_a_good_table():
    fit = fit_exponent(simulate_trainings(), EPS)
    assert (
        fit.reason == ""
        and fit.lo < 2 < fit.hi
        and fit.growth.startswith("polynomial with exponent")
    )
    assert (list(fit.nstar), list(fit.models), list(fit.local)) == (
        list(NSTAR),
        list(MODELS),
        list(LOCAL),
    )
    assert list(fit.nstar["d"]) == list(World.d) and fit.nstar["d"].dtype.kind == "i"
    assert fit.counts["used"] == fit.counts["trainings"] == 7 * 16
    assert fit.growth in str(fit) and "nstar" in str(fit)
    for regression in (fit.glm, fit.smooth):
        assert regression.lo < 2 < regression.hi and regression.reason == ""
    assert fit.tau[0] <= fit.tau[1] <= fit.tau[2] and 0.2 < fit.spread[1] < 0.6


def test_the_line_that_was_fitted_can_be_drawn():
    """The line runs through the exponent and the prefactor, its band holds the truth and is
    narrowest among the cells; without an exponent there is none."""
    fit = fit_exponent(simulate_trainings(), EPS)
    d = np.geomspace(4, 256, 13)
    line = fit.line(d)
    np.testing.assert_allclose(line["nstar"], fit.prefactor * d**fit.exponent, rtol=0.02)
    assert line["lo"].lt(1.6 * d**2).all() and line["hi"].gt(1.6 * d**2).all()
    width = np.log(line["hi"] / line["lo"])
    assert 16 <= d[width.argmin()] <= 36
    slope = np.log(fit.line([8.0, 64.0])["nstar"]).diff()[1] / np.log(8)
    assert slope == pytest.approx(fit.exponent, abs=0.01)
    without_exponent = fit_exponent(simulate_trainings().assign(risk=1.0), EPS)
    assert (
        np.isnan(without_exponent.prefactor)
        and without_exponent.line(d)[["nstar", "lo", "hi"]].isna().to_numpy().all()
    )


def test_the_answer_does_not_depend_on_order_labels_or_units():
    rows = simulate_trainings()
    fit = fit_exponent(rows, EPS)
    for variant in (
        rows.sample(frac=1, random_state=1),
        rows.assign(seed=[f"run {s}" for s in rows["seed"]]),
        rows.assign(n=rows["n"] * 50),
        rows.assign(d=rows["d"] * 3),
        rows.astype(str),
    ):
        fit_of_variant = fit_exponent(variant, EPS)
        np.testing.assert_allclose(
            [fit_of_variant.exponent, fit_of_variant.lo, fit_of_variant.hi],
            [fit.exponent, fit.lo, fit.hi],
            atol=2e-3,
        )


def test_several_eps_from_the_same_trainings():
    """Log risk falls by 3 per log n in the simulated sweeps, so log n* at ε/3 is log(3)/3 larger;
    the exponent stays. The standard error of log n* is about .12 for a cell and .06 for the mean of
    seven differences."""
    rows = simulate_trainings(per=40)
    rows["n"] *= 2
    loose, strict = (fit_exponent(rows, eps) for eps in (EPS, EPS / 3))
    shift = np.log(strict.nstar["nstar"] / loose.nstar["nstar"])
    assert abs(shift.mean() - np.log(3) / 3) < 0.2 and abs(strict.exponent - loose.exponent) < 0.2


def test_disagreeing_estimates_warn():
    """Risk that jumps (successes far below eps, failures just above) is not smooth in n: the mean
    log risk crosses eps elsewhere."""
    rows = simulate_trainings(per=40)
    rows["risk"] = np.where(rows["risk"] <= EPS, 1e-4, 0.11)
    fit = fit_exponent(rows, EPS)
    assert any("risk is not smooth in n" in warning for warning in fit.warnings)


def test_plateaus_far_beyond_do_not_bend_the_exponent():
    """Where the method never gets there, tested at 20 times n*, the other cells keep their say."""
    rows = simulate_trainings()
    stuck = rows[rows["d"] >= 45].assign(risk=0.6, outcome="plateau", n=lambda t: 20 * t["n"])
    fit = fit_exponent(pd.concat([rows[rows["d"] < 45].assign(outcome="data_limited"), stuck]), EPS)
    assert fit.lo < 2 < fit.hi and list(fit.nstar["outcome"].iloc[-2:]) == ["plateau"] * 2


def test_leaving_out_the_random_effect():
    full, fixed = (
        fit_exponent(simulate_trainings(world=World(tau=0.15)), EPS, random_effect=effect)
        for effect in (True, False)
    )
    assert (
        fixed.hi - fixed.lo < full.hi - full.lo
        and fixed.tau == (0, 0, 0)
        and fixed.growth != full.growth
    )


def test_the_library_call_is_where_the_documentation_says_and_costs_nothing_until_used() -> None:
    code = (
        "import sys, bfc.measure, bfc.measure.ladder; assert 'pandas' not in sys.modules; "
        "from bfc.measure import fit_exponent; assert 'pandas' in sys.modules; "
        "assert fit_exponent.__module__ == 'bfc.stats.exponent_fit'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'fit_exponents'"):
        bfc.measure.fit_exponents  # noqa: B018


def test_depth_takes_the_place_of_d_in_every_column_and_sentence():
    """The same trainings with their sizes called L: the same numbers, under another name."""
    rows = simulate_trainings()
    fit, deep = (
        fit_exponent(rows, EPS),
        fit_exponent(rows.rename(columns={"d": "L"}), EPS, axis="L"),
    )
    assert (deep.exponent, deep.lo, deep.hi, deep.rate) == (fit.exponent, fit.lo, fit.hi, fit.rate)
    assert list(deep.nstar) == ["L", *NSTAR[1:]] and list(deep.local)[:2] == ["L_lo", "L_hi"]
    pd.testing.assert_frame_equal(deep.local, fit.local.set_axis(deep.local.columns, axis=1))
    assert list(deep.line([2, 4])) == ["L", "nstar", "lo", "hi"]
    assert "log L" in deep.models["formula"][0] and "log d" not in deep.growth + str(deep)
    one = fit_exponent(rows[rows["d"] == 8].rename(columns={"d": "L"}), EPS, axis="L")
    assert one.reason == "no exponent: one L"
    assert one.glm.reason.endswith(" L") and one.smooth.reason.endswith(" L")
    with pytest.raises(UserError, match="axis=m: must be d or L"):
        fit_exponent(rows, EPS, axis="m")
    with pytest.raises(UserError, match="no column L"):
        fit_exponent(rows, EPS, axis="L")


def test_an_exponential_law_in_depth_has_its_rate_and_is_told_from_a_power():
    """n* = 20 · 3^L for L = 2 ... 7."""
    rng = np.random.default_rng(1)
    world = World(d=tuple(range(2, 8)), sd=0.2)
    parts = []
    for L in world.d:
        mu = np.log(20) + L * np.log(3)
        n = np.rint(np.exp(mu + np.linspace(-0.6, 0.6, 32)))
        parts.append(world.train(rng, L, mu, n).rename(columns={"d": "L"}))
    trainings = pd.concat(parts, ignore_index=True)
    fit = fit_exponent(trainings, EPS, axis="L")
    value, lo, hi = fit.rate
    assert lo < np.log(3) < hi and value == pytest.approx(np.log(3), abs=0.1)
    assert fit.verdict.growth is Growth.FASTER and "largest L better" in fit.growth
    doubled = fit_exponent(trainings.assign(d=2 ** trainings["L"]), EPS)
    assert doubled.exponent == pytest.approx(np.log2(3), abs=0.1)
    drifting = fit_exponent(trainings.assign(d=2 ** trainings["L"]), EPS, axis="L")
    assert "input dimension d change along L" in drifting.warnings[0]
