"""What targets offer beyond the common contract, asked of every target, plain and wrapped."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from bfc.representations.random_features import RandomFeatures
from bfc.targets.capabilities import (
    HarmonicTarget,
    ImageTarget,
    InputLawTarget,
    LevelComposition,
    PatchTarget,
    RadialTarget,
    RevealedMean,
    RevealedScales,
    input_law,
)
from bfc.targets.class_target import ClassTarget
from bfc.targets.hierarchy import Hierarchy
from bfc.targets.images import Images
from bfc.targets.index import Index
from bfc.targets.leap import Leap
from bfc.targets.low_rank import LowRank
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.targets.quadratic_feature import QuadraticFeature
from bfc.targets.quadratic_of_quadratics import QuadraticOfQuadratics
from bfc.targets.radial import Radial
from bfc.targets.random_polynomial import RandomPolynomial
from bfc.targets.sight import Sight
from bfc.targets.sphere_product import SphereProduct
from bfc.targets.tent import Tent
from bfc.tasks.regression import Regression

CLASSES = (
    InputLawTarget,
    LevelComposition,
    RadialTarget,
    ImageTarget,
    HarmonicTarget,
    ClassTarget,
    PatchTarget,
)
CAPABILITIES = {
    QuadraticDenseNet(d=6, L=3, widths=(2, 2)): {InputLawTarget, LevelComposition},
    RandomPolynomial(d=6, L=3, widths=(2, 2)): {InputLawTarget, LevelComposition},
    Radial(d=8): {RadialTarget},
    Images(): {ImageTarget, ClassTarget},
    Hierarchy(): {ClassTarget, PatchTarget},
    LowRank(d=5): {InputLawTarget, HarmonicTarget},
    QuadraticFeature(d=6): {InputLawTarget, HarmonicTarget},
    Parity(d=6): {InputLawTarget},
    Leap(d=5): {InputLawTarget, HarmonicTarget},
    Sight(d=9): set(),
    QuadraticOfQuadratics(d=4): set(),
    Index(d=4): set(),
    SphereProduct(d=8): set(),
    Tent(d=2): set(),
}
TARGETS = pytest.mark.parametrize("target", CAPABILITIES, ids=lambda target: type(target).__name__)


def capabilities_of(target) -> set[type]:
    return {cls for cls in CLASSES if isinstance(target.unwrapped, cls)}


@TARGETS
def test_every_target_offers_what_it_should(target):
    assert capabilities_of(target) == CAPABILITIES[target]


@TARGETS
def test_a_wrapped_target_offers_what_the_inner_one_does(target):
    noisy = Regression(noise=0.1).wrap(target)
    represented = RandomFeatures(features=8, n0=100, whitening="none").wrap(noisy)
    for wrapped in (noisy, represented):
        assert capabilities_of(wrapped) == CAPABILITIES[target]
        assert input_law(wrapped) == input_law(target)


def test_the_law_of_the_inputs_is_named_where_there_is_one():
    assert input_law(QuadraticDenseNet(d=6, law="uniform")) == "uniform"
    assert input_law(Tent()) is None


def test_the_radius_law_of_a_radial_target_is_not_the_law_of_its_inputs():
    assert input_law(Radial(d=8, law="uniform")) is None


def test_a_target_that_lacks_what_it_declares_cannot_be_built():
    class Declared(ImageTarget):
        pass

    with pytest.raises(TypeError, match="shape"):
        Declared()


def test_the_attributes_of_a_capability_alone_declare_nothing():
    @dataclass(frozen=True)
    class Shaped(Parity):
        shape: tuple[int, int, int] = (1, 2, 3)

    assert capabilities_of(Shaped(d=6)) == {InputLawTarget}


def test_what_is_revealed_follows_the_replicas():
    noisy = Regression(noise=0.1).wrap(QuadraticDenseNet(d=6, L=3, widths=(2, 2)))
    scales = noisy.draw([3, 5]).revealed
    assert isinstance(scales, RevealedScales)
    torch.testing.assert_close(scales.select([1, 0, 1]).scale, scales.scale[[1, 0, 1]])
    assert isinstance(Radial(d=8).draw([3]).revealed, RevealedMean)
    assert Parity(d=6).draw([3]).revealed.tensors() == {}


def test_offers_hold_what_their_protocols_say():
    composition = QuadraticDenseNet(d=6, L=3, widths=(3, 2))
    assert [list(composition.below(level)) for level in composition.levels] == [[0], [2, 0]]
    assert [composition.width(level) for level in (0, 2, 3)] == [6, 3, 2]
    radial = Radial(d=8)
    median = radial.radius_law.quantile(torch.tensor([0.5]))
    assert radial.radius_law.at(median.numpy())[0] == pytest.approx(0.5, abs=1e-6)
    assert Images().shape == (1, 8, 8)
    assert sum(part.share for part in LowRank(d=5).harmonics()) == pytest.approx(1.0)
