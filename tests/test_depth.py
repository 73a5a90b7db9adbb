"""Depth separation: radius laws against integrals and Monte-Carlo, targets against closed forms.

What holds for every target is in test_targets.py; the mean-field network is in test_mean_field.py.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from bfc.errors import UserError
from bfc.targets.radial import Radial
from bfc.targets.radius_laws import radius_law
from bfc.targets.sphere_product import SphereProduct
from bfc.targets.tent import Tent

SEEDS = (0, 5)


def rows(count: int, replicas: int = 2) -> torch.Tensor:
    return torch.arange(count).expand(replicas, -1)


# ---- radius laws -------------------------------------------------------------------------------


def bessel_cdf(d: int, s: float) -> float:
    """P(s) = J_{d/2}(s)² + 2 Σ_{k≥1} J_{d/2+k}(s)² to rounding.

    The series ends where its terms vanish.
    """
    last = max(d / 2, s) + 20 * max(s, 1.0) ** (1 / 3) + 40
    orders = np.arange(d / 2, last)
    squares = special.jv(orders, s) ** 2
    return float(2 * squares.sum() - squares[0])


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
        assert bool((r.diff() >= 0).all())
        assert law.radii[0] <= float(r[0]) and float(r[-1]) <= law.radii[-1]
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
    for radii in r.numpy():
        assert stats.kstest(radii, target.radius_law.at).pvalue > 1e-4
    u = x / r.unsqueeze(2)
    square_law = stats.beta(0.5, (target.d - 1) / 2)
    assert stats.kstest(u[0, :, 0].numpy() ** 2, square_law.cdf).pvalue > 1e-4
    covariance = u[0].T @ u[0] / 20_000
    difference = (covariance - torch.eye(target.d) / target.d).abs().max()
    assert float(difference) < 6 / target.d / math.sqrt(20_000) * 2
    assert abs(float(torch.corrcoef(torch.stack([u[0, :, 0], r[0]]))[0, 1])) < 5 / math.sqrt(20_000)


def test_truncation_cuts_what_the_law_says():
    """Six percent of the mass at r > 5, on which the hinge is 0 before its mean is subtracted."""
    whole, cut = (radius_law("bessel", 16, 2.0, 0.0, outer) for outer in (500.0, 5.0))
    assert cut.mass == pytest.approx(bessel_cdf(16, 80), abs=1e-6)
    assert 0.93 < cut.mass < 0.94 < 0.999 < whole.mass
    r = np.array([0.7, 1.0, 3.0])
    np.testing.assert_allclose(whole.at(r) * whole.mass, cut.at(r) * cut.mass, atol=1e-5)


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
        def density(r: float) -> float:
            return f(r) * d * special.jv(d / 2, d * r) ** 2 / r

        parts = [integrate.quad(density, a, b)[0] for a, b in itertools.pairwise(split)]
        return sum(parts) / target.radius_law.mass

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
    torch.testing.assert_close(features[3].squeeze(2) - draw.revealed.mean, draw.labels(x))


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
        ratios = [-(w**2) / 4 / (k * (p / 2 + k - 1)) for k in range(1, 80)]
        cosine = np.cumprod([1.0, *ratios]).sum()
    else:
        factor = math.exp(math.lgamma(p / 2) + (p / 2 - 1) * math.log(2 / w))
        cosine = factor * special.jv(p / 2 - 1, w)
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
def test_bad_targets_are_refused_in_one_sentence(build, kind, changes, words):
    with pytest.raises(UserError) as caught:
        build("target", kind, **changes)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


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
