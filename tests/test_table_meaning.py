"""Tables that cannot mean what they seem to: scores for risks, several methods or settings."""

import numpy as np
import pandas as pd
import pytest
from example_table import CLEAN, EPS, read

import bfc
from bfc.errors import UserError
from bfc.stats.fit_warnings import find_table_warnings
from bfc.stats.messages import describe_warning
from bfc.stats.table_checks import check_sweep
from bfc.stats.training_table import build_training_table

PLAIN = CLEAN[["d", "n", "seed", "risk"]]
SCORES = {
    "accuracy": lambda risk: 1 - risk,
    "percent": lambda risk: 100 * (1 - risk),
    "accuracy of a hard problem": lambda risk: 0.5 + 0.3 * (1 - risk),
}


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("eps", [0.1, 0.5])
def test_a_score_in_place_of_a_risk_is_no_fact_about_n(name, eps):
    scores = PLAIN.assign(risk=SCORES[name](PLAIN["risk"]))
    fit = bfc.fit_exponent(scores, eps)
    assert "risk rises with n, as a score would" in fit.reason and np.isnan(fit.exponent)
    assert fit.nstar["nstar"].isna().all() and set(fit.nstar["outcome"]) == {"risk_rises"}
    assert "the largest n" not in str(fit) and "the smallest n" not in str(fit)
    with pytest.warns(UserWarning, match="risk rises with n"):
        assert str(bfc.nstar(scores[scores["d"] == 8], eps)) == "unknown (risk_rises)"


def test_one_d_whose_risk_rises_is_left_out():
    """The exponent is that of the others, and the reader is told."""
    broken = PLAIN.assign(risk=PLAIN["risk"].where(PLAIN["d"] != 16, 1 - PLAIN["risk"]))
    fit, rest = bfc.fit_exponent(broken, EPS), bfc.fit_exponent(PLAIN[PLAIN["d"] != 16], EPS)
    assert (fit.exponent, fit.lo, fit.hi) == (rest.exponent, rest.lo, rest.hi)
    assert any(warning.startswith("d=16: risk rises with n") for warning in fit.warnings)


@pytest.mark.parametrize("score", ["R2", "log risk"])
def test_scores_and_logarithms_below_zero_are_refused(score):
    values = 1 - 3 * PLAIN["risk"] if score == "R2" else np.log10(PLAIN["risk"])
    with pytest.raises(UserError, match=r"risk=-.* in row \d+: must be a relative risk"):
        bfc.fit_exponent(PLAIN.assign(risk=values), EPS)


def test_risks_slightly_below_zero_are_successes():
    """A subtracted noise floor puts the best trainings below zero."""
    floored = PLAIN.assign(risk=PLAIN["risk"].where(PLAIN["risk"] > 0.02, PLAIN["risk"] - 0.02))
    num_negative = int((floored["risk"] < 0).sum())
    assert num_negative > 20
    arrays, warnings = read(floored)
    np.testing.assert_array_equal(arrays.success, read(PLAIN)[0].success)
    assert warnings == [f"{num_negative} rows with a risk slightly below 0, counted as 0"]
    noisy = build_training_table(floored, 0.01)
    sentences = [describe_warning(warning) for warning in find_table_warnings(noisy)]
    assert any("have more noise than eps=0.01" in sentence for sentence in sentences)


@pytest.mark.parametrize("column", ["method", "target"])
def test_several_methods_are_refused(column):
    table = PLAIN.assign(**{column: np.where(PLAIN["seed"] < 3, "staged", "layerwise")})
    for call in (
        lambda: bfc.fit_exponent(table, EPS),
        lambda: bfc.nstar(table[table["d"] == 8], EPS),
    ):
        with pytest.raises(UserError, match=rf"several values of {column} \(layerwise, staged\)"):
            call()


@pytest.mark.parametrize(
    "move",
    [
        lambda t: t.set_index("method"),
        lambda t: t.set_index(["method", "d", "seed"]),
        lambda t: t.rename(columns={"method": " Method"}),
        lambda t: t.rename(columns={"method": "METHOD"}).set_index("METHOD"),
    ],
)
def test_several_methods_are_refused_wherever_they_stand(move):
    table = PLAIN.assign(method=np.where(PLAIN["seed"] < 3, "staged", "layerwise"))
    with pytest.raises(UserError, match=r"several values of method \(layerwise, staged\)"):
        bfc.fit_exponent(move(table), EPS)


def test_settings_in_the_index_are_said():
    """A named level, or the keys of ``pd.concat``, which have no name."""
    few, many = PLAIN[PLAIN["seed"] < 3], PLAIN[PLAIN["seed"] >= 3]
    named = pd.concat({0.1: few, 0.01: many}, names=["lr", "row"])
    keys = pd.concat({"slow": few, "fast": many})
    for table, column in ((named, "lr"), (keys, "index 0")):
        warnings = [describe_warning(notice) for notice in check_sweep(table)[1]]
        assert len(warnings) == 1
        assert f"column {column} takes several values at d=8" in warnings[0]


@pytest.mark.parametrize(
    "values",
    [
        lambda seed: np.where(seed < 3, 0.1, 0.01),
        lambda seed: np.where(seed < 3, "adam", "sgd"),
        lambda seed: [[16, 4] if s < 3 else [32] for s in seed],
    ],
)
def test_settings_that_vary_at_one_d_are_said(values):
    table = PLAIN.assign(setting=values(PLAIN["seed"]))
    fit = bfc.fit_exponent(table, EPS)
    said = [warning for warning in fit.warnings if "column setting takes several values" in warning]
    assert len(said) == 1 and "at d=8" in said[0]
    with pytest.warns(UserWarning, match="column setting takes several values"):
        bfc.nstar(table[table["d"] == 8], EPS)


def test_settings_that_follow_d_are_said_and_measurements_are_not():
    rng = np.random.default_rng(1)
    table = PLAIN.assign(
        width=4 * PLAIN["d"],
        norm=rng.random(len(PLAIN)),
        log_n=np.log(PLAIN["n"]),
        name=[f"run {seed}" for seed in PLAIN["seed"]],
        note="x",
        lr=0.01,
    )
    fit, plain = bfc.fit_exponent(table, EPS), bfc.fit_exponent(PLAIN, EPS)
    new = [warning for warning in fit.warnings if warning not in plain.warnings]
    assert len(new) == 1 and new[0].startswith("width change along d")
    assert (fit.exponent, fit.lo, fit.hi) == (plain.exponent, plain.lo, plain.hi)


def test_the_line_is_drawn_at_one_d_or_several():
    fit = bfc.fit_exponent(PLAIN, EPS)
    pd.testing.assert_frame_equal(fit.line(8), fit.line([8.0]))
    pd.testing.assert_frame_equal(fit.line(PLAIN["d"].drop_duplicates()), fit.line((8, 12, 16, 24)))
    for bad in (0, -1, [8, 0], "8", None, [], np.nan, [[8]], np.inf):
        with pytest.raises(UserError, match=r"^d=.*must be a positive number, or a list"):
            fit.line(bad)
    with pytest.raises(UserError, match=r"^random_effect=no: must be True or False"):
        bfc.fit_exponent(PLAIN, EPS, random_effect="no")
