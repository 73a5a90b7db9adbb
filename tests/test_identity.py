"""A cell's identity holds exactly what changes its numbers, and neither moving nor extending a
class changes it.
"""

import dataclasses
import json
import random
import typing

import pytest
import yaml
from commands import container
from composed_jobs import OPTIONS, changed, contexts, ids

from bfc.baselines.kernels import Polynomial
from bfc.errors import UserError
from bfc.experiment import cell_spec
from bfc.experiment.cell_spec import SCHEMA, cell_specs
from bfc.experiment.components import GROUPS, component
from bfc.experiment.identity import canonical
from bfc.experiment.job import load_job
from bfc.paths import CONF
from bfc.targets.quadratic_densenet import QuadraticDenseNet

NOT_IDENTITY = (
    "measure.eps",
    "measure.seeds",
    "measure.confirm",
    "measure.n",
    "compute.device",
    "compute.stack",
    "compute.compile",
    "compute.threads",
    "compute.checkpoint_seconds",
)


def variants(hint: typing.Any, value: typing.Any) -> list[typing.Any]:
    """Values to try in the place of ``value``; the checks choose the first one that is allowed."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value * 2, value - 1, max(1, value // 2)]
    if isinstance(value, float):
        return [v for v in (value / 2, value * 1.5, value + 1, value + 0.5) if v != value]
    if isinstance(value, str):
        names = [
            name
            for part in (hint, *typing.get_args(hint))
            for name in typing.get_args(part)
            if isinstance(name, str)
        ]
        return [name for name in (*names, 0.5, 3, "cpu", value + "x") if name != value]
    if isinstance(value, list):
        inner = variants(hint, value[0]) if value and not isinstance(value[0], dict) else []
        return [
            [inner[0], *value[1:]] if inner else [*value, {"name": "more", "train": ["bias"]}],
            value[:-1],
        ]
    return [[4, 2], [1.0, 0.3], 3, 0.7, "x"]


def every_key(*choices: str) -> list[tuple[str, str]]:
    values = container(*choices)
    return [(group, key) for group in GROUPS for key in (values[group] or {}) if key != "_target_"]


KEYS = [
    (("baseline=polynomial",), group, key)
    for group, key in every_key("baseline=polynomial")
    if group != "baseline"
] + [
    (("measure=online", "optimizer.decay=constant"), "measure", "ratio"),
    (("optimizer=sgd",), "optimizer", "momentum"),
]


@pytest.mark.parametrize(
    "choices, group, key", KEYS, ids=lambda part: part if isinstance(part, str) else ""
)
def test_each_key_of_a_learners_job_is_or_is_not_part_of_its_identity(
    choices: tuple[str, ...], group: str, key: str
) -> None:
    values = container(*choices)
    if (group, key) == ("measure", "validation_size"):
        candidates = [0.3]
    elif (group, key) == ("measure", "validation"):
        candidates = ["none"]
    elif (group, key) == ("measure", "tune"):
        candidates = [{"lr": [0.01, 0.03], "n": 64}]
    else:
        path = values[group]["_target_"]
        hints = typing.get_type_hints(type(component(group, values[group])))
        assert path and key in hints
        candidates = variants(hints[key], values[group][key])
    for candidate in candidates:
        trial = changed(values, **{f"{group}__{key}": candidate})
        try:
            new = ids(trial)
        except UserError:
            continue
        break
    else:
        pytest.fail(f"none of {candidates} is accepted as {group}.{key}")
    old = ids(values)
    aside = f"{group}.{key}" in NOT_IDENTITY or group in ("tracker", "baseline")
    assert (new[0] == old[0]) == aside
    if len(old) == 2:
        assert (new[1] == old[1]) == (
            group not in ("target", "task", "representation", "baseline")
            and (group, key) != ("measure", "test")
        )


def accepted_baseline(option: str) -> tuple[dict, list[str]]:
    """A job of this baseline on the first target that it accepts, and the ids of its cells."""
    for context in contexts(f"baseline={option}"):
        if "learner=none" in context:
            values = container(f"baseline={option}", *context)
            try:
                return values, ids(values)
            except UserError:
                continue
    pytest.fail("CONTEXTS has no target for this baseline")


@pytest.mark.parametrize(
    "option",
    sorted(path.stem for path in (CONF / "baseline").glob("*.yaml") if path.stem != "none"),
)
def test_each_key_of_a_baseline_is_part_of_its_identity(option: str) -> None:
    values, old = accepted_baseline(option)
    seen = {old[0]}
    hints = typing.get_type_hints(type(component("baseline", values["baseline"])))
    for key, value in values["baseline"].items():
        if key == "_target_":
            continue
        for candidate in variants(hints[key], value):
            try:
                new = ids(changed(values, **{f"baseline__{key}": candidate}))
            except UserError:
                continue
            assert new[0] not in seen, key
            seen.add(new[0])
            break
        else:
            pytest.fail(f"no other value of baseline.{key} is accepted")
    assert len(seen) == len(values["baseline"]) and len(old) == 1


@pytest.mark.parametrize(
    "group", ["target", "learner", "schedule", "optimizer", "probe", "baseline", "measure"]
)
def test_each_option_of_a_group_is_another_cell(group: str) -> None:
    """Two options only share a cell where their trainings are the same.

    These are a ladder and an adaptive choice of n. What only a learner has is tried with a learner,
    since a baseline's cell does not depend on it.
    """
    chosen_ids, of_learners = {}, group in ("schedule", "optimizer", "probe")
    choices = [choice for choice in OPTIONS if choice.startswith(f"{group}=")]
    for choice in choices:
        for context in contexts(choice):
            if of_learners and "learner=none" in context:
                continue
            try:
                chosen_ids[choice] = tuple(ids(container(choice, *context)))
            except UserError:
                continue
            break
    if group == "measure":
        assert chosen_ids.pop("measure=adaptive") == chosen_ids["measure=ladder"]
    assert len(set(chosen_ids.values())) == len(chosen_ids) > 1 or group == "learner"
    assert not of_learners or set(chosen_ids) == set(choices), (
        "CONTEXTS has no learner that suits the others"
    )


def test_what_is_asked_for_and_where_it_runs_is_no_part_of_the_identity() -> None:
    values = container("baseline=polynomial")
    wandb = yaml.safe_load((CONF / "tracker" / "wandb.yaml").read_text())
    for change in (
        {"results": "elsewhere"},
        {"study": {"name": "s", "size": "demo"}},
        {"tracker": wandb},
        {"measure__seeds": [5, 3]},
        {"measure__n": [2, 4, 8]},
        {"measure__n": 64},
        {"measure__eps": 0.3},
        {"measure__confirm": 0},
        {"compute__device": "cuda"},
        {"compute__stack": 4},
        {"compute__compile": "never"},
        {"compute__threads": 2},
        {"compute__checkpoint_seconds": 0},
    ):
        assert ids(changed(values, **change)) == ids(values), change


def test_the_order_of_keys_is_no_part_of_the_identity() -> None:
    values = container("baseline=polynomial")
    shuffled = {}
    for group in random.Random(1).sample(list(values), len(values)):
        node = values[group]
        shuffled[group] = (
            {k: node[k] for k in random.Random(2).sample(list(node), len(node))}
            if isinstance(node, dict)
            else node
        )
    assert list(shuffled) != list(values) and ids(shuffled) == ids(values)


def test_a_gap_and_the_coefficients_it_stands_for_are_one_cell() -> None:
    values = container("target.L=4")
    explicit = changed(values, target__alpha=[1, 0.5, 0.25], target__gamma=None)
    assert (
        ids(explicit)
        == ids(changed(values, target__gamma=0.5))
        != ids(changed(values, target__gamma=0.25))
    )
    assert ids(changed(explicit, target__gamma=0.9)) == ids(explicit), (
        "gamma is not used where alpha is given"
    )
    assert ids(changed(values, target__widths=[4, 3, 2])) == ids(values), (
        "the default widths, written out"
    )


def test_an_integer_stands_for_the_same_number() -> None:
    assert ids(container("optimizer.lr=1")) == ids(container("optimizer.lr=1.0"))


def test_a_single_n_and_a_ladder_share_a_cell_and_fresh_samples_do_not() -> None:
    ladder, single = container("measure.n=[64]"), container("measure=single", "measure.n=64")
    fresh = container("measure=single", "measure.n=fresh")
    online = container("measure=online", "optimizer.decay=constant")
    assert ids(ladder) == ids(single) != ids(fresh)
    assert ids(online) != ids(changed(fresh, optimizer__decay="constant"))


def test_a_baseline_is_one_cell_whatever_learner_is_beside_it() -> None:
    baseline_ids = ids(container("learner=none", "baseline=polynomial"))
    assert len(baseline_ids) == 1
    for overrides in (
        (),
        ("schedule=joint",),
        ("optimizer=sgd",),
        ("learner.widths=[6,4]",),
        ("probe=none",),
        ("compute.dtype=float64",),
        ("measure=single", "measure.n=32"),
        ("measure=online", "optimizer.decay=constant"),
    ):
        both = ids(container("baseline=polynomial", *overrides))
        assert len(both) == 2 and both[1] == baseline_ids[0] and both[0] != baseline_ids[0]


def test_a_fix_that_changes_results_makes_new_cells(monkeypatch) -> None:
    values = container("baseline=polynomial")
    before = ids(values)
    monkeypatch.setattr(Polynomial, "version", Polynomial.version + 1)
    after = ids(values)
    assert after[0] == before[0] and after[1] != before[1]
    monkeypatch.setattr(QuadraticDenseNet, "version", QuadraticDenseNet.version + 1)
    assert ids(values)[0] != before[0]
    monkeypatch.setattr(cell_spec, "SCHEMA", SCHEMA + 1)
    assert not set(ids(values)) & {*before, *after}


def test_the_id_is_the_hash_of_the_stored_configuration() -> None:
    """So that a folder can be checked against its name, where no component has later fields."""
    import hashlib

    for cell in cell_specs(load_job(container("baseline=polynomial", "optimizer=sgd"))):
        stored = yaml.safe_load(yaml.safe_dump(dict(cell.config)))
        identity = {key: stored[key] for key in cell.identity}
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest()[:16] == cell.cell_id


def test_display_names_say_what_distinguishes_a_cell() -> None:
    learner, baseline = cell_specs(
        load_job(container("baseline=polynomial", "baseline.degree=3", "target.base=x_squared"))
    )
    assert learner.config["kind"] == "learner" and baseline.config["kind"] == "baseline"
    assert (
        "degree 3" in baseline.method and learner.config["degree"] == baseline.config["degree"] == 8
    )
    assert baseline.config["optimizer"] is None and baseline.config["measure"] == {
        "test": learner.config["measure"]["test"]
    }


@dataclasses.dataclass(frozen=True)
class Component:
    identity_name: typing.ClassVar[str] = "bfc.tests.Component"
    version: typing.ClassVar[int] = 2

    lr: float = 0.1


@dataclasses.dataclass(frozen=True)
class MovedComponent:
    """:class:`Component` after it was renamed and got a field."""

    identity_name: typing.ClassVar[str] = "bfc.tests.Component"
    version: typing.ClassVar[int] = 2

    lr: float = 0.1
    levels: tuple[int, ...] = ()


def test_a_field_that_is_added_enters_the_identity_only_where_it_differs_from_its_default() -> None:
    for lr in (0.1, 0.2):
        assert canonical(MovedComponent(lr)) == canonical(Component(lr))
    changed = canonical(MovedComponent(levels=(2, 3)))
    assert changed == {**canonical(Component()), "levels": [2, 3]}


def test_a_field_that_was_added_to_a_frozen_component_renames_no_cell() -> None:
    @dataclasses.dataclass(frozen=True)
    class Extended(Polynomial):
        identity_name: typing.ClassVar[str] = Polynomial.identity_name

        centre: bool = False

    assert canonical(Extended()) == canonical(Polynomial())
    assert canonical(Extended(centre=True)) == {**canonical(Polynomial()), "centre": True}


def test_moving_and_renaming_a_class_renames_no_cell() -> None:
    job = load_job(container())
    moved = {}
    for group in ("learner", "family", "optimizer", "schedule", "measure"):
        part = getattr(job, group)
        cls = type(part)
        names = {"identity_name": cls.identity_name, "__module__": "bfc.elsewhere"}
        renamed = type(f"Renamed{cls.__name__}", (cls,), names)
        fields = [f.name for f in dataclasses.fields(part) if f.init]
        moved[group] = renamed(**{name: getattr(part, name) for name in fields})
    moved_job = dataclasses.replace(job, **moved)
    assert [spec.cell_id for spec in cell_specs(moved_job)] == ids(container())
