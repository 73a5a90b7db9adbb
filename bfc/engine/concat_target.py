"""Several targets of one shape as one, so that the cells of a sweep that differ only in numbers –
the coefficients of a target, its noise – train in one stack. What a stack asks of a target as a
whole the first part answers, for there all are alike; a draw is made of the parts' own draws, one
after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from bfc.types import Draw, Target


@dataclass(frozen=True)
class ConcatTarget:
    """``realisations`` (part, seed): what the numbers 0, 1, ... stand for, which take the place of
    seeds."""

    targets: tuple[Target, ...]
    realisations: tuple[tuple[int, int], ...]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(object.__getattribute__(self, "targets")[0], name)

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Draw:
        chosen = [self.realisations[number] for number in seeds]
        return ConcatDraw(
            tuple(
                (
                    self.targets[part],
                    self.targets[part].draw([seed for _, seed in run], dtype, device),
                )
                for part, run in groupby(chosen, key=lambda each: each[0])
            )
        )


@dataclass(frozen=True)
class ConcatDraw(Draw):
    """Draws one after the other, each with its target."""

    pieces: tuple[tuple[Target, Draw], ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(seed for _, draw in self.pieces for seed in draw.seeds)

    @property
    def variance(self) -> Tensor:
        return torch.cat([draw.variance for _, draw in self.pieces])

    @property
    def variance_error(self) -> Tensor:
        return torch.cat([draw.variance_error for _, draw in self.pieces])

    @property
    def chance(self) -> Tensor:
        return torch.cat([draw.chance for _, draw in self.pieces])

    @property
    def revealed(self) -> dict[str, Tensor]:
        every = [draw.revealed for _, draw in self.pieces]
        return {name: torch.cat([known[name] for known in every]) for name in every[0]}

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        return self._each(lambda draw, rows: draw.inputs(role, rows), rows)

    def labels(self, x: Tensor) -> Tensor:
        return self._each(lambda draw, x: draw.labels(x), x)

    def encode(self, x: Tensor) -> Tensor:
        return self._each(lambda draw, x: draw.encode(x), x)

    def observe(self, role: str, rows: Tensor, x: Tensor) -> Tensor:
        return self._each(lambda draw, rows, x: draw.observe(role, rows, x), rows, x)

    def select(self, index: Sequence[int]) -> ConcatDraw:
        places = [
            (piece, i)
            for piece, (_, draw) in enumerate(self.pieces)
            for i in range(len(draw.seeds))
        ]
        runs = groupby((places[i] for i in index), key=lambda place: place[0])
        return ConcatDraw(
            tuple(
                (self.pieces[piece][0], self.pieces[piece][1].select([i for _, i in run]))
                for piece, run in runs
            )
        )

    def _each(self, method: Callable[..., Tensor], *given: Tensor) -> Tensor:
        parts = zip(
            *(value.split([len(draw.seeds) for _, draw in self.pieces]) for value in given),
            strict=True,
        )
        return torch.cat(
            [method(draw, *part) for (_, draw), part in zip(self.pieces, parts, strict=True)]
        )


def split_by_target(target: Target, draw: Draw) -> tuple[tuple[Target, Draw], ...]:
    """Each target that a draw is of, with its part of the draw."""
    return draw.pieces if isinstance(draw, ConcatDraw) else ((target, draw),)
