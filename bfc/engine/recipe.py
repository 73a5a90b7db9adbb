"""What a training is, apart from its n and seed.

It stands in a module of its own below the rest of the engine, all of which reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import torch

from bfc.types import Learner, Optimizer, Probe, Schedule, Stage, Target


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the numbers of a training, apart from its n and seed."""

    target: Target
    learner: Learner
    schedule: Schedule
    optimizer: Optimizer
    validation: str = "none"
    """``inside`` (held out within n), ``free`` (extra labels, not counted) or ``none``."""
    validation_size: float = 0.2
    """Share of n (inside) or number of rows (free)."""
    test: int = 16384
    """Fresh test rows, and unlabelled reference rows for centring."""
    probe: Probe | None = None
    longer: int = 1
    """Multiplies the steps of every phase (4 in the runs that confirm a plateau)."""
    observe: tuple[int, ...] = ()
    """Total steps at which the test risk is taken (the online measure).

    Those of the probe are :meth:`probe_steps`.
    """
    compile: Literal["auto", "never", "always"] = "never"
    """Whether steps are taken by generated code (:mod:`bfc.engine.compiled.choice`)."""
    dtype: torch.dtype = torch.float32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def stages(self) -> tuple[Stage, ...]:
        """The phases of the schedule, made concrete."""
        groups = self.learner.groups(self.target)
        return self.schedule.stages(groups, self.learner.levels(self.target), self.longer)

    def probe_steps(self) -> tuple[int, ...]:
        """Total steps at which the probe is measured during a training.

        They are 0 and about evenly spaced in log steps up to the last.
        """
        count = self.probe.num_evals if self.probe is not None else 0
        total = self.total_steps()
        if count <= 2:
            return (0, total)[:count]
        steps = {round(total ** (k / (count - 2))) for k in range(count - 1)}
        return tuple(sorted({0, *steps}))

    def total_steps(self) -> int:
        """Optimizer steps of one training, all phases together."""
        return sum(stage.steps for stage in self.stages())

    def with_lr(self, lr: float) -> Recipe:
        """The same training at another learning rate."""
        return replace(self, optimizer=self.optimizer.with_lr(lr))
