"""Residual networks, the architecture of the paper's own experiments, in plain form on vectors.

h_l = h_{l-1} + V_l σ(W_l h_{l-1} + b_l), of any depth, with ReLU or quadratic units. Every block is
a level with a read-out of its own, so that all schedules apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from bfc.errors import require
from bfc.learners.groups import top_level
from bfc.learners.initialiser import Initialiser
from bfc.learners.level_network import LevelNetwork
from bfc.matmul import affine, matmul
from bfc.types import Draw, Params, Target


@dataclass(frozen=True)
class ResNet(LevelNetwork):
    """A residual network that is read at the highest level present.

    f(x) = c + a_l · h_l with h_1 = E x, h_l = h_{l-1} + V_l (σ(W_l h_{l-1} + b_l) - mean) for
    levels l = 2 ... ``blocks`` + 1; σ is max(z, 0) or z². The mean is that of the batch in training
    and of unlabelled reference rows in evaluation, with quadratic units only: uncentred squares
    would feed a growing constant through every block.

    Groups: ``level2`` ... (W, b, V and the read-out a of that level; level2 also E), ``bias`` (c).
    With several outputs (classes) a and c have one entry per output, and the output is (R, B,
    outputs). Initial values, independent: E, W ~ N(0, 1 / fan_in) (W before a ReLU He's 2 /
    fan_in), V ~ N(0, (``branch`` / blocks)² / fan_in), a ~ N(0, 1 / fan_in), b and c zero.
    """

    identity_name: ClassVar[str] = "bfc.learners.resnet.ResNet"
    version: ClassVar[int] = 1

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
    """Keep the parameters that the current phase began with, for probe=feature_change."""

    def __post_init__(self) -> None:
        sizes = {"blocks": self.blocks, "width": self.width, "inner": self.inner}
        for name, value in sizes.items():
            valid = 1 <= value <= 1 << 16
            require(valid, f"learner.{name}", value, "an integer from 1 to 65536")
        require(0 < self.branch < float("inf"), "learner.branch", self.branch, "a number > 0")

    @property
    def needs_reference(self) -> bool:  # type: ignore[override]
        """Only quadratic units are centred."""
        return self.activation == "quadratic"

    def check(self, target: Target) -> None:
        """Accept every target and representation."""

    def levels(self, target: Target) -> tuple[int, ...]:
        return tuple(range(2, self.blocks + 2))

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        groups: dict[str, tuple[str, ...]] = {"bias": ("bias",)}
        for l in self.levels(target):
            names = (f"W{l}", f"b{l}", f"V{l}", f"a{l}")
            groups[f"level{l}"] = ("E", *names) if l == 2 else names
        return groups

    def init_params(self, target: Target, draw: Draw) -> Params:
        initial = Initialiser.like_inputs(draw)
        d, width, inner, outputs = target.input_width, self.width, self.inner, target.outputs
        gain = 2.0 if self.activation == "relu" else 1.0
        branch = (self.branch / self.blocks) ** 2

        def normal(name: str, fan_in: int, out: int, variance: float = 1.0) -> Tensor:
            sd: float = (variance / fan_in) ** 0.5
            return sd * initial.normal(name, fan_in, out)

        params: Params = {"bias": initial.zeros(outputs), "E": normal("E", d, width)}
        for level in self.levels(target):
            params[f"W{level}"] = normal(f"W{level}", width, inner, gain)
            params[f"b{level}"] = initial.zeros(inner)
            params[f"V{level}"] = normal(f"V{level}", inner, width, branch)
            params[f"a{level}"] = normal(f"a{level}", width, outputs)
        return self._with_phase_start(params)

    def _stream(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None,
    ) -> tuple[dict[int, Tensor], dict[str, Tensor]]:
        """The stream after every level, and the means that were subtracted.

        Level → h_l (R, B, width), from 1 on; ``act<l>`` → (R, 1, inner).
        """
        h, means = {1: matmul(x, params["E"])}, {}
        for level in range(2, top_level(present) + 1):
            act = affine(params[f"b{level}"].unsqueeze(1), h[level - 1], params[f"W{level}"])
            act = act.relu() if self.activation == "relu" else act.square()
            if self.needs_reference:
                name = f"act{level}"
                means[name] = act.mean(1, keepdim=True) if statistics is None else statistics[name]
                act = act - means[name]
            h[level] = affine(h[level - 1], act, params[f"V{level}"])
        return h, means
