"""The adaptive measure: its rounds, how a cell ends and goes on, waves by d, and tuning."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bfc.errors import UserError
from bfc.launch.dependencies import split_into_waves
from bfc.measure.adaptive import Adaptive
from bfc.measure.base import ROUND_SEEDS
from bfc.measure.ladder import Ladder
from bfc.measure.tuning import WORST, Tune
from bfc.stats.nstar import estimate
from bfc.types import Training

NSTAR, SPREAD = 300.0, 0.3


def row(t: Training, risk: float, train_risk: float = 0.001, kind: str = "training"):
    return {
        "kind": kind,
        "n": t.n,
        "seed": t.seed,
        "risk": risk,
        "train_risk": train_risk,
        "diverged": False,
        "seconds": 1.0,
        "fresh": False,
    }


def learn(trainings, nstar=NSTAR):
    """Risks of a world in which a seed succeeds from its own threshold on, normal in log n."""
    for t in trainings:
        threshold = math.log(nstar) + SPREAD * np.random.default_rng(t.seed).normal()
        yield row(t, 0.001 if math.log(t.n) >= threshold else 0.5)


def play(measure, nstar=NSTAR):
    rows, rounds = [], []
    while trainings := measure.next_round(rows):
        rounds.append(trainings)
        rows += learn(trainings, nstar)
    return rows, rounds


def test_rounds_close_in_on_nstar_with_fresh_seeds():
    measure = Adaptive(replicas=16, rounds=4, stop=0.0, eps=(0.1, 0.01))
    rows, rounds = play(measure)
    assert [len(r) for r in rounds] == [16] * 4
    seeds = [t.seed for r in rounds for t in r]
    assert seeds == list(range(ROUND_SEEDS, ROUND_SEEDS + 64))
    assert all(measure.n_min <= t.n <= measure.n_max for r in rounds for t in r)
    width = [np.log([t.n for t in r]).std() for r in rounds]
    assert width[1] < 0.5 * width[0] and width[3] < 0.3 * width[0]
    posterior = measure.posterior(rows)
    assert abs(posterior.mean - math.log(NSTAR)) < 3 * posterior.sd and posterior.sd < 0.15


def test_a_round_depends_on_nothing_but_earlier_rounds():
    """Whatever part of a round is stored, in whatever order, the rest is the same.

    Rows of other measures in the cell do not matter.
    """
    measure = Adaptive(replicas=8, rounds=3, stop=0.0)
    rows, rounds = play(measure)
    rng = np.random.default_rng(0)
    others = [row(Training(64, seed), 0.5) for seed in range(5)]
    for cut in range(len(rows)):
        stored = [rows[i] for i in rng.permutation(cut)]
        number, inside = divmod(cut, 8)
        assert measure.next_round([*others, *stored]) == rounds[number][inside:]
        assert measure.is_round_complete([*others, *stored]) == (cut > 0 and inside == 0)
    assert measure.next_round(rows) == []


def test_the_ends_of_a_cell():
    rows, rounds = play(Adaptive(replicas=16, rounds=50, stop=0.12))
    assert 1 < len(rounds) < 12 and Adaptive().posterior(rows).sd < 0.12
    assert (
        len(play(Adaptive(replicas=16, rounds=50, stop=0.0, seconds=40.0))[1]) == 2
    )  # one second per training
    assert len(play(Adaptive(replicas=16, rounds=50, stop=0.0, seconds=48.0))[1]) == 3
    never, rounds = play(Adaptive(replicas=16, rounds=50, stop=0.0, n_max=512), nstar=1e6)
    assert len(rounds) < 6 and all(r["risk"] > 0.1 for r in never)
    stuck = Adaptive(replicas=8, rounds=9, stop=0.0)
    first = [row(t, 0.5, train_risk=0.4) for t in stuck.next_round([])]
    assert stuck.next_round(first)
    assert stuck.next_round([*first, row(Training(10**6, 1000), 0.4, 0.4, "confirmation")]) == []
    assert stuck.next_round([*first, row(Training(10**6, 1000), 0.001, 0.001, "confirmation")])


def resume_and_play(measure, rows=(), plan=None, nstar=NSTAR):
    """Rows, plan and new trainings of a cell that is asked for ``measure``."""
    rows, new = list(rows), []
    resumption = measure.resume(plan, rows)
    measure, plan = resumption.measure, resumption.plan
    while trainings := measure.next_round(rows):
        new += trainings
        rows += learn(trainings, nstar)
    return rows, plan, new


@pytest.mark.parametrize(
    "more, rounds",
    [
        ({"n_max": 4096}, 2),
        ({"eps": (0.1, 0.01)}, 2),
        ({"rounds": 3}, 1),
        ({"n_max": 4096, "rounds": 1}, 1),
    ],
)
def test_a_finished_cell_goes_on_where_it_is_asked_for_more(more, rounds):
    """Two rounds were all that was asked for."""
    first = {"replicas": 8, "rounds": 2, "stop": 0.0, "n_max": 128, "eps": (0.1,)}
    rows, plan, _ = resume_and_play(Adaptive(**first), nstar=100)
    assert len(rows) == 16 and resume_and_play(Adaptive(**first), rows, plan)[2] == []
    rows, plan, new = resume_and_play(Adaptive(**first | more), rows, plan, nstar=100)
    assert [t.seed for t in new] == list(range(ROUND_SEEDS + 16, ROUND_SEEDS + 16 + 8 * rounds))
    for fields in (first | more, first):
        resumed = resume_and_play(Adaptive(**fields), rows, plan)
        assert resumed[1:] == (plan, []), "the same question, or an easier one, is not new"


def test_the_plan_keeps_the_prior_and_the_moment_of_every_question():
    resumption = Adaptive(prior=(5.0, 0.5), seconds=30.0, replicas=8, rounds=2).resume(None, [])
    begun, plan = resumption.measure, resumption.plan
    assert plan == {
        "prior": (5.0, 0.5),
        "questions": [{"eps": 0.01, "n_max": 16384, "trainings": 0, "seconds": 0}],
    }
    rows = list(learn(begun.next_round([])))[:5]
    resumption = Adaptive(prior=(9.0, 0.1), seconds=30.0, n_max=99999, replicas=8, rounds=2).resume(
        plan, rows
    )
    later, more = resumption.measure, resumption.plan
    assert (
        later.prior == (5.0, 0.5)
        and later.rounds == 3
        and later.seconds == 35.0
        and more["questions"][0] == plan["questions"][0]
    )
    assert more["questions"][1] == {"eps": 0.01, "n_max": 99999, "trainings": 8, "seconds": 5.0}


def test_rows_of_other_measures_in_the_cell_are_told_apart_by_their_seeds():
    """A ladder in the same cell, with all seeds it may have, does not change the rounds."""
    measure = Adaptive(replicas=8, rounds=2, stop=0.0)
    rows, rounds = play(measure)
    ladder = [
        row(t, 0.5) for t in Ladder(n=(64, 128), seeds=(0, 1000, ROUND_SEEDS - 1)).trainings()
    ]
    assert measure.next_round([*ladder, *rows[:8]]) == rounds[1]
    with pytest.raises(UserError, match=r"measure\.seeds"):
        Ladder(seeds=(ROUND_SEEDS,))


def test_costly_n_are_asked_for_less():
    free, full = (Adaptive(replicas=16, cost_weight=weight).next_round([]) for weight in (0.0, 1.0))
    assert sum(t.n for t in full) < 0.5 * sum(t.n for t in free) and min(t.n for t in full) >= 16


def test_a_prior_moves_the_first_round_only_to_where_it_points():
    wide = [t.n for t in Adaptive(replicas=9).next_round([])]
    narrow = [t.n for t in Adaptive(replicas=9, prior=(math.log(700), 0.2)).next_round([])]
    assert min(wide) < 100 and max(wide) > 3000
    assert (
        500 < min(narrow) < 650
        and narrow[4] == pytest.approx(700, abs=2)
        and 750 < max(narrow) < 950
    )


@pytest.mark.parametrize("jump", [-1.0, 1.0])
def test_a_prior_that_is_wrong_costs_rounds_and_not_the_answer(jump):
    """Smaller d predict n* within a factor 1.1, and it lies a factor e elsewhere.

    That is ten standard deviations. The cell does not end at the edge of the prediction, where all
    of its first trainings fail or all succeed.
    """
    measure = Adaptive(prior=(math.log(NSTAR) + jump, 0.1), rounds=6, stop=0.12)
    rows, rounds = play(measure)
    (row,) = estimate(pd.DataFrame(rows), [min(measure.eps)]).to_dict("records")
    assert len({r["risk"] for r in rows[:16]}) == 1 and len(rounds) > 2
    assert row["censored"] == "" and row["lo"] < NSTAR < row["hi"] and row["hi"] < 2 * row["lo"]


@pytest.mark.parametrize(
    "values, words",
    [
        ({"rounds": 0}, "measure.rounds=0"),
        ({"replicas": 1}, "measure.replicas=1"),
        ({"n_min": 1}, "measure.n_min=1"),
        ({"n_max": 16}, "measure.n_max=16: must be an integer above measure.n_min = 16"),
        ({"stop": -1.0}, "measure.stop=-1.0"),
        ({"prior": (5.0, 0.0)}, "measure.prior="),
        ({"prior": (5.0,)}, "measure.prior="),
        ({"seconds": 0.0}, "measure.seconds=0.0"),
        ({"first_seed": 1000}, "measure.first_seed=1000"),
        ({"cost_weight": -1.0}, "measure.cost_weight=-1.0"),
        ({"cost_weight": 5.0}, "measure.cost_weight=5.0"),
        ({"n_max": 1 << 31}, "measure.n_max="),
    ],
)
def test_bad_values(values, words):
    with pytest.raises(UserError, match=words.replace("[", r"\[")):
        Adaptive(**values)


def test_waves_run_by_d_and_hold_every_job_once():
    adaptive, ladder, wide = Adaptive(prior="auto"), Ladder(), Adaptive(prior=None)

    def job(d, measure, learner="mlp"):
        return SimpleNamespace(target=SimpleNamespace(d=d), measure=measure, learner=learner)

    jobs = [
        job(16, adaptive),
        job(8, adaptive),
        job(16, ladder),
        job(8, adaptive),
        job(32, wide),
        job(12, adaptive),
    ]
    assert list(split_into_waves(jobs)) == [[1, 2, 3, 4], [5], [0]]
    assert list(split_into_waves(jobs[2:3])) == [[0]]
    kernels = [job(8, adaptive, None), job(16, adaptive, None)]
    assert list(split_into_waves(kernels)) == [[0, 1]]


def test_tuning_takes_the_rate_with_the_smallest_nstar_on_its_own_seeds():
    """Rate 0.03 reaches 0.05 first, though 0.01 is ahead at the smallest n and at the largest.

    Rate 0.1 diverges on some draws.
    """
    tune = Tune(lr=(0.1, 0.01, 0.03), n=(128, 512, 2048), draws=3, eps=0.05)
    trainings = tune.trainings()
    expected = set(itertools.product((-1, -2, -3), tune.n, tune.lr))
    assert {(t.seed, t.n, lr) for t, lr in trainings} == expected
    medians = {0.01: (0.3, 0.2, 0.01), 0.03: (0.4, 0.02, 0.015), 0.1: (0.01, 0.01, 0.01)}
    risks = {
        (lr, t.n, t.seed): Tune.risk(
            {
                "risk": medians[lr][tune.n.index(t.n)] + (0.5 if t.seed == -1 else 0.0),
                "diverged": lr == 0.1 and t.seed != -2,
            }
        )
        for t, lr in trainings
    }
    chosen = tune.choose(risks)
    assert (
        chosen["lr"] == 0.03
        and not chosen["at_edge"]
        and chosen["trainings"] == 27
        and chosen["seeds"] == [-1, -2, -3]
    )
    assert [t["lr"] for t in chosen["tried"]] == [0.01, 0.03, 0.1] and chosen["reached"]
    assert (
        chosen["tried"][1]["nstar"] == pytest.approx(128 * 4 ** (math.log(8) / math.log(20)))
        and chosen["tried"][2]["nstar"] is None
    )
    assert (
        chosen["tried"][1]["risks"][0] == [0.9, 0.52, 0.515] and chosen["tried"][2]["risk"] == WORST
    )
    assert replace(tune, lr=(0.03, 0.01)).choose(risks)["at_edge"]
    none = replace(tune, eps=0.001).choose(risks)
    assert none["lr"] == 0.01 and not none["reached"], "the lowest risk at the largest n"
    assert Tune.risk({}) == Tune.risk({"risk": math.nan}) == Tune.risk({"risk": math.inf}) == WORST


@pytest.mark.parametrize(
    "values, words",
    [
        ({"lr": (), "n": 8}, "measure.tune.lr"),
        ({"lr": (0.0,), "n": 8}, "measure.tune.lr"),
        ({"lr": (0.1, 0.1), "n": 8}, "repetition"),
        ({"lr": (0.1,), "n": 1}, "measure.tune.n"),
        ({"lr": (0.1,), "n": 8, "draws": 0}, "measure.tune.draws"),
        ({"lr": (0.1,), "n": (0, 8)}, "measure.tune.n"),
        ({"lr": (0.1,), "n": ()}, "measure.tune.n"),
        ({"lr": (0.1,), "n": (8, 8)}, "measure.tune.n"),
        ({"lr": (0.1,), "n": 8, "eps": 0.0}, "measure.tune.eps"),
    ],
)
def test_bad_tuning(values, words):
    with pytest.raises(UserError, match=words):
        Tune(**values)
