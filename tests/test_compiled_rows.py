"""Generated code draws the fresh rows of a target that torch draws."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from compiled_row_cases import DRAWN, compare_rows, last_batch, recipe_of

from bfc.targets.inputs import Mixture
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.tasks.regression import Regression

pytestmark = pytest.mark.usefixtures("steps_of_this_run")


def test_rows_of_every_target_are_those_of_torch_or_left_to_it(build, node, target_name):
    small = {"d": 6} if "d" in node("target", target_name) else {}
    target = build("target", target_name, **small)
    if target.outputs > 1:
        pytest.skip("has no compiled form")
    is_drawn = compare_rows(recipe_of(target), 1e-12)
    assert is_drawn or target_name not in DRAWN


@pytest.mark.parametrize("d", [1, 2, 7, 32])
def test_normal_rows_in_single_precision_agree_to_rounding(d):
    target = QuadraticDenseNet(d=d, L=2, widths=(1,))
    assert compare_rows(recipe_of(target, torch.float32, batch=1500), 2e-6)


def test_label_noise_is_drawn_as_by_torch():
    assert compare_rows(recipe_of(Regression(noise=0.5).wrap(QuadraticDenseNet(d=6))), 1e-12)


def test_what_has_no_form_in_lanes_is_drawn_by_torch():
    for target in (Parity(d=4), QuadraticDenseNet(d=6, law=Mixture())):
        assert last_batch(recipe_of(target)) is None


def test_the_code_of_rows_serves_other_coefficients_and_seeds():
    first = recipe_of(QuadraticDenseNet(d=6, L=3, alpha=(1.0, 0.5)))
    assert compare_rows(first, 1e-12)
    assert compare_rows(
        replace(first, target=QuadraticDenseNet(d=6, L=3, alpha=(1.0, 0.25))), 1e-12
    )
