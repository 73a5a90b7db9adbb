"""Networks whose connections form a tree: patches that do not overlap, level upon level.

They are the networks that match the random hierarchy model (Cagnetta, Petrini, Tomasini, Favero &
Wyart, PRX 14, 031001, arXiv:2307.02129): the convolutional network where the places of a level
share their weights, the locally connected one where they do not. Every level has a read-out of its
own, so that joint, layer-wise and staged schedules say how much of the depth is learned together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.learners.groups import top_level
from bfc.learners.initialiser import Initialiser
from bfc.learners.level_network import LevelNetwork
from bfc.matmul import affine
from bfc.targets.capabilities import PatchTarget
from bfc.types import Draw, Params, Stage, Target

BIAS_SD = 0.1
"""Standard deviation of initial biases, as in the authors' code."""
DEFAULT_PATCH = 2
READOUT = "readout"
"""What the names of groups of further read-outs begin with."""


@dataclass(frozen=True)
class Tree(LevelNetwork):
    """A tree network that is read at the highest level present.

    h_1 are the inputs as s^L places with C channels, place by place; h_l = max(W_l p + b_l, 0) for
    the patches p of s neighbouring places of h_{l-1}, l = 2 ... L + 1, so that h_{L+1} has one
    place. Output: c + a_l · m_l + Σ_j q_j · m_j with m_l the mean of h_l over places, (R, B,
    outputs), or (R, B) for one output.

    Groups: ``level2`` ... ``level{L+1}`` (W, b and the read-out a of that level), ``bias`` (c), and
    ``readout2`` ... ``readoutL`` (q_j), further read-outs of lower levels that are used where a
    schedule trains them and start at a_j, as it then is.

    Initial values, independent: W ~ N(0, 1 / channels in), b ~ N(0, 0.1²), a ~ N(0, 1 / channels²),
    c zero. The small read-out lets the features move, and matters.
    """

    identity_name: ClassVar[str] = "bfc.learners.tree.Tree"
    version: ClassVar[int] = 1
    needs_reference: ClassVar[bool] = False

    shared: bool = True
    """Whether the places of a level share their weights (a convolution)."""
    widths: tuple[int, ...] = (64,)
    """Channels of every level from 2 on; one number stands for all levels."""
    s: int | None = None
    """Places of a patch; null: those of the target's patches, 2 where it has none."""
    L: int | None = None
    """Levels of patches; null: those of the target, or as many as s divides its inputs."""
    remember: bool = False
    """Keep the parameters that the current phase began with, for probe=feature_change."""

    def __post_init__(self) -> None:
        widths = list(self.widths)
        valid_widths = len(widths) > 0 and all(1 <= width <= 1 << 16 for width in widths)
        require(valid_widths, "learner.widths", widths, "a list of integers from 1 to 65536")
        require(self.s is None or 2 <= self.s <= 1 << 16, "learner.s", self.s, "an integer >= 2")
        require(self.L is None or 1 <= self.L <= 64, "learner.L", self.L, "an integer from 1 to 64")
        if self.L is not None and len(widths) > 1:
            self._check_widths(self.L)

    def _check_widths(self, depth: int) -> None:
        allowed = f"one integer, or one for each of the L = {depth} levels of patches"
        valid = len(self.widths) in (1, depth)
        require(valid, "learner.widths", list(self.widths), allowed)

    def check(self, target: Target) -> None:
        if target.input_width != target.unwrapped.input_width:
            raise UserError(
                "learner=tree: reads the places of the raw inputs; allowed: representation=raw"
            )
        patch, depth = self._shape(target)
        if depth == 0 or target.input_width % patch**depth:
            raise UserError(
                f"learner=tree: {target.input_width} inputs are no multiple of s^L = "
                f"{patch}^{max(depth, 1)} places; change learner.s, learner.L or the target"
            )
        self._check_widths(depth)

    def _shape(self, target: Target) -> tuple[int, int]:
        """Places of a patch, and number of levels of patches."""
        inner = target.unwrapped
        if isinstance(inner, PatchTarget):
            return self.s or inner.patch, self.L or inner.L
        patch = self.s or DEFAULT_PATCH
        return patch, self.L or _count_factors(target.input_width, patch)

    def levels(self, target: Target) -> tuple[int, ...]:
        return tuple(range(2, self._shape(target)[1] + 2))

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        levels = {f"level{l}": (f"W{l}", f"b{l}", f"a{l}") for l in self.levels(target)}
        readouts = {f"readout{l}": (f"q{l}",) for l in self.levels(target)[:-1]}
        return {"bias": ("bias",), **levels, **readouts}

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        super().check_present(target, present)
        for level in _lower_readouts(present):
            if f"level{level}" not in present:
                raise UserError(
                    f"schedule: readout{level} is trained before level{level}, which it reads"
                )

    def init_params(self, target: Target, draw: Draw) -> Params:
        initial = Initialiser.like_inputs(draw)
        patch, depth = self._shape(target)
        params: Params = {"bias": initial.zeros(target.outputs)}
        channels = target.input_width // patch**depth
        for level in self.levels(target):
            width = self.widths[level - 2] if len(self.widths) > 1 else self.widths[0]
            places = 1 if self.shared else patch ** (depth + 1 - level)
            weight = initial.normal(f"W{level}", places, patch * channels, width)
            params[f"W{level}"] = channels**-0.5 * weight
            params[f"b{level}"] = BIAS_SD * initial.normal(f"b{level}", places, width)
            params[f"a{level}"] = initial.normal(f"a{level}", width, target.outputs) / width
            if level <= depth:
                params[f"q{level}"] = params[f"a{level}"].clone()
            channels = width
        return self._with_phase_start(params)

    def on_phase_start(self, params: Params, draw: Draw, stage: Stage) -> Params:
        """Read-outs of lower levels that are new in the network start as the levels' own."""
        added = _lower_readouts(stage.added)
        new = {f"q{level}": params[f"a{level}"].clone() for level in added}
        return super().on_phase_start(params, draw, stage) | new

    def _stream(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None,
    ) -> tuple[dict[int, Tensor], dict[str, Tensor]]:
        """The channels at all places, level → (R, B, places, channels), from 2 on."""
        h, stream = x, {}
        for level in range(2, top_level(present) + 1):
            weight, bias = params[f"W{level}"], params[f"b{level}"]
            h = (_shared_layer if self.shared else _unshared_layer)(h, weight, bias).relu()
            stream[level] = h
        return stream, {}

    def _units(self, h: Tensor, replicas: int) -> Tensor:
        return h.mean(2)

    def activations(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Tensor]:
        """The channels at all places, level → (R, B, places · channels)."""
        stream, _ = self._stream(params, x, present, statistics)
        return {level: h.flatten(2) for level, h in stream.items()}

    def _readouts(self, present: frozenset[str]) -> list[tuple[int, str]]:
        lower = [(level, f"q{level}") for level in _lower_readouts(present)]
        return [*super()._readouts(present), *lower]


def _count_factors(number: int, factor: int) -> int:
    """How often a number >= 1 can be divided by a factor >= 2."""
    count = 0
    while number % factor ** (count + 1) == 0:
        count += 1
    return count


def _lower_readouts(present: frozenset[str]) -> list[int]:
    """The levels whose further read-outs are among the groups, ascending."""
    names = [group for group in present if group.startswith(READOUT)]
    return sorted(int(name.removeprefix(READOUT)) for name in names)


def _shared_layer(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """W p + b for the patches p of h (R, B, ...), with one W (R, 1, fan_in, width) for all.

    (R, B, places, width).
    """
    replicas, rows = h.shape[:2]
    patches = h.reshape(replicas, -1, weight.shape[2])
    return torch.unflatten(affine(bias, patches, weight.squeeze(1)), 1, (rows, -1))


def _unshared_layer(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """W_j p_j + b_j for the patches p_j of h (R, B, ...), with W (R, places, fan_in, width).

    (R, B, places, width).
    """
    replicas, rows = h.shape[:2]
    patches = h.reshape(replicas, rows, -1, weight.shape[2]).transpose(1, 2)
    out = affine(bias.flatten(0, 1).unsqueeze(1), patches.flatten(0, 1), weight.flatten(0, 1))
    return torch.unflatten(out, 0, (replicas, -1)).transpose(1, 2)
