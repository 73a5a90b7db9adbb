"""The probe of the overlap between a first layer and the planted subspace."""

from __future__ import annotations

import pytest
import torch
from probe_checks import SEEDS, close

import bfc
from bfc.errors import UserError
from bfc.experiment.run_job import run_job
from bfc.learners.mlp import MLP
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.probes.planted_overlap import PlantedOverlap
from bfc.targets.index import Index
from bfc.targets.leap import Leap
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher


def test_the_overlap_of_a_first_layer_is_the_share_of_the_planted_subspace():
    target, learner = Leap(d=9, law="gaussian"), MLP(widths=(40,))
    draw = target.draw(SEEDS, torch.float64)
    params = learner.init_params(target, draw)
    present = frozenset({"bias", "level2"})
    planted = draw.planted_subspace
    mixture = torch.randn(4, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = {**params, "W2": planted @ mixture}
    measured = PlantedOverlap().measure(target, draw, learner, found, present)
    close(measured["overlap/subspace"], 1.0)
    half = {**params, "W2": planted[:, :, :2] @ mixture[:2] + 1e-9 * params["W2"]}
    overlap = PlantedOverlap().measure(target, draw, learner, half, present)["overlap/subspace"]
    assert bool(((overlap > 0.5) & (overlap < 1)).all())


def test_the_overlap_needs_a_first_layer_and_a_planted_subspace(build):
    PlantedOverlap().check(Index(d=5), build("learner", "mlp"))
    with pytest.raises(UserError, match="needs a network whose first layer is a matrix"):
        PlantedOverlap().check(Index(d=5), QuadraticDenseNet())
    with pytest.raises(
        UserError, match=r"needs a target with a planted subspace.*not QuadraticDense"
    ):
        PlantedOverlap().check(Teacher(d=5), build("learner", "mlp"))


def test_the_overlap_is_stored_after_every_phase(tmp_path):
    job = bfc.compose(
        "target=index",
        "target.d=5",
        "learner=mlp",
        "learner.widths=[8]",
        "schedule=all",
        "schedule.steps=20",
        "optimizer.warmup=2",
        "schedule.check_every=10",
        "probe=planted_overlap",
        "measure=ladder",
        "measure.n=[16,32]",
        "measure.seeds=2",
        "measure.test=64",
        "measure.confirm=0",
        f"results={tmp_path}",
    )
    run_job(job)
    rows = bfc.load(tmp_path)
    assert len(rows) == 4 and rows["all/overlap/subspace"].between(0, 1).all()


# ---- what the engine tells a probe ---------------------------------------------------------------
