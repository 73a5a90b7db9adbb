"""The feature probes against formulas written out and against cases with known answers."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from probe_checks import SEEDS, close, rotation
from torch import Tensor

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.learners.mlp import MLP
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.probes.feature_error import FeatureError
from bfc.schedules import load_schedule
from bfc.targets.index import Index
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Probe, Training

LEARNER = QuadraticDenseNet()


def setup(target: Teacher, learner: QuadraticDenseNet = LEARNER):
    draw = target.draw(SEEDS, torch.float64)
    present = frozenset({"bias", *(f"level{level}" for level in target.levels)})
    return draw, learner.init_params(target, draw), present


def times(left: Tensor, params: dict[str, Tensor], level: int) -> dict[str, Tensor]:
    """The network whose features of ``level`` are ``left`` times those of ``params``."""
    return {name: left @ p if name.startswith(f"K{level}_") else p for name, p in params.items()}


@pytest.mark.parametrize(
    "values", [{"L": 3}, {"L": 4, "links": "dense"}, {"L": 3, "base": "x_squared"}], ids=str
)
def test_a_perfect_learner_has_no_error_at_any_level(perfect, values):
    target = Teacher(d=6, **values)
    draw, _, present = setup(target)
    params, _ = perfect(target, draw, LEARNER)
    errors = FeatureError(4096).measure(target, draw, LEARNER, params, present)
    names = itertools.product(("gram", "subspace", "feature"), target.levels)
    assert set(errors) == {f"{name}/{level}" for name, level in names}
    for value in errors.values():
        assert value.shape == (len(SEEDS),) and value.dtype == torch.float64
    for level in target.levels:
        # above level 2 the learner centres by these very rows, so a perfect one is off by the
        # sampling error of its means
        close(errors[f"gram/{level}"], 0.0, atol=1e-8 if level == 2 else 0.1)
        close(errors[f"subspace/{level}"], 0.0, atol=1e-10 if level <= 3 else 1e-3)
        close(errors[f"feature/{level}"], 0.0, atol=1e-10 if level == 2 else 1e-3)


def test_levels_that_are_absent_are_not_numbers():
    target = Teacher(d=6, L=3)
    draw, params, _ = setup(target)
    errors = FeatureError(256).measure(target, draw, LEARNER, params, frozenset({"bias", "level2"}))
    assert len(errors) == 6
    for name, value in errors.items():
        assert bool(value.isnan().all()) == name.endswith("/3")


def test_level_2_equals_the_formulas_of_the_notes():
    """g2 = |K'K - W'W| / |W'W|; sub2 = 1 - |W V|^2 / k, V the top k right singular vectors of K.

    The second is measured on rows.
    """
    target = Teacher(d=10, L=3, widths=(4, 2))
    draw, params, present = setup(target)
    noise = torch.randn(3, 4, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    params["K2_0"] = draw.weights[2][0] + 0.1 * noise
    errors = FeatureError(1 << 16).measure(target, draw, LEARNER, params, present)
    for r in range(len(SEEDS)):
        k, w = params["K2_0"][r].numpy(), draw.weights[2][0][r].numpy()
        gram = np.linalg.norm(k.T @ k - w.T @ w) / np.linalg.norm(w.T @ w)
        close(errors["gram/2"][r], gram, rtol=1e-10)
        v = np.linalg.svd(k)[2][:4].T
        subspace = 1 - np.linalg.norm(w @ v) ** 2 / 4
        assert 0.01 < subspace
        close(errors["subspace/2"][r], subspace, rtol=0.03)


def test_gram_from_weights_equals_its_function_form():
    """At level 2 the probe reads the weights; sd(|s|^2 - |z|^2) / sd(|z|^2) is the same number."""
    target = Teacher(d=6, L=2, widths=(3,))
    draw, params, present = setup(target)
    x = draw.inputs("test", torch.arange(400_000).expand(len(SEEDS), -1))
    truth = draw.features(x)[2].square().sum(2)
    student = (x @ params["K2_0"].mT).square().sum(2)
    errors = FeatureError(64).measure(target, draw, LEARNER, params, present)
    close(errors["gram/2"], (student - truth).std(1) / truth.std(1), rtol=0.01)


def test_level_3_is_measured_on_its_features_as_functions():
    """Gram as a ratio of standard deviations, the others as 1 - R^2, on the probe's rows."""
    target, rows = Teacher(d=6, L=3, widths=(3, 2)), 4096
    learner = QuadraticDenseNet(widths=(4, 3))
    draw, params, present = setup(target, learner)
    errors = FeatureError(rows).measure(target, draw, learner, params, present)
    x = draw.inputs("probe", torch.arange(rows).expand(len(SEEDS), -1))
    for r in range(len(SEEDS)):
        s2 = x[r].numpy() @ params["K2_0"][r].numpy().T
        phi2 = all_products(s2)
        phi2 -= phi2.mean(0)
        s3 = phi2 @ params["K3_2"][r].numpy().T + x[r].numpy() @ params["K3_0"][r].numpy().T
        phi3 = all_products(s3)
        z3 = draw.features(x)[3][r].numpy()
        difference = (s3**2).sum(1) - (z3**2).sum(1)
        close(errors["gram/3"][r], difference.std() / (z3**2).sum(1).std(), rtol=1e-9)
        close(errors["subspace/3"][r], unexplained(s3, z3, s3, z3), rtol=1e-6)
        half = rows // 2
        feature = unexplained(phi3[:half], z3[:half] ** 2, phi3[half:], z3[half:] ** 2)
        close(errors["feature/3"][r], feature, rtol=1e-6)


def all_products(s: np.ndarray) -> np.ndarray:
    """(B, p) → all s_i s_j, i <= j, (B, p(p+1)/2)."""
    pairs = itertools.combinations_with_replacement(range(s.shape[1]), 2)
    return np.stack([s[:, i] * s[:, j] for i, j in pairs], 1)


def unexplained(features, values, test_features, test_values) -> float:
    """Mean over columns of 1 - R^2, least squares with an intercept."""
    coefficients = np.linalg.lstsq(with_constant(features), values, rcond=None)[0]
    residual = test_values - with_constant(test_features) @ coefficients
    return float((residual.var(0) / test_values.var(0)).mean())


def with_constant(features: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(features)), features])


@pytest.mark.parametrize("level", [2, 3])
def test_a_rotation_changes_nothing_and_a_mixture_only_gram(level):
    target = Teacher(d=6, L=3, widths=(3, 2))
    draw, params, present = setup(target)
    probe, width = FeatureError(2048), target.width(level)
    before = probe.measure(target, draw, LEARNER, params, present)
    rotated = probe.measure(target, draw, LEARNER, times(rotation(width), params, level), present)
    mixture = 3 * rotation(width) + torch.eye(width) * 5
    mixed = probe.measure(target, draw, LEARNER, times(mixture, params, level), present)
    for name in ("gram", "subspace", "feature"):
        close(rotated[f"{name}/{level}"], before[f"{name}/{level}"])
        changed = (mixed[f"{name}/{level}"] - before[f"{name}/{level}"]).abs() > 1e-3
        assert bool(changed.all()) if name == "gram" else not bool(changed.any())


@pytest.mark.parametrize(
    "rows, gram, explained",
    [
        ((1.0, 1.0, 0.0, 0.0), 0.0, 1.0),  # |z|^2 has variance 4; both units found
        ((2.0, 2.0, 0.0, 0.0), 3.0, 1.0),  # 4 |z|^2 - |z|^2
        ((1.0, 0.0, 0.0, 0.0), 0.5**0.5, 0.5),  # -z_2^2 is left over
        ((1.0, 0.0, 1.0, 0.0), 1.0, 0.5),  # a wrong direction: w^2 - z_2^2
        ((0.0, 0.0, 1.0, 1.0), 2**0.5, 0.0),
    ],
    ids=str,
)
def test_known_answers(rows, gram, explained):
    """The learner's units are z_1, z_2 and two directions w_1, w_2 orthogonal to them, scaled."""
    target, learner = Teacher(d=8, L=2, widths=(2,)), QuadraticDenseNet(widths=(4,))
    draw, params, present = setup(target, learner)
    complement = torch.linalg.svd(draw.weights[2][0])[2][:, 2:4]
    units = torch.cat([draw.weights[2][0], complement], 1)
    params["K2_0"] = units * torch.tensor(rows, dtype=torch.float64).view(1, -1, 1)
    errors = FeatureError(1 << 15).measure(target, draw, learner, params, present)
    close(errors["gram/2"], gram)
    close(errors["subspace/2"], 1 - explained, atol=3e-3)
    close(errors["feature/2"], 1 - explained, atol=1e-2)


def test_replicas_of_one_seed_share_its_rows():
    """Measured together, alone, or several times over: the same numbers."""
    target = Teacher(d=6, L=3)
    draw, params, present = setup(target)
    probe = FeatureError(512)
    whole = probe.measure(target, draw, LEARNER, params, present)
    for index in ([1], [2, 0, 2]):
        selected = {name: p[index] for name, p in params.items()}
        some = probe.measure(target, draw.select(index), LEARNER, selected, present)
        for name, value in some.items():
            close(value, whole[name][index])


def test_single_precision_is_enough():
    target = Teacher(d=6, L=3)
    draw, params, present = setup(target)
    single = target.draw(SEEDS, torch.float32)
    wide = FeatureError(512).measure(target, draw, LEARNER, params, present)
    narrow_params = {name: p.float() for name, p in params.items()}
    narrow = FeatureError(512).measure(target, single, LEARNER, narrow_params, present)
    for name, value in narrow.items():
        close(value, wide[name], rtol=1e-4, atol=1e-5)


def test_too_few_rows_are_refused():
    with pytest.raises(UserError, match=r"probe.rows=10: must be an integer from 64 to 16777216"):
        FeatureError(10)


def test_a_learner_without_features_is_refused():
    FeatureError().check(Teacher(d=4), LEARNER)
    with pytest.raises(UserError, match=r"probe=feature_error: needs .* set probe=none"):
        FeatureError().check(Teacher(d=4), object())
    with pytest.raises(UserError, match="not Parity and QuadraticDenseNet"):
        FeatureError().check(Parity(d=4), LEARNER)


@dataclass(frozen=True)
class ProgressProbe(Probe):
    """Records what it is told of the training."""

    identity_name: ClassVar[str] = "tests.ProgressProbe"
    version: ClassVar[int] = 1
    num_evals: int = 3

    def check(self, target, learner) -> None:
        pass

    def measure_training(self, target, draw, learner, params, present, progress):
        assert len(draw.seeds) == len(progress.n) == len(progress.step) == len(params["W2"])
        return {"n": progress.n.double(), "step": progress.step.double()}


@pytest.mark.parametrize(("validation", "held_out"), [("none", 0.0), ("inside", 0.25)])
def test_a_probe_knows_the_rows_and_the_steps_of_every_training(validation, held_out):
    """Seeds out of order in one stack; rows that are held out are not trained on."""
    recipe = Recipe(
        Index(d=4),
        MLP(widths=(4,)),
        load_schedule("joint", steps=20, patience=None),
        Adam(batch=8),
        validation=validation,
        validation_size=0.25,
        test=64,
        probe=ProgressProbe(),
    )
    trainings = [Training(40, 7), Training(16, 2), Training(80, 7)]
    for training, record in zip(trainings, train(recipe, trainings), strict=True):
        rows = training.n - round(held_out * training.n)
        assert record[f"{record['stage']}/n"] == rows
        assert record[f"{record['stage']}/step"] == record["steps"] == 20
        assert [row["step"] for row in record["trace"]] == [0, 1, 20]
        assert [row["n"] for row in record["trace"]] == [rows] * 3


def test_fresh_trainings_have_no_rows_of_their_own():
    recipe = Recipe(
        Index(d=4),
        MLP(widths=(4,)),
        load_schedule("joint", steps=5, patience=None),
        Adam(batch=8),
        test=64,
        probe=ProgressProbe(num_evals=0),
    )
    (record,) = train(recipe, [Training(0, 3)])
    assert record[f"{record['stage']}/n"] == 0
