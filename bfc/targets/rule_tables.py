"""The production rules of a random hierarchy: which tuples of symbols a symbol may become.

A string is made from its class downwards and read from its symbols upwards. No two symbols share a
tuple, so a table that takes a tuple back to its symbol reads a string without ambiguity. One table
per level, the same at every place of the string.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor

from bfc import random

Placement = Literal["fixed", "free"]
"""``fixed``: every symbol of a tuple has s_0 + 1 cells of its own (variant A of arXiv:2404.10727);
``free``: the symbols stand in any of the tuple's cells, in their order (variant B)."""
EMPTY = -1
"""What stands in a cell without a symbol, and the parent of a tuple that is in no rule."""


@dataclass(frozen=True)
class RuleTables:
    """The rules of R grammars with L levels; level 0 holds the symbols that a method sees.

    A tuple (c_1 … c_s) of symbols 0 … v−1 is the number Σ c_i v^(s−i).
    """

    v: int
    """Symbols of every level below the class."""
    s: int
    """Symbols in a tuple."""
    sparse: int
    """s_0, the empty cells beside every symbol of a tuple."""
    placement: Placement
    """Where the symbols of a tuple may stand among its s (s_0 + 1) cells."""
    tuples: tuple[Tensor, ...]
    """Per level 1 … L the tuples of every parent, (R, parents, m) int64; the last one's parents are
    the classes."""
    parents: tuple[Tensor, ...]
    """Per level 1 … L the parent of every tuple, (R, v^s) int64, or :data:`EMPTY`."""

    @property
    def L(self) -> int:
        """Number of levels."""
        return len(self.tuples)

    @property
    def m(self) -> int:
        """Tuples of every parent."""
        return self.tuples[0].shape[2]

    @property
    def cells_per_tuple(self) -> int:
        """s (s_0 + 1), the cells that one symbol becomes."""
        return self.s * (self.sparse + 1)

    def expand(self, level: int, symbols: Tensor, choices: Tensor, cells: Tensor | None) -> Tensor:
        """One level down: symbols (R, B, P) of ``level`` → (R, B, P s (s_0 + 1)) of the one below.

        ``choices`` (R, B, P) says which of its m tuples a symbol becomes, ``cells`` (R, B, P, s) in
        which of the tuple's s (s_0 + 1) cells each child stands (None where s_0 = 0). Children of
        an empty cell are empty.
        """
        table = self.tuples[level - 1]
        index = symbols.clamp(min=0) * self.m + choices
        code = _look_up(table.flatten(1), index)
        powers = self.v ** torch.arange(self.s - 1, -1, -1, device=code.device)
        children = code.unsqueeze(-1) // powers % self.v
        children = children.masked_fill(symbols.unsqueeze(-1) < 0, EMPTY)
        if cells is None:
            return children.flatten(2)
        patches = children.new_full((*symbols.shape, self.cells_per_tuple), EMPTY)
        return patches.scatter(3, cells, children).flatten(2)

    def parse_level(self, level: int, symbols: Tensor) -> Tensor:
        """One level up: symbols (R, B, P) of ``level − 1`` → (R, B, P / (s (s_0 + 1)))."""
        children = self._collect_children(torch.unflatten(symbols, 2, (-1, self.cells_per_tuple)))
        powers = self.v ** torch.arange(self.s - 1, -1, -1, device=symbols.device)
        code = (children.clamp(min=0) * powers).sum(-1)
        parent = _look_up(self.parents[level - 1], code)
        return parent.masked_fill((children < 0).any(-1), EMPTY)

    def _collect_children(self, patches: Tensor) -> Tensor:
        """The s symbols of every patch (..., s (s_0 + 1)) of cells, (..., s).

        :data:`EMPTY` where a symbol is missing; all of them where a patch has more than s.
        """
        if self.placement == "fixed":
            return torch.unflatten(patches, -1, (self.s, self.sparse + 1)).amax(-1)
        order = (patches < 0).long().argsort(dim=-1, stable=True)
        children = patches.gather(-1, order[..., : self.s])
        has_more = (patches >= 0).sum(-1, keepdim=True) > self.s
        return children.masked_fill(has_more, EMPTY)

    def parse(self, symbols: Tensor) -> dict[int, Tensor]:
        """Symbols (R, B, d) → level 0 … L → its symbols (R, B, d / (s (s_0 + 1))^level) int64.

        Level L is the class; :data:`EMPTY` where a cell is empty or a tuple is in no rule.
        """
        levels = {0: symbols.long()}
        for level in range(1, self.L + 1):
            levels[level] = self.parse_level(level, levels[level - 1])
        return levels

    def select(self, index: Sequence[int]) -> Self:
        """The rules of a subset (or repetition) of the grammars."""
        rows = list(index)
        return replace(
            self,
            tuples=tuple(table[rows] for table in self.tuples),
            parents=tuple(table[rows] for table in self.parents),
        )

    def to(self, device: torch.device | str) -> Self:
        """The same rules on a device."""
        return replace(
            self,
            tuples=tuple(table.to(device) for table in self.tuples),
            parents=tuple(table.to(device) for table in self.parents),
        )


@dataclass(frozen=True)
class Grammar:
    """What the rules of every seed have in common; see :class:`bfc.targets.hierarchy.Hierarchy`."""

    v: int
    classes: int
    m: int
    s: int
    L: int
    kind: Literal["random", "latin"] = "random"
    sparse: int = 0
    placement: Placement = "fixed"

    @property
    def uses_all_tuples(self) -> bool:
        """Whether every tuple of every level is in a rule, so that any string is one."""
        return self.m * self.v == self.v**self.s and self.classes == self.v

    def draw(self, seeds: Sequence[int]) -> RuleTables:
        """The rules of every seed.

        ``random``: m tuples for every parent, all distinct, uniform among the v^s without
        replacement (Cagnetta et al., PRX 14, 031001, section II). ``latin``: parent = π(sum of both
        children mod v), π a random permutation for every level; any d − 1 symbols of a string say
        nothing about its class, a control without correlations.
        """
        tuples, parents = [], []
        for level in range(1, self.L + 1):
            number = self.classes if level == self.L else self.v
            key = random.keys(seeds, f"hierarchy/rules/{level}").unsqueeze(1)
            if self.kind == "latin":
                order = self._latin_order(key)
            else:
                order = random.bits(key, torch.arange(self.v**self.s)).argsort(1)
            chosen = order[:, : number * self.m]
            tuples.append(torch.unflatten(chosen, 1, (number, self.m)))
            parents.append(_invert(tuples[-1], self.v**self.s))
        tables = (tuple(tuples), tuple(parents))
        return RuleTables(self.v, self.s, self.sparse, self.placement, *tables)

    def _latin_order(self, key: Tensor) -> Tensor:
        """All pairs, those of one parent after those of another, (R, v²)."""
        permutation = random.bits(key, torch.arange(self.v)).argsort(1)
        pairs = torch.arange(self.v**2)
        parent = permutation[:, (pairs // self.v + pairs % self.v) % self.v]
        order: Tensor = parent.argsort(dim=1, stable=True)
        return order


def _invert(tuples: Tensor, size: int) -> Tensor:
    """The parent of every tuple, (R, size), from the tuples of every parent (R, parents, m)."""
    number, m = tuples.shape[1:]
    parent = torch.arange(number).repeat_interleave(m).expand(len(tuples), -1)
    table = torch.full((len(tuples), size), EMPTY)
    return table.scatter(1, tuples.flatten(1), parent)


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    """``table[r, index[r, ...]]`` for a table (R, N) and an index (R, ...)."""
    return table.gather(1, index.flatten(1)).view(index.shape)
