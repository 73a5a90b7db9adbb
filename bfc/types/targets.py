"""What a target, its draws, a task and a representation must offer.

Shapes: R replicas (trainings fused in one stack, one seed each), B rows, d input coordinates.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Protocol, Self

import torch
from torch import Tensor

from bfc.component import Component
from bfc.shapes import Float, Float64, Int, Num


@dataclass(frozen=True)
class Theory:
    """A predicted scaling of n* for one kind of method: n* grows as d^exponent."""

    exponent: float
    bound: str
    """``upper``, ``lower`` or ``rate``."""
    source: str
    """Where this is said."""
    nstar: float | None = None
    """The predicted n* at the target's own d, where the source gives its constants."""
    status: Literal["theorem", "conjecture", "heuristic"] | None = None
    """How well it is known; None: not stated."""


@dataclass(frozen=True)
class Revealed:
    """What a learner may use of the target besides samples: nothing, in this base class.

    A target that reveals more derives a class with one field per tensor (R, ...), documented there
    (:mod:`bfc.targets.capabilities`).
    """

    def tensors(self) -> dict[str, Tensor]:
        """Field → what is revealed, (R, ...)."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def select(self, index: Sequence[int]) -> Self:
        """What is revealed to a subset (or repetition) of the replicas."""
        selected = {name: tensor[list(index)] for name, tensor in self.tensors().items()}
        return type(self)(**selected)


NOTHING_REVEALED = Revealed()
"""What the draws of most targets reveal."""


class Draw(Protocol):
    """R realisations of (target, training pool, test set), one per seed, each a function of its
    seed.

    Methods with a body are inherited by deriving from this class.
    """

    seeds: tuple[int, ...]
    revealed: Revealed
    """What a learner may use of the target, for instance its coefficients."""

    @property
    def unwrapped(self) -> Draw:
        """The draw itself, without the tasks and representations that are laid over it."""
        return self

    @property
    @abstractmethod
    def variance(self) -> Tensor:
        """Population variance of f*, shape (R,), float64."""
        ...

    @property
    def variance_error(self) -> Tensor:
        """Standard error of ``variance``, shape (R,), float64; zero where it is exact."""
        return torch.zeros_like(self.variance)

    @abstractmethod
    def inputs(self, role: str, rows: Int[Tensor, "R B"]) -> Float[Tensor, "R B d"]:
        """Inputs of the given row numbers.

        ``role`` names the stream (``train``, ``test``, ``validation``, ``reference``); row i never
        depends on how many rows are asked for.
        """
        ...

    @abstractmethod
    def labels(self, x: Float[Tensor, "R B d"]) -> Num[Tensor, "R B"]:
        """f*(x) without noise; its population mean is zero."""
        ...

    def encode(self, x: Float[Tensor, "R B d"]) -> Float[Tensor, "R B input_width"]:
        """The inputs as a method sees them."""
        return x

    def observe(
        self, role: str, rows: Int[Tensor, "R B"], x: Float[Tensor, "R B d"]
    ) -> Num[Tensor, "R B"]:
        """The labels as a method sees them; with role ``test`` the truth it is judged by.

        Label noise depends on (seed, role, row) only.
        """
        return self.labels(x)

    @property
    def chance(self) -> Float64[Tensor, " R"]:
        """Error of the best constant predictor: what a relative risk of 1 is."""
        return self.variance

    @abstractmethod
    def features(self, x: Tensor) -> dict[int, Tensor]:
        """The teacher's intermediate features, level → (R, B, k_level); empty where it has none."""
        ...

    @property
    def planted_subspace(self) -> Float[Tensor, "R d k"] | None:
        """Orthonormal basis of the directions of the inputs, as a method sees them, f* varies in.

        None where f* varies in all of them, where the target does not say, or where a
        representation hides them.
        """
        return None

    @property
    def planted_forms(self) -> Float[Tensor, "R p d d"] | None:
        """The symmetric matrices of unit norm whose quadratic forms are features of f*."""
        return None

    @abstractmethod
    def select(self, index: Sequence[int]) -> Draw:
        """The draw of a subset (or repetition) of the replicas."""
        ...


def sample(
    draw: Draw, role: str, rows: Int[Tensor, "R B"]
) -> tuple[Float[Tensor, "R B input_width"], Num[Tensor, "R B"]]:
    """Encoded inputs and observed labels of the given rows."""
    x = draw.inputs(role, rows)
    return draw.encode(x), draw.observe(role, rows, x)


class Target(Component, Protocol, config_key="target"):
    """A family of functions f*: R^d → R with its input law, redrawn for every seed.

    Methods with a body are inherited by deriving from this class.
    """

    identity_name: ClassVar[str]
    version: ClassVar[int]
    d: int

    @property
    def unwrapped(self) -> Target:
        """The target itself, without the tasks and representations that are laid over it.

        What it offers beyond this protocol is asked of its class
        (:mod:`bfc.targets.capabilities`).
        """
        return self

    @property
    @abstractmethod
    def levels(self) -> tuple[int, ...]:
        """The composition levels that carry features, for instance (2, ..., L)."""
        ...

    @property
    def shown_depth(self) -> int:
        """L, the depth of f* as tables and figures show it."""
        return max(self.levels, default=1)

    @property
    @abstractmethod
    def degree(self) -> int:
        """Polynomial degree of f* (0: no polynomial)."""
        ...

    @property
    def outputs(self) -> int:
        """Numbers a method answers a row with.

        1: answers of shape (R, B). More: a score per class, (R, B, outputs), with labels (R, B)
        that are class numbers.
        """
        return 1

    @property
    def n_available(self) -> int | None:
        """Training rows there are; None: any number."""
        return None

    @property
    def gaps(self) -> Mapping[int, float]:
        """Level → the information gap by which a schedule can end a phase.

        The gap of level l is what the level above adds to the label, alpha_{l+1}^2, 0 at the top.
        Empty where a target has no such coefficients.
        """
        return {}

    @property
    def input_width(self) -> int:
        """Coordinates that a method is given: d, or the width of a representation."""
        return self.d

    @property
    def has_squared_loss(self) -> bool:
        """Whether :meth:`loss` is the squared loss of this protocol.

        The engine then writes its derivative itself, and targets that differ in numbers only may
        share a stack.
        """
        return type(self).loss is Target.loss

    @property
    def has_squared_error(self) -> bool:
        """Whether :meth:`error` is the squared error of this protocol."""
        return type(self).error is Target.error

    def loss(
        self, out: Float[Tensor, "R B *outputs"], y: Num[Tensor, "R B"]
    ) -> Float[Tensor, "R B"]:
        """Training loss per row: what gradient descent averages."""
        return (out - y).square()

    def error(
        self, out: Float[Tensor, "R B *outputs"], y: Num[Tensor, "R B"]
    ) -> Float[Tensor, "R B"]:
        """Error per row.

        Its mean over fresh rows, divided by ``Draw.chance``, is the relative risk.
        """
        return (out - y).square()

    @abstractmethod
    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Draw: ...

    def facts(self) -> Mapping[str, Any]:
        """Plain values that follow from the fields, for readers of a stored configuration.

        For instance the harmonic decomposition; no part of the identity.
        """
        return {}

    def theory(self) -> Mapping[str, Theory]:
        """Kind of method (``staged``, ``kernel`` ...) → its predicted exponent; may be empty."""
        return {}


class TargetWrapper(Component, Protocol, config_key="task"):
    """Something laid over a target: a task or a representation.

    A task says which labels are seen, which loss trains and which error is judged; a
    representation says which features of x a method is given.
    """

    identity_name: ClassVar[str]
    version: ClassVar[int]

    @abstractmethod
    def wrap(self, target: Target) -> Target:
        """The target as methods see it (see :class:`bfc.targets.wrapped.Wrapped`).

        Raises :class:`bfc.errors.UserError` for a target it does not fit.
        """
        ...
