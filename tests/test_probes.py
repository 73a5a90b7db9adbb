"""The feature-error probe against the formulas of the paper notes, written out, and against cases
with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from bfc.errors import UserError
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.probes.feature_change import FeatureChange
from bfc.probes.feature_error import FeatureError
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher

SEEDS = (0, 5, 9)
LEARNER = QuadraticDenseNet()


def setup(target: Teacher, learner: QuadraticDenseNet = LEARNER):
    draw = target.draw(SEEDS, torch.float64)
    return (
        draw,
        learner.init_params(target, draw),
        frozenset({"bias", *(f"level{level}" for level in target.levels)}),
    )


def rotation(size: int) -> Tensor:
    generator = torch.Generator().manual_seed(size)
    return torch.linalg.qr(
        torch.randn(len(SEEDS), size, size, dtype=torch.float64, generator=generator)
    )[0]


def times(left: Tensor, params: dict[str, Tensor], level: int) -> dict[str, Tensor]:
    """The network whose features of ``level`` are ``left`` times those of ``params``."""
    return {name: left @ p if name.startswith(f"K{level}_") else p for name, p in params.items()}


def close(got: Tensor, want, **tolerance) -> None:
    torch.testing.assert_close(
        got,
        torch.as_tensor(want, dtype=torch.float64).expand_as(got),
        **({"rtol": 1e-6, "atol": 1e-8} | tolerance),
    )


@pytest.mark.parametrize(
    "values", [{"L": 3}, {"L": 4, "links": "dense"}, {"L": 3, "base": "x_squared"}], ids=str
)
def test_a_perfect_learner_has_no_error_at_any_level(perfect, values):
    target = Teacher(d=6, **values)
    draw, _, present = setup(target)
    params, _ = perfect(target, draw, LEARNER)
    errors = FeatureError(4096).measure(target, draw, LEARNER, params, present)
    assert set(errors) == {
        f"{name}/{level}" for name in ("gram", "subspace", "feature") for level in target.levels
    }
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
    assert (
        all(bool(value.isnan().all()) == name.endswith("/3") for name, value in errors.items())
        and len(errors) == 6
    )


def test_level_2_equals_the_formulas_of_the_notes():
    """g2 = |K'K - W'W| / |W'W|; sub2 = 1 - |W V|^2 / k with V the top k right singular vectors of
    K. The second is measured on rows."""
    target = Teacher(d=10, L=3, widths=(4, 2))
    draw, params, present = setup(target)
    noise = torch.randn(3, 4, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    params["K2_0"] = draw.weights[2][0] + 0.1 * noise
    errors = FeatureError(1 << 16).measure(target, draw, LEARNER, params, present)
    for r in range(len(SEEDS)):
        k, w = params["K2_0"][r].numpy(), draw.weights[2][0][r].numpy()
        close(
            errors["gram/2"][r],
            np.linalg.norm(k.T @ k - w.T @ w) / np.linalg.norm(w.T @ w),
            rtol=1e-10,
        )
        v = np.linalg.svd(k)[2][:4].T
        subspace = 1 - np.linalg.norm(w @ v) ** 2 / 4
        assert 0.01 < subspace
        close(errors["subspace/2"][r], subspace, rtol=0.03)


def test_gram_from_weights_equals_its_function_form():
    """At level 2 the probe reads the weights; sd(|s|^2 - |z|^2) / sd(|z|^2) over many rows is the
    same number."""
    target = Teacher(d=6, L=2, widths=(3,))
    draw, params, present = setup(target)
    x = draw.inputs("test", torch.arange(400_000).expand(len(SEEDS), -1))
    truth = draw.features(x)[2].square().sum(2)
    student = (x @ params["K2_0"].mT).square().sum(2)
    got = FeatureError(64).measure(target, draw, LEARNER, params, present)["gram/2"]
    close(got, (student - truth).std(1) / truth.std(1), rtol=0.01)


def test_level_3_is_measured_on_its_features_as_functions():
    """Gram as a ratio of standard deviations, subspace and feature error as 1 - R^2 of least
    squares, on the probe's rows."""
    target, rows = Teacher(d=6, L=3, widths=(3, 2)), 4096
    learner = QuadraticDenseNet(widths=(4, 3))
    draw, params, present = setup(target, learner)
    errors = FeatureError(rows).measure(target, draw, learner, params, present)
    x = draw.inputs("probe", torch.arange(rows).expand(len(SEEDS), -1))
    for r in range(len(SEEDS)):
        s2 = x[r].numpy() @ params["K2_0"][r].numpy().T
        phi2 = np.stack([s2[:, i] * s2[:, j] for i in range(4) for j in range(i, 4)], 1)
        phi2 -= phi2.mean(0)
        s3 = phi2 @ params["K3_2"][r].numpy().T + x[r].numpy() @ params["K3_0"][r].numpy().T
        phi3 = np.stack([s3[:, i] * s3[:, j] for i in range(3) for j in range(i, 3)], 1)
        z3 = draw.features(x)[3][r].numpy()
        difference = (s3**2).sum(1) - (z3**2).sum(1)
        close(errors["gram/3"][r], difference.std() / (z3**2).sum(1).std(), rtol=1e-9)
        close(errors["subspace/3"][r], unexplained(s3, z3, s3, z3), rtol=1e-6)
        half = rows // 2
        close(
            errors["feature/3"][r],
            unexplained(phi3[:half], z3[:half] ** 2, phi3[half:], z3[half:] ** 2),
            rtol=1e-6,
        )


def unexplained(features, values, test_features, test_values) -> float:
    """Mean over columns of 1 - R^2, least squares with an intercept."""
    with_one = lambda f: np.column_stack([np.ones(len(f)), f])  # noqa: E731
    coefficients = np.linalg.lstsq(with_one(features), values, rcond=None)[0]
    residual = test_values - with_one(test_features) @ coefficients
    return float((residual.var(0) / test_values.var(0)).mean())


@pytest.mark.parametrize("level", [2, 3])
def test_a_rotation_changes_nothing_and_a_mixture_only_gram(level):
    target = Teacher(d=6, L=3, widths=(3, 2))
    draw, params, present = setup(target)
    probe, width = FeatureError(2048), target.width(level)
    before = probe.measure(target, draw, LEARNER, params, present)
    rotated = probe.measure(target, draw, LEARNER, times(rotation(width), params, level), present)
    mixed = probe.measure(
        target,
        draw,
        LEARNER,
        times(3 * rotation(width) + torch.eye(width) * 5, params, level),
        present,
    )
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
    """z_1, z_2 and two directions w_1, w_2 orthogonal to them; the learner's units are among these
    four, scaled by ``rows``."""
    target, learner = Teacher(d=8, L=2, widths=(2,)), QuadraticDenseNet(widths=(4,))
    draw, params, present = setup(target, learner)
    complement = torch.linalg.svd(draw.weights[2][0])[2][:, 2:4]
    params["K2_0"] = torch.cat([draw.weights[2][0], complement], 1) * torch.tensor(
        rows, dtype=torch.float64
    ).view(1, -1, 1)
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
        some = probe.measure(
            target,
            draw.select(index),
            LEARNER,
            {name: p[index] for name, p in params.items()},
            present,
        )
        for name, value in some.items():
            close(value, whole[name][index])


def test_single_precision_is_enough():
    target = Teacher(d=6, L=3)
    draw, params, present = setup(target)
    single = target.draw(SEEDS, torch.float32)
    wide = FeatureError(512).measure(target, draw, LEARNER, params, present)
    for name, value in (
        FeatureError(512)
        .measure(target, single, LEARNER, {n: p.float() for n, p in params.items()}, present)
        .items()
    ):
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


def test_feature_change_against_numpy_and_its_fixed_points(build):
    """corrcoef per unit; CKA by its formula; both are one where nothing moved, CKA also where the
    representation was only rotated."""
    target = Parity(d=5)
    learner = build("learner", "resnet", blocks=2, width=6, inner=6, remember=True)
    probe, draw = FeatureChange(256), target.draw(SEEDS, torch.float64)
    probe.check(target, learner)
    params, present = learner.init_params(target, draw), frozenset({"bias", "level2", "level3"})
    still = probe.measure(target, draw, learner, params, present)
    assert set(still) == {"correlation/2", "correlation/3", "cka/2", "cka/3"}
    for value in still.values():
        close(value, 1.0)
    params["V3"] = params["V3"] + 0.5
    moved = probe.measure(target, draw, learner, params, present)
    close(moved["cka/2"], 1.0)
    x = draw.inputs("probe", torch.arange(256).expand(len(SEEDS), -1))
    before = {
        name.removeprefix("before_"): p for name, p in params.items() if name.startswith("before_")
    }
    for r in range(len(SEEDS)):
        h, g = (learner.hidden(p, x, present)[3][r].numpy() for p in (params, before))
        close(
            moved["correlation/3"][r],
            np.mean([np.corrcoef(h[:, i], g[:, i])[0, 1] for i in range(6)]),
        )
        h, g = h - h.mean(0), g - g.mean(0)
        want = np.linalg.norm(h.T @ g) ** 2 / (np.linalg.norm(h.T @ h) * np.linalg.norm(g.T @ g))
        close(moved["cka/3"][r], want)
        assert want < 0.99
    q = rotation(6)
    params = learner.init_params(target, draw)
    params |= {
        "E": params["E"] @ q,
        "W2": q.mT @ params["W2"],
        "V2": params["V2"] @ q,
        "W3": q.mT @ params["W3"],
        "V3": params["V3"] @ q,
    }
    turned = probe.measure(target, draw, learner, params, present)
    close(turned["cka/3"], 1.0)
    assert float(turned["correlation/3"].max()) < 0.9
    begun = learner.on_phase_start(params, draw, None)
    assert all(torch.equal(begun[f"before_{name}"], params[name]) for name in ("E", "W2", "bias"))
    absent = probe.measure(target, draw, learner, params, frozenset({"bias", "level2"}))
    assert bool(absent["cka/3"].isnan().all())
    with pytest.raises(UserError, match="remember=true"):
        probe.check(target, build("learner", "resnet"))
