"""The multilayer perceptron against torch.nn, its gradient against automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bfc.errors import UserError
from bfc.learners.mlp import MLP
from bfc.schedules import Phase, Schedule
from bfc.targets.parity import Parity

SEEDS = [3, 1, 4]
TARGET = Parity(d=5, degree=2)


class ThreeOutputs(Parity):
    """A target with three scores, of which only shapes matter here."""

    outputs = 3


TARGETS = pytest.mark.parametrize(
    "target", [TARGET, ThreeOutputs(d=5, degree=2)], ids=["one", "three"]
)
LEARNERS = [
    MLP(widths=(7,), bias_sd=1.0),
    MLP(widths=(6, 4, 3), bias_sd=0.5),
    MLP(widths=(6, 4), activation="quadratic", bias_sd=0.3),
    MLP(widths=(4, 3), input_scale="sqrt_d", weight_sd=1.0, readout_sd=0.5, bias_sd=1.0),
]


class Square(nn.Module):
    """z²."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z.square()


def module(learner: MLP, params: dict[str, torch.Tensor], r: int, top: int) -> nn.Module:
    """One replica, with the read-out of level ``top``."""
    layers: list[nn.Module] = []
    for level in range(2, top + 1):
        w, b = params[f"W{level}"][r], params[f"b{level}"][r]
        linear = nn.Linear(*w.shape, dtype=w.dtype)
        linear.weight.data, linear.bias.data = w.T.clone(), b.clone()
        layers += [linear, Square() if learner.activation == "quadratic" else nn.ReLU()]
    readout = params[f"a{top}"][r]
    readout = readout.unsqueeze(0) if readout.dim() == 1 else readout.T
    out = nn.Linear(readout.shape[1], readout.shape[0], dtype=readout.dtype)
    out.weight.data, out.bias.data = readout.clone(), params["bias"][r].clone()
    return nn.Sequential(*layers, out)


@TARGETS
@pytest.mark.parametrize("learner", LEARNERS, ids=lambda l: f"{l.activation}{len(l.widths)}")
def test_outputs_and_gradients_equal_a_module_of_one_replica(learner: MLP, target: Parity) -> None:
    draw = target.draw(SEEDS, torch.float64)
    x = draw.inputs("train", torch.arange(20).expand(3, -1))
    scale = 5**0.5 if learner.input_scale == "sqrt_d" else 1.0
    for top in learner.levels(target):
        present = frozenset({"bias", *(f"level{level}" for level in range(2, top + 1))})
        params = {name: p.requires_grad_() for name, p in learner.init_params(target, draw).items()}
        out = learner.forward(params, x, present)
        used = ["bias", f"a{top}"]
        for level in range(2, top + 1):
            used += [f"W{level}", f"b{level}"]
        slopes = torch.autograd.grad(out.sin().sum(), [params[name] for name in used])
        grads = dict(zip(used, slopes, strict=True))
        for r in range(3):
            one = module(learner, {name: p.detach() for name, p in params.items()}, r, top)
            want = one(scale * x[r])
            want = want.squeeze(1) if target.outputs == 1 else want
            torch.testing.assert_close(out[r].detach(), want.detach(), rtol=1e-12, atol=1e-12)
            want.sin().sum().backward()
            for name, gradient in gradients_of(one).items():
                torch.testing.assert_close(grads[name][r], gradient, rtol=1e-10, atol=1e-12)


def gradients_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """The gradients of a module of one replica by the names of the learner's parameters."""
    *hidden, last = (layer for layer in network if isinstance(layer, nn.Linear))
    readout = last.weight.grad
    readout = readout[0] if len(readout) == 1 else readout.T
    grads = {"bias": last.bias.grad, f"a{len(hidden) + 1}": readout}
    for level, layer in enumerate(hidden, 2):
        grads |= {f"W{level}": layer.weight.grad.T, f"b{level}": layer.bias.grad}
    return grads


@pytest.mark.parametrize(
    "trained",
    [
        ("W2", "b2", "a2"),
        ("W3", "b3", "a3", "bias"),
        ("bias",),
        ("W2", "W3", "b2", "b3", "a3", "bias"),
    ],
    ids="-".join,
)
@pytest.mark.parametrize("activation", ["relu", "quadratic"])
@pytest.mark.parametrize("top", [1, 2, 3])
@TARGETS
def test_the_reverse_pass_equals_automatic_differentiation(
    trained: tuple[str, ...], activation: str, top: int, target: Parity
) -> None:
    learner = MLP(widths=(4, 3), activation=activation, bias_sd=1.0, input_scale=0.7)
    draw = target.draw(SEEDS, torch.float64)
    present = frozenset({"bias", *(f"level{level}" for level in range(2, top + 1))})
    params = {name: p.requires_grad_() for name, p in learner.init_params(target, draw).items()}
    x = torch.randn(3, 6, 5, dtype=torch.float64)
    out = learner.forward(params, x, present)
    slope = torch.randn_like(out)
    assert out.shape == ((3, 6) if target.outputs == 1 else (3, 6, target.outputs))
    want = torch.autograd.grad(out, [params[name] for name in trained], slope, allow_unused=True)
    with torch.no_grad():
        again, back = learner.vjp(params, x, present, frozenset(trained))
        grads = back(slope.clone())
    torch.testing.assert_close(again, out.detach(), rtol=1e-12, atol=1e-12)
    for name, gradient in zip(trained, want, strict=True):
        if gradient is None:
            assert name not in grads
        else:
            torch.testing.assert_close(grads[name], gradient, rtol=1e-10, atol=1e-12)


def test_initial_values_have_the_spread_they_are_given() -> None:
    learner = MLP(widths=(300, 200), weight_sd=1.0, bias_sd=2.0, readout_sd=0.5)
    target = Parity(d=64, degree=2)
    params = learner.init_params(target, target.draw(range(4)))
    spreads = {
        "W2": 64**-0.5,
        "W3": 300**-0.5,
        "b2": 2.0,
        "a2": 0.5 * 300**-0.5,
        "a3": 0.5 * 200**-0.5,
    }
    for name, sd in spreads.items():
        assert float(params[name].std()) == pytest.approx(sd, rel=0.08)
    assert not params["b3"].any() and not params["bias"].any()


def test_a_level_cannot_skip_the_one_it_reads() -> None:
    learner = MLP(widths=(4, 3))
    skipping = Schedule((Phase(("level3", "bias")),))
    (stage,) = skipping.stages(learner.groups(TARGET), learner.levels(TARGET))
    with pytest.raises(UserError, match="level3 is trained before level2"):
        learner.check_present(TARGET, stage.present)
    with_frozen = Schedule((Phase(("level3", "bias"), frozen=("level2",)),))
    (stage,) = with_frozen.stages(learner.groups(TARGET), learner.levels(TARGET))
    learner.check_present(TARGET, stage.present)
    assert stage.train == ("level3", "bias") and stage.present == {"level2", "level3", "bias"}
