"""Representations.

A battery over every YAML of conf/representation; then whitening against its definition and the
exact basis against quadrature.
"""

from __future__ import annotations

import pytest
import torch

from bfc import random
from bfc.errors import UserError
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.representations import base
from bfc.representations.base import degree2_dimension
from bfc.representations.degree2 import Degree2
from bfc.representations.learned import Learned
from bfc.representations.random_features import RandomFeatures
from bfc.targets.low_rank import LowRank
from bfc.targets.parity import Parity
from bfc.types import sample

SEEDS = (0, 1, 12345, 2**40)
TARGET = LowRank(d=5)
SMALL = {"n0": 2000, "multiple": 2.0, "labels": 200, "steps": 20, "units": 16}


def rows(count: int, replicas: int, start: int = 0) -> torch.Tensor:
    return torch.arange(start, start + count).expand(replicas, -1)


# ---- every YAML --------------------------------------------------------------------------------


@pytest.fixture
def represented(build, node, representation_name):
    keys = node("representation", representation_name)
    changes = {key: value for key, value in SMALL.items() if key in keys}
    return build("representation", representation_name, **changes).wrap(TARGET)


def test_features_are_a_function_of_the_seed_and_the_row(represented):
    draw = represented.draw(SEEDS, torch.float64)
    h, y = sample(draw, "train", rows(40, len(SEEDS)))
    assert h.shape == (len(SEEDS), 40, represented.input_width)
    assert h.dtype == torch.float64
    assert bool(h.isfinite().all())
    torch.testing.assert_close(
        y, TARGET.draw(SEEDS, torch.float64).labels(draw.inputs("train", rows(40, len(SEEDS))))
    )
    part = draw.encode(draw.inputs("train", rows(7, len(SEEDS), 20)))
    torch.testing.assert_close(part, h[:, 20:27], rtol=1e-9, atol=1e-9)
    order = [2, 0, 0, 1]
    for index, other in [
        (order, draw.select(order)),
        *(([i], represented.draw([seed], torch.float64)) for i, seed in enumerate(SEEDS)),
    ]:
        assert other.seeds == tuple(SEEDS[i] for i in index)
        torch.testing.assert_close(
            other.encode(other.inputs("train", rows(40, len(index)))),
            h[index],
            rtol=1e-6,
            atol=1e-6,
        )
    assert not torch.allclose(h[0], h[1])


def test_single_precision_gives_the_same_features(represented):
    wide, single = (represented.draw(SEEDS[:2], dtype) for dtype in (torch.float64, torch.float32))
    h = single.encode(single.inputs("test", rows(30, 2)))
    assert h.dtype == torch.float32
    torch.testing.assert_close(
        h.double(), wide.encode(wide.inputs("test", rows(30, 2))), rtol=2e-3, atol=2e-3
    )


def test_it_answers_as_its_target_does(represented):
    assert (represented.d, represented.degree, represented.levels) == (
        TARGET.d,
        TARGET.degree,
        TARGET.levels,
    )
    facts = represented.facts()
    assert (
        facts["width"] == represented.input_width
        and facts["harmonics"] == TARGET.facts()["harmonics"]
    )


# ---- the exact basis ---------------------------------------------------------------------------


@pytest.mark.parametrize("law", ["sphere", "gaussian"])
@pytest.mark.parametrize("constant", [True, False])
def test_the_degree_2_basis_is_orthonormal(law, constant):
    from test_neural_targets import gaussian_grid, sphere3

    x, w = sphere3() if law == "sphere" else gaussian_grid(3, 4)
    target = Degree2(constant=constant).wrap(LowRank(d=3, law=law))
    h = target.draw([0], torch.float64).encode(x.unsqueeze(0))[0]
    assert target.input_width == (9 if law == "sphere" else 10) - (not constant)
    torch.testing.assert_close(
        (h * w.unsqueeze(1)).mT @ h,
        torch.eye(target.input_width, dtype=torch.float64),
        rtol=0,
        atol=1e-10,
    )
    if law == "sphere" and constant:
        assert target.input_width == degree2_dimension(3)


# ---- random features ---------------------------------------------------------------------------


def second_moment(target, seed: int, count: int, role: str = "unlabelled") -> torch.Tensor:
    draw = target.draw([seed], torch.float64)
    h = draw.encode(draw.inputs(role, rows(count, 1)))[0]
    return h.mT @ h / count


@pytest.mark.parametrize("activation", ["relu", "indicator"])
def test_whitening_makes_the_second_moment_one_on_its_own_sample(activation):
    full = RandomFeatures(activation=activation, features=12, whitening="full", n0=3000)
    torch.testing.assert_close(
        second_moment(full.wrap(TARGET), 1, 3000),
        torch.eye(12, dtype=torch.float64),
        rtol=0,
        atol=1e-8,
    )
    cut = RandomFeatures(activation=activation, features=60, whitening="truncated", keep=8, n0=3000)
    torch.testing.assert_close(
        second_moment(cut.wrap(TARGET), 1, 3000),
        torch.eye(8, dtype=torch.float64),
        rtol=0,
        atol=1e-8,
    )
    fresh = second_moment(cut.wrap(TARGET), 1, 3000, "test")
    assert 0.001 < float((fresh - torch.eye(8, dtype=torch.float64)).abs().max()) < 0.3, (
        "a sample of its own"
    )
    none = second_moment(
        RandomFeatures(activation=activation, features=60, whitening="none", n0=3000).wrap(TARGET),
        1,
        3000,
    )
    assert float(none.trace()) == pytest.approx(60) and float(none[0, 1].abs()) > 0.01


def test_features_are_those_of_the_definition():
    raw = (
        RandomFeatures(activation="indicator", features=9, whitening="none", n0=500)
        .wrap(TARGET)
        .draw([4], torch.float64)
    )
    v, b, x = raw.parts["v"][0], raw.parts["b"][0], raw.inputs("train", rows(30, 1))
    torch.testing.assert_close(v.norm(dim=0), torch.ones(9, dtype=torch.float64))
    want = (x[0] @ v + b >= 0).double() * raw.parts["whiten"][0, 0, 0]
    torch.testing.assert_close(raw.encode(x)[0], want)


def test_truncation_keeps_the_leading_directions_and_full_whitening_is_symmetric():
    both = {
        kind: RandomFeatures(features=20, whitening=kind, keep=6, n0=4000)
        .wrap(TARGET)
        .draw([0], torch.float64)
        for kind in ("truncated", "full", "none", "regularised")
    }
    x = both["none"].inputs("unlabelled", rows(4000, 1))
    g = both["none"].encode(x)[0]
    values, vectors = torch.linalg.eigh(g.mT @ g / 4000)
    lead = g @ vectors[:, -6:] / values[-6:].sqrt()
    cross = lead.mT @ both["truncated"].encode(x)[0] / 4000
    torch.testing.assert_close(cross.abs(), torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-6)
    w = both["full"].parts["whiten"][0]
    torch.testing.assert_close(w, w.mT, rtol=1e-6, atol=1e-6)
    regular = both["regularised"].encode(x)[0]
    eigenvalues = torch.linalg.eigvalsh(regular.mT @ regular / 4000)
    torch.testing.assert_close(
        eigenvalues, values / (values + 0.01 * values.mean()), rtol=1e-5, atol=1e-6
    )


def test_the_unlabelled_sample_is_streamed(monkeypatch):
    """Chunks change nothing but rounding, and only one at a time is in memory."""
    representation = RandomFeatures(features=10, whitening="full", n0=5000)
    whole = representation.wrap(TARGET).draw([0, 1], torch.float64)
    monkeypatch.setattr(base, "CHUNK_BYTES", 10 * 8 * 100)
    chunk_sizes = []
    activate = RandomFeatures._activate

    def record(self, raw, x):
        chunk_sizes.append(x.shape[1])
        return activate(self, raw, x)

    monkeypatch.setattr(RandomFeatures, "_activate", record)
    parts = representation.wrap(TARGET).draw([0, 1], torch.float64)
    assert max(chunk_sizes) == 100
    assert sum(chunk_sizes) == 10_000
    torch.testing.assert_close(parts.parts["whiten"], whole.parts["whiten"], rtol=1e-8, atol=1e-8)
    x = parts.inputs("test", rows(250, 2))
    torch.testing.assert_close(parts.encode(x), whole.encode(x), rtol=1e-8, atol=1e-8)


def test_what_was_used_is_stated():
    facts = RandomFeatures(multiple=16.0).wrap(LowRank(d=12)).facts()
    assert (
        facts["width"] == 90 and facts["random_features"] == 1440 and facts["unlabelled"] == 20_000
    )
    assert RandomFeatures(features=4000).wrap(LowRank(d=12)).facts()["unlabelled"] == 40_000
    job = container_of("representation=random_features", "target=low_rank")
    (cell,) = cell_specs(load_job(job))
    assert cell.config["facts"]["unlabelled"] == 24_320 and "facts" not in cell.identity


def container_of(*choices: str) -> dict:
    from commands import container

    return container("learner=quadratic_taylor", "schedule=all", "probe=none", *choices)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"features": 0}, "representation.features=0: must be null or an integer from 1"),
        ({"multiple": 0.0}, "representation.multiple=0.0"),
        (
            {"whitening": "full", "features": 100, "n0": 99},
            "representation.n0=99: must be at least 100 at target.d = 5",
        ),
        ({"n0": 10}, "representation.n0=10: must be at least 20"),
        ({"keep": 500}, "representation.keep=500: must be at most D = 320"),
        (
            {"multiple": 1e5},
            "representation.multiple=100000.0: must be smaller: D = 2000000 features at "
            "target.d = 5",
        ),
        ({"activation": "gelu"}, "representation.activation=gelu: must be indicator or relu"),
        ({"eps": 0.0}, "representation.eps=0.0"),
    ],
)
def test_bad_values_cost_one_sentence(build, changes, words):
    with pytest.raises(UserError) as caught:
        build("representation", "random_features", **changes).wrap(TARGET)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_misfits_cost_one_sentence(build):
    with pytest.raises(
        UserError,
        match="representation=degree2: needs inputs uniform on the sphere or Gaussian, not those "
        r"of Parity \(target\.law=sign\)",
    ):
        Degree2().wrap(Parity(d=4, degree=2))
    with pytest.raises(
        UserError,
        match="learner=quadratic_densenet: reads the raw inputs; allowed: representation=raw",
    ):
        build("learner", "quadratic_densenet").check(
            Degree2().wrap(build("target", "quadratic_densenet", d=4))
        )


# ---- learned features --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["one_step", "least_squares"])
def test_one_step_by_hand(method):
    """The gradient of a network with small read-outs at its start, by automatic differentiation;
    the least-squares step solves its normal equations."""
    lens_of = Learned(method=method, labels=60, units=6, step=0.7)
    inner = TARGET.draw([3], torch.float64)
    x, y = (t[0] for t in sample(inner, "representation", rows(60, 1)))
    y = y - y.mean()
    w = random.normal([3], "representation/w", (5, 6), torch.float64)[0]
    w, b = (
        (w / w.norm(dim=0)).requires_grad_(),
        random.normal([3], "representation/b", (1, 6), torch.float64)[0],
    )
    signs = torch.tensor([1.0, 1, 1, -1, -1, -1], dtype=torch.float64)
    small = ((x @ w + b).relu() * signs * 1e-9).sum(1)
    (gradient,) = torch.autograd.grad((small - y).square().mean(), w)
    along = -gradient
    if method == "least_squares":
        gates = (x @ w.detach() + b >= 0).double()
        for j in range(6):
            along[:, j] = (
                torch.linalg.inv((x.T * gates[:, j]) @ x / 60 + 1e-3 * torch.eye(5)) @ along[:, j]
            )
    want = w.detach() + 0.7 * along / along.norm(dim=0)
    draw = lens_of.wrap(TARGET).draw([3], torch.float64)
    torch.testing.assert_close(draw.parts["w"][0], want, rtol=1e-6, atol=1e-6)
    h = draw.encode(inner.inputs("representation", rows(60, 1)))[0]
    torch.testing.assert_close(
        h.square().mean(0)[h.any(0)], torch.ones(int(h.any(0).sum()), dtype=torch.float64)
    )


def test_trained_features_align_with_the_target():
    """A linear target: after training, units point along its direction more than at the start;
    their labels are stated."""
    target = LowRank(d=8, degrees=(1,))

    def aligned(**changes) -> float:
        draw = Learned(labels=400, units=32, **changes).wrap(target).draw([0], torch.float64)
        w = draw.parts["w"][0]
        return float(((draw.beta[0, 0] @ w) / w.norm(dim=0)).abs().mean())

    start = aligned(method="one_step", step=1e-9)
    assert (
        aligned(method="trained", steps=300) > start + 0.1
        and aligned(method="one_step", step=2.0) > start + 0.3
    )
    assert Learned(labels=400).wrap(target).facts()["labels"] == 400


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"units": 3}, "representation.units=3: must be an even"),
        ({"labels": 1}, "representation.labels=1"),
        ({"step": 0.0}, "representation.step=0.0"),
        ({"method": "two"}, "one_step, least_squares or"),
    ],
)
def test_bad_values_of_learned_features_cost_one_sentence(build, changes, words):
    with pytest.raises(UserError) as caught:
        build("representation", "learned", **changes).wrap(TARGET)
    assert words in str(caught.value) and "\n" not in str(caught.value)
