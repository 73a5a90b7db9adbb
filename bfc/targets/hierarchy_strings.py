"""Strings of a random hierarchy as functions of (seed, role, row), with unseen ones for the test.

There are finitely many strings, and a learner that remembers those it was trained on would look as
if it had understood the grammar. An eighth of all strings, chosen by a hash of the whole string,
therefore occurs in the role ``test`` alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor

from bfc import random
from bfc.targets.rejection import redraw_all, redraw_rejected
from bfc.targets.rule_tables import RuleTables

HELD_OUT_BITS = 3
"""A string is held out where this many bits of its hash are 0: an eighth of all."""
HELD_OUT_SHARE = 2.0**-HELD_OUT_BITS
TRAINING_ATTEMPTS = 20
"""Draws after which a training row gives up; all fall among held-out strings with probability
8^−20."""
TEST_ATTEMPTS = 240
"""The same of a test row, (7/8)^240 = 1e−14."""


@dataclass(frozen=True)
class Strings:
    """The strings of R grammars: which rules are drawn, and which strings are held out."""

    rules: RuleTables
    seeds: tuple[int, ...]
    zipf: float
    """a of rule frequencies ∝ k^−(1+a) at level 1, k = 1 … m; 0: uniform."""

    def rows(self, role: str, rows: Tensor) -> Tensor:
        """Symbols (R, B, d) int64 of the row numbers (R, B): held-out strings if the role is
        ``test``, others if it is not."""
        is_test = role.partition("/")[0] == "test"

        def is_rejected(symbols: Tensor) -> Tensor:
            held_out = self.is_held_out(symbols)
            return ~held_out if is_test else held_out

        if is_test:
            return redraw_rejected(self.sample, is_rejected, role, rows, TEST_ATTEMPTS)
        redraw = redraw_rejected if self.device.type == "cpu" else redraw_all
        return redraw(self.sample, is_rejected, role, rows, TRAINING_ATTEMPTS)

    def sample(self, role: str, rows: Tensor) -> Tensor:
        """Symbols (R, B, d) of all strings: class and rules are drawn from the top down."""
        key = random.keys(self.seeds, f"inputs/hierarchy/{role}", self.device).unsqueeze(1)
        rows = rows.to(self.device)
        classes = self.rules.tuples[-1].shape[1]
        start = random.integers(key, ~rows, classes).unsqueeze(2)
        return self.derive(self.rules.L, start, role, rows)

    def derive(self, level: int, symbols: Tensor, role: str, rows: Tensor) -> Tensor:
        """Input symbols (R, B, d) from those of ``level`` (R, B, P), by rules drawn for ``rows``.

        ``rows`` (R, B) are numbers in the stream ``role``.
        """
        key = random.keys(self.seeds, f"inputs/hierarchy/{role}/rules", self.device)
        key = key.view(-1, 1, 1)
        first = rows.to(self.device).unsqueeze(2) * self._decisions_per_row
        for lower in range(level, 0, -1):
            count = symbols.shape[2]
            index = first + torch.arange(count, device=self.device)
            choices = self._choose_rules(lower, key, index)
            first = first + count
            cells = None
            if self.rules.sparse:
                cells = self._choose_cells(key, first, count)
                first = first + count * self.rules.s
            symbols = self.rules.expand(lower, symbols, choices, cells)
        return symbols

    def is_held_out(self, symbols: Tensor) -> Tensor:
        """Whether a string (R, B, d) is held out for the test, (R, B) bool.

        Zobrist's hash: a sum of random words, one for every symbol at every place.
        """
        key = random.keys(self.seeds, "hierarchy/held_out", self.device)
        place = torch.arange(symbols.shape[2], device=self.device) * (self.rules.v + 1)
        words = random.bits(key.view(-1, 1, 1), place + symbols + 1)
        mixed = random.bits(key.unsqueeze(1), words.sum(2))
        return (mixed & ((1 << HELD_OUT_BITS) - 1)) == 0

    def select(self, index: Sequence[int]) -> Self:
        """The strings of a subset (or repetition) of the grammars."""
        seeds = tuple(self.seeds[i] for i in index)
        return replace(self, rules=self.rules.select(index), seeds=seeds)

    @property
    def device(self) -> torch.device:
        return self.rules.tuples[0].device

    @property
    def _decisions_per_row(self) -> int:
        """Numbers of a stream that one row uses at most."""
        symbols = sum(int(self.rules.cells_per_tuple**k) for k in range(self.rules.L))
        return symbols * (1 + self.rules.s) if self.rules.sparse else symbols

    def _choose_cells(self, key: Tensor, first: Tensor, count: int) -> Tensor:
        """In which cells of their tuples the s children of ``count`` symbols stand, ascending.

        (R, B, count, s), from the numbers of the stream that begin with ``first`` (R, B, 1).
        """
        s, choices = self.rules.s, self.rules.sparse + 1
        if self.rules.placement == "free":
            subsets = _list_subsets(self.rules.cells_per_tuple, s, str(self.device))
            index = first + torch.arange(count, device=self.device)
            return subsets[random.integers(key, index, len(subsets))]
        index = first + torch.arange(count * s, device=self.device)
        within = torch.unflatten(random.integers(key, index, choices), 2, (count, s))
        return within + choices * torch.arange(s, device=self.device)

    def _choose_rules(self, level: int, key: Tensor, index: Tensor) -> Tensor:
        """Which of its m tuples each symbol becomes, (R, B, P)."""
        m = self.rules.m
        if level > 1 or not self.zipf:
            return random.integers(key, index, m)
        u = random.uniform(key, index, torch.float64)
        return torch.bucketize(u, _thresholds(m, self.zipf, str(self.device)), right=True)


def rule_frequencies(m: int, zipf: float) -> list[float]:
    """Frequencies of the m rules of a symbol of level 1: ∝ k^−(1 + zipf), or 1/m with zipf 0.

    Cagnetta & Wyart (arXiv:2505.07067) have the power law at one level.
    """
    if not zipf:
        return [1 / m] * m
    weights = [k ** -(1 + zipf) for k in range(1, m + 1)]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


@lru_cache(maxsize=64)
def _list_subsets(cells: int, count: int, device: str) -> Tensor:
    """The subsets of ``count`` of the numbers 0 … cells − 1, each ascending, (subsets, count)."""
    return torch.combinations(torch.arange(cells), count).to(device)


@lru_cache(maxsize=64)
def _thresholds(m: int, zipf: float, device: str) -> Tensor:
    """Sums of the first 1 … m − 1 rule frequencies; the rule of a uniform number is how many are
    below it. Kept, since a copy from the host makes it wait for a GPU."""
    frequencies = torch.tensor(rule_frequencies(m, zipf), dtype=torch.float64)
    return frequencies.cumsum(0)[:-1].to(device)
