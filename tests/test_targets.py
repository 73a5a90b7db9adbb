"""Targets: a battery over every YAML of conf/target, and the parity as the plainest of them."""

from __future__ import annotations

import math

import pytest
import torch
from target_checks import (
    SEEDS,
    assert_degree,
    assert_function_of_seed,
    assert_population,
    assert_rows_nested,
    rows,
)

from bfc.errors import UserError
from bfc.targets.parity import Parity


@pytest.fixture
def target(build, target_name):
    return build("target", target_name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_draw_is_a_function_of_its_seed(target, dtype):
    assert_function_of_seed(target, dtype)


def test_rows_are_nested_and_roles_differ(target):
    assert_rows_nested(target)


def test_labels_are_a_function_of_the_row(target):
    draw = target.draw(SEEDS[:2], torch.float64)
    x = draw.inputs("train", rows(32, 2))
    torch.testing.assert_close(
        draw.labels(x[:, 7:8]), draw.labels(x)[:, 7:8], rtol=1e-12, atol=1e-12
    )


def test_population_mean_and_variance(target):
    if target.outputs > 1:
        pytest.skip("classes are no numbers")
    assert_population(target)


def test_degree(target):
    if target.degree == 0:
        pytest.skip("no polynomial")
    assert_degree(target)


def test_theory_names_its_sources(target):
    for name, theory in target.theory().items():
        assert theory.status in ("theorem", "conjecture", "heuristic"), name
        assert name and theory.source
        assert theory.exponent > 0
        assert theory.bound in ("upper", "lower", "rate")


@pytest.mark.parametrize(
    "kind, changes, words",
    [
        ("quadratic_densenet", {"d": 0}, ["target.d=0", "1048576"]),
        ("quadratic_densenet", {"L": 1}, ["target.L=1", "2 to 8"]),
        ("quadratic_densenet", {"L": 9}, ["target.L=9", "2 to 8"]),
        ("quadratic_densenet", {"widths": [4]}, ["target.widths=[4]", "2 integers", "k_2..k_3"]),
        ("quadratic_densenet", {"widths": [4, 0]}, ["target.widths", ">= 1"]),
        ("quadratic_densenet", {"widths": [17, 2]}, ["target.widths", "k_2 <= target.d = 16"]),
        ("quadratic_densenet", {"alpha": [1.0]}, ["target.alpha=[1.0]", "2 numbers"]),
        ("quadratic_densenet", {"alpha": [1.0, 0.0]}, ["target.alpha", "> 0"]),
        ("quadratic_densenet", {"alpha": [1.0, float("inf")]}, ["target.alpha", "finite"]),
        ("quadratic_densenet", {"gamma": -0.5}, ["target.gamma=-0.5", "> 0"]),
        ("quadratic_densenet", {"gamma": None}, ["target.gamma", "> 0"]),
        ("quadratic_densenet", {"rho": 1.0}, ["target.rho=1.0", "[0, 1)"]),
        ("quadratic_densenet", {"rho": -0.1}, ["target.rho=-0.1", "[0, 1)"]),
        ("quadratic_densenet", {"quadrature": 100}, ["target.quadrature=100", "4096"]),
        ("quadratic_densenet", {"base": "y"}, ["target.base=y", "x or x_squared"]),
        ("quadratic_densenet", {"links": "all"}, ["target.links=all", "chain", "skip", "dense"]),
        ("quadratic_densenet", {"links": [[0]]}, ["target.links=[[0]]", "2 lists"]),
        ("quadratic_densenet", {"links": [[0], [0]]}, ["target.links", "level 3 reads 2"]),
        ("quadratic_densenet", {"links": [[0], [2, 3]]}, ["target.links", "level 3", "[0, 1, 2]"]),
        (
            "quadratic_densenet",
            {"links": [[0], [2]], "base": "x_squared"},
            ["target.links", "level 2 reads 1"],
        ),
        ("quadratic_densenet", {"width_power": [0.5]}, ["target.width_power=[0.5]", "2 numbers"]),
        ("quadratic_densenet", {"width_power": [2.0, 0.5]}, ["target.width_power", "-8 to 1"]),
        (
            "quadratic_densenet",
            {"width_power": [1.0, 0.5], "widths": [2, 2]},
            ["target.widths=[32, 8]", "k_2 <= target.d = 16"],
        ),
        (
            "quadratic_densenet",
            {"width_power": [0.5, 0.5], "widths": [0, 2]},
            ["target.widths=[0, 8]", ">= 1"],
        ),
        (
            "quadratic_densenet",
            {"law": "student"},
            ["target.law=student", "laplace", "exponential"],
        ),
        (
            "quadratic_densenet",
            {"law": "sign", "base": "x_squared"},
            ["target.law=sign", "x^2 - 1 is zero"],
        ),
        (
            "quadratic_densenet",
            {"law": {"component": 3}},
            ["target.law.component: no such key", "did you mean components?"],
        ),
        (
            "quadratic_densenet",
            {"law": {"components": 0}},
            ["target.law.components=0", "1 to 1024"],
        ),
        ("quadratic_densenet", {"law": {"spread": 0.5}}, ["target.law.spread=0.5", ">= 1"]),
        ("quadratic_densenet", {"law": {"separation": -1}}, ["target.law.separation=-1", ">= 0"]),
        ("parity", {"degree": 17}, ["target.degree=17", "16"]),
        ("parity", {"degree": 0}, ["target.degree=0"]),
        ("parity", {"d": 0}, ["target.d=0"]),
        ("parity", {"law": "cauchy"}, ["target.law=cauchy", "sign or gaussian"]),
    ],
)
def test_bad_values_are_refused_in_one_sentence(build, kind, changes, words):
    with pytest.raises(UserError) as caught:
        build("target", kind, **changes)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


def test_parity_is_the_product_of_its_coordinates():
    for law, dimension in (("sign", 9), ("gaussian", 4)):
        target = Parity(d=dimension, degree=3, law=law)
        draw = target.draw([0, 5, 6], torch.float64)
        x = draw.inputs("train", rows(40, 3))
        for r, chosen in enumerate(draw.coordinates.tolist()):
            assert len(set(chosen)) == 3
            want = [math.prod(x[r, b, i].item() for i in chosen) for b in range(40)]
            torch.testing.assert_close(draw.labels(x)[r], torch.tensor(want, dtype=torch.float64))
        assert (law == "sign") == bool((x.abs() == 1).all())
