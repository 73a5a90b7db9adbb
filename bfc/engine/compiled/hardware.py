"""What code is generated for: the seam between the program of a step and the ways to run it.

Replicas run in groups. On a CPU a group is the lanes of a vector register, and groups run one after
the other (:mod:`bfc.engine.compiled.machine`); on a GPU every replica is a group of its own, and
all groups run at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from bfc.engine.compiled.program import Program
from bfc.engine.compiled.shapes import StepShapes
from bfc.shapes import Float, Int


@dataclass(frozen=True)
class StepTensors:
    """What some steps of G groups of L replicas read and write; all contiguous.

    ``batch`` and ``scratch`` have a part per group where groups run at the same time (M = G), else
    one (M = 1). The pools are tables of rows, of which ``rows`` names those to read. Where that is
    None they are drawn: ``stream`` holds each replica's key, number of rows, first row in the pool,
    and number of the first step. Code that draws fresh rows reads no pool: the keys of its streams
    follow in ``stream``, and the tensors of the draws follow the parameters in ``fixed``.
    """

    state: Float[torch.Tensor, "G K L"]
    fixed: Float[torch.Tensor, "G F L"]
    shared: Float[torch.Tensor, " S"]
    """Multipliers of the learning rate, the same for all replicas."""
    scalars: Float[torch.Tensor, "G steps C L"]
    pool_x: Float[torch.Tensor, "..."]
    pool_y: Float[torch.Tensor, "..."]
    rows: Int[torch.Tensor, "G steps B L"] | None
    stream: Int[torch.Tensor, "G S L"]
    batch: Float[torch.Tensor, "M X L"]
    scratch: Float[torch.Tensor, "M Y L"]
    loss: Float[torch.Tensor, "G steps L"]


@runtime_checkable  # jaxtyping checks it where --check-shapes is on
class LoadedCode(Protocol):
    """Code that can be called."""

    def take_steps(self, tensors: StepTensors) -> None:
        """As many steps as ``tensors.loss`` has room for, in place in ``tensors.state``."""
        ...


@dataclass(frozen=True)
class GeneratedCode:
    """Code that can be stored."""

    content: bytes
    scratch: int
    """Elements of scratch memory per group."""


class Hardware(Protocol):
    """A kind of machine that steps are compiled for."""

    @property
    def version(self) -> str:
        """Equal for machines and tools that make the same code from the same program."""
        ...

    @property
    def runs_groups_at_once(self) -> bool: ...

    def group_size(self, dtype: torch.dtype) -> int:
        """L, the replicas of a group."""
        ...

    def generate(
        self, program: Program, shapes: StepShapes, dtype: torch.dtype, needs_loss: bool
    ) -> GeneratedCode: ...

    def load(self, code: bytes, dtype: torch.dtype) -> LoadedCode: ...
