"""What a baseline must offer: a method that yields a whole learning curve per seed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch

from bfc.component import Component
from bfc.types.targets import Target


@dataclass(frozen=True)
class LearningCurve:
    """A whole learning curve of one seed: risk at every n of ``n``, on nested training sets."""

    n: list[int]
    risk: list[float]
    overlap: Mapping[str, list[float]] = field(default_factory=dict)
    """What was learned → its overlap with what is planted at every n, in [0, 1].

    ``subspace`` and ``forms`` (:mod:`bfc.targets.overlap`); empty where nothing is planted or a
    method learns nothing of the kind."""


class Baseline(Component, Protocol, config_key="baseline"):
    """A method that yields a whole learning curve per seed."""

    identity_name: ClassVar[str]
    version: ClassVar[int]
    supports_multi_output: ClassVar[bool] = False
    """Whether it answers targets with several outputs."""

    @property
    def n_max(self) -> int:
        """The largest n of its grid."""
        ...

    @property
    @abstractmethod
    def label(self) -> str:
        """Short human name with what distinguishes it: ``polynomial kernel (degree 4)``."""
        ...

    def check(self, target: Target) -> None:
        """Refuse a target this method cannot be fitted to; none is refused by default."""
        return None

    @property
    @abstractmethod
    def num_tuning_curves(self) -> int:
        """Learning curves that :meth:`tune` computes."""
        ...

    def curve_seconds(self, width: int, test: int) -> float | None:
        """Seconds of one learning curve on one core for inputs of ``width`` coordinates.

        None: about those of kernel ridge regression with the same ``n_max``.
        """
        return None

    @abstractmethod
    def tune(
        self,
        target: Target,
        test: int,
        device: torch.device | str = "cpu",
        on_curves: Callable[[int], None] = lambda count: None,
    ) -> dict[str, Any]:
        """Choose hyper-parameters on tuning draws (seeds that are never measured on).

        ``on_curves`` is called with the number of learning curves that have just been computed.
        Returns what was chosen and tried, as plain JSON values; this is stored and passed to
        :meth:`curve`.
        """
        ...

    @abstractmethod
    def curve(
        self,
        target: Target,
        seed: int,
        test: int,
        tuned: Mapping[str, Any],
        device: torch.device | str = "cpu",
    ) -> LearningCurve:
        """Relative risk E(f - f*)^2 / Var f* on ``test`` fresh rows for every n of the grid."""
        ...
