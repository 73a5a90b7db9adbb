"""Baselines with a ridge λ and further parameters, tuned over every combination of their grids."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, Self

from bfc.baselines.base import TunedBaseline
from bfc.baselines.checks import NOT_NEGATIVE, Range, check_strength

Choice = dict[str, float]
"""Parameter → value, λ among them as ``ridge``."""


@dataclass(frozen=True, kw_only=True)
class TunedRidge(TunedBaseline):
    """A baseline with a ridge.

    ``ridge``: λ, or ``auto`` to choose it from ``ridge_grid``. Another parameter may be ``auto`` as
    well where the subclass has a field ``<parameter>_grid``: then every combination of the grids is
    tried on the same draws. The budget is the product of the grids' lengths times ``tuning_draws``
    curves, whatever d. Raises :class:`bfc.errors.UserError` on a value out of range.
    """

    ridge: float | Literal["auto"] = "auto"
    ridge_grid: tuple[float, ...] = (1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1e-1, 1.0)

    allowed_ridge: ClassVar[Range] = NOT_NEGATIVE
    """The values of λ that the method can be used with."""

    def __post_init__(self) -> None:
        grid = check_strength("ridge", self.ridge, self.ridge_grid, self.allowed_ridge)
        object.__setattr__(self, "ridge_grid", grid)
        super().__post_init__()

    @property
    def tuned_parameters(self) -> dict[str, tuple[float, ...]]:
        """The parameters besides λ that are ``auto``, with the values that are tried."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        names = [name for name, value in values.items() if value == "auto" and name != "ridge"]
        return {name: values[f"{name}_grid"] for name in names}

    @property
    def num_tuning_curves(self) -> int:
        choices = self._choices()
        return len(choices) * self.tuning_draws if self._is_tuned(choices) else 0

    def _grids(self) -> dict[str, tuple[float, ...]]:
        """Every parameter that is tuned with the values that are tried; λ last."""
        ridges = (float(self.ridge),) if self.ridge != "auto" else self.ridge_grid
        return {**self.tuned_parameters, "ridge": ridges}

    def _choices(self) -> list[Choice]:
        """Every combination of the grids."""
        grids = self._grids()
        return [
            dict(zip(grids, values, strict=True)) for values in itertools.product(*grids.values())
        ]

    def _is_tuned(self, choices: Sequence[Choice]) -> bool:
        return len(choices) > 1 or self.ridge == "auto"

    def _with_choice(self, choice: Mapping[str, Any]) -> Self:
        """This method with the parameters that were chosen."""
        return replace(self, **{name: choice[name] for name in self.tuned_parameters})


def edges_of(choice: Choice, grids: Mapping[str, Sequence[float]]) -> list[str]:
    """The parameters that were chosen at an end of their grid."""
    edges = []
    for name, grid in grids.items():
        if len(grid) > 1 and choice[name] in (min(grid), max(grid)):
            edges.append(name)
    return edges
