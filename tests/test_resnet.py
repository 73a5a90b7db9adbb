"""Residual networks against a torch.nn.Module of one replica, and their refusals.

The batteries of test_learners.py hold for them too.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bfc.errors import UserError
from bfc.learners.resnet import ResNet
from bfc.targets.images import Images
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher

TARGET = Teacher(d=5, L=2, widths=(2,))


class Block(nn.Module):
    """One residual block; its quadratic units are centred by the batch."""

    def __init__(self, width: int, inner: int, quadratic: bool) -> None:
        super().__init__()
        self.inside = nn.Linear(width, inner)
        self.outside = nn.Linear(inner, width, bias=False)
        self.quadratic = quadratic

    def forward(self, h: Tensor) -> Tensor:
        z = self.inside(h)
        act = z**2 if self.quadratic else nn.functional.relu(z)
        return h + self.outside(act - act.mean(0) if self.quadratic else act)


def filled(
    learner: ResNet, d: int, outputs: int, top: int, params: dict[str, Tensor], r: int
) -> nn.Sequential:
    """The network up to level ``top`` with the parameters of replica ``r``."""
    quadratic = learner.activation == "quadratic"
    blocks = [Block(learner.width, learner.inner, quadratic) for _ in range(2, top + 1)]
    first = nn.Linear(d, learner.width, bias=False)
    network = nn.Sequential(first, *blocks, nn.Linear(learner.width, outputs)).double()
    with torch.no_grad():
        first.weight.copy_(params["E"][r].T)
        for level, block in enumerate(blocks, 2):
            block.inside.weight.copy_(params[f"W{level}"][r].T)
            block.inside.bias.copy_(params[f"b{level}"][r])
            block.outside.weight.copy_(params[f"V{level}"][r].T)
        network[-1].weight.copy_(params[f"a{top}"][r].T)
        network[-1].bias.copy_(params["bias"][r])
    return network


@pytest.mark.parametrize("activation", ["relu", "quadratic"])
@pytest.mark.parametrize("target", [TARGET, Images()], ids=["one output", "ten outputs"])
def test_outputs_and_gradients_equal_those_of_a_module(activation, target):
    learner = ResNet(blocks=3, width=7, inner=6, activation=activation)
    draw = target.draw([3, 8], torch.float64)
    params = {name: p.requires_grad_() for name, p in learner.init_params(target, draw).items()}
    x = draw.inputs("train", torch.arange(11).expand(2, -1))
    y = draw.labels(x)
    for top in (2, 3, 4):
        present = frozenset({"bias", *(f"level{level}" for level in range(2, top + 1))})
        out = learner.forward(params, x, present)
        loss = target.loss(out, y).mean(1).sum()
        slopes = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
        grads = dict(zip(params, slopes, strict=True))
        for r in range(2):
            network = filled(learner, target.d, target.outputs, top, params, r)
            want = network(x[r])
            want = want.squeeze(1) if target.outputs == 1 else want
            torch.testing.assert_close(out[r], want, rtol=1e-10, atol=1e-10)
            target.loss(want, y[r]).mean().backward()
            expected = {
                "E": network[0].weight.grad.T,
                f"W{top}": network[-2].inside.weight.grad.T,
                "V2": network[1].outside.weight.grad.T,
                "bias": network[-1].bias.grad,
            }
            for name, gradient in expected.items():
                torch.testing.assert_close(grads[name][r], gradient, rtol=1e-9, atol=1e-11)
    assert set(learner.hidden(params, x, present)) == {2, 3, 4}
    assert out.shape == ((2, 11) if target.outputs == 1 else (2, 11, 10))


def test_initial_sizes():
    """Weights have the stated variances, so the stream keeps its size at any number of blocks."""
    learner, draw = ResNet(blocks=20, width=64, inner=64), TARGET.draw([0, 1, 2], torch.float64)
    params = learner.init_params(TARGET, draw)
    for name, variance in (("E", 1 / 5), ("W5", 2 / 64), ("V5", 1 / 20**2 / 64), ("a21", 1 / 64)):
        assert abs(float(params[name].var()) / variance - 1) < 5 * (2 / params[name].numel()) ** 0.5
    x = draw.inputs("train", torch.arange(200).expand(3, -1))
    h = learner.hidden(params, x, frozenset(learner.groups(TARGET)))
    assert 0.5 < float(h[21].square().mean() / h[2].square().mean()) < 3


def test_only_quadratic_units_are_centred():
    assert ResNet(activation="quadratic").needs_reference and not ResNet().needs_reference


def test_a_block_before_the_one_it_reads_is_refused():
    with pytest.raises(UserError, match="level4 is trained before level3"):
        ResNet().check_present(TARGET, frozenset({"bias", "level2", "level4"}))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"blocks": 0}, "learner.blocks=0: must be an integer from 1"),
        ({"width": 0}, "learner.width=0"),
        ({"inner": 0}, "learner.inner=0"),
        ({"branch": 0.0}, "learner.branch=0.0: must be a number > 0"),
        ({"activation": "tanh"}, "must be relu or quadratic"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(build, changes, words):
    with pytest.raises(UserError) as caught:
        build("learner", "resnet", **changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)
