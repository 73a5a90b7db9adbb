"""Schedules: what every YAML expands to, and one sentence for every way of writing one wrongly."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from bfc.errors import UserError
from bfc.schedules import Phase, Schedule, load_schedule
from bfc.schedules import __main__ as command
from bfc.schedules.named_schedules import FILE

TABLE = {
    ("staged", 2): "2 b",
    ("staged", 3): "2 b|23 b",
    ("staged", 4): "2 b|23 b|234 b",
    ("staged", 5): "2 b|23 b|234 b|2345 b",
    ("joint", 2): "2 b",
    ("joint", 3): "23 b *2",
    ("joint", 4): "234 b *3",
    ("joint", 5): "2345 b *4",
    ("layerwise", 2): "2 b",
    ("layerwise", 3): "2 b|3 b",
    ("layerwise", 4): "2 b|3 b|4 b",
    ("layerwise", 5): "2 b|3 b|4 b|5 b",
    ("level2_only", 2): "2 b",
    ("level2_only", 3): "2 b *2",
    ("level2_only", 4): "2 b *3",
    ("level2_only", 5): "2 b *4",
    ("bfc-0", 4): "2 b|3 b|4 b",
    ("bfc-1", 2): "2 b",
    ("bfc-1", 5): "2 b|23 b|34 b|45 b",
    ("bfc-2", 5): "2 b|23 b|234 b|345 b",
    ("bfc-9", 4): "2 b|23 b|234 b",
    ("corrected_to-2", 4): "2 b|3 b|4 b",
    ("corrected_to-3", 5): "2 b|23 b|4 b|5 b",
    ("corrected_to-4", 4): "2 b|23 b|234 b",
    ("corrected_to-3", 2): "2 b",
    ("top_down", 2): "2 b",
    ("top_down", 3): "2 b|3 b|d 23 b",
    ("top_down", 4): "2 b|3 b|4 b|d 34 b|d 234 b",
    ("retrain_below", 3): "2 b|3 b|again 2 b|again 3 b",
    ("layerwise_then_joint", 4): "2 b|3 b|4 b|joint 234 b *3",
    ("refit", 2): "2 b",
    ("refit", 3): "2 b|3 b r2",
    ("refit", 4): "2 b|3 b r2|4 b r23",
    ("refit", 5): "2 b|3 b r2|4 b r23|5 b r234",
}
"""(name, depth) → its phases, separated by |.

``23 b r2 *3`` trains level2, level3, bias and readout2 for 3 times the steps.
"""


def groups(L: int) -> list[str]:
    return [
        "bias",
        *(f"level{k}" for k in range(2, L + 1)),
        *(f"readout{k}" for k in range(2, L + 1)),
    ]


def expand(schedule: Schedule, L: int, **kwargs):
    return schedule.stages(groups(L), range(2, L + 1), **kwargs)


@pytest.mark.parametrize("name, L", TABLE, ids=str)
def test_expansion_of_the_shipped_schedules(build, name, L):
    file, _, k = name.partition("-")
    schedule = build("schedule", file, steps=7, **({"k": int(k)} if k else {}))
    assert schedule.name == name
    stages = expand(schedule, L)
    expected = [expected_phase(text, name) for text in TABLE[name, L].split("|")]
    phases = [(stage.name, set(stage.train), stage.steps) for stage in stages]
    assert phases == expected
    present = set()
    for stage in stages:
        assert len(stage.train) == len(set(stage.train))
        present |= set(stage.train)
        assert stage.present == present
    assert [s.steps for s in expand(schedule, L, longer=4)] == [4 * s.steps for s in stages]


def expected_phase(text: str, schedule: str) -> tuple[str, set[str], int]:
    """Name, groups and steps of a phase as the table writes it, with 7 steps per phase."""
    label = text.split()[0] if text[0].isalpha() else "level"
    levels, *words = text.removeprefix(label).split()
    train = {f"level{k}" for k in levels}
    times = 1
    for word in words:
        if word[0] == "*":
            times = int(word[1:])
        elif word == "b":
            train.add("bias")
        else:
            train |= {f"readout{k}" for k in word[1:]}
    name = {"d": f"down{levels[0]}", "joint": "joint"}.get(label, f"{label}{levels[-1]}")
    return "all" if schedule == "joint" else name, train, 7 * times


def test_every_schedule_expands_at_every_depth(build, schedule_name):
    """Under its own name, from level 2 upwards without a gap."""
    schedule = build("schedule", schedule_name)
    assert schedule.name.partition("-")[0] == schedule_name
    for L in (2, 3, 4, 5):
        for stage in expand(schedule, L):
            levels = sorted(int(group[5:]) for group in stage.present if group.startswith("level"))
            assert levels == list(range(2, len(levels) + 2)) and levels


def test_the_compared_schedules_take_as_many_steps_in_all(build):
    for L in (2, 3, 4, 5):
        for name in ("staged", "joint", "layerwise", "refit", "level2_only"):
            stages = expand(build("schedule", name), L)
            assert sum(stage.steps for stage in stages) == 1000 * (L - 1)


@pytest.mark.parametrize(
    "text, want",
    [
        ("level{l}", ["level3"]),
        ("level{L}", ["level4"]),
        ("level{l-1}", ["level2"]),
        ("level{L-l+2}", ["level3"]),
        ("bias", ["bias"]),
        ("level{2..l}", ["level2", "level3"]),
        ("level{l..L}", ["level3", "level4"]),
        ("level{2..L}", ["level2", "level3", "level4"]),
        ("level{ l - 1 .. l + 1 }", ["level2", "level3", "level4"]),
        ("level{2..99}", ["level2", "level3", "level4"]),
        ("level{l..l-1}", []),
        ("level{0..2}", ["level2"]),
    ],
)
def test_ranges(text, want):
    """At level 3 of 4."""
    stages = Schedule((Phase(("bias", text), "{l}", "level"),)).stages(
        [*groups(4), "level1"], range(2, 5)
    )
    assert list(stages[1].train) == ["bias", *(w for w in want if w != "bias")]


def test_a_group_named_twice_trains_once():
    stage = expand(Schedule((Phase(("level{2..3}", "level2", "level{2..L}")),)), 3)[0]
    assert stage.train == ("level2", "level3")


@pytest.mark.parametrize(
    "phases, words",
    [
        (
            [Phase(("levle2",))],
            ["no parameter group levle2", "did you mean level2?", "bias", "readout3"],
        ),
        ([Phase(("level{l+1}",), "{l}", "level")], ["no parameter group level4"]),
        ([Phase(("level{l",))], ["no parameter group level{l"]),
        ([Phase(("level{2..}",))], ["must be a sum"]),
        ([Phase(("level{..}",))], ["must be a sum"]),
        ([Phase(("level{}",))], ["must be a sum"]),
        ([Phase(("level{m}",))], ["=m: must be a sum"]),
        ([Phase(("level{l-k}",))], ["schedule.k=null", "l-k"]),
        ([Phase(("level{l l}",))], ["=l l: must be a sum"]),
        ([Phase(("level{l-}",))], ["=l-: must be a sum"]),
        ([Phase(("level{2*l}",))], ["=2*l: must be a sum"]),
        ([Phase(("bias",), times="L+")], ["=L+: must be a sum"]),
        ([Phase(("bias",), times="L-9")], ["schedule.phases.times=L-9", "positive"]),
        ([Phase(("level2",)), Phase(("level3",))], ["schedule.phases.name=all", "different"]),
        ([Phase(("level2",), "same", "level")], ["schedule.phases.name=same", "different"]),
        (
            [Phase(("level2",), each="levels")],
            ["schedule.phases.each=levels: must be null, level, or a range"],
        ),
        ([Phase(("level2",), each="up 2..L")], ["=up 2: must be a sum"]),
        ([Phase(("level2",), each="2..m")], ["=m: must be a sum"]),
        ([Phase(("level2",), each="4..L")], ["schedule.phases", "at least one has a level"]),
        ([Phase(("readout{2..l-1}",), "{l}", "level")], ["schedule=mine: phase 2 trains no group"]),
    ],
)
def test_an_invalid_phase_is_refused_in_one_sentence(phases, words):
    with pytest.raises(UserError) as caught:
        expand(Schedule(tuple(phases), name="mine"), 3)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"phases": []}, "at least one phase"),
        ({"steps": 0}, "schedule.steps=0"),
        ({"steps": 10**10}, "schedule.steps="),
        ({"check_every": 0}, "schedule.check_every=0"),
        ({"patience": 0}, "schedule.patience=0"),
        ({"phases": [{"train": []}]}, "at least one group"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(build, changes, words):
    with pytest.raises(UserError, match=re.escape(words)):
        build("schedule", "staged", **changes)


def test_neighbouring_phases_of_the_same_levels_are_gone_through_level_by_level():
    phases = (
        Phase(("level{l}",), "a{l}", "level"),
        Phase(("level{2..l}",), "b{l}", "level"),
        Phase(("level{l}",), "c{l}", "3..L"),
        Phase(("level{L}",), "d", None),
        Phase(("level{l..L}",), "e{l}", "down level"),
    )
    names = [stage.name for stage in expand(Schedule(phases), 4)]
    assert names == "a2 b2 a3 b3 a4 b4 c3 c4 d e4 e3 e2".split()


def test_groups_that_are_new_to_a_stage(build):
    stages = expand(build("schedule", "refit"), 4)
    assert [stage.added for stage in stages] == [
        {"bias", "level2"},
        {"level3", "readout2"},
        {"level4", "readout3"},
    ]


def test_algorithm_1(build):
    """Per level: fit, distill, tie; lower levels never frozen; thresholds in gaps of that level;
    regularisers one after another."""
    stages = expand(build("schedule", "algorithm1"), 3)
    assert [(s.name, s.until, s.gap) for s in stages] == [
        ("fit2", 4, 2),
        ("distill2", 2, 2),
        ("tie2", 1, 2),
        ("fit3", 4, 3),
        ("distill3", 2, 3),
        ("tie3", 1, 3),
    ]
    for stage in stages:
        levels = range(2, stage.gap + 1)
        assert set(stage.train) == {"bias", *(f"level{k}" for k in levels)}
        assert {f"decay{k}" for k in levels} <= set(stage.penalties)
    on = [{name for name in s.penalties if name.startswith("distill")} for s in stages]
    all2 = {"distill_cross2", "distill_previous2", "distill_all2"}
    assert on[:4] == [set(), {"distill_cross2"}, all2, all2]
    assert on[4] == all2 | {"distill_cross3"}


@pytest.mark.parametrize(
    "until, want",
    [
        (0.2, (0.2, None)),
        ("0.5 gap", (0.5, 3)),
        ("2gap", (2.0, 3)),
        ("0.3", (0.3, None)),
        (None, (None, None)),
    ],
)
def test_thresholds(until, want):
    stage = expand(Schedule((Phase(("level{l}",), "{l}", "level", until=until),)), 3)[1]
    assert (stage.until, stage.gap) == want


@pytest.mark.parametrize(
    "until", [0.0, -1.0, "gap", "x gap", "1 gaps", "inf gap", float("nan"), "0 gap"]
)
def test_thresholds_that_cannot_be_read(until):
    with pytest.raises(UserError, match="until"):
        Schedule((Phase(("bias",), until=until),))


# ---- by name, without YAML ---------------------------------------------------------------------


def test_the_packaged_file_holds_what_the_yaml_files_say():
    assert FILE.read_text() == command.render(), (
        f"{FILE.name} is older than conf/schedule: write it anew with `python -m bfc.schedules`"
    )


def test_asking_how_the_file_is_written_writes_nothing(tmp_path, monkeypatch):
    file = tmp_path / "named.json"
    monkeypatch.setattr(command, "FILE", file)
    with pytest.raises(SystemExit):
        command.main(["-h"])
    assert not file.exists()
    command.main([])
    assert file.read_text() == command.render()


def test_a_named_schedule_is_the_one_of_its_yaml(build, schedule_name):
    assert load_schedule(schedule_name) == build("schedule", schedule_name)
    changed = build("schedule", schedule_name, steps=7, k=2)
    assert load_schedule(schedule_name, steps=7, k=2) == changed


def test_the_phases_of_a_named_schedule_can_be_replaced():
    phases = (Phase(("*",)),)
    schedule = load_schedule("staged", phases=phases, name="other")
    assert schedule.phases == phases and schedule.name == "other" and schedule.steps == 1000


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("stagd", {}, "schedule=stagd: no such schedule; did you mean staged? allowed: algorithm1"),
        ("staged", {"step": 3}, "schedule.step: no such key; did you mean steps? allowed: "),
        ("staged", {"steps": 0}, "schedule.steps=0: must be an integer >= 1"),
    ],
)
def test_a_name_that_does_not_exist_is_refused_in_one_sentence(name, changes, message):
    with pytest.raises(UserError) as caught:
        load_schedule(name, **changes)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_naming_a_schedule_needs_neither_yaml_nor_hydra_nor_pydantic():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['yaml', 'hydra', 'omegaconf', 'pydantic']));"
        "from bfc.schedules import load_schedule; print(load_schedule('bfc', k=2).name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["bfc-2"], done.stderr
