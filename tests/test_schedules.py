"""Schedules: what every YAML expands to, and one sentence for every way of writing one wrongly."""

from __future__ import annotations

import re

import pytest

from bfc.errors import UserError
from bfc.learners.schedules import Phase, Schedule

TABLE = {  # phases separated by |; 23 b r2 *3: trains level2, level3, bias and readout2 for 3 times the steps
    ("staged", 2): "2 b", ("staged", 3): "2 b|23 b", ("staged", 4): "2 b|23 b|234 b", ("staged", 5): "2 b|23 b|234 b|2345 b",
    ("joint", 2): "2 b", ("joint", 3): "23 b *2", ("joint", 4): "234 b *3", ("joint", 5): "2345 b *4",
    ("layerwise", 2): "2 b", ("layerwise", 3): "2 b|3 b", ("layerwise", 4): "2 b|3 b|4 b", ("layerwise", 5): "2 b|3 b|4 b|5 b",
    ("level2_only", 2): "2 b", ("level2_only", 3): "2 b *2", ("level2_only", 4): "2 b *3", ("level2_only", 5): "2 b *4",
    ("refit", 2): "2 b", ("refit", 3): "2 b|3 b r2", ("refit", 4): "2 b|3 b r2|4 b r23", ("refit", 5): "2 b|3 b r2|4 b r23|5 b r234",
}


def groups(L: int) -> list[str]:
    return ["bias", *(f"level{k}" for k in range(2, L + 1)), *(f"readout{k}" for k in range(2, L + 1))]


def expand(schedule: Schedule, L: int, **kwargs):
    return schedule.stages(groups(L), range(2, L + 1), **kwargs)


@pytest.mark.parametrize("name, L", TABLE, ids=str)
def test_expansion_of_the_shipped_schedules(build, name, L):
    schedule = build("schedule", name, steps=7)
    stages = expand(schedule, L)
    want, names = [], []
    for text in TABLE[name, L].split("|"):
        levels, *others = text.split()
        train = {f"level{k}" for k in levels}
        times = 1
        for word in others:
            if word[0] == "*":
                times = int(word[1:])
            else:
                train |= {"bias"} if word == "b" else {f"readout{k}" for k in word[1:]}
        want.append((train, 7 * times))
        names.append("all" if name == "joint" else f"level{levels[-1]}")
    assert [(set(stage.train), stage.steps) for stage in stages] == want
    present = set()
    for stage in stages:
        assert len(stage.train) == len(set(stage.train))
        present |= set(stage.train)
        assert stage.present == present
    assert [s.name for s in stages] == names
    assert [s.steps for s in expand(schedule, L, longer=4)] == [4 * s.steps for s in stages]


def test_every_schedule_expands_at_every_depth(build, every_schedule):
    """Under its own name, from level 2 upwards without a gap."""
    schedule = build("schedule", every_schedule)
    assert schedule.name == every_schedule
    for L in (2, 3, 4, 5):
        for stage in expand(schedule, L):
            levels = sorted(int(group[5:]) for group in stage.present if group.startswith("level"))
            assert levels == list(range(2, len(levels) + 2)) and levels


def test_the_compared_schedules_take_as_many_steps_in_all(build):
    for L in (2, 3, 4, 5):
        for name in ("staged", "joint", "layerwise", "refit", "level2_only"):
            assert sum(stage.steps for stage in expand(build("schedule", name), L)) == 1000 * (L - 1)


@pytest.mark.parametrize("text, want", [
    ("level{l}", ["level3"]), ("level{L}", ["level4"]), ("level{l-1}", ["level2"]), ("level{L-l+2}", ["level3"]), ("bias", ["bias"]),
    ("level{2..l}", ["level2", "level3"]), ("level{l..L}", ["level3", "level4"]), ("level{2..L}", ["level2", "level3", "level4"]),
    ("level{ l - 1 .. l + 1 }", ["level2", "level3", "level4"]), ("level{2..99}", ["level2", "level3", "level4"]), ("level{l..l-1}", []),
    ("level{0..2}", ["level2"]),
])
def test_ranges(text, want):
    """At level 3 of 4."""
    stages = Schedule((Phase(("bias", text), "{l}", "level"),)).stages([*groups(4), "level1"], range(2, 5))
    assert list(stages[1].train) == ["bias", *(w for w in want if w != "bias")]


def test_a_group_named_twice_trains_once():
    stage = expand(Schedule((Phase(("level{2..3}", "level2", "level{2..L}")),)), 3)[0]
    assert stage.train == ("level2", "level3")


@pytest.mark.parametrize("phases, words", [
    ([Phase(("levle2",))], ["no parameter group levle2", "did you mean level2?", "bias", "readout3"]),
    ([Phase(("level{l+1}",), "{l}", "level")], ["no parameter group level4"]),
    ([Phase(("level{l",))], ["no parameter group level{l"]),
    ([Phase(("level{2..}",))], ["must be a sum"]), ([Phase(("level{..}",))], ["must be a sum"]), ([Phase(("level{}",))], ["must be a sum"]),
    ([Phase(("level{k}",))], ["=k: must be a sum"]), ([Phase(("level{l l}",))], ["=l l: must be a sum"]),
    ([Phase(("level{l-}",))], ["=l-: must be a sum"]), ([Phase(("level{2*l}",))], ["=2*l: must be a sum"]),
    ([Phase(("bias",), times="L+")], ["=L+: must be a sum"]),
    ([Phase(("bias",), times="L-9")], ["schedule.phases.times=L-9", "positive"]),
    ([Phase(("level2",)), Phase(("level3",))], ["schedule.phases.name=all", "different"]),
    ([Phase(("level2",), "same", "level")], ["schedule.phases.name=same", "different"]),
    ([Phase(("readout{2..l-1}",), "{l}", "level")], ["schedule=mine: phase 2 trains no group"]),
])
def test_a_wrong_phase_costs_one_sentence(phases, words):
    with pytest.raises(UserError) as caught:
        expand(Schedule(tuple(phases), name="mine"), 3)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


@pytest.mark.parametrize("changes, words", [
    ({"phases": []}, "at least one phase"), ({"steps": 0}, "schedule.steps=0"), ({"steps": 10**10}, "schedule.steps="),
    ({"check_every": 0}, "schedule.check_every=0"), ({"patience": 0}, "schedule.patience=0"),
    ({"phases": [{"train": []}]}, "at least one group"),
])
def test_bad_values_cost_one_sentence(build, changes, words):
    with pytest.raises(UserError, match=re.escape(words)):
        build("schedule", "staged", **changes)
