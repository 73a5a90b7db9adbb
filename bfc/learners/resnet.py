"""Residual networks, the architecture of the paper's own experiments, in their plain form on
vectors: h_l = h_{l-1} + V_l σ(W_l h_{l-1} + b_l). Any depth, ReLU or quadratic units, every block a
level with a read-out of its own, so that all schedules apply; written once for stacks of replicas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import UserError, require
from bfc.matmul import affine, product
from bfc.types import Draw, Learner, Params, Stage, Target

BEFORE = "before_"


@dataclass(frozen=True)
class ResNet(Learner):
    """f(x) = c + a_l · h_l, read at the highest level present, with h_1 = E x, h_l = h_{l-1} + V_l
    (σ(W_l h_{l-1} + b_l) - mean) for levels l = 2 ... ``blocks`` + 1; σ is max(z, 0) or z².

    The mean is that of the batch in training and of unlabelled reference rows in evaluation, with
    quadratic units only: uncentred squares would feed a growing constant through every block.
    Groups: ``level2`` ... (W, b, V and the read-out a of that level; level2 also E), ``bias`` (c).
    With several outputs (classes) a and c have one entry per output, and the output is (R, B,
    outputs). Initial values, independent: E, W ~ N(0, 1 / fan_in) (W before a ReLU He's 2 /
    fan_in), V ~ N(0, (``branch`` / blocks)² / fan_in), a ~ N(0, 1 / fan_in), b and c zero.
    """

    identity_name: ClassVar[str] = "bfc.learners.resnet.ResNet"
    version: ClassVar[int] = 1
    supports_multi_output: ClassVar[bool] = True

    blocks: int = 3
    """Residual blocks: levels 2 ... blocks + 1."""
    width: int = 64
    """Of the stream h."""
    inner: int = 64
    """Units of every block."""
    activation: Literal["relu", "quadratic"] = "relu"
    branch: float = 1.0
    """Initial size of all branches together, relative to the stream."""
    remember: bool = False
    """Keep the parameters that the current phase began with (names with ``before_``), for
    probe=feature_change."""

    def __post_init__(self) -> None:
        for name in ("blocks", "width", "inner"):
            require(
                1 <= getattr(self, name) <= 1 << 16,
                f"learner.{name}",
                getattr(self, name),
                "an integer from 1 to 65536",
            )
        require(0 < self.branch < float("inf"), "learner.branch", self.branch, "a number > 0")

    @property
    def needs_reference(self) -> bool:
        return self.activation == "quadratic"

    def check(self, target: Target) -> None:
        """Every target and representation will do."""

    def levels(self, target: Target) -> tuple[int, ...]:
        return tuple(range(2, self.blocks + 2))

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        top = _top(present)
        if absent := [level for level in range(2, top) if f"level{level}" not in present]:
            raise UserError(
                f"schedule: level{top} is trained before level{absent[0]}, which it reads"
            )

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        first = {2: ("E",)}
        return {
            "bias": ("bias",),
            **{
                f"level{l}": (*first.get(l, ()), f"W{l}", f"b{l}", f"V{l}", f"a{l}")
                for l in self.levels(target)
            },
        }

    def init_params(self, target: Target, draw: Draw) -> Params:
        like = draw.encode(
            draw.inputs("reference", torch.zeros(len(draw.seeds), 1, dtype=torch.int64))
        )
        cast = {"dtype": like.dtype, "device": like.device}
        outputs = target.outputs
        gain = 2.0 if self.activation == "relu" else 1.0

        def normal(name: str, fan_in: int, shape: tuple[int, ...], variance: float = 1.0) -> Tensor:
            return (variance / fan_in) ** 0.5 * random.normal(
                draw.seeds, f"init/{name}", shape, **cast
            )

        params: Params = {
            "bias": torch.zeros(len(draw.seeds), outputs, **cast),
            "E": normal("E", target.input_width, (target.input_width, self.width)),
        }
        for level in self.levels(target):
            params[f"W{level}"] = normal(f"W{level}", self.width, (self.width, self.inner), gain)
            params[f"b{level}"] = torch.zeros(len(draw.seeds), self.inner, **cast)
            params[f"V{level}"] = normal(
                f"V{level}", self.inner, (self.inner, self.width), (self.branch / self.blocks) ** 2
            )
            params[f"a{level}"] = normal(f"a{level}", self.width, (self.width, outputs))
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
        """Level → h_l (R, B, width), from 1 on; and the subtracted means, ``act l`` → (R, 1,
        inner)."""
        h, means = {1: product(x, params["E"])}, {}
        for level in range(2, _top(present) + 1):
            act = affine(params[f"b{level}"].unsqueeze(1), h[level - 1], params[f"W{level}"])
            act = act.relu() if self.activation == "relu" else act.square()
            if self.needs_reference:
                means[f"act{level}"] = (
                    act.mean(1, keepdim=True) if statistics is None else statistics[f"act{level}"]
                )
                act = act - means[f"act{level}"]
            h[level] = affine(h[level - 1], act, params[f"V{level}"])
        return h, means

    def hidden(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Tensor]:
        """The representation after every block, level → (R, B, width)."""
        return {
            level: h
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
                out, self._stream(params, x, present, statistics)[0][top], params[f"a{top}"]
            )
        return out.squeeze(2) if out.shape[2] == 1 else out


def _top(present: frozenset[str]) -> int:
    """The highest level present; 1 if there is none."""
    return max((int(name[5:]) for name in present if name.startswith("level")), default=1)
