"""The one call for anyone's table: an oracle whose exponent is known, the example of the
documentation, and every kind of bad table, each of which must give a sentence and neither an
exception nor a number without support."""

import re
import subprocess
import sys
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import bfc.measure
from bfc.baselines.kernels import Polynomial
from bfc.errors import UserError
from bfc.stats.exponent_fit import NSTAR, fit_exponent
from bfc.stats.model_comparison import LOCAL, MODELS
from bfc.stats.simulation import World
from bfc.stats.verdict import Growth
from bfc.targets.parity import Parity

EPS = 0.1
DOCS = Path(__file__).parents[1] / "docs"


def sweep(seed=0, world=None, per=16):
    rng, world = np.random.default_rng(seed), world or World()
    return pd.concat(
        [
            world.train(
                rng,
                d,
                mu,
                np.rint(np.exp(np.log(1.6) + 2 * np.log(d) + np.linspace(-0.8, 0.8, per))),
            )
            for d, mu in zip(world.d, world.draw(rng), strict=True)
        ],
        ignore_index=True,
    )


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
        r"```python\n(.*?)```\n\n```text\n(.*?)\n```", (DOCS / "measurement.md").read_text(), re.S
    ).groups()
    space = {}
    exec(code, space)
    assert capsys.readouterr().out.strip() == output.strip()
    nstar = space["fit"].nstar
    assert (nstar["nstar"] / ((nstar["d"] + 1) * (nstar["d"] + 2) / 2)).between(0.8, 1.1).all()


def test_a_good_table():
    fit = fit_exponent(sweep(), EPS)
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
    fit = fit_exponent(sweep(), EPS)
    d = np.geomspace(4, 256, 13)
    line = fit.line(d)
    np.testing.assert_allclose(line["nstar"], fit.prefactor * d**fit.exponent, rtol=0.02)
    assert line["lo"].lt(1.6 * d**2).all() and line["hi"].gt(1.6 * d**2).all()
    width = np.log(line["hi"] / line["lo"])
    assert 16 <= d[width.argmin()] <= 36
    slope = np.log(fit.line([8.0, 64.0])["nstar"]).diff()[1] / np.log(8)
    assert slope == pytest.approx(fit.exponent, abs=0.01)
    without_exponent = fit_exponent(sweep().assign(risk=1.0), EPS)
    assert (
        np.isnan(without_exponent.prefactor)
        and without_exponent.line(d)[["nstar", "lo", "hi"]].isna().to_numpy().all()
    )


def test_the_answer_does_not_depend_on_order_labels_or_units():
    rows = sweep()
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
    rows = sweep(per=40)
    rows["n"] *= 2
    loose, strict = (fit_exponent(rows, eps) for eps in (EPS, EPS / 3))
    shift = np.log(strict.nstar["nstar"] / loose.nstar["nstar"])
    assert abs(shift.mean() - np.log(3) / 3) < 0.2 and abs(strict.exponent - loose.exponent) < 0.2


BAD = {
    "no columns": (lambda t: pd.DataFrame(), "no trainings", 0),
    "no rows": (lambda t: t.iloc[:0], "no trainings", 0),
    "all fail": (lambda t: t.assign(risk=1.0), "no training reaches eps at any d", 7),
    "all plateau": (
        lambda t: t.assign(risk=1.0, outcome="plateau"),
        "no training reaches eps at any d (plateau)",
        7,
    ),
    "all unfinished": (
        lambda t: t.assign(risk=1.0, outcome="optimisation_limited"),
        "all 112 trainings are optimisation-limited",
        7,
    ),
    "all succeed": (lambda t: t.assign(risk=0.0), "every training reaches eps", 7),
    "no risk": (lambda t: t.assign(risk=np.nan), "no training reaches eps at any d (diverged)", 7),
    "one d": (lambda t: t[t["d"] == 8], "one d", 1),
    "negative n": (lambda t: t.assign(n=-t["n"]), "no trainings", 0),
    "no n": (lambda t: t.assign(n=np.nan), "no trainings", 0),
    "no d": (lambda t: t.assign(d=np.nan), "no trainings", 0),
    "negative d": (lambda t: t.assign(d=-t["d"]), "no trainings", 0),
    "no seed": (lambda t: t.assign(seed=None), "no trainings", 0),
    "infinite n": (lambda t: t.assign(n=np.inf), "no trainings", 0),
    "only probes": (lambda t: t.assign(kind="confirmation"), "no trainings", 0),
    "n far too small but at one d": (
        lambda t: t.assign(risk=t["risk"].where(t["d"] == 8, 1.0)),
        "one side only: it is above",
        7,
    ),
    "one training": (lambda t: t.iloc[:1], "no exponent", 1),
    "one training per d": (lambda t: t.drop_duplicates("d"), "no exponent", 7),
}


@pytest.mark.parametrize("name", BAD)
def test_a_table_that_supports_no_number_gives_a_sentence(name):
    change, reason, rows = BAD[name]
    fit = fit_exponent(change(sweep()), EPS)
    assert np.isnan(fit.exponent) and reason in fit.reason and fit.growth.endswith(fit.reason)
    assert not (np.isfinite(fit.lo) and np.isfinite(fit.hi))
    assert len(fit.nstar) == rows and (list(fit.models), list(fit.local)) == (
        list(MODELS),
        list(LOCAL),
    )
    assert np.isnan(fit.glm.exponent) or name.startswith("n far")
    assert np.isnan(fit.smooth.exponent) and str(fit)
    open_ended = fit.nstar["censored"] != ""
    assert (
        fit.nstar.loc[open_ended, "lo"].eq(0) | fit.nstar.loc[open_ended, "hi"].eq(np.inf)
    ).all()


def test_random_tables_never_raise_and_never_give_half_a_number():
    """40 small tables of odd values and optional columns."""
    rng = np.random.default_rng(0)
    optional = {
        "outcome": [
            "success",
            "plateau",
            "data_limited",
            "optimisation_limited",
            "diverged",
            "Optimization-limited",
            None,
        ],
        "kind": ["training", "probe", "curve", "online"],
        "train_risk": [0, 0.05, 0.3, np.nan],
        "fresh": [True, False, None],
        "diverged": [True, False, None],
    }
    num_with_exponent = 0
    for _ in range(40):
        size = int(rng.integers(1, 60))
        rows = pd.DataFrame(
            {
                "d": rng.choice([1, 2, 3, 4, 8, 16, 32, 1e6, 0.5], size),
                "seed": rng.integers(0, rng.choice([2, 10, 99]), size),
                "n": rng.choice([1, 2, 3, 10, 20, 50, 100, 1e5, 1e12, -1, 0, np.nan, 7.5], size),
                "risk": rng.choice(
                    [0, 0.01, 0.05, 0.0999, 0.1, 0.2, 0.9, 1, 50, np.nan, np.inf, -0.1], size
                ),
            }
        )
        rows = rows.assign(
            **{
                name: rng.choice(values, size)
                for name, values in optional.items()
                if rng.random() < 0.3
            }
        )
        fit = fit_exponent(rows, EPS)
        num_with_exponent += np.isfinite(fit.exponent)
        assert str(fit) and np.isfinite(fit.exponent) == (fit.reason == "")
        assert np.isnan(fit.exponent) or -np.inf < fit.lo <= fit.exponent <= fit.hi < np.inf
    assert 0 < num_with_exponent < 38


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: pd.concat([t, t]), "112 rows repeated (the last of equal d, n, seed counts)"),
        (lambda t: pd.concat([t, t.iloc[:3].assign(n=-5)]), "3 rows with n <= 0, left out"),
        (
            lambda t: pd.concat([t, t.iloc[:2].assign(seed=[900, 901], risk=np.nan)]),
            "2 rows without risk, counted as failures",
        ),
        (
            lambda t: pd.concat([t, t.iloc[:2].assign(seed=[900, 901], diverged=True)]),
            "2 diverged trainings count as failures",
        ),
        (
            lambda t: pd.concat(
                [t, t.iloc[:2].assign(seed=[900, 901], risk=1.0, outcome="optimisation_limited")]
            ),
            "2 trainings are optimisation-limited",
        ),
        (
            lambda t: t.assign(
                risk=t["risk"].where(t["d"] < 64, 1.0),
                outcome=np.where(t["d"] < 64, "data_limited", "optimisation_limited"),
            ),
            "16 optimisation-limited trainings left out",
        ),
        (
            lambda t: t.assign(risk=t["risk"].where(t["d"] < 64, 1.0)),
            "d=64: n* is above the largest n",
        ),
        (
            lambda t: t.assign(risk=t["risk"].where(t["d"] > 8, 0.0)),
            "d=8: n* is below the smallest n",
        ),
        (
            lambda t: t.assign(risk=t["risk"].where(t["d"] < 45, 1.0), outcome="plateau"),
            "d=45, 64: never by this method (plateau)",
        ),
        (
            lambda t: t.assign(risk=t["risk"].where(t["d"] != 23, np.nan)),
            "d=23: no success and no sign of a lack of data (diverged)",
        ),
        (
            lambda t: pd.concat(
                [t, t.assign(n=50 * t["n"], seed=t["seed"] + 900, risk=np.tile([1.0, 0.0], 56))]
            ),
            "more than the lapses",
        ),
    ],
)
def test_what_is_odd_about_a_usable_table_is_said(change, sentence):
    """And the exponent survives, since each of these leaves five good d at least."""
    fit = fit_exponent(change(sweep()), EPS)
    assert any(sentence in warning for warning in fit.warnings), fit.warnings
    assert np.isfinite(fit.exponent)
    if "lapses" not in sentence:
        assert fit.lo < 2 < fit.hi


def test_disagreeing_estimates_warn():
    """Risk that jumps (successes far below eps, failures just above) is not smooth in n: the mean
    log risk crosses eps elsewhere."""
    rows = sweep(per=40)
    rows["risk"] = np.where(rows["risk"] <= EPS, 1e-4, 0.11)
    fit = fit_exponent(rows, EPS)
    assert any("risk is not smooth in n" in warning for warning in fit.warnings)


def test_plateaus_far_beyond_do_not_bend_the_exponent():
    """Where the method never gets there, tested at 20 times n*, the other cells keep their say."""
    rows = sweep()
    stuck = rows[rows["d"] >= 45].assign(risk=0.6, outcome="plateau", n=lambda t: 20 * t["n"])
    fit = fit_exponent(pd.concat([rows[rows["d"] < 45].assign(outcome="data_limited"), stuck]), EPS)
    assert fit.lo < 2 < fit.hi and list(fit.nstar["outcome"].iloc[-2:]) == ["plateau"] * 2


def test_leaving_out_the_random_effect():
    full, fixed = (
        fit_exponent(sweep(world=World(tau=0.15)), EPS, random_effect=effect)
        for effect in (True, False)
    )
    assert (
        fixed.hi - fixed.lo < full.hi - full.lo
        and fixed.tau == (0, 0, 0)
        and fixed.growth != full.growth
    )


@pytest.mark.parametrize(
    ("trainings", "eps", "message"),
    [
        (sweep().drop(columns="d"), EPS, "no column d"),
        (sweep().drop(columns="risk"), EPS, "no column risk"),
        (sweep(), 0, "eps=0"),
        (sweep(), None, "eps=None"),
        ([1, 2], EPS, "trainings=list"),
        (sweep(), np.inf, "eps=inf"),
        (sweep(), [EPS, 0.2], "eps=.*must be one positive number"),
        (pd.concat([sweep(), sweep()[["d"]]], axis=1), EPS, "more than one column d"),
        (sweep().assign(seed=[[0]] * 112), EPS, "column seed holds values"),
        (sweep().assign(risk=1j), EPS, "column risk is of type complex"),
        (sweep().assign(n="many"), EPS, "n=many in row 0 .and in 111 more rows.: must be a number"),
        (sweep().assign(n=pd.Timestamp("2020-01-01")), EPS, "column n is of type datetime"),
    ],
)
def test_unusable_arguments_are_refused_in_a_sentence(trainings, eps, message):
    with pytest.raises(UserError, match=message):
        fit_exponent(trainings, eps)


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
    rows = sweep()
    fit, deep = (
        fit_exponent(rows, EPS),
        fit_exponent(rows.rename(columns={"d": "L"}), EPS, axis="L"),
    )
    assert (deep.exponent, deep.lo, deep.hi, deep.rate) == (fit.exponent, fit.lo, fit.hi, fit.rate)
    assert list(deep.nstar) == ["L", *NSTAR[1:]] and list(deep.local)[:2] == ["L_lo", "L_hi"]
    assert list(deep.line([2, 4])) == ["L", "nstar", "lo", "hi"]
    assert "log L" in deep.models["formula"][0] and "log d" not in deep.growth + str(deep)
    one = fit_exponent(rows[rows["d"] == 8].rename(columns={"d": "L"}), EPS, axis="L")
    assert one.reason == "no exponent: one L"
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
