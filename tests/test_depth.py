"""Depth separation: radius laws against their integrals and Monte-Carlo, the targets against closed
forms, the mean-field network against its formulas. What holds for every target and learner is in
test_targets.py and test_learners.py."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from bfc.errors import UserError
from bfc.learners.mean_field import MeanField
from bfc.targets.radial import Radial
from bfc.targets.radius_laws import bessel_cdf, radius_law, sphere_constant
from bfc.targets.sphere_product import SphereProduct
from bfc.targets.tent import Tent
from bfc.types import Training

SEEDS = (0, 5)


def rows(count: int, replicas: int = 2) -> torch.Tensor:
    return torch.arange(count).expand(replicas, -1)


# ---- radius laws -------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 3, 8, 33])
def test_the_series_of_the_bessel_law_is_its_integral(d):
    for s in (0.4 * d, 0.6 * d, 1.1 * d, 3.0 * d):
        want = integrate.quad(lambda t: d * special.jv(d / 2, t) ** 2 / t, 0, s, limit=500)[0]
        assert bessel_cdf(d, s) == pytest.approx(want, abs=1e-9)
    assert bessel_cdf(d, 1e4) == pytest.approx(1 - d / (math.pi * 1e4), abs=1e-5), (
        "the tail is that of 2/(πt)"
    )


@pytest.mark.parametrize("d", [2, 3, 16, 101, 1024])
def test_the_table_is_within_1e_5_of_the_bessel_law(d):
    """At nodes and, where a line between them is worst, in the middle of cells."""
    law = radius_law("bessel", d, 2.0, 0.0, 5.0)
    assert law.mass == pytest.approx(bessel_cdf(d, 5.0 * d), abs=1e-6)
    inner = np.searchsorted(law.cdf, 0.02)
    places = np.r_[np.arange(inner, inner + 20), np.linspace(0, len(law.radii) - 2, 20).astype(int)]
    for r in np.r_[law.radii[places], (law.radii[places] + law.radii[places + 1]) / 2]:
        assert float(law.at(r)) == pytest.approx(bessel_cdf(d, r * d) / law.mass, abs=1e-5)


def test_quantiles_invert_the_distribution_function():
    u = torch.linspace(1e-6, 1 - 1e-6, 10001, dtype=torch.float64)
    for law in (
        radius_law("bessel", 7, 2.0, 0.0, 5.0),
        radius_law("limit", 7, 3.0, 0.0, 50.0),
        radius_law("uniform", 7, 2.0, 0.5, 1.5),
    ):
        r = law.quantile(u)
        assert (
            bool((r.diff() >= 0).all())
            and law.radii[0] <= float(r[0])
            and float(r[-1]) <= law.radii[-1]
        )
        np.testing.assert_allclose(law.at(r.numpy()), u.numpy(), atol=1e-12)


def test_the_limit_law_is_the_secant_of_a_uniform_angle_and_the_limit_of_the_bessel_law():
    """P(K r <= t) = (2/π) arccos(1/t): K r = 1/cos(πu/2), also written sqrt(1 + C²) with C
    half-Cauchy."""
    law = radius_law("limit", 2, 2.0, 0.0, 5.0)
    t = np.linspace(1.001, 10, 50)
    np.testing.assert_allclose(law.at(t / 2), 2 / np.pi * np.arccos(1 / t) / law.mass, atol=1e-6)
    np.testing.assert_allclose(
        2 / np.pi * np.arccos(1 / t), stats.halfcauchy.cdf(np.sqrt(t**2 - 1)), rtol=1e-12
    )
    gaps = [
        np.abs(radius_law("bessel", d, 2.0, 0.0, 5.0).at(t / 2) - law.at(t / 2)).max()
        for d in (8, 64, 512)
    ]
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2] and gaps[2] < 0.03


@pytest.mark.parametrize(
    "changes",
    [
        {"d": 2},
        {"d": 50},
        {"d": 9, "law": "limit"},
        {"d": 9, "law": "uniform", "inner": 0.5, "outer": 1.5},
    ],
)
def test_inputs_have_this_radius_and_a_uniform_direction(changes):
    target = Radial(**changes)
    x = target.draw(SEEDS, torch.float64).inputs("test", rows(20_000))
    r = x.norm(dim=2)
    for own in r.numpy():
        assert stats.kstest(own, target.radius_law.at).pvalue > 1e-4
    u = x / r.unsqueeze(2)
    assert (
        stats.kstest(u[0, :, 0].numpy() ** 2, stats.beta(0.5, (target.d - 1) / 2).cdf).pvalue > 1e-4
    )
    covariance = u[0].T @ u[0] / 20_000
    assert (
        float((covariance - torch.eye(target.d) / target.d).abs().max())
        < 6 / target.d / math.sqrt(20_000) * 2
    )
    assert abs(float(torch.corrcoef(torch.stack([u[0, :, 0], r[0]]))[0, 1])) < 5 / math.sqrt(20_000)


def test_truncation_cuts_what_the_law_says():
    """Six percent of the mass at r > 5, on which the hinge is 0 before its mean is subtracted."""
    whole, cut = (radius_law("bessel", 16, 2.0, 0.0, outer) for outer in (500.0, 5.0))
    assert (
        cut.mass == pytest.approx(bessel_cdf(16, 80), abs=1e-6)
        and 0.93 < cut.mass < 0.94 < 0.999 < whole.mass
    )
    np.testing.assert_allclose(
        whole.at(np.array([0.7, 1.0, 3.0])) * whole.mass,
        cut.at(np.array([0.7, 1.0, 3.0])) * cut.mass,
        atol=1e-5,
    )


# ---- targets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 16, 64])
@pytest.mark.parametrize("profile", ["hinge", "cosine", "ball"])
def test_moments_of_profiles_equal_an_adaptive_integral(d, profile):
    target = Radial(d=d, profile=profile)
    value = {
        "hinge": lambda r: max(1 - r, 0),
        "cosine": lambda r: math.cos(2 * math.pi * r),
        "ball": lambda r: float(r <= 1),
    }[profile]
    split = np.r_[np.linspace(0, 1, 41), np.linspace(1, 5, 161)[1:]]

    def mean(f):
        return (
            sum(
                integrate.quad(lambda r: f(r) * d * special.jv(d / 2, d * r) ** 2 / r, a, b)[0]
                for a, b in itertools.pairwise(split)
            )
            / target.radius_law.mass
        )

    m = mean(value)
    assert target.moments[0] == pytest.approx(m, abs=2e-6)
    assert target.moments[1] == pytest.approx(mean(lambda r: (value(r) - m) ** 2), abs=2e-6)


def test_moments_on_the_uniform_law_in_closed_form():
    uniform = {"d": 3, "law": "uniform", "outer": 2.0}
    assert Radial(**uniform).moments == pytest.approx((1 / 4, 1 / 6 - 1 / 16))
    assert Radial(**uniform, profile="cosine", frequency=2.0).moments == pytest.approx(
        (0.0, 0.5), abs=1e-9
    )
    assert Radial(**uniform, profile="ball").moments == pytest.approx((0.5, 0.25))


def test_features_of_a_radial_target_are_its_norm_and_its_profile():
    draw = Radial(d=5).draw(SEEDS, torch.float64)
    x = draw.inputs("test", rows(100))
    features = draw.features(x)
    torch.testing.assert_close(features[2].squeeze(2), x.square().sum(2).sqrt())
    torch.testing.assert_close(features[3].squeeze(2) - draw.revealed["mean"], draw.labels(x))


@pytest.mark.parametrize(
    "d, frequency",
    [(4, 0.01), (4, 1.0), (6, 3.3), (40, 0.2), (40, None), (1000, 0.4), (1000, 60.0), (6, 9000.0)],
)
def test_variance_of_the_sphere_product_in_closed_form(d, frequency):
    """(1 − E cos(2ω⟨x, x'⟩))/2 with E cos(wu_1) = Γ(p/2) (2/w)^{p/2−1} J_{p/2−1}(w) on the sphere
    of R^p, or its power series."""
    target, p = SphereProduct(d=d, frequency=frequency), d / 2
    w = 2 * target.omega
    if w < 20:
        cosine = np.cumprod(
            [1.0, *(-(w**2) / 4 / (k * (p / 2 + k - 1)) for k in range(1, 80))]
        ).sum()
    else:
        cosine = math.exp(math.lgamma(p / 2) + (p / 2 - 1) * math.log(2 / w)) * special.jv(
            p / 2 - 1, w
        )
    assert target.variance == pytest.approx((1 - cosine) / 2, rel=1e-6)


def test_a_slow_sine_of_the_sphere_product_is_linear():
    """Var sin(ω⟨x, x'⟩) → ω²/p, without cancellation."""
    target = SphereProduct(d=10, frequency=1e-6)
    assert target.variance == pytest.approx(target.omega**2 / 5, rel=1e-9)


@pytest.mark.parametrize("folds", [1, 3, 9])
def test_the_tent_is_a_triangle_wave(folds):
    draw = Tent(d=2, folds=folds).draw(SEEDS, torch.float64)
    x = draw.inputs("test", rows(500))
    t = x[:, :, 0] * 2 ** (folds - 1)
    torch.testing.assert_close(
        draw.labels(x), 1 - (2 * (t - t.floor()) - 1).abs() - 0.5, rtol=0, atol=1e-9
    )
    below = draw.features(x)
    for level in range(3, folds + 2):
        torch.testing.assert_close(
            below[level],
            torch.where(below[level - 1] < 0.5, 2 * below[level - 1], 2 - 2 * below[level - 1]),
        )


@pytest.mark.parametrize(
    "kind, changes, words",
    [
        ("radial", {"d": 1}, ["target.d=1", "2 to 1024"]),
        ("radial", {"d": 2000}, ["target.d=2000", "1024"]),
        ("radial", {"profile": "hinged"}, ["target.profile=hinged", "hinge"]),
        ("radial", {"law": "cauchy"}, ["target.law=cauchy", "bessel"]),
        ("radial", {"outer": 0.0}, ["target.outer=0.0", "target.inner"]),
        ("radial", {"inner": 0.5}, ["target.inner=0.5", "0 with"]),
        ("radial", {"outer": 0.3}, ["target.outer=0.3", "0.55"]),
        ("radial", {"d": 1024, "outer": 1000.0}, ["target.outer=1000.0", "law=limit"]),
        ("radial", {"edge_ratio": 0.0}, ["target.edge_ratio=0.0"]),
        ("radial", {"frequency": -1.0}, ["target.frequency=-1.0", "> 0"]),
        (
            "radial",
            {"profile": "cosine", "frequency": 900.0, "law": "uniform", "outer": 1e6},
            ["target.frequency=900.0", "at most 0.01"],
        ),
        (
            "radial",
            {"law": "uniform", "inner": 2.0, "outer": 1.0},
            ["target.outer=1.0", "above target.inner"],
        ),
        ("sphere_product", {"d": 5}, ["target.d=5", "even"]),
        ("sphere_product", {"frequency": 0.0}, ["target.frequency=0.0"]),
        ("tent", {"folds": 0}, ["target.folds=0"]),
        ("tent", {"folds": 17}, ["target.folds=17"]),
        ("tent", {"d": 0}, ["target.d=0"]),
    ],
)
def test_bad_targets_cost_one_sentence(build, kind, changes, words):
    with pytest.raises(UserError) as caught:
        build("target", kind, **changes)
    assert "\n" not in str(caught.value) and all(word in str(caught.value) for word in words), (
        caught.value
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"law": "uniform", "inner": 1.5, "outer": 2.0},
        {"law": "uniform", "outer": 0.9, "profile": "ball"},
        {"law": "limit", "edge_ratio": 0.5},
        {"d": 900, "edge_ratio": 0.4},
        {"law": "uniform", "profile": "cosine", "frequency": 1e-5},
        {"profile": "cosine", "frequency": 1e-6},
    ],
)
def test_a_profile_that_is_constant_on_the_law_is_refused(changes):
    with pytest.raises(
        UserError, match=r"target.profile=\w+: must be one that varies on the radii of the law"
    ):
        Radial(**{"d": 4, **changes})


# ---- the mean-field network --------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 3, 10, 1000])
def test_sphere_constant(d):
    weight = lambda t: (1 - t * t) ** ((d - 3) / 2)  # noqa: E731
    if d == 2:
        assert sphere_constant(2) == pytest.approx(1 / math.pi)
        return
    top = 1.0 if d < 100 else 12 / math.sqrt(d)
    want = integrate.quad(lambda t: t * weight(t), 0, top)[0] / (
        2 * integrate.quad(weight, 0, top)[0]
    )
    assert sphere_constant(d) == pytest.approx(want, rel=1e-8)
    assert sphere_constant(d) == pytest.approx(1 / math.sqrt(2 * math.pi * d), rel=1 / d)


@pytest.mark.parametrize("d", [2, 8, 64])
def test_a_spherical_first_layer_is_the_norm_up_to_its_fluctuation(d):
    """E F(x) = α‖x‖, and over draws of the weights F/(α‖x‖) has the variance (1/(2 d C_d²) − 1)/m1."""
    learner, target, seeds = MeanField(m1=32, alpha=0.7), Radial(d=d), tuple(range(2000))
    draw = target.draw(seeds, torch.float64)
    params = learner.init_params(target, draw)
    torch.testing.assert_close(
        learner.scale(params, d), torch.full((2000,), 0.7, dtype=torch.float64)
    )
    x = target.draw([0], torch.float64).inputs("test", rows(1, 1)).expand(2000, -1, -1)
    ratio = (learner.feature(params, x) / (0.7 * x.norm(dim=2))).squeeze(1)
    variance = (1 / (2 * d * sphere_constant(d) ** 2) - 1) / 32
    assert abs(float(ratio.mean()) - 1) < 4.5 * math.sqrt(variance / 2000)
    assert float(ratio.var()) == pytest.approx(variance, rel=4.5 * math.sqrt(2 / 2000) * 1.2)
    assert d < 64 or variance * 32 == pytest.approx(math.pi - 1, rel=0.05)


def plain(learner: MeanField, params: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The formulas of the class, one replica, in autograd's own operations."""
    w = params["w"]
    feature = (w.norm(dim=1) * (x @ w.T).relu()).mean(1)
    h = (feature[:, None] * params["w2"] + params["b2"]).relu()
    return (h * params["a"] if learner.signed else h).mean(1) - params["mean"]


@pytest.mark.parametrize("signed", [False, True])
def test_output_and_hand_written_gradients_equal_the_plain_formulas(signed):
    learner, target = MeanField(m1=20, m2=9, signed=signed, spread=0.5), Radial(d=6)
    draw = target.draw(SEEDS, torch.float64)
    params = {name: p.requires_grad_() for name, p in learner.init_params(target, draw).items()}
    x = draw.inputs("train", rows(30)).requires_grad_()
    weights = torch.randn(2, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    leaves = [x, *params.values()]
    out = learner.forward(params, x, frozenset())
    got = torch.autograd.grad((weights * out).sum(), leaves)
    want_out = torch.stack(
        [plain(learner, {name: p[i] for name, p in params.items()}, x[i]) for i in range(2)]
    )
    want = torch.autograd.grad((weights * want_out).sum(), leaves)
    torch.testing.assert_close(out, want_out, rtol=1e-12, atol=1e-12)
    for own, other in zip(got, want, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-11, atol=1e-13)
    assert all(float(g.abs().max()) > 0 for g in got)
    with torch.no_grad():
        again, back = learner.vjp(params, x, frozenset(), frozenset({"w"}))
        for _ in range(
            2
        ):  # activations become signs in place, which must not change what another pass gives
            by_hand = back(weights)
            assert set(by_hand) == set(params) - {"mean"}
            for name, grad in by_hand.items():
                torch.testing.assert_close(
                    grad, dict(zip(["x", *params], want, strict=True))[name], rtol=1e-11, atol=1e-13
                )
        assert "w" not in learner.vjp(params, x, frozenset(), frozenset({"w2"}))[1](weights)
    torch.testing.assert_close(again, out, rtol=1e-12, atol=1e-12)


def test_the_target_is_in_the_network_at_minus_one_over_alpha_and_one():
    learner, target = MeanField(m1=2048, m2=3), Radial(d=8)
    draw = target.draw(SEEDS, torch.float64)
    params = learner.init_params(target, draw)
    params["w2"], params["b2"] = (
        torch.full_like(params["w2"], -1 / learner.alpha),
        torch.ones_like(params["b2"]),
    )
    x = draw.inputs("test", rows(2000))
    torch.testing.assert_close(learner.top(params, learner.alpha * x.norm(dim=2)), draw.labels(x))
    risk = (learner.forward(params, x, frozenset()) - draw.labels(x)).square().mean(
        1
    ) / draw.variance
    c_d = (1 / (2 * 8 * sphere_constant(8) ** 2) - 1) * inside(target) / target.moments[1]
    assert 0.3 * c_d / 2048 < float(risk.mean()) < 3 * c_d / 2048


def inside(target: Radial) -> float:
    """E[r²; r < 1]"""
    r, weights = target.radius_law.quadrature((1.0,))
    return float(weights @ np.where(r < 1, r * r, 0))


def test_rates_are_those_of_the_mean_field_limit():
    target = Radial(d=8)
    rates = MeanField(m1=64, m2=16, rho=0.5, signed=True).rates(target)
    assert rates == {"w": 0.5 * 64 / (4 * sphere_constant(8)), "w2": 16.0, "b2": 16.0, "a": 16.0}
    assert MeanField(rates_of="equal").rates(target) == {}


def test_projection_puts_parameters_back():
    learner, target = (
        MeanField(m1=6, m2=5, signed=True, clip=0.4, alpha=2.0, kinks=9.0),
        Radial(d=5),
    )
    draw = target.draw(SEEDS, torch.float64)
    params = learner.init_params(target, draw)
    before = {name: p.clone() for name, p in params.items()}
    learner.project(params)
    assert float(learner.scale(params, 5).max()) == pytest.approx(0.4)
    torch.testing.assert_close(
        torch.nn.functional.normalize(params["w"], dim=2),
        torch.nn.functional.normalize(before["w"], dim=2),
    )
    for name in ("w2", "b2", "a"):
        assert torch.equal(params[name], before[name].clamp(-0.4, 0.4))
    free = MeanField(m1=6, m2=5, clip=None)
    again = free.init_params(target, draw)
    kept = {name: p.clone() for name, p in again.items()}
    free.project(again)
    assert all(torch.equal(again[name], kept[name]) for name in kept)


def test_initial_values():
    target = Radial(d=7)
    draw = target.draw(range(50), torch.float64)
    params = MeanField(m1=40, m2=200, anisotropy=0.2).init_params(target, draw)
    round_ = MeanField(m1=40, m2=200).init_params(target, draw)
    torch.testing.assert_close(params["w"][:, :, :3], 0.2 * round_["w"][:, :, :3])
    assert torch.equal(params["w"][:, :, 3:], round_["w"][:, :, 3:])
    assert abs(float(params["b2"].mean()) - 0.1) < 5e-4 and float(
        params["w2"].std()
    ) == pytest.approx(0.01, rel=0.05)
    signed = MeanField(m1=4, m2=200, signed=True).init_params(target, draw)
    kinks = (-signed["b2"] / signed["w2"]).flatten().numpy()
    assert stats.kstest(kinks, stats.uniform(0, 2).cdf).pvalue > 1e-4 and set(
        signed["w2"].unique().tolist()
    ) == {-1.0, 1.0}


def test_it_learns_the_hinge_in_a_few_hundred_steps(build):
    """And with a first layer frozen at its draw it stays above the discretisation that training
    removes."""
    from bfc.engine.recipe import Recipe
    from bfc.engine.trainer import train

    def risks(schedule: str) -> float:
        recipe = Recipe(
            Radial(d=8),
            MeanField(m1=128, m2=32),
            build("schedule", schedule, steps=300),
            build("optimizer", "sgd", lr=0.2, batch=128, clip=None, warmup=0),
            test=2048,
        )
        return float(
            np.median(
                [
                    record["risk"]
                    for record in train(recipe, [Training(0, seed) for seed in range(4)])
                ]
            )
        )

    joint, frozen = risks("joint"), risks("frozen_first")
    assert joint < 0.02 < frozen < 0.3


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"m1": 0}, "learner.m1=0"),
        ({"alpha": 0.0}, "learner.alpha=0.0"),
        ({"clip": 0.0}, "learner.clip=0.0"),
        ({"rho": -1.0}, "learner.rho=-1.0"),
        ({"spread": -1.0}, "learner.spread=-1.0"),
        ({"rates_of": "no"}, "learner.rates_of=no: must be mean_field or equal"),
    ],
)
def test_bad_learners_cost_one_sentence(build, changes, words):
    with pytest.raises(UserError) as caught:
        build("learner", "mean_field", **changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_target_that_is_not_radial_is_refused(build):
    with pytest.raises(UserError, match=r"learner=mean_field: .* needs a radial target, not Tent"):
        build("learner", "mean_field").check(Tent())
    with pytest.raises(UserError, match="learner=mean_field is no network without level3"):
        build("learner", "mean_field").check_present(Radial(d=4), frozenset({"level2", "bias"}))
