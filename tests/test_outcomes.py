"""Why a training did not succeed: measurements with their outcomes, and properties of all."""

from __future__ import annotations

import numpy as np
import pytest

from bfc.errors import UserError
from bfc.stats.outcomes import (
    Outcome,
    classify_rows,
    learning_threshold,
    learning_threshold_of_rows,
    seeds_to_confirm,
    shows_learning,
)

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "risk, train_risk, diverged, confirming, outcome",
    [
        (0.04, 0.03, False, [], "success"),
        (0.05, 0.05, False, [], "success"),  # at eps
        (0.05, NAN, False, [9.0], "success"),
        (0.04, 20.0, True, [], "diverged"),  # a success that blew up is not one
        (NAN, NAN, False, [], "diverged"),
        (NAN, 0.01, False, [0.01], "diverged"),
        (None, None, False, [], "diverged"),
        (
            0.0501,
            0.0499,
            False,
            [0.9],
            "data_limited",
        ),  # fits its rows: more rows would help, whatever the confirming runs say
        (0.5, 0.05, False, [], "data_limited"),
        (0.5, None, False, [], "data_limited"),  # a baseline, which has no train risk
        (0.5, 0.051, False, [], "optimisation_limited"),  # nobody looked whether it would get there
        (0.5, 0.4, False, [0.3], "plateau"),
        (0.5, 0.4, False, [0.05], "optimisation_limited"),
        (0.5, 0.4, False, [0.01, 0.3, 0.3], "plateau"),
        (0.5, 0.4, False, [0.01, 0.01, 0.3], "optimisation_limited"),
        (0.5, 0.4, False, [NAN, NAN, 0.01], "plateau"),
        (0.5, 0.4, False, [None, 0.01, 0.01], "optimisation_limited"),
        (0.5, NAN, False, [], "optimisation_limited"),
        (0.5, INF, False, [INF], "plateau"),
    ],
)
def test_verdicts_at_eps_one_twentieth(risk, train_risk, diverged, confirming, outcome):
    assert outcome in set(Outcome)
    assert (
        classify_rows(
            [{"risk": risk, "train_risk": train_risk, "diverged": diverged}], 0.05, confirming
        )[0]
        == outcome
    )


def test_a_flat_curve_is_a_plateau_where_it_lies_above_eps():
    row = {"n": 64, "risk": 0.5, "train_risk": None, "diverged": False, "flat": True}
    assert (
        classify_rows([row], 0.05, [])[0] == classify_rows([row], 0.05, [], INF)[0] == "plateau"
        and classify_rows([row], 0.6, [])[0] == "success"
    )
    assert classify_rows([row], 0.05, [], 128)[0] == "data_limited", (
        "more data helped others of its kind"
    )
    assert classify_rows([{**row, "flat": False}], 0.05, [])[0] == "data_limited"


@pytest.mark.parametrize("n", [[1], [], [64, 64], [2**31]])
def test_sample_sizes_that_no_stream_can_draw_from_are_refused(build, n):
    assert build("measure", "ladder", n=[2, 2**31 - 1]).n == (2, 2**31 - 1)
    with pytest.raises(UserError, match=r"measure\.n="):
        build("measure", "ladder", n=n)


GOOD, STUCK, HUNGRY, LOST = (
    (0.01, 0.01, False),
    (0.5, 0.5, False),
    (0.5, 0.01, False),
    (NAN, NAN, True),
)


@pytest.mark.parametrize(
    "at_largest, seeds, want",
    [
        ([STUCK] * 4, 4, [0, 1, 2, 3]),
        ([STUCK] * 4, 2, [0, 1]),
        ([STUCK] * 4, 0, []),
        ([STUCK, STUCK, STUCK, GOOD], 4, []),  # one got there
        ([STUCK, HUNGRY, STUCK, STUCK], 4, [0, 2, 3]),
        ([HUNGRY, HUNGRY, STUCK, STUCK], 4, []),
        ([HUNGRY] * 4, 4, []),
        ([LOST, LOST, STUCK, STUCK], 4, []),
        ([LOST, STUCK, STUCK], 4, [1, 2]),
        ([], 4, []),
    ],
)
def test_which_seeds_confirm(at_largest, seeds, want):
    """Only the largest n counts, only trainings count, the first seeds are taken."""

    def row(kind, n, seed, values):
        return {
            "kind": kind,
            "n": n,
            "seed": seed,
            **dict(zip(("risk", "train_risk", "diverged"), values, strict=True)),
        }

    rows = [
        row("training", 64, seed, values) for seed, values in reversed(list(enumerate(at_largest)))
    ]
    others = (
        [row("training", 32, seed, GOOD) for seed in range(3)] + [row("training", 16, 9, STUCK)]
        if rows
        else []
    )
    probes = [row("confirmation", 10**6, 5, GOOD), row("curve", 10**7, 6, GOOD)]
    assert seeds_to_confirm([*others, *rows, *probes], 0.05, seeds) == want


def test_few_trainings_per_size_are_judged_together():
    """Where every n is measured once, the largest few stand for the largest."""
    rows = [
        {"kind": "training", "n": n, "seed": n, "risk": 0.5, "train_risk": 0.5, "diverged": False}
        for n in (8, 16, 32, 64)
    ]
    assert seeds_to_confirm(rows, 0.05, 9) == [64]
    assert seeds_to_confirm(rows, 0.05, 9, at_top=3) == [16, 32, 64] and seeds_to_confirm(
        rows, 0.05, 9, at_top=99
    ) == [8, 16, 32, 64]
    rows[1]["risk"] = 0.01
    assert seeds_to_confirm(rows, 0.05, 9, at_top=3) == [] and seeds_to_confirm(
        rows, 0.05, 9, at_top=2
    ) == [
        32,
        64,
    ]


def test_failures_below_a_learned_size_are_data_limited():
    """Where most trainings of a larger n succeed in the same steps, a smaller n lacked data; at and
    above it, steps."""

    def row(n, risk, kind="training"):
        return {
            "kind": kind,
            "n": n,
            "seed": 0,
            "risk": risk,
            "train_risk": risk,
            "diverged": False,
        }

    rows = [
        row(16, 0.4),
        row(32, 0.4),
        row(32, 0.01),
        row(64, 0.01),
        row(64, 0.4),
        row(64, 0.01),
        row(8, 0.01, "confirmation"),
    ]
    assert learning_threshold_of_rows(rows, 0.05) == 64
    assert learning_threshold_of_rows([*rows, row(32, 0.01)], 0.05) == 32
    assert (
        learning_threshold_of_rows(rows[:1], 0.05) == INF
        and learning_threshold_of_rows([], 0.05) == INF
    )
    verdicts = classify_rows(rows, 0.05, [], 64)
    assert verdicts == [
        "data_limited",
        "data_limited",
        "success",
        "success",
        "optimisation_limited",
        "success",
        "success",
    ]
    assert classify_rows([row(16, 0.4)], 0.05, [], INF)[0] == "optimisation_limited"


def draw_rows(rng: np.random.Generator, count: int) -> list[dict]:
    """Random stored rows of one cell, missing and infinite values among them."""
    risks = [0.01, 0.05, 0.1, 0.2, 0.6, INF, NAN, None]
    rows = []
    for seed in range(count):
        rows.append(
            {
                "kind": "training",
                "n": int(rng.choice([8, 16, 32, 64])),
                "seed": seed,
                "risk": risks[rng.integers(len(risks))],
                "train_risk": risks[rng.integers(len(risks))],
                "diverged": bool(rng.random() < 0.1),
                "flat": bool(rng.random() < 0.2),
            }
        )
    return rows


@pytest.mark.parametrize("seed", range(30))
def test_properties_of_outcomes_on_random_rows(seed):
    """Every row is classified by itself; success depends on its risk alone, and a looser eps never
    turns a success into a failure; neither confirming runs nor the threshold touch success."""
    rows = draw_rows(np.random.default_rng(seed), 40)
    strict, loose = classify_rows(rows, 0.05), classify_rows(rows, 0.2)
    assert strict == [classify_rows([row], 0.05)[0] for row in rows]
    confirmed = classify_rows(rows, 0.05, [0.9, None, 0.01], threshold=32)
    for row, outcome, other, looser in zip(rows, strict, confirmed, loose, strict=True):
        has_risk = row["risk"] is not None and row["risk"] == row["risk"]
        is_good = has_risk and not row["diverged"] and row["risk"] <= 0.05
        assert (outcome is Outcome.SUCCESS) == is_good
        assert (other is Outcome.SUCCESS) == is_good
        assert (outcome is Outcome.DIVERGED) == (row["diverged"] or not has_risk)
        assert outcome is not Outcome.SUCCESS or looser is Outcome.SUCCESS


@pytest.mark.parametrize("seed", range(30))
def test_failures_below_the_threshold_are_data_limited_on_random_rows(seed):
    rows = draw_rows(np.random.default_rng(seed), 40)
    for row, outcome in zip(rows, classify_rows(rows, 0.1, [], threshold=32), strict=True):
        if row["n"] < 32:
            assert outcome in (Outcome.SUCCESS, Outcome.DIVERGED, Outcome.DATA_LIMITED)


@pytest.mark.parametrize("seed", range(30))
def test_the_learning_threshold_is_the_largest_n_with_the_fewest_errors(seed):
    """Against counting errors at every n by hand."""
    rng = np.random.default_rng(seed)
    n = rng.choice([8.0, 16.0, 32.0, 64.0], 30)
    success = rng.random(30) < n / 80
    errors = {}
    for size in np.unique(n):
        errors[size] = int((success & (n < size)).sum() + (~success & (n >= size)).sum())
    fewest = min(errors.values())
    largest = max(size for size, count in errors.items() if count == fewest)
    expected = largest if shows_learning(int(success.sum()), fewest, 30) else INF
    assert learning_threshold(n, success) == expected


@pytest.mark.parametrize(
    "successes, errors, trainings, learning",
    [
        (1, 0, 10, False),
        (2, 0, 99, True),
        (2, 1, 99, False),
        (3, 1, 99, True),
        (2, 2, 4, False),
        (3, 3, 20, True),
        (3, 3, 21, False),
        (15, 40, 100, True),
        (14, 40, 100, False),
        (0, 0, 5, False),
    ],
)
def test_luck_is_no_learning(successes, errors, trainings, learning):
    """Two successes more than errors, or 15 % of the trainings and at least three."""
    assert shows_learning(successes, errors, trainings) is learning
