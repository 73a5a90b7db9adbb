"""The probe of how much the features of a level change within a phase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from probe_checks import LEVELS, SEEDS, close, rotation
from torch import Tensor

from bfc.errors import UserError
from bfc.learners.resnet import ResNet
from bfc.probes.feature_change import FeatureChange
from bfc.targets.parity import Parity
from bfc.types import Draw


@dataclass
class ChangedNetwork:
    """What :class:`FeatureChange` is measured on."""

    target: Parity
    learner: ResNet
    draw: Draw
    params: dict[str, Tensor]

    def measure(self, present: frozenset[str] = LEVELS) -> dict[str, Tensor]:
        probe = FeatureChange(256)
        return probe.measure(self.target, self.draw, self.learner, self.params, present)


@pytest.fixture
def changed(build) -> ChangedNetwork:
    """A residual network that remembers where its phase began."""
    target = Parity(d=5)
    learner = build("learner", "resnet", blocks=2, width=6, inner=6, remember=True)
    FeatureChange(256).check(target, learner)
    draw = target.draw(SEEDS, torch.float64)
    return ChangedNetwork(target, learner, draw, learner.init_params(target, draw))


def test_feature_change_is_one_where_nothing_moved(changed):
    values = changed.measure()
    assert set(values) == {"correlation/2", "correlation/3", "cka/2", "cka/3"}
    for value in values.values():
        close(value, 1.0)


def test_feature_change_is_that_of_numpy(changed):
    """corrcoef per unit; CKA by its formula; the level below is not touched."""
    before = dict(changed.params)
    changed.params["V3"] = changed.params["V3"] + 0.5
    values = changed.measure()
    close(values["cka/2"], 1.0)
    x = changed.draw.inputs("probe", torch.arange(256).expand(len(SEEDS), -1))
    after_states = changed.learner.hidden(changed.params, x, LEVELS)[3]
    before_states = changed.learner.hidden(before, x, LEVELS)[3]
    for r in range(len(SEEDS)):
        h, g = after_states[r].numpy(), before_states[r].numpy()
        correlations = [np.corrcoef(h[:, i], g[:, i])[0, 1] for i in range(6)]
        close(values["correlation/3"][r], np.mean(correlations))
        h, g = h - h.mean(0), g - g.mean(0)
        want = np.linalg.norm(h.T @ g) ** 2 / (np.linalg.norm(h.T @ h) * np.linalg.norm(g.T @ g))
        close(values["cka/3"][r], want)
        assert want < 0.99


def test_a_rotated_representation_keeps_its_kernel_and_loses_its_correlations(changed):
    q, params = rotation(6), changed.params
    for name in ("E", "V2", "V3"):
        params[name] = params[name] @ q
    for name in ("W2", "W3"):
        params[name] = q.mT @ params[name]
    values = changed.measure()
    close(values["cka/3"], 1.0)
    assert float(values["correlation/3"].max()) < 0.9


def test_a_phase_start_is_remembered_anew(changed):
    changed.params["W2"] = changed.params["W2"] + 1
    begun = changed.learner.on_phase_start(changed.params, changed.draw, None)
    for name in ("E", "W2", "bias"):
        assert torch.equal(begun[f"before_{name}"], changed.params[name])


def test_the_feature_change_of_an_absent_level_is_not_a_number(changed):
    values = changed.measure(frozenset({"bias", "level2"}))
    assert bool(values["cka/3"].isnan().all()) and not bool(values["cka/2"].isnan().any())


def test_feature_change_needs_a_learner_that_remembers(build):
    with pytest.raises(UserError, match="remember=true"):
        FeatureChange(256).check(Parity(d=5), build("learner", "resnet"))
