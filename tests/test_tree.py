"""Tree networks against convolutions of torch.nn, one replica at a time, and their refusals.

The batteries of test_learners.py hold for them too.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bfc.errors import UserError
from bfc.learners.tree import Tree
from bfc.representations.degree2 import Degree2
from bfc.schedules import load_schedule
from bfc.targets.images import Images
from bfc.targets.parity import Parity
from bfc.types import Stage

ONE_OUTPUT = Parity(d=16, law="gaussian")
SEVERAL_OUTPUTS = Images()


class Layer(nn.Module):
    """One level on (B, channels, places), with one convolution, or one for each patch."""

    def __init__(self, weight: Tensor, bias: Tensor, channels: int) -> None:
        super().__init__()
        self.s = weight.shape[1] // channels
        self.convolutions = nn.ModuleList()
        for place_weight, place_bias in zip(weight, bias, strict=True):
            convolution = nn.Conv1d(channels, weight.shape[2], self.s, stride=self.s).double()
            kernel = place_weight.unflatten(0, (self.s, channels)).permute(2, 1, 0)
            with torch.no_grad():
                convolution.weight.copy_(kernel)
                convolution.bias.copy_(place_bias)
            self.convolutions.append(convolution)

    def forward(self, h: Tensor) -> Tensor:
        if len(self.convolutions) == 1:
            return self.convolutions[0](h).relu()
        patches = h.split(self.s, dim=2)
        pairs = zip(self.convolutions, patches, strict=True)
        return torch.cat([convolution(patch) for convolution, patch in pairs], 2).relu()


def filled(learner: Tree, channels: int, top: int, params: dict[str, Tensor], r: int) -> nn.Module:
    """The network up to level ``top`` with the parameters of replica ``r``."""
    layers = []
    for level in range(2, top + 1):
        weight, bias = params[f"W{level}"][r].detach(), params[f"b{level}"][r].detach()
        layers.append(Layer(weight, bias, channels))
        channels = weight.shape[2]
    readout = nn.Linear(channels, params["bias"].shape[1]).double()
    with torch.no_grad():
        readout.weight.copy_(params[f"a{top}"][r].T)
        readout.bias.copy_(params["bias"][r])
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), readout)


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "unshared"])
@pytest.mark.parametrize("target", [ONE_OUTPUT, SEVERAL_OUTPUTS], ids=["one", "ten outputs"])
def test_outputs_and_gradients_equal_those_of_convolutions(shared, target):
    learner = Tree(shared=shared, widths=(5, 3, 4), s=2, L=3)
    learner.check(target)
    draw = target.draw([3, 8], torch.float64)
    params = {name: p.requires_grad_() for name, p in learner.init_params(target, draw).items()}
    x = draw.inputs("train", torch.arange(11).expand(2, -1))
    y = draw.labels(x)
    channels = target.input_width // 8
    for top in (1, 2, 3, 4):
        present = frozenset({"bias", *(f"level{level}" for level in range(2, top + 1))})
        out = learner.forward(params, x, present)
        loss = target.loss(out, y).mean(1).sum()
        slopes = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
        grads = dict(zip(params, slopes, strict=True))
        for r in range(2) if top > 1 else []:
            network = filled(learner, channels, top, params, r)
            want = network(x[r].unflatten(1, (8, channels)).mT)
            want = want.squeeze(1) if target.outputs == 1 else want
            torch.testing.assert_close(out[r], want, rtol=1e-10, atol=1e-10)
            target.loss(want, y[r]).mean().backward()
            first = network[0].convolutions[-1]
            kernel = first.weight.grad.permute(2, 1, 0).flatten(0, 1)
            torch.testing.assert_close(grads["W2"][r, -1], kernel, rtol=1e-9, atol=1e-11)
            torch.testing.assert_close(grads["b2"][r, -1], first.bias.grad, rtol=1e-9, atol=1e-11)
            torch.testing.assert_close(
                grads[f"a{top}"][r].T, network[-1].weight.grad, rtol=1e-9, atol=1e-11
            )
    assert {level: tuple(h.shape) for level, h in learner.hidden(params, x, present).items()} == {
        2: (2, 11, 5),
        3: (2, 11, 3),
        4: (2, 11, 4),
    }


def test_an_unshared_tree_with_equal_weights_is_the_shared_one():
    shared, unshared = (Tree(shared=value, widths=(6,), s=2, L=3) for value in (True, False))
    draw = ONE_OUTPUT.draw([0, 1], torch.float64)
    params = shared.init_params(ONE_OUTPUT, draw)
    copied = unshared.init_params(ONE_OUTPUT, draw)
    for name, p in copied.items():
        copied[name] = params[name].expand_as(p)
    x = draw.inputs("train", torch.arange(9).expand(2, -1))
    present = frozenset(shared.groups(ONE_OUTPUT))
    out = shared.forward(params, x, present)
    torch.testing.assert_close(unshared.forward(copied, x, present), out)


def test_an_output_depends_on_a_place_through_its_patch_alone():
    """At the first level the mean over places is a sum of functions of the patches."""
    learner = Tree(shared=False, widths=(6,), s=4, L=2)
    draw = ONE_OUTPUT.draw([0], torch.float64)
    params = learner.init_params(ONE_OUTPUT, draw)
    x = draw.inputs("train", torch.arange(2).unsqueeze(0))
    one, two = x[:, :1], x[:, 1:]
    left = torch.cat([two[..., :4], one[..., 4:]], 2)
    right = torch.cat([one[..., :4], two[..., 4:]], 2)

    def mixed_difference(present: frozenset[str]) -> float:
        out = [learner.forward(params, inputs, present) for inputs in (one, two, left, right)]
        return float((out[0] + out[1] - out[2] - out[3]).abs().max())

    assert mixed_difference(frozenset({"bias", "level2"})) < 1e-14
    assert mixed_difference(frozenset({"bias", "level2", "level3"})) > 1e-6


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "unshared"])
def test_initial_sizes(shared):
    learner = Tree(shared=shared, widths=(64,), s=2, L=3)
    params = learner.init_params(ONE_OUTPUT, ONE_OUTPUT.draw(range(8), torch.float64))
    variances = {"W2": 1 / 2, "W3": 1 / 64, "W4": 1 / 64, "b2": 0.01, "b4": 0.01, "a4": 1 / 64**2}
    for name, variance in variances.items():
        p = params[name]
        assert abs(float(p.var()) / variance - 1) < 5 * (2 / p.numel()) ** 0.5, name
    assert [params[f"W{level}"].shape[1] for level in (2, 3, 4)] == (
        [1, 1, 1] if shared else [4, 2, 1]
    )


@pytest.mark.parametrize("name", ["joint", "layerwise", "refit", "staged", "bfc"])
def test_schedules_train_its_levels(name):
    learner = Tree(s=2, L=3)
    groups = learner.groups(ONE_OUTPUT)
    stages = load_schedule(name).stages(groups, learner.levels(ONE_OUTPUT))
    trained = {group for stage in stages for group in stage.train}
    levels = {group for group in groups if not group.startswith("readout")}
    assert trained == (set(groups) if name == "refit" else levels)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"widths": []}, "learner.widths=[]: must be a list of integers from 1"),
        ({"s": 1}, "learner.s=1: must be an integer >= 2"),
        ({"L": 0}, "learner.L=0: must be an integer from 1 to 64"),
        ({"s": 2, "L": 3, "widths": [4, 4]}, "one integer, or one for each of the L = 3 levels"),
        ({"s": 3}, "learner=tree: 16 inputs are no multiple of s^L = 3^1 places"),
        ({"s": 3, "L": 2}, "16 inputs are no multiple of s^L = 3^2 places"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(build, changes, words):
    with pytest.raises(UserError) as caught:
        build("learner", "tree", **changes).check(ONE_OUTPUT)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_its_depth_follows_from_the_inputs_where_the_target_has_no_patches():
    assert Tree().levels(ONE_OUTPUT) == (2, 3, 4, 5) and Tree(s=4).levels(ONE_OUTPUT) == (2, 3)


def test_a_representation_without_places_is_refused():
    with pytest.raises(UserError, match="allowed: representation=raw"):
        Tree(s=2, L=2).check(Degree2().wrap(ONE_OUTPUT))


def test_read_outs_of_lower_levels_continue_from_those_of_their_levels():
    """``refit`` adds a new level to features and read-outs that are in place."""
    learner = Tree(s=2, L=3, widths=(5,))
    draw = ONE_OUTPUT.draw([0, 1], torch.float64)
    params = learner.init_params(ONE_OUTPUT, draw)
    params["a2"] += 1
    x = draw.inputs("train", torch.arange(7).expand(2, -1))
    before = learner.forward(params, x, frozenset({"bias", "level2"}))
    present = frozenset({"bias", "level2", "level3", "readout2"})
    stage = Stage("level3", (), present, 1, added=frozenset({"level3", "readout2"}))
    params |= learner.on_phase_start(params, draw, stage)
    upper = learner.forward(params, x, present - {"readout2"}) - params["bias"]
    torch.testing.assert_close(learner.forward(params, x, present), before + upper)
    with pytest.raises(UserError, match="readout3 is trained before level3, which it reads"):
        learner.check_present(ONE_OUTPUT, frozenset({"bias", "level2", "readout3"}))


def test_its_patches_are_the_tuples_of_a_hierarchy(build):
    target = build("target", "hierarchy", s=3, sparse=1, m=2, L=2)
    learner = Tree(widths=(5,))
    learner.check(target)
    params = learner.init_params(target, target.draw([0]))
    assert learner.levels(target) == target.levels == (2, 3)
    assert target.shown_depth == 2 and params["W2"].shape == (1, 1, 6 * 4, 5)
