"""One battery over every YAML of conf/baseline: a new baseline joins by existing."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from bfc.baselines.base import TunedBaseline
from bfc.baselines.compositional import QuadraticNNGP, QuadraticNTK
from bfc.baselines.features import RandomFeatures
from bfc.baselines.lasso import Lasso
from bfc.baselines.linearised import Linearised
from bfc.baselines.monomials import Monomials
from bfc.baselines.ridge import KernelRidge
from bfc.baselines.sequential import Sequential
from bfc.errors import UserError
from bfc.experiment.job import check_outputs
from bfc.targets.hierarchy import Hierarchy
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.tasks.regression import Regression
from bfc.types import Target

TARGET = QuadraticDenseNet(d=4, L=3, widths=(2, 2))
TARGETS = (TARGET, Hierarchy(v=4, m=4, L=2), Hierarchy(v=8, classes=8, m=3, L=2))


@pytest.fixture
def targets(small_baseline) -> list[Target]:
    """Those of :data:`TARGETS` that the baseline accepts."""
    accepted = []
    for target in TARGETS:
        try:
            check_outputs(small_baseline, target)
            small_baseline.check(target)
        except UserError:
            continue
        accepted.append(target)
    return accepted


@pytest.fixture
def on_numbers(small_baseline, targets):
    """The baseline, if it fits labels that are numbers."""
    if TARGET not in targets:
        pytest.skip("answers with classes alone")
    return small_baseline


def test_the_yaml_lists_every_field_with_its_default(build, node, baseline_name):
    baseline = build("baseline", baseline_name)
    assert set(node("baseline", baseline_name)) - {"_target_"} == {
        field.name for field in dataclasses.fields(baseline)
    }
    assert baseline == type(baseline)(), "a default in the YAML differs from the one in Python"
    assert baseline.label and isinstance(type(baseline).version, int)


def test_a_curve_is_a_function_of_the_seed_and_its_beginning_of_the_first_labels(
    small_baseline, targets
):
    target = targets[0]
    is_tuned = isinstance(small_baseline, TunedBaseline)
    counts: list[int] = []
    tuned = small_baseline.tune(target, 64, on_curves=counts.append)
    assert sum(counts) == small_baseline.num_tuning_curves == (2 if is_tuned else 0)
    assert json.loads(json.dumps(tuned)) == tuned
    assert len(tuned["tried"]) == (2 if is_tuned else 0)
    assert tuned["seeds"] == ([-1] if is_tuned else [])
    curve = small_baseline.curve(target, 3, 64, tuned)
    assert curve.n == small_baseline.grid and (curve.n[0], curve.n[-1]) == (8, 48)
    assert all(0 < risk < 1e3 for risk in curve.risk)
    assert small_baseline.curve(target, 3, 64, tuned).risk == curve.risk
    assert small_baseline.curve(target, 4, 64, tuned).risk != curve.risk
    shorter = dataclasses.replace(small_baseline, n_max=24).curve(target, 3, 64, tuned)
    risk_at = dict(zip(shorter.n, shorter.risk, strict=True))
    common = [
        (risk, risk_at[n]) for n, risk in zip(curve.n, curve.risk, strict=True) if n in risk_at
    ]
    assert len(common) >= 2
    for risk, shorter_risk in common:
        assert shorter_risk == pytest.approx(risk, rel=1e-8)


def test_classes_are_answered_or_refused_in_one_sentence(small_baseline, targets):
    """A score per class that is right more often than chance on unseen strings, or a sentence."""
    if not small_baseline.supports_multi_output:
        target = TARGETS[1]
        with pytest.raises(UserError, match="answers with one number, and the target has 4") as e:
            check_outputs(small_baseline, target)
        assert "\n" not in str(e.value) and "allowed: baseline=" in str(e.value)
        return
    target = next(target for target in targets if target.outputs > 1)
    baseline = dataclasses.replace(small_baseline, n_max=300)
    tuned = {"ridge": 1e-2, "regularisation": 1e-2}
    risks = [baseline.curve(target, seed, 500, tuned).risk for seed in range(2)]
    assert np.mean([risk[0] for risk in risks]) > 0.75
    assert np.mean([risk[-1] for risk in risks]) < 0.8


def last_risks(baseline, noise: float, strength: float = 1e-2) -> list[float]:
    """Risks at the largest n of three seeds, trained on labels with noise."""
    target = Regression(noise=noise).wrap(TARGET)
    tuned = {"ridge": strength, "regularisation": strength}
    return [baseline.curve(target, seed, 256, tuned).risk[-1] for seed in range(3)]


def test_noise_hurts_what_is_learned(on_numbers):
    """With a noise of three standard deviations nothing is learned: a risk above one."""
    clean, noisy = (
        np.mean(last_risks(on_numbers, 0.0)),
        np.mean(last_risks(on_numbers, 3.0)),
    )
    assert noisy > 1 and noisy > 2 * clean


def test_noise_is_not_judged(on_numbers):
    """Regularised away, a method predicts 0 or the mean of its labels: a risk of about one.

    Noise in the mean of as few as 15 labels adds some; noise on the test labels would add 9.
    """
    risks = last_risks(on_numbers, 3.0, strength=1e8)
    assert all(0.5 < risk < 5 for risk in risks), risks


def test_kernel_ridge_is_linear_in_the_labels(on_numbers):
    """Its risk is a polynomial of degree two in the noise, so that third differences vanish."""
    if not isinstance(on_numbers, KernelRidge):
        pytest.skip("not linear in the labels")
    risks = np.array([last_risks(on_numbers, noise) for noise in (0.0, 1.0, 2.0, 3.0)])
    np.testing.assert_allclose(np.diff(risks, n=3, axis=0), 0, atol=1e-8 * risks.max())


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (RandomFeatures, "number", 0),
        (RandomFeatures, "activation", "tanh"),
        (RandomFeatures, "activation", 17),
        (RandomFeatures, "bias", -1),
        (Monomials, "degree", 0),
        (Monomials, "basis", "fourier"),
        (Lasso, "degree", 1.5),
        (Lasso, "regularisation", 0),
        (Lasso, "regularisation_grid", ()),
        (Lasso, "n_max", 8),
        (Lasso, "n_ratio", 1.0),
        (Lasso, "tuning_draws", 0),
        (Lasso, "tuning_eps", 1),
        (Lasso, "basis", "fourier"),
        (Sequential, "stages", 0),
        (Sequential, "degree", 0),
        (Sequential, "passed", -1),
        (Linearised, "depth", 1),
        (Linearised, "width", 0),
        (Linearised, "activation", "gelu"),
        (Linearised, "bias", -1),
        (QuadraticNNGP, "depth", 1),
        (QuadraticNTK, "links", "all"),
        (QuadraticNTK, "bias", math.nan),
    ],
)
def test_bad_values_are_refused_with_a_sentence(kind, field, value):
    with pytest.raises(UserError, match=rf"^baseline\.{field}=.*: must be "):
        kind(**{field: value})
