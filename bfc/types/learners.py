"""What a learner must offer, and a probe that measures a trained one.

Shapes: R replicas (trainings fused in one stack, one seed each), B rows, d input coordinates.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from bfc.component import Component
from bfc.shapes import Float, Int
from bfc.types.schedules import Stage
from bfc.types.targets import Draw, Target

Params = dict[str, Tensor]
"""Stacked parameters: name → tensor of shape (R, ...)."""


class Learner(Component, Protocol, config_key="learner"):
    """An architecture as pure functions over stacked parameters (R = 1 is not special).

    Methods with a body are optional parts, inherited by deriving from this class.
    """

    identity_name: ClassVar[str]
    version: ClassVar[int]
    needs_reference: ClassVar[bool]
    """Whether ``statistics`` wants unlabelled reference inputs."""
    supports_multi_output: ClassVar[bool] = False
    """Whether it can be trained on targets with several outputs."""

    def check(self, target: Target) -> None:
        """Refuse a target this learner cannot be trained on (:class:`bfc.errors.UserError`).

        None is refused by default.
        """
        return None

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        """Refuse groups that make no network, such as a level without the one it reads.

        None are refused by default.
        """
        return None

    @property
    def has_vjp(self) -> bool:
        """Whether :meth:`vjp` is written; otherwise the engine differentiates automatically."""
        return type(self).vjp is not Learner.vjp

    @property
    def has_penalty(self) -> bool:
        """Whether :meth:`penalty` is written."""
        return type(self).penalty is not Learner.penalty

    def vjp(
        self, params: Params, x: Tensor, present: frozenset[str], trained: frozenset[str]
    ) -> tuple[Tensor, Callable[[Tensor], Params]]:
        """The outputs of :meth:`forward` in training, and its reverse pass written by hand.

        The reverse pass maps the gradient with respect to the outputs to those of the
        parameters in ``trained`` that the outputs depend on. It is only called where
        :attr:`has_vjp`.
        """
        raise NotImplementedError

    def levels(self, target: Target) -> tuple[int, ...]:
        """The levels that a schedule's ``{l}`` runs over; by default those of the target."""
        return target.levels

    @abstractmethod
    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        """Parameter group → parameter names.

        Level groups are called ``level2`` ... ``levelL``; schedules use these names. Parameters in
        no group are constants of the training.
        """
        ...

    def rates(self, target: Target) -> Mapping[str, float]:
        """Parameter name → multiplier of the learning rate, where it is not 1."""
        return {}

    def penalties(self, target: Target) -> tuple[str, ...]:
        """Names of the regularisers that a phase of a schedule may switch on."""
        return ()

    def penalty(
        self, params: Params, present: frozenset[str], weights: Mapping[str, float]
    ) -> Float[Tensor, " R"] | None:
        """Regulariser added to the mean training loss; None: nothing to add.

        ``weights`` are the coefficients of the phase.
        """
        return None

    def on_phase_start(self, params: Params, draw: Draw, stage: Stage) -> Params:
        """Parameters (R, ...) that are set anew when a phase begins; only those that change."""
        return {}

    def project(self, params: Params) -> None:
        """Put the parameters that train back into the feasible set in place, after every step."""
        return None

    @abstractmethod
    def init_params(self, target: Target, draw: Draw) -> Params:
        """Initial parameters; a function of each replica's seed alone."""
        ...

    def statistics(self, params: Params, x: Tensor, present: frozenset[str]) -> dict[str, Tensor]:
        """Centring constants measured on unlabelled reference inputs (R, B, d); none by default."""
        return {}

    @abstractmethod
    def forward(
        self,
        params: Params,
        x: Float[Tensor, "R B d"],
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Float[Tensor, "R B *outputs"]:
        """Outputs for inputs; groups not in ``present`` are absent.

        Without ``statistics`` the batch itself is used to centre (training); with them, empty where
        nothing is centred, the output of a row is a function of that row (evaluation).
        """
        ...


@dataclass(frozen=True)
class Progress:
    """How far R trainings are where they are probed."""

    n: Int[Tensor, " R"]
    """Rows 0 … n − 1 of the stream ``train`` are trained on; 0: fresh rows at every step."""
    step: Int[Tensor, " R"]
    """Optimizer steps taken."""


class Probe(Component, Protocol, config_key="probe"):
    """A measurement on a trained learner at the end of every phase, and on the way."""

    identity_name: ClassVar[str]
    version: ClassVar[int]
    num_evals: int = 0
    """Evaluations during a training, about evenly spaced in log steps, from step 0 on.

    They are kept in the cell's table ``trace``."""

    def check(self, target: Target, learner: Learner) -> None:
        """Refuse a target or learner that does not offer what is measured here.

        None is refused by default.
        """
        return None

    def measure(
        self,
        target: Target,
        draw: Draw,
        learner: Learner,
        params: Params,
        present: frozenset[str],
    ) -> dict[str, Tensor]:
        """Name → value per replica, shape (R,); NaN where it does not apply.

        Nothing by default, for probes that override :meth:`measure_training`.
        """
        return {}

    def measure_training(
        self,
        target: Target,
        draw: Draw,
        learner: Learner,
        params: Params,
        present: frozenset[str],
        progress: Progress,
    ) -> dict[str, Tensor]:
        """What the engine asks for: :meth:`measure`, unless the training rows or steps matter."""
        return self.measure(target, draw, learner, params, present)
