"""The probes of depth separation against cases with known answers and against direct averages."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from bfc.errors import UserError
from bfc.learners.mean_field import MeanField
from bfc.learners.mlp import MLP
from bfc.probes.mean_field import MeanFieldProbe
from bfc.probes.radial import RadialProbe
from bfc.targets.parity import Parity
from bfc.targets.radial import Radial

SEEDS = (0, 5, 9)
NOTHING = frozenset({"level2", "level3", "bias"})


def setup(d: int = 8, **changes):
    target, learner = Radial(d=d), MeanField(**{"m1": 256, "m2": 16, **changes})
    draw = target.draw(SEEDS, torch.float64)
    return target, learner, draw, learner.init_params(target, draw)


def solved(params: dict[str, torch.Tensor], alpha: float) -> dict[str, torch.Tensor]:
    """With the second layer of the hinge."""
    w2 = torch.full_like(params["w2"], -1 / alpha)
    return {**params, "w2": w2, "b2": torch.ones_like(params["b2"])}


def test_a_perfect_second_layer_leaves_the_discretisation_alone():
    target, learner, draw, params = setup()
    values = MeanFieldProbe().measure(target, draw, learner, solved(params, 0.5), NOTHING)
    expected = {
        "alpha": 0.5,
        "perfect": 0.0,
        "cross": 0.0,
        "slope": 1.0,
        "kink": 1.0,
        "w2": -2.0,
        "w2_sd": 0.0,
        "b2": 1.0,
    }
    for name, value in expected.items():
        want = torch.full((3,), value, dtype=torch.float64)
        torch.testing.assert_close(values[name], want, rtol=0, atol=1e-6)
    assert bool((values["discretisation"] > 1e-3).all()) and bool((values["norm_sd"] > 0.02).all())
    torch.testing.assert_close(values["loss"], values["discretisation"], rtol=1e-4, atol=1e-9)


def test_the_parts_of_the_loss_add_up_and_are_those_of_the_rows():
    target, learner, draw, params = setup()
    params = {**params, "w2": params["w2"] - 0.7, "b2": params["b2"] + 0.6}
    values = MeanFieldProbe(rows=1000).measure(target, draw, learner, params, NOTHING)
    torch.testing.assert_close(
        values["perfect"] + values["discretisation"] + values["cross"], values["loss"]
    )
    assert float(values["cross"].abs().min()) > 1e-5
    x = draw.inputs("probe", torch.arange(1000).expand(3, -1))
    loss = (learner.forward(params, x, NOTHING) - draw.labels(x)).square().mean(1) / draw.variance
    torch.testing.assert_close(values["loss"], loss)
    for i in range(3):
        ratio = learner.feature(params, x)[i] / x[i].norm(dim=1)
        assert float(values["norm_sd"][i]) == pytest.approx(float(ratio.std() / ratio.mean()))
        pair = torch.stack([learner.feature(params, x)[i], x[i].norm(dim=1)])
        assert float(values["norm_r2"][i]) == pytest.approx(float(torch.corrcoef(pair)[0, 1]) ** 2)


def test_with_output_signs_there_is_no_slope_and_neurons_are_kept_where_asked():
    target, learner, draw, params = setup(signed=True)
    values = MeanFieldProbe(rows=64, neurons=5).measure(target, draw, learner, params, NOTHING)
    assert bool(values["slope"].isnan().all()) and bool(values["kink"].isnan().all())
    names = {name for name in values if name.startswith("neuron/")}
    assert names == {f"neuron/{j}/{k}" for j, k in itertools.product(range(5), ("w2", "b2"))}
    torch.testing.assert_close(values["neuron/3/b2"], params["b2"][:, 3])


def test_radial_error_and_scatter_add_up_to_the_risk_and_are_those_of_the_rotation_average():
    """A half-norm network with a large scatter; its rotation average is that of many directions."""
    target, learner, draw, params = setup(anisotropy=0.2, m1=64)
    params = solved(params, 0.5)
    values = RadialProbe(rows=1 << 16).measure(target, draw, learner, params, NOTHING)
    x = draw.inputs("test", torch.arange(1 << 16).expand(3, -1))
    risk = (learner.forward(params, x, NOTHING) - draw.labels(x)).square().mean(1) / draw.variance
    torch.testing.assert_close(values["radial"] + values["scatter"], risk, rtol=0.05, atol=0)
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(3, 4096, 8, dtype=torch.float64, generator=generator)
    u = torch.nn.functional.normalize(normal, dim=2)
    r = draw.inputs("validation", torch.arange(256).expand(3, -1)).norm(dim=2)
    by_radius = [learner.forward(params, radius.view(3, 1, 1) * u, NOTHING) for radius in r.T]
    outs = torch.stack(by_radius, 2)
    truth = target.value(r).unsqueeze(1) - draw.revealed.mean.unsqueeze(1)
    errors = (outs.mean(1, keepdim=True) - truth).square().mean(2)
    average = (errors / draw.variance.unsqueeze(1)).squeeze(1)
    scatter = outs.var(1).mean(1) / draw.variance
    torch.testing.assert_close(values["scatter"], scatter, rtol=0.25, atol=0)
    torch.testing.assert_close(values["radial"], average, rtol=0.25, atol=0)


def test_a_function_of_the_radius_has_no_scatter():
    target, learner, draw, params = setup(d=2, m1=5000)
    values = RadialProbe(rows=512).measure(target, draw, learner, solved(params, 0.5), NOTHING)
    assert float(values["scatter"].max()) < 2e-3 and float(values["radial"].abs().max()) < 2e-3


def test_the_profile_is_the_learned_function_of_the_radius():
    target, learner, draw, params = setup(m1=4096)
    probe = RadialProbe(rows=64, profile=5, reach=2.0)
    values = probe.measure(target, draw, learner, solved(params, 0.5), NOTHING)
    profile = {name: value for name, value in values.items() if name.startswith("profile/")}
    assert list(profile) == [f"profile/{r:.3f}" for r in (0.0, 0.5, 1.0, 1.5, 2.0)]
    for name, height in zip(profile, (1.0, 0.5, 0.0, 0.0, 0.0), strict=True):
        want = torch.full((3,), height, dtype=torch.float64)
        torch.testing.assert_close(profile[name], want, rtol=0, atol=0.02)


def test_path_norm_of_two_layer_networks_only():
    target = Radial(d=6)
    draw = target.draw(SEEDS, torch.float64)
    for scale, factor in ((1.0, 1.0), ("sqrt_d", 6**0.5)):
        learner = MLP(widths=(10,), input_scale=scale)
        params = learner.init_params(target, draw)
        norms = [params["a2"][:, j].abs() * params["W2"][:, :, j].norm(dim=1) for j in range(10)]
        want = sum(norms) * factor / math.sqrt(12 * math.pi)
        present = frozenset({"level2", "bias"})
        values = RadialProbe(rows=64).measure(target, draw, learner, params, present)
        torch.testing.assert_close(values["norm"], want)
    for other in (
        MLP(widths=(10, 10)),
        MLP(widths=(10,), activation="quadratic"),
        MeanField(m1=8, m2=4),
    ):
        params, present = other.init_params(target, draw), frozenset(other.groups(target))
        values = RadialProbe(rows=64).measure(target, draw, other, params, present)
        assert bool(values["norm"].isnan().all())


def test_replicas_are_measured_alone():
    target, learner, draw, params = setup()
    probe = MeanFieldProbe(rows=256, profile=3, neurons=2)
    whole = probe.measure(target, draw, learner, params, NOTHING)
    for index in ([1], [2, 0, 2]):
        selected = {name: p[index] for name, p in params.items()}
        some = probe.measure(target, draw.select(index), learner, selected, NOTHING)
        for name, value in some.items():
            torch.testing.assert_close(value, whole[name][index], equal_nan=True)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: RadialProbe(rows=1), "probe.rows=1"),
        (lambda: RadialProbe(profile=1), "probe.profile=1"),
        (lambda: RadialProbe(reach=0.0), "probe.reach=0.0"),
        (lambda: RadialProbe(num_evals=-1), "probe.num_evals=-1"),
        (lambda: MeanFieldProbe(neurons=-1), "probe.neurons=-1"),
        (lambda: RadialProbe().check(Parity(d=4), MLP()), "needs a radial target, not Parity"),
        (lambda: MeanFieldProbe().check(Radial(d=4), MLP()), "needs learner=mean_field, not MLP"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(call, words):
    with pytest.raises(UserError) as caught:
        call()
    assert words in str(caught.value) and "\n" not in str(caught.value)
