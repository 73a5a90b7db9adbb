"""The id of every cell of every study, as it was when identities were frozen or the study came in.

Moving, renaming or extending code must not rename a stored cell, or a rerun over an old store would
compute everything again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

import bfc
from bfc.experiment.cell_spec import CellSpec, cell_specs
from bfc.hydra_plugins.registration import compose_sweep
from bfc.optimizers.sgd import SGD

GOLDEN = json.loads((Path(__file__).parent / "data" / "golden_cell_ids.json").read_text())
"""``<study>/<size>`` → per job the ids of its cells, separated by spaces."""
LARGE = [key for key in GOLDEN if not key.endswith("/demo")]


def check(key: str) -> None:
    study, size = key.split("/")
    jobs = compose_sweep([f"+sweeps={study}", f"study.size={size}"])
    ids = [" ".join(spec.cell_id for spec in job.cells) for job in jobs]
    assert ids == GOLDEN[key]


@pytest.mark.parametrize("key", sorted(set(GOLDEN) - set(LARGE)))
def test_the_ids_of_the_smallest_size_of_every_study_are_what_they_were(key):
    check(key)


@pytest.mark.exhaustive
@pytest.mark.parametrize("key", sorted(LARGE))
def test_the_ids_of_every_other_size_are_what_they_were(key):
    check(key)


# ---- a class that is added later -----------------------------------------------------------------


def new_optimizer(batch_default: int = 256, number: int = 1) -> type[SGD]:
    """An optimizer of a base class with this default, in a version of this number."""

    @dataclass(frozen=True, kw_only=True)
    class Base(SGD):
        batch: int = batch_default

    @dataclass(frozen=True, kw_only=True)
    class New(Base):
        identity_name: ClassVar[str] = "bfc.optimizers.new.New"
        version: ClassVar[int] = number

        power: float = 0.5

    return New


def new_cell(optimizer: SGD) -> CellSpec:
    [spec] = cell_specs(replace(bfc.compose("probe=none"), optimizer=optimizer))
    return spec


def test_the_ids_of_a_new_class_are_what_they_were():
    New = new_optimizer()
    changed = [{}, {"power": 1.0}, {"lr": 0.02, "batch": 64}, {"batch": 256}]
    ids = [new_cell(New(**values)).cell_id for values in changed]
    assert ids == ["e49e7a7a80c4a7de", "bf23a309dc07ec6a", "e54a2dd0f92cdb20", "e49e7a7a80c4a7de"]


def test_a_default_of_a_base_class_is_in_the_configuration_and_not_in_the_id():
    """So its change is noticed over stored results; only a new version gives new cells."""
    before, after = (new_cell(new_optimizer(batch)()) for batch in (256, 128))
    assert before.cell_id == after.cell_id
    assert "batch" not in before.identity["optimizer"]
    assert before.config["optimizer"]["batch"] == 256 and after.config["optimizer"]["batch"] == 128
    raised = new_cell(new_optimizer(128, number=2)())
    assert raised.cell_id != before.cell_id
