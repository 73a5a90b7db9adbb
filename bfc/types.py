"""Every contract of the library in one file: what a target, a learner, a probe, a baseline, a measure and a tracker must
offer. Read this once and you can add any of them as one Python file and one YAML, with no registry to edit.

Shapes: R replicas (trainings fused in one stack, one seed each), B rows, d input coordinates, L the depth.
Every component is a frozen dataclass: its fields are its YAML keys, its ``__post_init__`` refuses bad values with
a :class:`bfc.errors.UserError`, and its class attribute ``numerics`` (an integer) is raised when a fix changes results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

Params = dict[str, Tensor]
"""Stacked parameters: name → tensor of shape (R, ...)."""


@dataclass(frozen=True)
class Theory:
    """A predicted scaling of n* for one kind of method: n* grows as d^exponent; ``source`` cites where this is said,
    ``bound`` is ``upper``, ``lower`` or ``rate``; ``nstar`` is the predicted n* at the target's own d, where the source gives its
    constants, too."""

    exponent: float
    bound: str
    source: str
    nstar: float | None = None


class Draw(Protocol):
    """R realisations of (target, training pool, test set), one per seed, each a function of its seed alone. Methods with a body are
    inherited by deriving from this class."""

    seeds: tuple[int, ...]
    variance: Tensor
    """Population variance of f*, shape (R,), float64."""
    variance_error: Tensor
    """Standard error of ``variance``, shape (R,); zero where it is exact."""
    known: dict[str, Tensor]
    """What a learner may be told about the target (for instance its coefficients), name → (R, ...)."""

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        """Inputs of the given row numbers (R, B) → (R, B, d). ``role`` names the stream (``train``, ``test``,
        ``validation``, ``reference``); row i never depends on how many rows are asked for."""
        ...

    def labels(self, x: Tensor) -> Tensor:
        """f*(x) for x of shape (R, B, d) → (R, B), without noise; population mean zero."""
        ...

    def encode(self, x: Tensor) -> Tensor:
        """What a method is given of the inputs, (R, B, d) → (R, B, input_width); x itself without a representation."""
        return x

    def observe(self, role: str, rows: Tensor, x: Tensor) -> Tensor:
        """The labels a method is given for these rows, (R, B); with role ``test`` the truth it is judged against. Label noise depends
        on (seed, role, row) only."""
        return self.labels(x)

    @property
    def chance(self) -> Tensor:
        """Error of the best constant predictor, shape (R,), float64: what a relative risk of 1 is."""
        return self.variance

    def features(self, x: Tensor) -> dict[int, Tensor]:
        """The teacher's intermediate features, level → (R, B, k_level); empty where it has none."""
        ...

    def select(self, index: Sequence[int]) -> Draw:
        """The draw of a subset (or repetition) of the replicas."""
        ...


def sample(draw: Draw, role: str, rows: Tensor) -> tuple[Tensor, Tensor]:
    """What a method sees of the given rows (R, B): encoded inputs (R, B, input_width) and observed labels (R, B)."""
    x = draw.inputs(role, rows)
    return draw.encode(x), draw.observe(role, rows, x)


class Target(Protocol):
    """A family of functions f*: R^d → R with its input law, redrawn for every seed. Methods with a body are inherited by deriving
    from this class."""

    numerics: ClassVar[int]
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
        """Numbers a method answers a row with: 1, out of shape (R, B), or a score per class, (R, B, outputs), with labels (R, B) that are
        class numbers."""
        return 1

    @property
    def available(self) -> int | None:
        """Training rows there are; None: any number."""
        return None

    @property
    def gaps(self) -> Mapping[int, float]:
        """Level → what the level above adds to the label, alpha_{l+1}^2, 0 at the top: the information gap by which a schedule can end
        a phase. Empty where a target has no such coefficients."""
        return {}

    @property
    def input_width(self) -> int:
        """Number of coordinates that a method is given: d, or the width of a representation."""
        return self.d

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        """Training loss per row, (R, B): what gradient descent averages."""
        return (out - y).square()

    def error(self, out: Tensor, y: Tensor) -> Tensor:
        """Error per row, of the shape of ``out``: its mean over fresh rows, divided by ``Draw.chance``, is the relative risk."""
        return (out - y).square()

    def draw(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Draw: ...

    def facts(self) -> Mapping[str, Any]:
        """Plain values that follow from the fields and that a reader of a stored configuration should see, such as the harmonic
        decomposition; no part of the identity."""
        return {}

    def theory(self) -> Mapping[str, Theory]:
        """Kind of method (``staged``, ``kernel`` ...) → its predicted exponent; may be empty."""
        return {}


class Lens(Protocol):
    """Something laid over a target: a task (which labels are seen, which loss trains, which error is judged) or a representation
    (which features of x a method is given)."""

    numerics: ClassVar[int]

    def over(self, target: Target) -> Target:
        """The target as methods see it; refuses one it does not fit (:class:`bfc.errors.UserError`). See
        :class:`bfc.targets.wrapped.Wrapped`."""
        ...


class Learner(Protocol):
    """An architecture as pure functions over stacked parameters, written once for R replicas (R = 1 is not special). Methods with a
    body are optional parts, inherited by deriving from this class."""

    numerics: ClassVar[int]
    needs_reference: ClassVar[bool]
    """Whether ``statistics`` wants unlabelled reference inputs."""
    many_outputs: ClassVar[bool] = False
    """Whether targets with several outputs will do."""

    def check(self, target: Target) -> None:
        """Refuse a target this learner cannot be trained on (:class:`bfc.errors.UserError`)."""
        ...

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        """Refuse a set of groups that makes no network, such as a level without the one it reads."""
        ...

    def pullback(self, params: Params, x: Tensor, present: frozenset[str],
                 trained: frozenset[str]) -> tuple[Tensor, Callable[[Tensor], Params]] | None:
        """The outputs of :meth:`forward` in training and its reverse pass written by hand: from the gradient with respect to the
        outputs (R, B) to those of the parameters named in ``trained`` that the outputs depend on. None: automatic differentiation."""
        return None

    def levels(self, target: Target) -> tuple[int, ...]:
        """The levels that a schedule's ``{l}`` runs over; the target's own, unless the architecture has its own depth."""
        return target.levels

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        """Parameter group → parameter names. Level groups are called ``level2`` ... ``levelL``; schedules use these names.
        Parameters in no group are constants of the training."""
        ...

    def rates(self, target: Target) -> Mapping[str, float]:
        """Parameter name → multiplier of the learning rate, where it is not 1 (mean-field parametrisations)."""
        return {}

    def penalties(self, target: Target) -> tuple[str, ...]:
        """Names of the regularisers that a phase of a schedule may switch on."""
        return ()

    def penalty(self, params: Params, present: frozenset[str], weights: Mapping[str, float]) -> Tensor | None:
        """Regulariser (R,) added to the mean training loss; ``weights`` are the coefficients of the phase. None: nothing to add."""
        return None

    def begin(self, params: Params, draw: Draw, stage: Any) -> Params:
        """Parameters (R, ...) that are set anew when a phase begins, for instance one level from another; only those that change."""
        return {}

    def project(self, params: Params) -> None:
        """Put the parameters that train back into the feasible set in place, after every step."""

    def init_params(self, target: Target, draw: Draw) -> Params:
        """Initial parameters; a function of each replica's seed alone."""
        ...

    def statistics(self, params: Params, x: Tensor, present: frozenset[str]) -> dict[str, Tensor]:
        """Centring constants measured on unlabelled reference inputs (R, B, d); empty if the learner has none."""
        ...

    def forward(self, params: Params, x: Tensor, present: frozenset[str],
                statistics: Mapping[str, Tensor] | None = None) -> Tensor:
        """Outputs (R, B) for inputs (R, B, d). Groups not in ``present`` are absent from the network. Without
        ``statistics`` the batch itself is used to centre (training); with them the output of a row is a
        function of that row (evaluation)."""
        ...


class Probe(Protocol):
    """Something measured about a trained learner at the end of every phase, and at ``looks`` steps on the way if it has any."""

    numerics: ClassVar[int]
    looks: int = 0
    """Number of looks during a training, about evenly spaced in log steps, from step 0 on; kept in the cell's trace."""

    def check(self, target: Target, learner: Learner) -> None:
        """Refuse a target or learner that does not offer what is measured here (:class:`bfc.errors.UserError`)."""
        ...

    def measure(self, target: Target, draw: Draw, learner: Learner, params: Params,
                present: frozenset[str]) -> dict[str, Tensor]:
        """Name → value per replica, shape (R,); NaN where it does not apply."""
        ...


class Schedule(Protocol):
    """When which parameter groups train; knows group names, nothing of a learner's inside (:mod:`bfc.learners.schedules`)."""

    numerics: ClassVar[int]
    name: str
    check_every: int
    patience: int | None

    def stages(self, groups: Iterable[str], levels: Sequence[int], longer: int = 1) -> tuple[Any, ...]:
        """The phases made concrete for a learner's groups and levels, ``longer`` times as long."""
        ...


class Optimizer(Protocol):
    """One step for a stack, with a learning rate and a clock per replica (:mod:`bfc.engine.optimizers`)."""

    numerics: ClassVar[int]
    state_names: ClassVar[tuple[str, ...]]
    lr: float
    batch: int

    def rate(self, clock: Tensor, steps: int) -> Tensor:
        """Multiplier of ``lr`` at step ``clock`` of a phase of ``steps`` steps."""
        ...

    def step(self, flat: Tensor, grad: Tensor, state: dict[str, Tensor], lr: Tensor, clock: Tensor) -> None:
        """Update ``flat`` (R, P) in place from ``grad`` (R, P); ``lr`` and ``clock`` (R, 1)."""
        ...


@dataclass(frozen=True)
class Curve:
    """A whole learning curve of one seed: risk at every n of ``n`` from nested training sets."""

    n: list[int]
    risk: list[float]


class Baseline(Protocol):
    """A method that does not learn the hierarchy and yields a whole learning curve per seed."""

    numerics: ClassVar[int]

    @property
    def label(self) -> str:
        """Short human name with what distinguishes it, for instance ``polynomial kernel (degree 4)``."""
        ...

    def check(self, target: Target) -> None: ...

    def tune(self, target: Target, test: int, device: torch.device | str = "cpu") -> dict[str, Any]:
        """Choose hyper-parameters on tuning draws (seeds never measured on); returns what was chosen and tried, as
        plain JSON values; this dictionary is stored and passed to ``curve``."""
        ...

    def curve(self, target: Target, seed: int, test: int, tuned: Mapping[str, Any],
              device: torch.device | str = "cpu") -> Curve:
        """Relative risk E(f - f*)^2 / Var f* on ``test`` fresh rows for every n of the baseline's grid."""
        ...


@dataclass(frozen=True)
class Training:
    """One fit that is asked for: ``n`` labels (0: fresh samples at every step) and a seed; ``kind`` is ``training`` or
    ``probe`` (a longer run on fresh data that tells a plateau from a lack of data)."""

    n: int
    seed: int
    kind: str = "training"


class Measure(Protocol):
    """Which trainings are asked for, given what is stored (:mod:`bfc.measure.base`)."""

    numerics: ClassVar[int]
    eps: tuple[float, ...]
    seeds: tuple[int, ...]

    def next_round(self, rows: Sequence[Mapping[str, Any]]) -> list[Training]:
        """Trainings to run next, a function of the stored rows alone; empty when done."""
        ...


class Tracker(Protocol):
    """Shows cells and studies somewhere, each from a :class:`bfc.trackers.view.View` that was made from the store. Trackers never own
    results, run in a process of their own (:mod:`bfc.trackers.service`), and take no keys: those are their libraries' to find."""

    live: bool
    """Whether a cell is also shown while it runs."""
    patience: float
    """Seconds that a job waits for a view."""

    def check(self) -> None:
        """Refuse where what this tracker needs is not installed (:class:`bfc.errors.UserError`)."""
        ...

    def destination(self, study: str | None) -> str | None:
        """Where the views of a study go, as a name; None where nothing is to be shown."""
        ...

    def show(self, view: Any) -> str | None:
        """Bring one run up to its view, however much of it was shown before, and end it unless the cell still runs. Returns an
        address or a path. Whatever it raises costs the view only."""
        ...

    def leave(self) -> None:
        """End the runs of cells that will not be shown any more."""
        ...
