"""The option ``--check-shapes`` notices a tensor of another shape than the annotation says."""

from __future__ import annotations

import importlib.util
import sys

import jaxtyping
import pytest
import torch

from bfc import shapes
from bfc.engine.steps import views


def test_a_wrong_shape_is_refused_where_shapes_are_checked(pytestconfig):
    if not pytestconfig.getoption("--check-shapes"):
        pytest.skip("shapes are checked with --check-shapes only")
    assert views(torch.zeros(3, 2), [torch.zeros(3, 2)])[0].shape == (3, 2)
    with pytest.raises(jaxtyping.TypeCheckError):
        views(torch.zeros(6), [torch.zeros(3, 2)])


def test_without_jaxtyping_an_annotation_is_a_plain_tensor(monkeypatch):
    monkeypatch.delitem(sys.modules, "jaxtyping")
    spec = importlib.util.spec_from_file_location("plain_shapes", shapes.__file__)
    plain = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plain)
    assert plain.Float[torch.Tensor, "R B d"] is torch.Tensor
    assert shapes.Float[torch.Tensor, "R B d"] is not torch.Tensor
