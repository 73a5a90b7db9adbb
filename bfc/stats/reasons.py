"""What the estimators have to say besides numbers, as data.

Why an estimate has no number, which rows were dropped and what is odd about a table are members of
enums or small dataclasses here, so that code can branch on them;
:mod:`bfc.stats.messages` alone turns them into English.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from bfc.stats.table_notices import TableNotice

Interval = tuple[float, float, float]
"""An estimate and the two ends of its 95 % interval."""


class DropReason(Enum):
    """Why a row of a table is not used as it stands."""

    NO_D = auto()
    D_NOT_POSITIVE = auto()
    NO_N = auto()
    N_NOT_POSITIVE = auto()
    NO_SEED = auto()
    NEGATIVE_RISK = auto()
    """It is kept, with risk 0: a noise floor was subtracted."""
    NO_RISK = auto()
    """It is kept, as a failure."""
    REPEATED = auto()
    """A later row has the same d, n and seed; the last one counts."""

    @property
    def says_what_counts(self) -> bool:
        """Whether the words for it say already how the rows count."""
        return self in (DropReason.NEGATIVE_RISK, DropReason.NO_RISK, DropReason.REPEATED)


class NoExponent(Enum):
    """Why a set of likelihood curves has no exponent at all."""

    NO_D = auto()
    ONE_D = auto()
    NOT_BRACKETED = auto()


@dataclass(frozen=True)
class UnboundedExponent:
    """Why the posterior of the exponent has no interval: the range flat in the data goes on.

    ``lo`` and ``hi`` are likelihood bounds, infinite where the exponent is open.
    """

    lo: float
    hi: float


class NoTrainings(Enum):
    """Why the outcomes alone show that there is nothing to fit."""

    NONE = auto()
    ALL_SUCCEED = auto()
    ONE_D = auto()


@dataclass(frozen=True)
class AllExcluded:
    """Every training is optimisation-limited where nothing is learned."""

    trainings: int


@dataclass(frozen=True)
class NoSuccess:
    """No training succeeds; ``failures`` names how the cells fail."""

    failures: tuple[str, ...]


@dataclass(frozen=True)
class RiskRises:
    """Trainings with more samples do worse, at ``dimensions`` (none: in the one cell of a table):
    n* means nothing there."""

    dimensions: tuple[float, ...]


NothingToFit = NoTrainings | AllExcluded | NoSuccess | RiskRises


class NoRegression(Enum):
    """Why a regression has no estimate."""

    ALL_SUCCEED = auto()
    ALL_FAIL = auto()
    COLLINEAR = auto()
    SEPARATED = auto()
    FEWER_THAN_TWO_D = auto()
    OPEN_INTERVAL = auto()


@dataclass(frozen=True)
class FewClusters:
    """Too few seeds for a clustered variance."""

    seeds: int


@dataclass(frozen=True)
class FewCrossings:
    """The mean log risk crosses eps smoothly at too few d."""

    dimensions: int


Reason = (
    NoExponent | UnboundedExponent | NothingToFit | NoRegression | FewClusters | FewCrossings | None
)
"""Why there is no number; None: there is one."""


@dataclass(frozen=True)
class DroppedRows:
    """Rows that are not used as they stand."""

    reason: DropReason
    rows: int


@dataclass(frozen=True)
class ExcludedTrainings:
    """Optimisation-limited trainings of cells that learn nothing."""

    trainings: int


@dataclass(frozen=True)
class PossibleLapses:
    """Optimisation-limited trainings of cells where others succeed."""

    trainings: int


@dataclass(frozen=True)
class DivergedTrainings:
    """Diverged trainings, which count as failures."""

    trainings: int


@dataclass(frozen=True)
class UninformativeCells:
    """Cells without a success whose failures, alike, show no lack of data."""

    dimensions: tuple[float, ...]
    failures: tuple[str, ...]
    """The outcomes of their failures at the largest n."""


@dataclass(frozen=True)
class LuckyPlateaus:
    """Cells on a plateau in which a lucky training succeeds."""

    dimensions: tuple[float, ...]
    succeeded: int
    trainings: int


@dataclass(frozen=True)
class CensoredCells:
    """Cells whose n* is only bounded."""

    dimensions: tuple[float, ...]
    side: str
    """``right`` (n* is above the largest n) or ``left``."""


class Estimator(Enum):
    """The regressions that stand beside the likelihood."""

    PROBIT = auto()
    SMOOTH = auto()


@dataclass(frozen=True)
class DisagreeingExponents:
    """The likelihood's exponent and a regression's, further apart than their uncertainties."""

    likelihood: Interval
    other: Interval
    estimator: Estimator


@dataclass(frozen=True)
class RoughRisk:
    """A cell whose n* and whose crossing of the mean log risk are far apart."""

    d: float
    nstar: float
    crossing: float


@dataclass(frozen=True)
class FarFailures:
    """Trainings far above n* fail often."""

    share: float
    factor: float
    """They have more than this many times n*."""
    is_beyond_model: bool
    """Whether the share exceeds the largest lapse of the model."""


@dataclass(frozen=True)
class SpreadAtEdge:
    """The spread of log n* over seeds reaches the end of the model's range."""

    edge: float
    is_below: bool


CountWarning = DroppedRows | ExcludedTrainings | PossibleLapses | DivergedTrainings
"""How many rows or trainings of a table do not count, or count in another way."""
FitWarning = (
    TableNotice
    | CountWarning
    | RiskRises
    | UninformativeCells
    | LuckyPlateaus
    | CensoredCells
    | DisagreeingExponents
    | RoughRisk
    | FarFailures
    | SpreadAtEdge
)
"""What is odd about a table that can be used."""
