"""n* of one cell at the likelihood's seam: exact where a made-up ladder leaves no choice.

That intervals cover is tested in test_cell_intervals.py.
"""

import numpy as np
import pandas as pd
import pytest
from falling_risks import EPS, falling, trainings

from bfc.errors import UserError
from bfc.stats.nstar import estimate, summarise_cell


def estimate_at(frame, eps=EPS):
    return estimate(frame, [eps]).iloc[0]


def test_a_crossing_is_found_with_its_interval():
    row = estimate_at(falling(150, (64, 91, 128, 181, 256, 362)))
    assert (
        row.nstar == pytest.approx(150, rel=0.1) and row.censored == "" and row.outcome == "success"
    )
    assert 100 < row.lo < 150 < row.hi < 220


def test_one_row_per_eps_in_the_order_given():
    estimates = estimate(trainings({10: [0.5] * 3, 1000: [0.05] * 3}), [0.01, 0.1])
    assert list(estimates.columns) == ["eps", "nstar", "lo", "hi", "censored", "outcome"]
    assert list(estimates["eps"]) == [0.01, 0.1] and list(estimates["censored"]) == ["right", ""]


def test_never_reached_is_right_censored_and_says_why():
    rows = trainings({100: [0.05] * 4, 1000: [0.033] * 4}, outcome="plateau")
    row = estimate_at(rows)
    assert (row.nstar, row.hi, row.censored, row.outcome) == (
        1000,
        np.inf,
        "right",
        "plateau",
    ) and row.lo <= 1000
    assert (
        summarise_cell(rows, EPS).failures == {"plateau": 4}
        and summarise_cell(rows, 0.04).failures == {}
    )
    rows.loc[7, "outcome"] = "data_limited"
    assert estimate_at(rows).outcome == "mixed"


def test_reached_at_the_smallest_n_is_left_censored():
    row = estimate_at(trainings({100: [0.001] * 4, 200: [0.0005] * 4}))
    assert (row.nstar, row.lo, row.censored, row.outcome) == (
        100,
        0,
        "left",
        "success",
    ) and row.hi >= 100


def test_diverged_and_missing_risks_are_failures():
    assert estimate_at(trainings({100: [0.1] * 4, 200: [np.nan] * 4})).censored == "right"
    assert (
        estimate_at(trainings({100: [None] * 3, 200: [None] * 3}, outcome="diverged")).outcome
        == "diverged"
    )
    good = falling(150, (64, 128, 256, 512))
    assert estimate_at(good.assign(diverged=True)).censored == "right"
    assert (
        estimate_at(good.assign(diverged=np.where(good["n"] > 400, "True", "False"))).nstar
        > estimate_at(good).nstar
    )


def test_a_lucky_dip_is_not_the_crossing_and_a_late_relapse_is_not_its_end():
    high, low = [0.05] * 5, [0.001] * 5
    assert (
        estimate_at(
            trainings({100: high, 200: [0.009] * 3 + [0.05] * 2, 300: high, 400: high, 500: low})
        ).nstar
        > 300
    )
    assert (
        estimate_at(
            trainings({100: high, 200: low, 300: low, 400: [0.02] * 3 + [0.001] * 2, 500: low})
        ).nstar
        < 250
    )


def test_every_n_may_have_its_own_seed_and_one_seed_is_enough_for_an_interval():
    n = np.round(np.geomspace(40, 600, 32)).astype(int)
    noise = np.exp(np.random.default_rng(3).normal(0, 0.6, 32))
    frame = pd.DataFrame(
        {"n": n, "seed": range(32), "outcome": "data_limited", "risk": EPS * (150 / n) ** 2 * noise}
    )
    many_seeds = estimate_at(frame)
    assert many_seeds.lo < 150 < many_seeds.hi < 400 and many_seeds.censored == ""
    one_seed = estimate_at(falling(150, (64, 128, 256), spread=(1.0,)))
    assert one_seed.censored == "" and one_seed.lo < 128 and one_seed.hi > 256, (
        "one seed leaves the spread over seeds open"
    )
    assert one_seed.hi / one_seed.lo > 1.5 * many_seeds.hi / many_seeds.lo


def test_a_seed_counts_once_however_fine_its_grid():
    """Sixty n of the same seeds know each seed's threshold better, not that of more seeds."""
    coarse, fine = (
        estimate_at(falling(150, (64, 128, 256, 512))),
        estimate_at(falling(150, np.geomspace(64, 512, 60).astype(int))),
    )
    assert np.log(fine.hi / fine.lo) > 0.5 * np.log(coarse.hi / coarse.lo)


def test_probes_fresh_rows_without_n_and_repeated_rows_do_not_count():
    rows = falling(150, (64, 128, 256, 512))
    stale = rows.assign(risk=0.5)
    extra = pd.concat(
        [stale, trainings({10**6: [0.5] * 3}, kind="confirmation"), trainings({0: [1.0] * 3}), rows]
    )
    pd.testing.assert_frame_equal(estimate(extra, [EPS]), estimate(rows, [EPS]))


def test_nothing_measured_and_bad_eps():
    row = estimate_at(trainings({100: [0.1]}).iloc[:0])
    assert (
        np.isnan(row.nstar)
        and row.outcome == "unmeasured"
        and summarise_cell(trainings({100: [0.1]}).iloc[:0], 0.1).failures == {}
    )
    with pytest.raises(UserError, match="positive"):
        estimate(trainings({100: [0.1]}), [0.0])
