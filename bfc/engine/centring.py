"""The constants that centre networks at a check, from unlabelled rows of their seeds.

Learners that need none have no centring. Where a stack takes its steps by generated code, so are
these constants computed, since a check would else spend most of its time on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from bfc.engine.compiled.centring import LaneCentring
from bfc.engine.data import StackData
from bfc.engine.evaluation import centring_constants
from bfc.engine.recipe import Recipe
from bfc.engine.state import COMPILED
from bfc.shapes import Float
from bfc.types import Params

REFERENCE_ROWS = 4096
"""Unlabelled rows per seed, at most, that centre validation and train risks."""


class Centring(Protocol):
    """Computes the centring constants of a stack's networks."""

    def constants(
        self, params: Params, seed_index: Sequence[int], present: frozenset[str]
    ) -> dict[str, Tensor]:
        """Name → (R, ...) for R networks, the seed of each by its place among the stack's seeds."""
        ...


@dataclass(frozen=True)
class PlainCentring:
    """Centring operation by operation."""

    recipe: Recipe
    reference: Float[Tensor, "S B d"]

    def constants(
        self, params: Params, seed_index: Sequence[int], present: frozenset[str]
    ) -> dict[str, Tensor]:
        """See :class:`Centring`."""
        x = self.reference[list(seed_index)]
        return centring_constants(self.recipe, params, x, present)


def make_centring(recipe: Recipe, data: StackData, execution: str) -> Centring | None:
    """The centring of a stack; None where its learner has none."""
    if not recipe.learner.needs_reference:
        return None
    rows = torch.arange(min(REFERENCE_ROWS, recipe.test), device=recipe.device)
    draws = data.draws
    reference = draws.encode(draws.inputs("reference", rows.expand(len(data.seeds), -1)))
    if execution == COMPILED and recipe.device.type == "cpu":
        return LaneCentring(recipe, reference)
    return PlainCentring(recipe, reference)
