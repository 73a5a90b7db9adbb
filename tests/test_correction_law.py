"""The law of the correction: H against a Hessian by hand and a sample, the prediction against BFGS.

Claims and figures of the studies that use it are in test_correction_claims.py.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import optimize

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.probes.correction_law import CorrectionLaw, predicted_gram
from bfc.schedules import load_schedule
from bfc.targets.level_expansion import quadratic_part
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Training


def hessian(target: Teacher, draw, r: int) -> torch.Tensor:
    """H of replica ``r``, exactly."""
    rows = {}
    for level, parts in draw.weights.items():
        rows[level] = {j: w[r] for j, w in parts.items()}
    return quadratic_part(target, rows)


def test_the_quadratic_part_equals_the_mean_hessian_by_hand():
    """L = 3, E[f (x x' - I)] = E[Hessian of f].

    Level 2 gives 2 W'W; unit m of level 3, b·x + Σ a_i ((w_i·x)² - 1) / sd_i, gives 2 (b b' + 4
    Σ_ij a_i a_j (w_i·w_j) w_i w_j' / (sd_i sd_j)); the Hessian of a unit itself is constant and
    meets E z = 0.
    """
    target = Teacher(d=6, L=3, widths=(3, 2), alpha=(1.0, 0.7))
    draw = target.draw([0, 4], torch.float64)
    for r in range(2):
        w, a, b = (draw.weights[level][j][r].numpy() for level, j in ((2, 0), (3, 2), (3, 0)))
        a = a / draw.unit_sd[2][r].numpy()
        want = draw.scale[r, 0].item() * 2 * w.T @ w
        for m in range(2):
            inner = np.zeros((6, 6))
            for i, j in itertools.product(range(3), repeat=2):
                inner += 4 * a[m, i] * a[m, j] * (w[i] @ w[j]) * np.outer(w[i], w[j])
            want = want + draw.scale[r, 1].item() * 2 * (np.outer(b[m], b[m]) + inner)
        assert np.allclose(hessian(target, draw, r).numpy(), want)


def test_the_quadratic_part_of_four_levels_against_a_sample():
    target = Teacher(d=5, L=4, widths=(2, 2, 1))
    draw = target.draw([1], torch.float64)
    x = draw.inputs("train", torch.arange(1 << 18).unsqueeze(0))
    y = draw.labels(x)[0]
    squares = x[0].unsqueeze(2) * x[0].unsqueeze(1)
    terms = y.view(-1, 1, 1) * (squares - torch.eye(5, dtype=torch.float64))
    error = (terms.mean(0) - hessian(target, draw, 0)).abs() / (terms.std(0) / len(y) ** 0.5)
    assert float(error.max()) < 4.5


@pytest.mark.parametrize("width", [2, 3])
def test_the_prediction_is_the_minimiser(width):
    """Of E(f* - s (|K x|² - E))² = const + 2 |H / 2 - s K'K|², by BFGS from several starts."""
    target = Teacher(d=4, L=3, widths=(3, 2), alpha=(1.0, 1.0))
    draw = target.draw([2], torch.float64)
    h, teacher, scale = hessian(target, draw, 0), draw.weights[2][0][0], float(draw.scale[0, 0])

    def gram(k: np.ndarray) -> np.ndarray:
        return k.reshape(width, 4).T @ k.reshape(width, 4)

    def loss(k: np.ndarray) -> float:
        return float(np.sum((h.numpy() / 2 - scale * gram(k)) ** 2))

    starts = [np.random.default_rng(seed).normal(size=4 * width) for seed in range(3)]
    minima = [optimize.minimize(loss, start, tol=1e-12) for start in starts]
    best = min(minima, key=lambda minimum: minimum.fun)
    truth = (teacher.T @ teacher).numpy()
    want = np.linalg.norm(gram(best.x) - truth) / np.linalg.norm(truth)
    assert float(predicted_gram(teacher, h, scale, width)) == pytest.approx(want, rel=1e-4)


def test_trained_level_2_ends_where_it_is_predicted_and_only_there_a_prediction_stands():
    recipe = Recipe(
        Teacher(d=6, L=3, widths=(2, 2)),
        QuadraticDenseNet(),
        load_schedule("staged", steps=400),
        Adam(lr=0.02, batch=256, warmup=40),
        test=1024,
        probe=CorrectionLaw(1024),
    )
    records = train(recipe, [Training(0, seed) for seed in (0, 1, 0)])
    for record in records:
        predicted = record["level2/predicted/2"]
        assert predicted == pytest.approx(record["level2/gram/2"], rel=0.15)
        assert predicted > 0.1
        assert np.isnan(record["level3/predicted/2"])
    first, other, again = (record["level2/predicted/2"] for record in records)
    assert first == again != other


def test_where_the_label_cannot_be_expanded_h_is_sampled(monkeypatch):
    target = Teacher(d=4, L=3, widths=(2, 1))
    draw = target.draw([3], torch.float64)
    exact = CorrectionLaw()._hessian(target, draw)
    monkeypatch.setattr("bfc.probes.correction_law.quadratic_part", lambda target, rows: None)
    sampled = CorrectionLaw(draws=1 << 17)._hessian(target, draw)
    assert 0 < float((sampled - exact).norm() / exact.norm()) < 0.1


@pytest.mark.parametrize(
    "target, learner, words",
    [
        (
            Teacher(d=5, base="x_squared"),
            QuadraticDenseNet(),
            "needs a target whose level 2 reads Gaussian x alone",
        ),
        (Teacher(d=5), QuadraticDenseNet(alpha="trained"), "learner.alpha=trained: must be known"),
    ],
)
def test_what_has_no_prediction_is_refused(target, learner, words):
    with pytest.raises(UserError, match=words):
        CorrectionLaw().check(target, learner)
