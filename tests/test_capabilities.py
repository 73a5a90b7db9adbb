"""What targets offer beyond the common contract, asked of every target, plain and wrapped."""

from __future__ import annotations

import pytest
import torch

from bfc.representations.random_features import RandomFeatures
from bfc.targets import capabilities
from bfc.targets.images import Images
from bfc.targets.low_rank import LowRank
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.targets.quadratic_feature import QuadraticFeature
from bfc.targets.radial import Radial
from bfc.targets.random_polynomial import RandomPolynomial
from bfc.targets.sphere_product import SphereProduct
from bfc.targets.tent import Tent
from bfc.tasks.regression import Regression

CAPABILITIES = {
    QuadraticDenseNet(d=6, L=3, widths=(2, 2)): {"composes_levels"},
    RandomPolynomial(d=6, L=3, widths=(2, 2)): {"composes_levels"},
    Radial(d=8): {"is_radial"},
    Images(): {"has_images"},
    LowRank(d=5): {"has_harmonics"},
    QuadraticFeature(d=6): {"has_harmonics"},
    Parity(d=6): set(),
    SphereProduct(d=8): set(),
    Tent(d=2): set(),
}
QUESTIONS = ("composes_levels", "is_radial", "has_images", "has_harmonics")
TARGETS = pytest.mark.parametrize("target", CAPABILITIES, ids=lambda target: type(target).__name__)


def answers(target) -> set[str]:
    return {question for question in QUESTIONS if getattr(capabilities, question)(target)}


@TARGETS
def test_every_target_offers_what_it_should(target):
    assert answers(target) == CAPABILITIES[target]


@TARGETS
def test_a_wrapped_target_offers_what_the_inner_one_does(target):
    noisy = Regression(noise=0.1).wrap(target)
    represented = RandomFeatures(features=8, n0=100, whitening="none").wrap(noisy)
    for wrapped in (noisy, represented):
        assert answers(wrapped) == CAPABILITIES[target]
        assert capabilities.input_law(wrapped) == capabilities.input_law(target)


def test_the_law_of_the_inputs_is_named_where_there_is_one():
    assert capabilities.input_law(QuadraticDenseNet(d=6, law="uniform")) == "uniform"
    assert capabilities.input_law(Tent()) is None


def test_offers_hold_what_their_protocols_say():
    composition = QuadraticDenseNet(d=6, L=3, widths=(3, 2))
    assert [list(composition.below(level)) for level in composition.levels] == [[0], [2, 0]]
    assert [composition.width(level) for level in (0, 2, 3)] == [6, 3, 2]
    radial = Radial(d=8)
    median = radial.radius_law.quantile(torch.tensor([0.5]))
    assert radial.radius_law.at(median.numpy())[0] == pytest.approx(0.5, abs=1e-6)
    assert Images().shape == (1, 8, 8)
    assert sum(part.share for part in LowRank(d=5).harmonics()) == pytest.approx(1.0)
