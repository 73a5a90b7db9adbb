"""A small store that an earlier version wrote: it is read, and a rerun over it computes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from commands import run

from bfc.store.cells import Store
from bfc.store.reading import read_store

OLD = Path(__file__).parent / "data" / "old_store"
COMMON = (
    "target.d=4",
    "schedule.steps=20",
    "schedule.check_every=10",
    "optimizer.warmup=2",
    "optimizer.batch=8",
    "measure.test=64",
    "compute.device=cpu",
)
COMMANDS = {
    "ladder": ("measure.n=[16,32]", "measure.seeds=3", "probe=none"),
    "adaptive": (
        "measure=adaptive",
        "measure.rounds=1",
        "measure.replicas=4",
        "measure.n_max=512",
        "probe=none",
    ),
    "fresh": (
        "measure=single",
        "measure.n=fresh",
        "measure.seeds=2",
        "probe=feature_error",
        "probe.rows=64",
        "probe.num_evals=3",
    ),
    "baseline": (
        "learner=none",
        "probe=none",
        "baseline=polynomial",
        "baseline.n_max=64",
        "measure.n=[16,32]",
        "measure.seeds=2",
    ),
}
"""The commands that filled the store, with the present names of the probe's keys."""


@pytest.fixture
def store(tmp_path):
    shutil.copytree(OLD, tmp_path / "results")
    return tmp_path / "results"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_rerun_computes_nothing(name, store):
    files = {path: path.read_bytes() for path in store.rglob("*.parquet")}
    done = run(*COMMON, *COMMANDS[name], "results=results", cwd=store.parent)
    assert done.status == 0, done.err
    assert done.out.rstrip().endswith(", 0 new"), done.out
    assert {path: path.read_bytes() for path in store.rglob("*.parquet")} == files


def test_the_earlier_word_for_a_confirming_run_is_read_as_the_present_one(store):
    stored = [pd.read_parquet(path) for path in sorted(store.glob("*/trainings.parquet"))]
    assert sum((table["kind"] == "probe").sum() for table in stored) == 6
    rows = []
    for folder in store.iterdir():
        rows += Store(store).cell(folder.name).rows()
    assert sum(row["kind"] == "confirmation" for row in rows) == 6
    collected = read_store(store).trainings
    assert (collected["kind"] == "confirmation").sum() == 6
    assert set(collected["kind"]) == {"training", "curve", "confirmation"}
