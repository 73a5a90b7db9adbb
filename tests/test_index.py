"""Index targets: information and generative exponents of their links."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from target_checks import rows

from bfc.targets.index import Index

# ---- index ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "link, information, generative",
    [
        ("he1", 1, 1),
        ("he2", 2, 2),
        ("he3", 3, 1),
        ("he4", 4, 2),
        ("he5", 5, 1),
        ((0.0, 1.0, 1.0), 2, 1),
        ((0.0, 0.0, 0.0, 1.0, 0.0, -1.0), 4, 2),
        ("sign3", 3, 3),
        ("reuse_staircase", 3, 2),
    ],
)
def test_information_and_generative_exponents_are_the_known_ones(link, information, generative):
    """Of a polynomial: the lowest degree of its expansion; 2 if it is even and 1 if not (Damian et
    al., arXiv:2403.05529). Of the others: by their symmetries."""
    target = Index(d=8, link=link)
    assert target.information_exponent == information
    assert target.generative_exponent == generative
    assert target.facts() == {
        "information_exponent": information,
        "generative_exponent": generative,
    }


def test_exponents_of_sums_of_links():
    assert Index(d=8, link="he4", indices=3).generative_exponent == 2
    many = Index(d=8, link="he4", indices=4)
    assert many.information_exponent == 4 and many.generative_exponent is None
    assert "any efficient method" not in many.theory()


def test_hermite_links_against_numpy():
    draw = Index(d=3, link=(0.0, 3.0, 0.0, 4.0)).draw([0], torch.float64)
    x = draw.inputs("train", rows(50, 1))
    t = (x[0] @ draw.frame[0, 0]).numpy()
    scale = [0, 0, 0.6 / math.sqrt(2), 0, 0.8 / math.sqrt(24)]
    expected = np.polynomial.hermite_e.hermeval(t, scale)
    np.testing.assert_allclose(draw.labels(x)[0].numpy(), expected, rtol=1e-10, atol=1e-12)
