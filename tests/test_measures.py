"""One battery over every YAML of conf/measure: what a cell relies on, whichever measure it has.

A new measure joins by existing.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from statistics import median

import numpy as np
import pytest

from bfc.errors import UserError
from bfc.experiment.identity import canonical
from bfc.measure.base import ROUND_SEEDS, SequentialMeasure
from bfc.measure.ladder import Ladder
from bfc.measure.online import Online
from bfc.types import Training

NSTAR, SPREAD = 300.0, 0.3
FRESH_N = 10**6


def stored_row(t: Training, risk: float) -> dict:
    return {
        "kind": t.kind,
        "n": t.n or FRESH_N,
        "seed": t.seed,
        "risk": risk,
        "train_risk": 0.001,
        "diverged": False,
        "seconds": 1.0,
        "fresh": t.n == 0,
    }


def train(trainings: list[Training]) -> list[dict]:
    """Rows of a world in which a seed succeeds from a threshold of its own on, normal in log n."""
    rows = []
    for t in trainings:
        threshold = math.log(NSTAR) + SPREAD * np.random.default_rng(t.seed).normal()
        succeeds = math.log(t.n or FRESH_N) >= threshold
        rows.append(stored_row(t, 0.001 if succeeds else 0.5))
    return rows


def play(measure) -> tuple[list[dict], list[list[Training]]]:
    """Run a measure to its end: the rows and the rounds."""
    rows, rounds = [], []
    for _ in range(1000):
        trainings = measure.next_round(rows)
        if not trainings:
            return rows, rounds
        rounds.append(trainings)
        rows += train(trainings)
    raise AssertionError("the measure does not end")


def test_the_yaml_lists_every_field_with_its_default(build, node, measure_name):
    measure = build("measure", measure_name)
    fields = {f.name for f in dataclasses.fields(measure) if f.init}
    assert set(node("measure", measure_name)) - {"_target_"} == fields
    assert measure == type(measure)(), "a default in the YAML differs from the one in Python"


def test_it_ends_within_what_it_says(build, measure_name):
    measure = build("measure", measure_name)
    rows, rounds = play(measure)
    trainings = list(itertools.chain(*rounds))
    assert 0 < len(trainings) <= measure.max_trainings
    assert max(t.n for t in trainings) <= measure.largest_n
    assert len({(t.n, t.seed) for t in trainings}) == len(trainings), "a training is run twice"
    assert {t.kind for t in trainings} == {"training"}
    assert measure.next_round(rows) == [] and measure.is_round_complete(rows)
    known = measure.trainings()
    assert not known or set(known) == set(trainings)


def test_a_round_depends_on_the_stored_rows_alone(build, measure_name):
    """Whatever part of a round is stored, in whatever order, the rest of it is run next."""
    measure = build("measure", measure_name)
    rows, rounds = play(measure)
    generator = np.random.default_rng(0)
    start = 0
    for trainings in rounds:
        for count in range(len(trainings)):
            stored = [rows[i] for i in generator.permutation(start + count)]
            assert measure.next_round(stored) == trainings[count:]
        start += len(trainings)


def test_confirming_runs_are_no_trainings(build, measure_name):
    measure = build("measure", measure_name)
    confirmations = [stored_row(Training(0, seed, "confirmation"), 0.001) for seed in measure.seeds]
    first = measure.next_round([])
    assert measure.next_round(confirmations) == first
    assert not measure.is_round_complete(confirmations)


def test_a_plan_is_plain_and_kept(build, measure_name):
    """Resumed with its own plan, the measure goes on with the same round."""
    resumption = build("measure", measure_name).resume(None, [])
    plan = json.loads(json.dumps(resumption.plan))
    again = build("measure", measure_name).resume(plan, [])
    assert json.loads(json.dumps(again.plan)) == plan and again.note is None
    assert again.measure.next_round([]) == resumption.measure.next_round([]) != []


def test_asking_for_more_renames_no_cell(build, measure_name):
    identity = canonical(build("measure", measure_name))
    more = build("measure", measure_name, eps=[0.5, 0.001], seeds=[3, 4, 5], confirm=0)
    assert canonical(more) == identity
    assert canonical(build("measure", measure_name, test=64)) != identity


def test_more_seeds_use_stored_trainings_again(build, measure_name):
    measure = build("measure", measure_name)
    rows, _ = play(measure)
    stored = {row["seed"] for row in rows}
    fields = json.loads(json.dumps(measure.extend(len(stored) + 5)))
    more = build("measure", measure_name, **fields)
    assert canonical(more) == canonical(measure)
    _, rounds = play(more)
    seeds = {t.seed for t in itertools.chain(*rounds)}
    assert stored < seeds and len(seeds) >= len(stored) + 5
    added = {t.seed for t in more.next_round(rows)}
    assert added and added.isdisjoint(stored)


def test_added_seeds_are_the_smallest_free_numbers():
    assert Ladder(seeds=4).extend(6) == {"seeds": 6}
    assert Ladder(seeds=(0, 7, 2)).extend(5) == {"seeds": [0, 7, 2, 1, 3]}
    assert Ladder(seeds=4).extend(2) == {"seeds": 4}


def test_a_sequential_measure_comes_close_to_nstar(build, measure_name):
    """The last round lies within a factor of 1.5 of the median threshold."""
    measure = build("measure", measure_name)
    if not isinstance(measure, SequentialMeasure):
        pytest.skip("its trainings are known beforehand")
    _, rounds = play(measure)
    assert NSTAR / 1.5 < median(t.n for t in rounds[-1]) < 1.5 * NSTAR


def test_one_value_may_stand_for_a_list(build, measure_name):
    measure = build("measure", measure_name, eps=0.2, seeds=3)
    assert measure.eps == (0.2,) and measure.seeds == (0, 1, 2)
    listed = build("measure", measure_name, eps=[0.01, 0.2, 0.01], seeds=[7, 2])
    assert listed.eps == (0.2, 0.01) and listed.seeds == (7, 2)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("eps", []),
        ("eps", 0.0),
        ("eps", [0.1, 1.0]),
        ("seeds", 0),
        ("seeds", []),
        ("seeds", [1, 1]),
        ("seeds", [-1]),
        ("seeds", [ROUND_SEEDS]),
        ("confirm", -1),
        ("confirm", 1001),
        ("test", 15),
    ],
)
def test_invalid_values_are_refused_in_one_sentence(build, measure_name, key, value):
    with pytest.raises(UserError, match=rf"^measure\.{key}=.*: must be ") as caught:
        build("measure", measure_name, **{key: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("validation", "size"), [("inside", 0.0), ("inside", 1.0), ("free", 0.5), ("free", 1.5)]
)
def test_invalid_validation_is_refused(validation, size):
    with pytest.raises(UserError, match=r"^measure\.validation_size=.*: must be a"):
        Ladder(validation=validation, validation_size=size)


def test_no_validation_takes_no_labels():
    assert Ladder(validation="none", validation_size=0.3).validation_size == 0.0


def test_the_grid_of_evaluations_is_geometric_and_ends_at_the_last_step():
    steps = Online(ratio=1.5).observe(64, 1000)
    assert steps[0] == 1 and steps[-1] == 1000
    assert all(
        after - before <= max(1, 0.5 * before + 1) for before, after in itertools.pairwise(steps)
    )
    assert len(steps) < 2 + math.log(1000) / math.log(1.5)
