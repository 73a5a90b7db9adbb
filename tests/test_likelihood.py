"""The likelihood of one cell: what becomes an interval, how every outcome counts, and the curve
against brute force, psignifit (a fitter of psychometric functions), lifelines (interval censoring)
and isotonic regression.

Random numbers have fixed seeds; each tolerance says how many standard errors it is.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from simulated_cells import EPS, INF, MU, one_cell, table
from sklearn.isotonic import IsotonicRegression

from bfc.stats.cell_counts import CellCounts, split_cells
from bfc.stats.likelihood import GUESS, LAPSES, PRIOR, SPREADS, density_quantiles, likelihood_curve
from bfc.stats.nstar import estimate, summarise_cell
from bfc.stats.outcomes import classify_rows, learning_threshold_of_rows
from bfc.stats.training_table import build_training_table


def ladder(letters, seed=0):
    """One seed at n = 2, 4, 8 ...: S succeeds, F fails."""
    return [
        (2 ** (i + 1), seed, 0.01 if letter == "S" else 0.5) for i, letter in enumerate(letters)
    ]


def only_cell(trainings, eps=EPS):
    (cell,) = split_cells(build_training_table(trainings, eps)).values()
    return cell


def intervals(trainings, eps=EPS):
    """Intervals as powers of two."""
    cell = only_cell(trainings, eps)
    return [
        tuple(round(float(end) / np.log(2), 9) for end in pair)
        for pair in zip(cell.lo, cell.hi, strict=True)
    ]


@pytest.mark.parametrize(
    ("letters", "want"),
    [
        ("S", (-INF, 1)),
        ("F", (1, INF)),
        ("FFSS", (2, 3)),
        ("SSSS", (-INF, 1)),
        ("FFFF", (4, INF)),
        ("FFSF", (2, INF)),
        ("FFSFS", (2, 5)),
        ("FSFSS", (1, 4)),
        ("FFSFF", (5, INF)),
        ("SFSSS", (-INF, 3)),
        ("SFFF", (4, INF)),
    ],
)
def test_one_seed_gives_one_interval_at_the_split_with_the_fewest_errors(letters, want):
    assert intervals(table(*ladder(letters))) == [want]


@pytest.mark.parametrize(
    ("letters", "want"),
    [
        ("FFSS", (2, 3)),
        ("FSFSS", (3, 4)),
        ("FSFF", (4, INF)),
        ("FFFS", (3, INF)),
        ("SSFF", (-INF, 1)),
        ("FFFF", (4, INF)),
    ],
)
def test_an_online_run_passes_where_two_looks_agree(letters, want):
    for columns in ({"kind": "online"}, {"kind": "curve", "fresh": True}):
        assert intervals(table(*ladder(letters), **columns)) == [want]
    stuck = table(
        *ladder(letters), kind="curve", fresh=True, outcome="optimisation_limited", train_risk=0.5
    )
    assert intervals(stuck) == [want], "looks on the way are never left out"


def test_a_seed_that_says_nothing_is_dropped_and_seeds_keep_apart():
    assert intervals(table(*ladder("SF"))) == []  # equally well never and always
    assert intervals(table((2, 0, 0.5), (4, 1, 0.01), (8, 2, 0.5))) == [
        (1, INF),
        (-INF, 2),
        (3, INF),
    ]


def test_failures_are_judged_as_outcomes_judges_them():
    """Random small cells, with and without confirming runs, at three eps: the vectorised rules
    equal bfc.stats.outcomes."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        rows = [
            {
                "kind": "training",
                "n": int(rng.choice([8, 16, 32, 64])),
                "seed": i,
                "train_risk": rng.choice([0.01, 0.05, 0.2, 0.6]),
                "risk": rng.choice([0.01, 0.05, 0.2, 0.6, np.nan]),
                "diverged": bool(rng.random() < 0.1),
            }
            for i in range(rng.integers(1, 20))
        ]
        rows += [
            {
                "kind": "confirmation",
                "n": 999,
                "seed": i,
                "risk": rng.choice([0.01, 0.6]),
                "train_risk": 0.1,
                "diverged": False,
            }
            for i in range(rng.integers(0, 4))
        ]
        for eps in (0.02, 0.1, 0.3):
            confirming = [row["risk"] for row in rows if row["kind"] == "confirmation"]
            threshold = learning_threshold_of_rows(rows, eps)
            trainings = [row for row in rows if row["kind"] != "confirmation"]
            expected = classify_rows(trainings, eps, confirming, threshold)
            assert build_training_table(pd.DataFrame(rows), eps).outcome.tolist() == expected


def test_every_outcome_counts_as_it_should():
    rows = table((8, 0, 0.5), (16, 1, 0.5), (32, 2, 0.5), (64, 3, np.nan), (64, 4, 0.01))
    rows["outcome"] = ["data_limited", "optimisation_limited", "plateau", "diverged", "success"]
    cell = only_cell(rows)
    assert (cell.succeeded, cell.failed, cell.excluded, cell.seeds) == (1, 3, 1, 4)
    assert intervals(rows) == [(3, INF), (5, INF), (6, INF), (-INF, 6)]
    assert summarise_cell(rows, EPS).failures == {"diverged": 1} and not cell.is_informative
    learned = pd.concat([rows, table((64, 5, 0.01), (64, 6, 0.01), outcome="success")])
    cell = only_cell(learned)
    assert (cell.succeeded, cell.failed, cell.excluded) == (3, 4, 0) and cell.is_informative, (
        "where others succeed, it is a failure too"
    )
    assert intervals(learned) == [(3, INF), (4, INF), (5, INF), (6, INF), *[(-INF, 6)] * 3]
    assert intervals(rows.assign(risk=0.2, outcome="success"), 0.3) == [
        (-INF, 3),
        (-INF, 4),
        (-INF, 5),
        (-INF, 6),
        (-INF, 6),
    ]


def test_the_stored_outcome_is_no_verdict_at_another_eps():
    """Outcomes are judged at the strictest eps; at a looser one a success is a success."""
    rows = table((8, 0, 0.2), (16, 1, 0.02), outcome="optimisation_limited")
    assert only_cell(rows, 0.25).succeeded == 2 and only_cell(rows, 0.25).excluded == 0
    assert only_cell(rows, 0.01).excluded == 2
    fitted = table((8, 0, 0.2), (16, 1, 0.5), outcome="optimisation_limited", train_risk=0.05)
    assert only_cell(fitted, 0.1).failed == 2, "the train risk is below this eps: data-limited"


@pytest.mark.parametrize(
    ("names", "is_informative"),
    [
        (["plateau", "plateau"], False),
        (["diverged", "plateau"], False),
        (["plateau", "data_limited"], True),
        (["unjudged"], True),
    ],
)
def test_cells_without_success_bear_on_data_only_if_a_failure_may_be_a_lack_of_data(
    names, is_informative
):
    cell = only_cell(table(*[(64, i, 0.5) for i in range(len(names))], outcome=names))
    assert cell.is_informative is is_informative
    assert not only_cell(table((64, 0, 0.5), (64, 1, 0.01), outcome="plateau")).is_informative, (
        "a lucky one"
    )
    assert only_cell(
        table((64, 0, 0.5), *[(64, i, 0.01) for i in (1, 2, 3)], outcome="plateau")
    ).is_informative


def test_a_lucky_training_brackets_nothing_beyond_the_grid():
    """One success in 32, at the largest n but one: n* lies above the largest n, from where on the
    data say nothing, whatever the failures are; among plateaus such a cell does not bear on the
    exponent."""
    n = np.repeat(np.geomspace(32, 512, 8).round(), 4)
    rows = table(*[(x, i, 0.01 if i == 27 else 0.5) for i, x in enumerate(n)])
    for outcome, is_informative in (("data_limited", True), ("plateau", False)):
        (row,) = estimate(rows.assign(outcome=outcome), [EPS]).to_dict("records")
        assert (row["nstar"], row["hi"], row["censored"], row["outcome"]) == (
            512,
            INF,
            "right",
            outcome,
        ) and 200 < row["lo"] <= 512
        assert only_cell(rows.assign(outcome=outcome)).is_informative is is_informative
    (row,) = estimate(rows.assign(risk=0.51 - rows["risk"]), [EPS]).to_dict("records")
    assert (row["nstar"], row["lo"], row["censored"]) == (32, 0, "left") and 32 <= row["hi"] < 100


def test_the_curve_is_the_sum_of_log_probabilities():
    """Against scipy.stats, at every node and a few places, far tails included: one-sided and
    two-sided data together."""
    cell = CellCounts(
        np.array([-INF, 4.0, 4.5, 4.5]), np.array([5.0, INF, 5.0, 5.0]), (55.0, 148.0), 1, 3, 0, {}
    )
    curve = likelihood_curve(cell)
    values = curve.values.reshape(len(curve.mu), len(SPREADS), len(LAPSES))
    for i in range(0, len(curve.mu), 40):
        for j, s in enumerate(SPREADS):
            for k, lapse in enumerate(LAPSES):
                law = stats.norm(curve.mu[i], s)
                in_law = 1 - GUESS - lapse
                between = (
                    law.cdf(5.0) - law.cdf(4.5) if curve.mu[i] > 4.75 else law.sf(4.5) - law.sf(5.0)
                )
                probabilities = [
                    GUESS + in_law * law.cdf(5.0),
                    lapse + in_law * law.sf(4.0),
                    in_law * between,
                    in_law * between,
                ]
                np.testing.assert_allclose(
                    values[i, j, k],
                    np.log(np.maximum(probabilities, 1e-12)).sum(),
                    rtol=1e-9,
                    atol=1e-9,
                )


def test_cells_that_never_or_always_succeed_are_monotone_curves():
    n = np.geomspace(32, 512, 9)
    never, always = (
        likelihood_curve(only_cell(table(*[(x, i, risk) for i, x in enumerate(n)])))
        for risk in (0.5, 0.01)
    )
    assert (np.diff(never.values, axis=0) >= -1e-9).all() and (
        np.diff(always.values, axis=0) <= 1e-9
    ).all()
    assert never.bounded == (True, False) and always.bounded == (False, True)


def test_against_psignifit():
    """Five n, 40 trainings each, 2 % lapses: the same threshold within 0.2 standard errors and the
    same width of interval within 15 %; the priors of the spread differ and here lapses are averaged
    over 0 to 5 %, so they need not agree better."""
    import psignifit

    rng = np.random.default_rng(1)
    levels = np.rint(np.exp(MU + np.array([-0.6, -0.3, 0.0, 0.3, 0.6])))
    rows = one_cell(rng, np.repeat(levels, 40))
    counts = [
        [np.log(n), int((rows_of_n["risk"] <= EPS).sum()), len(rows_of_n)]
        for n, rows_of_n in rows.groupby("n")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = psignifit.psignifit(
            np.array(counts, float),
            experiment_type="yes/no",
            sigmoid="norm",
            fixed_parameters={"gamma": GUESS, "eta": 1e-8, "lambda": 0.02},
        )
        lo, hi = peer.confidence_intervals["threshold"]["0.95"]
        threshold = peer.parameter_estimate["threshold"]
    (row,) = estimate(rows, [EPS]).to_dict("records")
    error = (hi - lo) / 3.92
    assert abs(np.log(row["nstar"]) - threshold) < 0.2 * error
    assert 0.85 < np.log(row["hi"] / row["lo"]) / (hi - lo) < 1.15


@pytest.mark.parametrize("case", range(3))
def test_against_lifelines(case):
    """Intervals of all kinds: the same place of the maximum within 0.1 standard errors and the same
    largest log likelihood; what remains is γ, the grid of s (a quadratic through its three best
    nodes) and of μ."""
    stored = json.loads((Path(__file__).parent / "data" / "lifelines.json").read_text())["cases"][
        case
    ]
    lo, hi = (
        np.array([sign * INF if x is None else x for x in stored[end]])
        for end, sign in (("lo", -1), ("hi", 1))
    )
    curve = likelihood_curve(CellCounts(lo, hi, (1.0, 1000.0), 1, 1, 0, {}))
    values = curve.values.reshape(len(curve.mu), len(SPREADS), len(LAPSES))[:, :, 0]
    near = np.abs(np.log(SPREADS / stored["sigma"])).argmin()
    assert abs(curve.mu[values[:, near].argmax()] - stored["mu"]) < 0.1 * stored["mu_se"]
    best = values.max(0)[near - 1 : near + 2]
    a, b, c = np.polyfit([-1, 0, 1], best, 2)
    assert abs(c - b * b / (4 * a) - stored["log_likelihood"]) < 0.3


def test_the_shape_agrees_with_isotonic_regression():
    """Nine n, 60 trainings each: the fitted psychometric function stays within 3 standard errors
    (0.5/√60 = 0.065) of the best monotone one, which assumes no shape."""
    rng = np.random.default_rng(2)
    u = np.repeat(MU + np.linspace(-0.9, 0.9, 9), 60)
    rows = one_cell(rng, np.rint(np.exp(u)))
    curve = likelihood_curve(only_cell(rows))
    place, node = np.unravel_index((curve.values + PRIOR).argmax(), curve.values.shape)
    s, lapse = SPREADS[node // len(LAPSES)], LAPSES[node % len(LAPSES)]
    levels = np.log(np.unique(rows["n"]))
    model = GUESS + (1 - GUESS - lapse) * stats.norm.cdf((levels - curve.mu[place]) / s)
    monotone = (
        IsotonicRegression(y_min=0, y_max=1)
        .fit(np.log(rows["n"]), rows["risk"] <= EPS)
        .predict(levels)
    )
    assert np.abs(model - monotone).max() < 3 * 0.065


def test_quantiles_of_a_normal_density():
    """On 400 points over ±8: within 1e-3 of the exact ones."""
    x = np.linspace(-8, 8, 400)
    np.testing.assert_allclose(
        density_quantiles(x, 3 * np.exp(-0.5 * x * x), [0.025, 0.5, 0.975]),
        [-1.95996, 0, 1.95996],
        atol=1e-3,
    )
