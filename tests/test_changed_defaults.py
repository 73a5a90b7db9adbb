"""Defaults of new components: they are stored with a cell, and none changes over stored results.

A new component's defaults are no part of its cells' ids, so config.yaml has to hold them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
import yaml
from commands import TINY, files, run

import bfc
from analysis.lines import label_lines
from bfc.errors import UserError
from bfc.experiment.cost import fit_cost_model
from bfc.experiment.identity import default_values
from bfc.experiment.stored_config import fill_defaults
from bfc.learners.mlp import MLP
from bfc.measure.ladder import Ladder
from bfc.optimizers.lion import Lion
from bfc.optimizers.sgd import SGD
from bfc.schedules import Schedule
from bfc.store.reading import read_store
from bfc.targets.tent import Tent
from bfc.types import Optimizer, Target

NEW = (*TINY, "optimizer=lion")
"""A cell of an optimizer whose fields are all later ones."""


def staircase(default: int, number: int = 1) -> type[Tent]:
    """A new target whose field ``height`` has this default, in a version of this number."""

    @dataclass(frozen=True)
    class Staircase(Tent):
        identity_name: ClassVar[str] = "bfc.targets.staircase.Staircase"
        version: ClassVar[int] = number

        height: int = default

    return Staircase


def steepest(default: int) -> type[SGD]:
    """A new optimizer that inherits this default of ``batch`` from a shared base class."""

    @dataclass(frozen=True, kw_only=True)
    class Base(SGD):
        batch: int = default

    @dataclass(frozen=True, kw_only=True)
    class Steepest(Base):
        identity_name: ClassVar[str] = "bfc.optimizers.steepest.Steepest"

        warmup: int = 1

    return Steepest


def measure(target: Target, results: Path, optimizer: Optimizer) -> pd.DataFrame:
    method = bfc.Method(MLP(widths=(4,)), schedule="joint", steps=4, optimizer=optimizer)
    return bfc.run(target, method, n=[8], seeds=1, device="cpu", results=results)


def config_of(results: Path) -> dict:
    [path] = results.glob("*/config.yaml")
    return yaml.safe_load(path.read_text())


def forget_defaults(results: Path) -> None:
    """Write every config.yaml as earlier versions did: without defaults of later fields."""
    for path in results.glob("*/config.yaml"):
        config = yaml.safe_load(path.read_text())
        for name, value in default_values(Lion).items():
            if config["optimizer"][name] == value:
                del config["optimizer"][name]
        path.write_text(yaml.safe_dump(config, sort_keys=False))


# ---- a default that changes ----------------------------------------------------------------------


@pytest.mark.parametrize("asked", [{}, {"height": 2}], ids=["default", "explicit"])
def test_results_of_another_default_are_refused(tmp_path, asked):
    """Also where the new default is asked for by its value, as its cell has the same id."""
    optimizer = SGD(warmup=1, batch=4)
    measure(staircase(3)(d=2), tmp_path, optimizer)
    assert config_of(tmp_path)["target"]["height"] == 3
    before = files(tmp_path)
    sentence = (
        r"target\.height was 3 when this cell was measured and its default is 2 now; raise the "
        r"version of bfc\.targets\.staircase\.Staircase$"
    )
    with pytest.raises(UserError, match=sentence):
        measure(staircase(2)(d=2, **asked), tmp_path, optimizer)
    assert files(tmp_path) == before
    measure(staircase(2, number=2)(d=2), tmp_path, optimizer)
    assert len(list(tmp_path.iterdir())) == 2


def test_results_of_another_default_of_a_base_class_are_refused(tmp_path):
    target = Tent(d=2)
    measure(target, tmp_path, steepest(8)())
    with pytest.raises(UserError, match=r"optimizer\.batch was 8 .* its default is 4 now"):
        measure(target, tmp_path, steepest(4)())


def test_a_field_that_is_added_with_a_default_or_removed_keeps_its_cells(tmp_path):
    @dataclass(frozen=True)
    class Extended(staircase(3)):
        identity_name: ClassVar[str] = "bfc.targets.staircase.Staircase"

        added: bool = False

    optimizer = SGD(warmup=1, batch=4)
    for order in ((staircase(3), Extended), (Extended, staircase(3))):
        results = tmp_path / order[0].__name__
        first, second = (measure(cls(d=2), results, optimizer) for cls in order)
        pd.testing.assert_frame_equal(first, second)


# ---- configurations that earlier versions wrote --------------------------------------------------


@pytest.fixture
def results(tmp_path) -> Path:
    done = run(*NEW, cwd=tmp_path)
    assert done.status == 0, done.err
    return tmp_path / "results"


def test_the_configuration_of_a_new_component_is_complete(results):
    stored = config_of(results)["optimizer"]
    plain = {"betas": [0.9, 0.99], "weight_decay": 0.0, "clip": 1.0, "batch": 8, "warmup": 2}
    assert {name: stored[name] for name in plain} == plain
    assert stored["sampling"] == "replacement" and stored["decay"] == "cosine"


def test_a_cell_with_a_short_configuration_reads_as_one_with_a_complete_one(results):
    complete, loaded = config_of(results), bfc.load(results)
    forget_defaults(results)
    short = config_of(results)
    assert "betas" not in short["optimizer"] and fill_defaults(short) == complete
    pd.testing.assert_frame_equal(bfc.load(results), loaded, check_like=True)
    assert fit_cost_model([str(results)]).cells == 1
    before = files(results)
    done = run(*NEW, cwd=results.parent)
    assert done.out.rstrip().endswith(", 0 new"), done.out + done.err
    assert files(results) == before


def test_the_cost_of_a_new_optimizer_is_known_from_a_cell_without_its_batch(tmp_path):
    """As where the default of every key was measured."""
    measure(Tent(d=2), tmp_path, Lion(warmup=1))
    forget_defaults(tmp_path)
    assert "batch" not in config_of(tmp_path)["optimizer"]
    assert fit_cost_model([str(tmp_path)]).cells == 1


def test_short_and_complete_configurations_form_one_line(results):
    forget_defaults(results)
    assert run(*NEW, "target.d=5", cwd=results.parent).status == 0
    cells = read_store(results, fill_defaults).cells
    assert sorted(cells["d"]) == [4, 5]
    assert label_lines(cells).nunique() == 1
    assert set(cells["optimizer.betas"]) == {"[0.9, 0.99]"}


def test_defaults_of_another_version_are_not_filled_in(results, monkeypatch):
    forget_defaults(results)
    monkeypatch.setattr(Lion, "version", Lion.version + 1)
    assert "config.optimizer.betas" not in bfc.load(results)


@pytest.mark.parametrize(
    "optimizer",
    [None, 3, "adam", [1], {}, {"_target_": ["a"]}, {"_target_": "os.system", "numerics": 1}],
)
def test_a_configuration_of_something_else_stays_as_it_is(optimizer):
    config = {"kind": "learner", "optimizer": optimizer}
    assert fill_defaults(config) == config


def test_defaults_within_a_component_are_filled_in():
    schedule = {
        "_target_": Schedule.identity_name,
        "numerics": Schedule.version,
        "name": "joint",
        "phases": [{"train": ["bias"]}],
    }
    filled = fill_defaults({"schedule": schedule})["schedule"]
    assert filled["phases"][0]["train"] == ["bias"] and filled["phases"][0]["penalties"] == {}
    assert filled["steps"] == Schedule.steps


def test_measures_that_share_a_name_are_filled_with_what_they_share():
    measure = {"_target_": Ladder.identity_name, "numerics": Ladder.version, "test": 64}
    filled = fill_defaults({"measure": measure})["measure"]
    shared = {"validation": "inside", "validation_size": 0.2, "tune": None, "fresh": False}
    assert filled == {**measure, **shared}
