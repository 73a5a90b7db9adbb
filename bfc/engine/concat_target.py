"""Several targets of one shape as one target.

The cells of a sweep that differ only in numbers, such as the coefficients of a target or its noise,
can then train in one stack. What a stack asks of a target as a whole is answered by the first part,
since all are alike there; a draw is made of the parts' draws, one after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar

import torch
from torch import Tensor

from bfc.types import Draw, Revealed, Target, Theory


@dataclass(frozen=True)
class ConcatTarget(Target):
    """Targets that agree in everything but numbers."""

    identity_name: ClassVar[str] = "bfc.engine.concat_target.ConcatTarget"
    version: ClassVar[int] = 1

    targets: tuple[Target, ...]
    realisations: tuple[tuple[int, int], ...]
    """(target, seed) that the numbers 0, 1, ... stand for, which take the place of seeds."""

    @property
    def first(self) -> Target:
        """The target that stands for all of them."""
        return self.targets[0]

    @property
    def unwrapped(self) -> Target:
        """What only a family of targets has (:mod:`bfc.targets.capabilities`) is the first's."""
        return self.first.unwrapped

    @property
    def d(self) -> int:  # type: ignore[override]  # a plain field elsewhere
        return self.first.d

    @property
    def levels(self) -> tuple[int, ...]:
        return self.first.levels

    @property
    def degree(self) -> int:
        return self.first.degree

    @property
    def outputs(self) -> int:
        return self.first.outputs

    @property
    def n_available(self) -> int | None:
        return self.first.n_available

    @property
    def gaps(self) -> Mapping[int, float]:
        return self.first.gaps

    @property
    def input_width(self) -> int:
        return self.first.input_width

    @property
    def has_squared_loss(self) -> bool:
        return self.first.has_squared_loss

    @property
    def has_squared_error(self) -> bool:
        return self.first.has_squared_error

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        return self.first.loss(out, y)

    def error(self, out: Tensor, y: Tensor) -> Tensor:
        return self.first.error(out, y)

    def facts(self) -> Mapping[str, Any]:
        return self.first.facts()

    def theory(self) -> Mapping[str, Theory]:
        return self.first.theory()

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Draw:
        """One draw per run of seeds that belong to one target."""
        pieces = []
        for number, part_seeds in _runs(self.realisations[i] for i in seeds):
            target = self.targets[number]
            pieces.append((target, target.draw(part_seeds, dtype, device)))
        return ConcatDraw(tuple(pieces))


class ConcatDraw(Draw):
    """Draws one after the other, each with its target."""

    def __init__(self, pieces: tuple[tuple[Target, Draw], ...]) -> None:
        draws = [draw for _, draw in pieces]
        self.pieces = pieces
        self.sizes = [len(draw.seeds) for draw in draws]
        self.seeds = tuple(itertools.chain.from_iterable(draw.seeds for draw in draws))
        self.revealed = _concat_revealed([draw.revealed for draw in draws])

    @property
    def variance(self) -> Tensor:
        return torch.cat([draw.variance for _, draw in self.pieces])

    @property
    def variance_error(self) -> Tensor:
        return torch.cat([draw.variance_error for _, draw in self.pieces])

    @property
    def chance(self) -> Tensor:
        return torch.cat([draw.chance for _, draw in self.pieces])

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        return self._map(lambda draw, part: draw.inputs(role, part), rows)

    def labels(self, x: Tensor) -> Tensor:
        return self._map(lambda draw, part: draw.labels(part), x)

    def encode(self, x: Tensor) -> Tensor:
        return self._map(lambda draw, part: draw.encode(part), x)

    def observe(self, role: str, rows: Tensor, x: Tensor) -> Tensor:
        return self._map(lambda draw, r, part: draw.observe(role, r, part), rows, x)

    def features(self, x: Tensor) -> dict[int, Tensor]:
        """Features per level; the parts agree in their levels."""
        parts = torch.split(x, self.sizes)
        features = [draw.features(part) for (_, draw), part in zip(self.pieces, parts, strict=True)]
        return {level: torch.cat([part[level] for part in features]) for level in features[0]}

    def select(self, index: Sequence[int]) -> ConcatDraw:
        replicas: list[tuple[int, int]] = []
        for k, size in enumerate(self.sizes):
            replicas += [(k, i) for i in range(size)]
        pieces = []
        for number, part_index in _runs(replicas[i] for i in index):
            target, draw = self.pieces[number]
            pieces.append((target, draw.select(part_index)))
        return ConcatDraw(tuple(pieces))

    def _map(self, method: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        """``method`` of every draw and its part of ``tensors``, one after the other."""
        parts = zip(*(torch.split(tensor, self.sizes) for tensor in tensors), strict=True)
        outputs = []
        for (_, draw), part in zip(self.pieces, parts, strict=True):
            outputs.append(method(draw, *part))
        return torch.cat(outputs)


def _concat_revealed(parts: Sequence[Revealed]) -> Revealed:
    """What draws of targets of one family reveal, one after the other."""
    tensors = [part.tensors() for part in parts]
    joint = {name: torch.cat([part[name] for part in tensors]) for name in tensors[0]}
    return type(parts[0])(**joint)


def _runs(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, list[int]]]:
    """Neighbouring pairs with the same first number: that number, and their second ones."""
    return [
        (first, [i for _, i in run]) for first, run in itertools.groupby(pairs, key=itemgetter(0))
    ]


def split_by_target(target: Target, draw: Draw) -> tuple[tuple[Target, Draw], ...]:
    """Each target that a draw is of, with its part of the draw."""
    return draw.pieces if isinstance(draw, ConcatDraw) else ((target, draw),)
