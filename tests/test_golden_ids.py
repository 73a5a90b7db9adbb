"""The id of every cell of every study, as it was when identities were frozen.

Moving, renaming or extending code must not rename a stored cell, or a rerun over an old store would
compute everything again.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bfc.hydra_plugins.registration import compose_sweep

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
