"""The residual network for CIFAR (He, Zhang, Ren & Sun, CVPR 2016, section 4.2), 6 n + 2 layers:
the kind of network of the paper's evidence on images, of any depth (n = 18: 110 layers), with ReLU
or quadratic units. A stack of replicas is one grouped convolution; every block is a level with a
read-out of its own, so that layer-wise, BFC-k and joint schedules apply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import UserError, require
from bfc.learners.resnet import BEFORE
from bfc.types import Draw, Learner, Params, Stage, Target

EPS = 1e-5
"""Added to a variance before it divides, as in torch.nn.BatchNorm2d."""


@dataclass(frozen=True)
class ConvResNet(Learner):
    """Stem h_1 = σ(BN(conv x)); block l: h_l = σ(short(h_{l-1}) + BN(conv φ(BN(conv h_{l-1})))), 3
    x 3 convolutions, three stages of ``n`` blocks with ``widths`` channels, the second and third
    begin with stride 2 and a shortcut that subsamples and pads channels with zeros. Output: c + a_l
    · (mean of h_l over places), l the highest level present; (R, B, outputs), or (R, B) for one
    output.

    φ = σ = max(z, 0), or φ(z) = z² and σ the identity. BN normalises each channel by the batch in
    training and by unlabelled reference rows in evaluation, then scales and shifts. Levels 2 ... 3
    n + 1 are the blocks; group ``level2`` holds the stem too, each level its read-out a_l; ``bias``
    is c. Initial convolutions N(0, 2 / fan_in), a_l N(0, 1 / fan_in), scales 1, shifts and c 0.
    """

    identity_name: ClassVar[str] = "bfc.learners.conv_resnet.ConvResNet"
    version: ClassVar[int] = 1
    supports_multi_output: ClassVar[bool] = True
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
        require(
            all(w >= 1 for w in self.widths) and list(self.widths) == sorted(self.widths),
            "learner.widths",
            list(self.widths),
            "three integers >= 1 that do not fall",
        )

    def check(self, target: Target) -> None:
        if not hasattr(target, "shape"):
            raise UserError(
                f"learner=conv_resnet: needs a target of images, not {type(target).__name__}; allowed: target=images"
            )
        if target.input_width != target.d:
            raise UserError(
                "learner=conv_resnet: reads the raw pixels; allowed: representation=raw"
            )

    def levels(self, target: Target) -> tuple[int, ...]:
        return tuple(range(2, 3 * self.n + 2))

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        top = _top(present)
        if absent := [level for level in range(2, top) if f"level{level}" not in present]:
            raise UserError(
                f"schedule: level{top} is trained before level{absent[0]}, which it reads"
            )

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        own = {
            level: (*_normalised(f"U{level}"), *_normalised(f"V{level}"), f"a{level}")
            for level in self.levels(target)
        }
        own[2] = (*_normalised("stem"), *own[2])
        return {"bias": ("bias",), **{f"level{level}": names for level, names in own.items()}}

    def _channels(self, level: int) -> tuple[int, int]:
        """Channels into and out of a block."""
        stage, place = divmod(level - 2, self.n)
        return self.widths[stage - 1 if place == 0 and stage else stage], self.widths[stage]

    def init_params(self, target: Target, draw: Draw) -> Params:
        like = draw.encode(
            draw.inputs("reference", torch.zeros(len(draw.seeds), 1, dtype=torch.int64))
        )
        cast = {"dtype": like.dtype, "device": like.device}
        replicas, params = (
            len(draw.seeds),
            {"bias": torch.zeros(len(draw.seeds), target.outputs, **cast)},
        )

        def convolution(name: str, into: int, out: int) -> None:
            params[name] = (2 / (9 * into)) ** 0.5 * random.normal(
                draw.seeds, f"init/{name}", (out, into, 3, 3), **cast
            )
            params[f"{name}_scale"], params[f"{name}_shift"] = (
                torch.ones(replicas, out, **cast),
                torch.zeros(replicas, out, **cast),
            )

        convolution("stem", target.shape[0], self.widths[0])
        for level in self.levels(target):
            into, out = self._channels(level)
            convolution(f"U{level}", into, out)
            convolution(f"V{level}", out, out)
            params[f"a{level}"] = out**-0.5 * random.normal(
                draw.seeds, f"init/a{level}", (out, target.outputs), **cast
            )
        return params | (
            {f"{BEFORE}{name}": p.clone() for name, p in params.items()} if self.remember else {}
        )

    def on_phase_start(self, params: Params, draw: Draw, stage: Stage) -> Params:
        return {
            name: params[name.removeprefix(BEFORE)].clone()
            for name in params
            if name.startswith(BEFORE)
        }

    def _stream(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None,
    ) -> tuple[dict[int, Tensor], dict[str, Tensor]]:
        """Level → h_l (B, R · channels, side, side), from 1 on; and the mean and variance of every
        channel, name → (R, 2, channels)."""
        relu, measured = self.activation == "relu", {}
        channels = params["stem"].shape[2]
        side = round((x.shape[2] // channels) ** 0.5)
        images = x.view(*x.shape[:2], channels, side, side).transpose(0, 1).flatten(1, 2)

        def layer(name: str, h: Tensor, stride: int = 1) -> Tensor:
            weight = params[name]
            z = torch.nn.functional.conv2d(
                h, weight.flatten(0, 1), stride=stride, padding=1, groups=len(weight)
            )
            if statistics is None:
                variance, mean = torch.var_mean(z, (0, 2, 3), correction=0)
                measured[name] = torch.stack(
                    [mean.view(len(weight), -1), variance.view(len(weight), -1)], 1
                )
            else:
                mean, variance = statistics[name].unbind(1)
            scale = params[f"{name}_scale"].flatten() * (variance.flatten() + EPS).rsqrt()
            shift = params[f"{name}_shift"].flatten() - mean.flatten() * scale
            return z * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)

        stem = layer("stem", images)
        h = {1: stem.relu() if relu else stem}
        for level in range(2, _top(present) + 1):
            into, out = self._channels(level)
            stride = 2 if level > 2 and (level - 2) % self.n == 0 else 1
            inner = layer(f"U{level}", h[level - 1], stride)
            branch = layer(f"V{level}", inner.relu() if relu else inner.square())
            total = branch + _shortcut(h[level - 1], len(x), into, out, stride)
            h[level] = total.relu() if relu else total
        return h, measured

    def hidden(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Tensor]:
        """The representation after every block, averaged over places, level → (R, B, channels)."""
        return {
            level: _pooled(h, len(x))
            for level, h in self._stream(params, x, present, statistics)[0].items()
            if level > 1
        }

    def statistics(self, params: Params, x: Tensor, present: frozenset[str]) -> dict[str, Tensor]:
        return self._stream(params, x, present, None)[1]

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        out, top = params["bias"].unsqueeze(1), _top(present)
        if top == 1:
            out = out.expand(-1, x.shape[1], -1)
        else:
            out = torch.baddbmm(
                out,
                _pooled(self._stream(params, x, present, statistics)[0][top], len(x)),
                params[f"a{top}"],
            )
        return out.squeeze(2) if out.shape[2] == 1 else out


def _normalised(name: str) -> tuple[str, str, str]:
    return name, f"{name}_scale", f"{name}_shift"


def _shortcut(h: Tensor, replicas: int, into: int, out: int, stride: int) -> Tensor:
    if stride == 1 and into == out:
        return h
    h = h[:, :, ::stride, ::stride]
    padded = torch.nn.functional.pad(h.unflatten(1, (replicas, into)), (0, 0, 0, 0, 0, out - into))
    return padded.flatten(1, 2)


def _pooled(h: Tensor, replicas: int) -> Tensor:
    return h.mean((2, 3)).unflatten(1, (replicas, -1)).transpose(0, 1)


def _top(present: frozenset[str]) -> int:
    """The highest level present; 1 if there is none."""
    return max((int(name[5:]) for name in present if name.startswith("level")), default=1)
