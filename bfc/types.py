"""Every contract of the library in one file.

What a target, a task, a representation, a learner, a schedule, an optimizer, a probe, a baseline, a
measure, an observer and a tracker must offer. Read this once and you can add any of them as one
Python file and one YAML, with no registry to edit.

Shapes: R replicas (trainings fused in one stack, one seed each), B rows, d input coordinates, L the
depth. Every component is a frozen dataclass: its fields are its YAML keys, its ``__post_init__``
refuses values out of range with a :class:`bfc.errors.UserError`; types are checked before, by
:class:`bfc.component.Component`. Its class attributes are
``identity_name``, the name under which it enters the hash of a cell whatever it is called or
wherever it lives later, and ``version``, an integer that is raised when a fix changes results or a
default changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from bfc.component import Component
from bfc.shapes import Bool, Float, Float64, Int, Num
from bfc.snapshot import Snapshot

Params = dict[str, Tensor]
"""Stacked parameters: name → tensor of shape (R, ...)."""
Row = Mapping[str, Any]
"""One stored training: column → value."""


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


class Draw(Protocol):
    """R realisations of (target, training pool, test set), one per seed, each a function of its
    seed.

    Methods with a body are inherited by deriving from this class.
    """

    seeds: tuple[int, ...]
    revealed: dict[str, Tensor]
    """What a learner may use of the target (for instance its coefficients), name → (R, ...)."""

    @property
    def variance(self) -> Tensor:
        """Population variance of f*, shape (R,), float64."""
        ...

    @property
    def variance_error(self) -> Tensor:
        """Standard error of ``variance``, shape (R,), float64; zero where it is exact."""
        return torch.zeros_like(self.variance)

    def inputs(self, role: str, rows: Int[Tensor, "R B"]) -> Float[Tensor, "R B d"]:
        """Inputs of the given row numbers.

        ``role`` names the stream (``train``, ``test``, ``validation``, ``reference``); row i never
        depends on how many rows are asked for.
        """
        ...

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

    def features(self, x: Tensor) -> dict[int, Tensor]:
        """The teacher's intermediate features, level → (R, B, k_level); empty where it has none."""
        ...

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
    def levels(self) -> tuple[int, ...]:
        """The composition levels that carry features, for instance (2, ..., L)."""
        ...

    @property
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

    def wrap(self, target: Target) -> Target:
        """The target as methods see it (see :class:`bfc.targets.wrapped.Wrapped`).

        Raises :class:`bfc.errors.UserError` for a target it does not fit.
        """
        ...


@dataclass(frozen=True)
class Stage:
    """A phase of a schedule made concrete for a learner's groups and levels."""

    name: str
    train: tuple[str, ...]
    """The groups that train."""
    present: frozenset[str]
    """The groups that exist in the network."""
    steps: int
    until: float | None = None
    """The phase also ends once the training loss is at most this multiple of ``gap`` or chance."""
    penalties: Mapping[str, float] = field(default_factory=dict)
    gap: int | None = None
    """The level whose information gap ``until`` is a multiple of; None: of chance."""
    added: frozenset[str] = frozenset()
    """The groups that no earlier stage had in the network."""


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
        """Refuse a target this learner cannot be trained on (:class:`bfc.errors.UserError`)."""
        ...

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        """Refuse groups that make no network, such as a level without the one it reads."""
        ...

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

        The reverse pass maps the gradient with respect to the outputs (R, B) to those of the
        parameters in ``trained`` that the outputs depend on. It is only called where
        :attr:`has_vjp`.
        """
        raise NotImplementedError

    def levels(self, target: Target) -> tuple[int, ...]:
        """The levels that a schedule's ``{l}`` runs over; by default those of the target."""
        return target.levels

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

    def init_params(self, target: Target, draw: Draw) -> Params:
        """Initial parameters; a function of each replica's seed alone."""
        ...

    def statistics(self, params: Params, x: Tensor, present: frozenset[str]) -> dict[str, Tensor]:
        """Centring constants measured on unlabelled reference inputs (R, B, d); may be empty."""
        ...

    def forward(
        self,
        params: Params,
        x: Float[Tensor, "R B d"],
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Float[Tensor, "R B *outputs"]:
        """Outputs for inputs; groups not in ``present`` are absent.

        Without ``statistics`` the batch itself is used to centre (training); with them the output
        of a row is a function of that row (evaluation).
        """
        ...


class Probe(Component, Protocol, config_key="probe"):
    """A measurement on a trained learner at the end of every phase, and on the way."""

    identity_name: ClassVar[str]
    version: ClassVar[int]
    num_evals: int = 0
    """Evaluations during a training, about evenly spaced in log steps, from step 0 on.

    They are kept in the cell's table ``trace``."""

    def check(self, target: Target, learner: Learner) -> None:
        """Refuse a target or learner that does not offer what is measured here."""
        ...

    def measure(
        self,
        target: Target,
        draw: Draw,
        learner: Learner,
        params: Params,
        present: frozenset[str],
    ) -> dict[str, Tensor]:
        """Name → value per replica, shape (R,); NaN where it does not apply."""
        ...


class Schedule(Component, Protocol, config_key="schedule"):
    """When which parameter groups train; knows group names only (:mod:`bfc.schedules`)."""

    identity_name: ClassVar[str]
    version: ClassVar[int]

    @property
    def name(self) -> str: ...

    @property
    def check_every(self) -> int:
        """Steps between two evaluations of validation and train risk."""
        ...

    @property
    def patience(self) -> int | None:
        """Checks without a better validation risk after which a phase ends early; None: never."""
        ...

    def has_improved(
        self, risk: Float64[Tensor, " R"], best: Float64[Tensor, " R"]
    ) -> Bool[Tensor, " R"]:
        """Whether a validation risk is better than the best of the phase so far.

        The parameters are then kept as the best, and the count of stale checks starts anew. Before
        the first improvement of a phase ``best`` is infinite.
        """
        ...

    def ends_phase(self, step: int, stale_checks: int, is_loss_low: bool) -> bool:
        """Whether a phase of one training ends early; asked at every check, after ``step`` steps.

        ``stale_checks`` counts the checks since the last improvement; ``is_loss_low`` is whether
        the training loss has reached the ``until`` of the stage.
        """
        ...

    def stages(
        self, groups: Iterable[str], levels: Sequence[int], longer: int = 1
    ) -> tuple[Stage, ...]:
        """The phases made concrete for a learner, ``longer`` times as long."""
        ...


class Optimizer(Component, Protocol, config_key="optimizer"):
    """One step of a stack, with a learning rate and clock per replica (:mod:`bfc.optimizers`)."""

    identity_name: ClassVar[str]
    version: ClassVar[int]
    state_names: ClassVar[tuple[str, ...]]
    """Names of the buffers that it keeps, each of the shape of the parameters."""

    @property
    def lr(self) -> float: ...

    @property
    def batch(self) -> int: ...

    @property
    def sampling(self) -> str:
        """``replacement`` or ``epochs``."""
        ...

    @property
    def warmup(self) -> int: ...

    @property
    def decay(self) -> str: ...

    def with_lr(self, lr: float) -> Optimizer:
        """The same optimizer with another learning rate."""
        ...

    def rate(self, clock: Int[Tensor, "R k"], steps: int) -> Float[Tensor, "R k"]:
        """Multiplier of ``lr`` at step ``clock`` of a phase of ``steps`` steps."""
        ...

    def step(
        self,
        flat: Float[Tensor, "R P"],
        grad: Float[Tensor, "R P"],
        state: dict[str, Tensor],
        lr: Float[Tensor, "R #P"],  # noqa: F821  (a shape, not a name)
        clock: Int[Tensor, "R 1"],
    ) -> None:
        """Update the parameters ``flat`` in place from their gradient."""
        ...


@dataclass(frozen=True)
class LearningCurve:
    """A whole learning curve of one seed: risk at every n of ``n``, on nested training sets."""

    n: list[int]
    risk: list[float]


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
    def label(self) -> str:
        """Short human name with what distinguishes it: ``polynomial kernel (degree 4)``."""
        ...

    def check(self, target: Target) -> None: ...

    @property
    def num_tuning_curves(self) -> int:
        """Learning curves that :meth:`tune` computes."""
        ...

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


@dataclass(frozen=True)
class Training:
    """One fit that is asked for: ``n`` labels (0: fresh samples at every step) and a seed."""

    n: int
    seed: int
    kind: str = "training"
    """``training``, or ``confirmation``: a longer run on fresh data that tells a plateau from a
    lack of data."""


class Tuning(Component, Protocol, config_key="measure.tune"):
    """How a learning rate is chosen before anything is measured (:mod:`bfc.measure.tuning`)."""

    @property
    def fresh(self) -> bool:
        """Whether it trains on fresh samples at every step."""
        ...

    def trainings(self) -> list[tuple[Training, float]]:
        """Every (training, learning rate) that is tried."""
        ...

    def choose(self, risks: Mapping[tuple[float, int, int], float]) -> dict[str, Any]:
        """What was chosen (``lr``) and tried, from (rate, n, seed) → risk."""
        ...

    def risk(self, record: Mapping[str, Any]) -> float:
        """The risk of a finished training by which rates are compared."""
        ...


@dataclass(frozen=True)
class Resumption:
    """How a measure goes on in a cell that already holds rows."""

    measure: Measure
    """The measure as it goes on."""
    plan: dict[str, Any] | None
    """What is kept with the cell (plan.json); None: nothing."""
    request: Measure
    """The measure as it was asked for, with what the cell keeps from earlier in its place."""
    note: str | None = None
    """What a user should know about what is kept."""


class Measure(Component, Protocol, config_key="measure"):
    """Which trainings are run, given what is stored (:mod:`bfc.measure.base`)."""

    identity_name: ClassVar[str]
    version: ClassVar[int]
    needs_constant_rate: ClassVar[bool]
    """Whether the learning rate must not depend on the number of steps."""
    at_top: ClassVar[int]
    """Fewest trainings that count as those of the largest n."""

    @property
    def eps(self) -> tuple[float, ...]:
        """The relative risks at which n* is asked for."""
        ...

    @property
    def seeds(self) -> tuple[int, ...]: ...

    @property
    def confirm(self) -> int:
        """Confirming runs where nothing fits at the largest n."""
        ...

    @property
    def validation(self) -> str:
        """``inside``, ``free`` or ``none``."""
        ...

    @property
    def validation_size(self) -> float: ...

    @property
    def test(self) -> int:
        """Fresh test rows per seed."""
        ...

    @property
    def tune(self) -> Tuning | None: ...

    @property
    def largest_n(self) -> int:
        """The largest number of labels that a training may be given."""
        ...

    @property
    def max_trainings(self) -> int:
        """How many trainings are run at most, tuning and confirming runs not counted."""
        ...

    @property
    def waits_for_smaller_d(self) -> bool:
        """Whether, in a sweep, it starts from what smaller d have shown."""
        ...

    def trainings(self) -> list[Training]:
        """Every training that is known beforehand."""
        ...

    def next_round(self, rows: Sequence[Row]) -> list[Training]:
        """Trainings to run next, a function of the stored rows alone; empty when done."""
        ...

    def is_round_complete(self, rows: Sequence[Row]) -> bool:
        """Whether a round is complete, which is when confirming runs are considered."""
        ...

    def observe(self, batch: int, steps: int) -> tuple[int, ...]:
        """Total steps at which the test risk is taken during a training of ``steps`` steps."""
        ...

    def resume(self, plan: Mapping[str, Any] | None, rows: Sequence[Row]) -> Resumption:
        """The measure as it goes on in a cell with ``rows`` and ``plan`` (None: a new cell)."""
        ...


class Observer(Protocol):
    """Hears how a cell gets on; whatever it does costs the view only, never a number."""

    def started(self) -> None:
        """The cell is about to train."""
        ...

    def stored(self) -> None:
        """New rows are stored."""
        ...

    def ended(self, error: BaseException | None) -> None:
        """The cell has ended, with ``error`` if it failed or was stopped."""
        ...


class Tracker(Component, Protocol, config_key="tracker"):
    """Shows cells and studies somewhere, each from a finished :class:`bfc.snapshot.Snapshot`.

    Trackers never own results, run in a process of their own
    (:mod:`bfc.application.tracker_service`), and take no keys: their libraries find those.
    """

    live: bool
    """Whether a cell is also shown while it runs."""
    patience: float
    """Seconds that a job waits for a snapshot to be shown."""

    def check(self) -> None:
        """Refuse where what this tracker needs is not installed."""
        ...

    def destination(self, study: str | None) -> str | None:
        """Where the runs of a study go, as a name; None where nothing is to be shown."""
        ...

    def show(self, snapshot: Snapshot) -> str | None:
        """Bring one run up to its snapshot, and end it unless the cell still runs.

        Returns an address or a path. Whatever it raises costs the view only.
        """
        ...

    def close(self) -> None:
        """End the runs of cells that will not be shown any more."""
        ...
