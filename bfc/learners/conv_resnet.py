"""The residual network for CIFAR (He, Zhang, Ren & Sun, CVPR 2016, section 4.2), 6 n + 2 layers.

It is the kind of network of the paper's evidence on images, of any depth (n = 18: 110 layers), with
ReLU or quadratic units. A stack of replicas is one grouped convolution. Every block is a level with
a read-out of its own, so that layer-wise, BFC-k and joint schedules apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.learners.groups import top_level
from bfc.learners.initialiser import Initialiser
from bfc.learners.level_network import LevelNetwork
from bfc.targets.capabilities import ImageTarget
from bfc.types import Draw, Params, Target

EPS = 1e-5
"""Added to a variance before it divides, as in torch.nn.BatchNorm2d."""


@dataclass(frozen=True)
class ConvResNet(LevelNetwork):
    """A convolutional residual network that is read at the highest level present.

    Stem h_1 = σ(BN(conv x)); block l: h_l = σ(short(h_{l-1}) + BN(conv φ(BN(conv h_{l-1})))), 3 x 3
    convolutions, three stages of ``n`` blocks with ``widths`` channels; the second and third begin
    with stride 2 and a shortcut that subsamples and pads channels with zeros. Output: c + a_l ·
    (mean of h_l over places), (R, B, outputs), or (R, B) for one output.

    φ = σ = max(z, 0), or φ(z) = z² and σ the identity. BN normalises each channel by the batch in
    training and by unlabelled reference rows in evaluation, then scales and shifts. Levels 2 ... 3
    n + 1 are the blocks; group ``level2`` holds the stem too, each level its read-out a_l; ``bias``
    is c. Initial convolutions N(0, 2 / fan_in), a_l N(0, 1 / fan_in), scales 1, shifts and c 0.
    """

    identity_name: ClassVar[str] = "bfc.learners.conv_resnet.ConvResNet"
    version: ClassVar[int] = 1
    needs_reference: ClassVar[bool] = True

    n: int = 1
    """Blocks of each of the three stages."""
    widths: tuple[int, int, int] = (16, 32, 64)
    """Channels of the three stages."""
    activation: Literal["relu", "quadratic"] = "relu"
    remember: bool = False
    """Keep the parameters that the current phase began with, for probe=feature_change."""

    def __post_init__(self) -> None:
        require(1 <= self.n <= 1024, "learner.n", self.n, "an integer from 1 to 1024")
        widths = list(self.widths)
        valid_widths = widths[0] >= 1 and widths == sorted(widths)
        require(valid_widths, "learner.widths", widths, "three integers >= 1 that do not fall")

    def check(self, target: Target) -> None:
        if not isinstance(target.unwrapped, ImageTarget):
            raise UserError(
                "learner=conv_resnet: needs a target of images, not "
                f"{type(target).__name__}; allowed: target=images"
            )
        if target.input_width != target.d:
            raise UserError(
                "learner=conv_resnet: reads the raw pixels; allowed: representation=raw"
            )

    def levels(self, target: Target) -> tuple[int, ...]:
        return tuple(range(2, 3 * self.n + 2))

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        groups: dict[str, tuple[str, ...]] = {"bias": ("bias",)}
        for level in self.levels(target):
            block = (*_layer_names(f"U{level}"), *_layer_names(f"V{level}"), f"a{level}")
            groups[f"level{level}"] = (*_layer_names("stem"), *block) if level == 2 else block
        return groups

    def _channels(self, level: int) -> tuple[int, int]:
        """Channels into and out of a block."""
        stage, place = divmod(level - 2, self.n)
        return self.widths[stage - 1 if place == 0 and stage else stage], self.widths[stage]

    def _stride(self, level: int) -> int:
        """2 for the first block of the second and third stage."""
        return 2 if level > 2 and (level - 2) % self.n == 0 else 1

    def init_params(self, target: Target, draw: Draw) -> Params:
        images = target.unwrapped
        assert isinstance(images, ImageTarget)
        initial = Initialiser.like_inputs(draw)
        params: Params = {"bias": initial.zeros(target.outputs)}
        params |= _initial_layer(initial, "stem", images.shape[0], self.widths[0])
        for level in self.levels(target):
            into, out = self._channels(level)
            params |= _initial_layer(initial, f"U{level}", into, out)
            params |= _initial_layer(initial, f"V{level}", out, out)
            params[f"a{level}"] = out**-0.5 * initial.normal(f"a{level}", out, target.outputs)
        return self._with_phase_start(params)

    def _stream(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None,
    ) -> tuple[dict[int, Tensor], dict[str, Tensor]]:
        """The stream after every level, and the mean and variance of every channel.

        Level → h_l (B, R · channels, side, side), from 1 on; name of a layer → (R, 2, channels),
        only where no statistics are given.
        """
        relu = self.activation == "relu"
        layers = _Layers(params, statistics)
        stem = layers.apply("stem", _as_images(x, params["stem"].shape[2]))
        h = {1: stem.relu() if relu else stem}
        for level in range(2, top_level(present) + 1):
            stride = self._stride(level)
            inner = layers.apply(f"U{level}", h[level - 1], stride)
            branch = layers.apply(f"V{level}", inner.relu() if relu else inner.square())
            total = branch + _shortcut(h[level - 1], len(x), *self._channels(level), stride)
            h[level] = total.relu() if relu else total
        return h, layers.measured

    def _units(self, h: Tensor, replicas: int) -> Tensor:
        """The mean over places, (B, R · channels, side, side) → (R, B, channels)."""
        return torch.unflatten(h.mean((2, 3)), 1, (replicas, -1)).transpose(0, 1)


class _Layers:
    """Convolutions with batch normalisation, by the batch or by given statistics."""

    def __init__(self, params: Params, statistics: Mapping[str, Tensor] | None) -> None:
        self.params = params
        self.statistics = statistics
        self.measured: dict[str, Tensor] = {}
        """Name → mean and variance of every channel over the batch, (R, 2, channels)."""

    def apply(self, name: str, h: Tensor, stride: int = 1) -> Tensor:
        """(B, R · channels in, side, side) → (B, R · channels out, side / stride, ...)."""
        weight = self.params[name]
        replicas = len(weight)
        z = torch.nn.functional.conv2d(
            h, weight.flatten(0, 1), stride=stride, padding=1, groups=replicas
        )
        if self.statistics is None:
            variance, mean = torch.var_mean(z, (0, 2, 3), correction=0)
            parts = [mean.view(replicas, -1), variance.view(replicas, -1)]
            self.measured[name] = torch.stack(parts, 1)
        else:
            mean, variance = self.statistics[name].unbind(1)
        scale = self.params[f"{name}_scale"].flatten() * (variance.flatten() + EPS).rsqrt()
        shift = self.params[f"{name}_shift"].flatten() - mean.flatten() * scale
        return z * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)


def _layer_names(name: str) -> tuple[str, str, str]:
    """Names of the parameters of a convolution with batch normalisation."""
    return name, f"{name}_scale", f"{name}_shift"


def _initial_layer(initial: Initialiser, name: str, into: int, out: int) -> Params:
    weight, scale, shift = _layer_names(name)
    return {
        weight: (2 / (9 * into)) ** 0.5 * initial.normal(name, out, into, 3, 3),
        scale: initial.ones(out),
        shift: initial.zeros(out),
    }


def _as_images(x: Tensor, channels: int) -> Tensor:
    """Pixels (R, B, channels · side²) → (B, R · channels, side, side)."""
    side = round((x.shape[2] // channels) ** 0.5)
    return x.view(*x.shape[:2], channels, side, side).transpose(0, 1).flatten(1, 2)


def _shortcut(h: Tensor, replicas: int, into: int, out: int, stride: int) -> Tensor:
    """The stream as a block adds to it: subsampled, and padded with channels of zeros."""
    if stride == 1 and into == out:
        return h
    h = h[:, :, ::stride, ::stride]
    channels = torch.unflatten(h, 1, (replicas, into))
    return torch.nn.functional.pad(channels, (0, 0, 0, 0, 0, out - into)).flatten(1, 2)
