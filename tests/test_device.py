"""Code for a GPU, checked where there is none.

On torch's ``meta`` device tensors have shapes and no values, so a number that would have to come to
the host is an error. No operation may mix tensors of two devices (except index tensors on the host
and numbers, which CUDA takes). What is tested is what a step and a kernel matrix are made of.
tests/test_stack_members.py compares numbers where there is a GPU.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bfc.baselines.feature_learner import FeatureLearner
from bfc.baselines.refit import Refit
from bfc.baselines.ridge import KernelRidge
from bfc.baselines.tuple_clusters import TupleClustering
from bfc.engine import data
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import Trainer
from bfc.errors import UserError
from bfc.optimizers.adam import Adam
from bfc.representations.base import Representation
from bfc.targets.low_rank import LowRank
from bfc.tasks.regression import Regression
from bfc.types import Training, sample

META = torch.device("meta")
MAY_MIX = (
    "_to_copy",
    "copy_",
    "index.Tensor",
    "index_put",
    "_index_put_impl_",
    "lift_fresh",
    "set_",
)
SMALL: dict[str, Any] = {"n0": 200, "multiple": 2.0, "labels": 30, "steps": 3, "units": 6}


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of different devices, as CUDA would."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor) and t.dim()]
        if not any(str(func).removeprefix("aten.").startswith(name) for name in MAY_MIX):
            devices = {t.device.type for t in tensors}
            assert len(devices) < 2, f"{func} mixes {devices}"
        return func(*args, **(kwargs or {}))


def test_the_watch_sees_what_it_looks_for():
    with OneDevice(), pytest.raises(AssertionError, match="mixes"):
        torch.zeros(3, 3, device="meta") @ torch.zeros(3, 3)
    with OneDevice(), pytest.raises(RuntimeError):
        torch.zeros(3, device="meta").sum().item()
    with OneDevice():
        assert torch.zeros(3, device="meta")[torch.tensor([1])].device == META


def test_a_target_stays_on_its_device(build, target_name):
    if target_name == "images":
        pytest.skip("images lie on the host and are sent row by row")
    draw = (
        Regression(noise=0.1).wrap(build("target", target_name)).draw([0, 1], torch.float32, META)
    )
    with OneDevice():
        x, y = sample(draw, "train", torch.arange(5, device=META).expand(2, -1))
    assert x.device == y.device == META


def small(build, node, name: str) -> Representation:
    keys = node("representation", name)
    changes = {key: value for key, value in SMALL.items() if key in keys}
    return build("representation", name, **changes)


@pytest.mark.parametrize("target", ["low_rank", "quadratic_feature"])
def test_a_representation_stays_on_its_device(build, node, representation_name, target):
    lens = small(build, node, representation_name)
    try:
        wrapped = lens.wrap(build("target", target, d=6))
    except UserError:
        pytest.skip(f"{representation_name} is not for {target}")
    with OneDevice():
        draw = wrapped.draw([0, 1], torch.float32, META)
        h, y = sample(draw, "train", torch.arange(5, device=META).expand(2, -1))
    assert h.device == y.device == META and all(part.device == META for part in draw.parts.values())


@pytest.mark.parametrize("learner", ["quadratic_taylor", "ntk_model", "coupled_network", "mlp"])
@pytest.mark.parametrize("pooled", [True, False])
def test_a_step_stays_on_its_device(build, node, monkeypatch, learner, representation_name, pooled):
    if not pooled:
        monkeypatch.setattr(data, "POOL_BYTES", 0)
    target = small(build, node, representation_name).wrap(build("target", "low_rank", d=6))
    recipe = Recipe(
        target,
        build("learner", learner),
        build("schedule", "all"),
        Adam(lr=0.01, batch=8, sampling="epochs"),
        test=16,
        device=META,
    )
    stack = Trainer(recipe, [Training(20, 0), Training(12, 1)], None, None)
    with OneDevice():
        for stage in stack.stages:
            stack.train_chunk([0, 1], stage, 2)
    assert all(p.device == META for p in stack.state.params.values())


def test_a_kernel_stays_on_its_device(build, baseline_name):
    baseline = build("baseline", baseline_name)
    if not isinstance(baseline, KernelRidge):
        assert isinstance(baseline, (Refit, FeatureLearner, TupleClustering)), (
            "fitted anew at every n, in steps that ask the host how far they are"
        )
        return
    with OneDevice():
        panels, cross, labels = baseline._problem(LowRank(d=6), 0, 10, META)
        blocks = list(cross)
    assert {t.device for t in (*panels, *blocks, labels.y, labels.f_test)} == {META}
