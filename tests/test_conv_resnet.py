"""The residual network for images against torch.nn modules; depth, shapes and refusals."""

from __future__ import annotations

import itertools
import re

import pytest
import torch
from torch import Tensor, nn

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.learners.conv_resnet import ConvResNet
from bfc.optimizers.adam import Adam
from bfc.targets.images import Images
from bfc.targets.parity import Parity
from bfc.types import Training

TARGET = Images()


class Block(nn.Module):
    """One residual block."""

    def __init__(self, into: int, out: int, stride: int, quadratic: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(out), nn.BatchNorm2d(out)])
        self.quadratic, self.stride, self.more = quadratic, stride, out - into

    def forward(self, h: Tensor) -> Tensor:
        inner = self.norms[0](self.first(h))
        branch = self.norms[1](self.second(inner**2 if self.quadratic else inner.relu()))
        subsampled = nn.functional.avg_pool2d(h, 1, self.stride)
        short = nn.functional.pad(subsampled, (0, 0, 0, 0, 0, self.more))
        return short + branch if self.quadratic else (short + branch).relu()


class Network(nn.Module):
    """6 n + 2 layers on 8 x 8 images up to block ``top``."""

    def __init__(self, n: int, widths: tuple[int, ...], quadratic: bool, top: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, widths[0], 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(widths[0])
        self.quadratic = quadratic
        ends = [widths[0], *(widths[k // n] for k in range(3 * n))]
        self.blocks = nn.ModuleList()
        for k in range(top - 1):
            stride = 2 if k and k % n == 0 else 1
            self.blocks.append(Block(ends[k], ends[k + 1], stride, quadratic))
        self.readout = nn.Linear(ends[top - 1], 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.stem(x.view(-1, 1, 8, 8)))
        h = h if self.quadratic else h.relu()
        for block in self.blocks:
            h = block(h)
        return self.readout(h.mean((2, 3)))


def filled(
    n: int, widths: tuple[int, ...], quadratic: bool, top: int, params: dict[str, Tensor], r: int
) -> Network:
    """The network with the parameters of replica ``r``."""
    network = Network(n, widths, quadratic, top).double()

    def put(convolution: nn.Conv2d, norm: nn.BatchNorm2d, name: str) -> None:
        convolution.weight.copy_(params[name][r])
        norm.weight.copy_(params[f"{name}_scale"][r])
        norm.bias.copy_(params[f"{name}_shift"][r])

    with torch.no_grad():
        put(network.stem, network.norm, "stem")
        for level, block in enumerate(network.blocks, 2):
            put(block.first, block.norms[0], f"U{level}")
            put(block.second, block.norms[1], f"V{level}")
        network.readout.weight.copy_(params[f"a{top}"][r].T)
        network.readout.bias.copy_(params["bias"][r])
    return network


@pytest.mark.parametrize("activation", ["relu", "quadratic"])
@pytest.mark.parametrize("n, top", [(1, 2), (1, 4), (2, 5), (2, 7)])
def test_outputs_and_gradients_equal_those_of_modules(activation, n, top):
    """In training (batch statistics) and in evaluation, where BatchNorm2d is given the statistics
    of the reference rows."""
    widths, quadratic = (3, 4, 6), activation == "quadratic"
    learner = ConvResNet(n=n, widths=widths, activation=activation)
    draw = TARGET.draw([3, 8], torch.float64)
    params = {}
    for i, (name, p) in enumerate(learner.init_params(TARGET, draw).items()):
        noise = torch.randn(p.shape, dtype=p.dtype, generator=torch.Generator().manual_seed(i))
        params[name] = (p + 0.1 * noise).requires_grad_()
    rows = torch.arange(12).expand(2, -1)
    x, reference = draw.inputs("train", rows), draw.inputs("reference", rows)
    y = draw.labels(x)
    present = frozenset({"bias", *(f"level{level}" for level in range(2, top + 1))})
    out = learner.forward(params, x, present)
    loss = TARGET.loss(out, y).mean(1).sum()
    slopes = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
    grads = dict(zip(params, slopes, strict=True))
    evaluated = learner.forward(params, x, present, learner.statistics(params, reference, present))
    for r in range(2):
        network = filled(n, widths, quadratic, top, params, r)
        want = network(x[r])
        torch.testing.assert_close(out[r], want, rtol=1e-9, atol=1e-9)
        TARGET.loss(want, y[r]).mean().backward()
        for name, p in (
            (f"U{top}", network.blocks[-1].first.weight),
            ("stem", network.stem.weight),
            ("stem_scale", network.norm.weight),
            (f"V{top}_shift", network.blocks[-1].norms[1].bias),
            ("bias", network.readout.bias),
        ):
            torch.testing.assert_close(grads[name][r], p.grad, rtol=1e-8, atol=1e-10)
        want = with_statistics_of(network, reference[r])(x[r])
        torch.testing.assert_close(evaluated[r], want, rtol=1e-9, atol=1e-9)


def with_statistics_of(network: Network, x: Tensor) -> Network:
    """The network in evaluation, every norm with mean and (biased) variance over these rows."""
    moments: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def keep(norm: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        moments[norm] = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), correction=0)

    hooks = [
        m.register_forward_hook(keep) for m in network.modules() if isinstance(m, nn.BatchNorm2d)
    ]
    with torch.no_grad():
        network(x)
        for norm, (mean, variance) in moments.items():
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
    for hook in hooks:
        hook.remove()
    return network.eval()


def test_n_18_has_110_layers_of_which_every_block_is_a_level():
    learner = ConvResNet(n=18)
    groups = learner.groups(TARGET)
    names = itertools.chain.from_iterable(groups.values())
    convolutions = [name for name in names if re.fullmatch(r"stem|[UV]\d+", name)]
    assert len(convolutions) + 1 == 110 and learner.levels(TARGET) == tuple(range(2, 56))
    draw = Images().draw([0])
    small = ConvResNet(n=18, widths=(2, 2, 2))
    x = draw.inputs("train", torch.arange(4).unsqueeze(0))
    out = small.forward(small.init_params(TARGET, draw), x, frozenset(small.groups(TARGET)))
    assert out.shape == (1, 4, 10) and bool(out.isfinite().all())


def test_it_learns_the_digits(build):
    recipe = Recipe(
        TARGET,
        ConvResNet(widths=(8, 8, 16)),
        build("schedule", "joint", steps=60, check_every=60),
        Adam(lr=0.01, batch=64, warmup=20),
        "inside",
        0.2,
        test=449,
    )
    (record,) = train(recipe, [Training(800, 0)])
    assert record["risk"] < 0.1


@pytest.mark.parametrize(
    "changes, target, words",
    [
        ({}, Parity(d=64), "needs a target of images, not Parity"),
        ({"n": 0}, TARGET, "learner.n=0: must be an integer from 1 to 1024"),
        ({"widths": [4, 2, 8]}, TARGET, "learner.widths=[4, 2, 8]: must be three integers"),
        ({"widths": [4, 8]}, TARGET, "learner.widths"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(build, changes, target, words):
    with pytest.raises(UserError) as caught:
        build("learner", "conv_resnet", **changes).check(target)
    assert words in str(caught.value) and "\n" not in str(caught.value)
