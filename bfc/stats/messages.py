"""English for everything that the estimators say besides numbers.

The data are the enums and dataclasses of :mod:`bfc.stats.reasons` and :mod:`bfc.stats.verdict`; no
code reads the sentences made here. ``axis`` is the symbol of the swept size, d where it is not
given (:mod:`bfc.stats.swept_axis`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from bfc.stats.outcomes import Outcome
from bfc.stats.reasons import (
    AllExcluded,
    CensoredCells,
    CountWarning,
    DisagreeingExponents,
    DivergedTrainings,
    DroppedRows,
    DropReason,
    Estimator,
    ExcludedTrainings,
    FarFailures,
    FewClusters,
    FewCrossings,
    FitWarning,
    Interval,
    LuckyPlateaus,
    NoExponent,
    NoRegression,
    NoSuccess,
    NothingToFit,
    NoTrainings,
    PossibleLapses,
    Reason,
    RiskRises,
    RoughRisk,
    SpreadAtEdge,
    UnboundedExponent,
    UninformativeCells,
)
from bfc.stats.table_notices import (
    DriftingSettings,
    FractionalSizes,
    MixedSettings,
    NoisyRisk,
    ReadWord,
    RenamedColumn,
    TableNotice,
    UnreadColumn,
)

DROP_REASONS = {
    DropReason.NO_D: "without {x}",
    DropReason.D_NOT_POSITIVE: "with {x} <= 0",
    DropReason.NO_N: "without n",
    DropReason.N_NOT_POSITIVE: "with n <= 0",
    DropReason.NO_SEED: "without seed",
    DropReason.NEGATIVE_RISK: "with a risk slightly below 0, counted as 0",
    DropReason.NO_RISK: "without risk, counted as failures",
    DropReason.REPEATED: "repeated (the last of equal {x}, n, seed counts)",
}
"""Words in which {x} stands for the symbol of the swept size."""
FIXED_REASONS: Mapping[NoExponent | NoTrainings | NoRegression, str] = {
    NoExponent.NO_D: "no {x}: no exponent",
    NoExponent.ONE_D: "one {x}: no exponent",
    NoExponent.NOT_BRACKETED: "n* is bracketed at no {x}: no exponent",
    NoTrainings.NONE: "no exponent: no trainings",
    NoTrainings.ALL_SUCCEED: (
        "no exponent: every training reaches eps, n* lies below the smallest n at every {x}"
    ),
    NoTrainings.ONE_D: "no exponent: one {x}",
    NoRegression.ALL_SUCCEED: "all trainings succeed",
    NoRegression.ALL_FAIL: "all trainings fail",
    NoRegression.COLLINEAR: "log n and log {x} are collinear",
    NoRegression.SEPARATED: "successes and failures are separated without overlap",
    NoRegression.FEWER_THAN_TWO_D: "fewer than two {x}",
    NoRegression.OPEN_INTERVAL: ("success does not depend on n clearly enough: open interval"),
}
ESTIMATORS = {
    Estimator.PROBIT: "probit regression",
    Estimator.SMOOTH: "smooth regression of log risk",
}
CENSORED = {
    "right": "n* is above the largest n",
    "left": "n* is below the smallest n",
}


def format_interval(value: float, lo: float, hi: float) -> str:
    """``0.92 (0.81–1.03)``, with as many digits as the interval supports."""
    digits = int(np.clip(1 - np.floor(np.log10(max(hi - lo, 1e-6))), 1, 6))
    return f"{value:.{digits}f} ({lo:.{digits}f}–{hi:.{digits}f})"


def to_plain_number(value: float) -> int | float:
    """An integer where the value is one, so that it is written without a decimal point."""
    return int(value) if float(value).is_integer() else float(value)


def format_outcomes(outcomes: Iterable[str]) -> str:
    """Outcomes as words, ``data limited, plateau``."""
    return ", ".join(outcome.replace("_", " ") for outcome in outcomes)


def describe_drops(dropped: Mapping[DropReason, int], axis: str = "d") -> dict[str, int]:
    """Words for why rows are not used as they stand → their number."""
    return {DROP_REASONS[reason].format(x=axis): rows for reason, rows in dropped.items()}


def describe_reason(reason: Reason, axis: str = "d") -> str:
    """Why there is no number; empty where there is one."""
    match reason:
        case None:
            return ""
        case UnboundedExponent(lo, hi):
            return _describe_bounds(lo, hi)
        case AllExcluded(trainings):
            return f"no exponent: all {trainings} trainings are optimisation-limited"
        case NoSuccess(failures):
            how = f" ({format_outcomes(failures)})" if failures else ""
            return f"no exponent: no training reaches eps at any {axis}{how}"
        case RiskRises():
            return f"no exponent: {_describe_rise(reason, axis)}"
        case FewClusters(seeds):
            return f"{seeds} seeds are too few for a clustered variance"
        case FewCrossings(dimensions):
            return f"risk falls smoothly through eps at {dimensions} {axis}"
        case _:
            return FIXED_REASONS[reason].format(x=axis)


def describe_no_verdict(nothing: NothingToFit | None, reason: Reason, axis: str = "d") -> str:
    """The sentence on growth where there is no exponent."""
    if nothing is not None:
        return describe_reason(nothing, axis)
    return f"no verdict: {describe_reason(reason, axis)}"


def describe_warning(warning: FitWarning, axis: str = "d") -> str:
    """What is odd about a table, as one sentence."""
    if isinstance(warning, TableNotice):
        return describe_notice(warning, axis)
    if isinstance(warning, CountWarning):
        return _describe_count(warning, axis)
    match warning:
        case RiskRises():
            return _describe_rise(warning, axis)
        case UninformativeCells(dimensions, failures):
            how = _describe_failures(failures)
            return f"{axis}={_format_dimensions(dimensions)}: {how}, not in the exponent"
        case LuckyPlateaus(dimensions, succeeded, trainings):
            return (
                f"{axis}={_format_dimensions(dimensions)}: plateau but for luck "
                f"({succeeded} of {trainings} trainings succeed), not in the exponent"
            )
        case CensoredCells(dimensions, side):
            return (
                f"{axis}={_format_dimensions(dimensions)}: {CENSORED[side]}, which only bounds it"
            )
        case DisagreeingExponents(likelihood, other, estimator):
            return _describe_disagreement(likelihood, other, estimator)
        case RoughRisk(d, nstar, crossing):
            return (
                f"{axis}={_format_dimensions([d])}: n* = {nstar:.4g} by the likelihood and "
                f"{crossing:.4g} where the mean log risk crosses eps differ: "
                "risk is not smooth in n there"
            )
        case FarFailures(share, factor, is_beyond_model):
            beyond = ": more than the lapses of the model" if is_beyond_model else ""
            return (
                f"{share:.0%} of the trainings with n > {factor:g} n* fail{beyond}, "
                "see how they fail"
            )
        case SpreadAtEdge(edge, is_below):
            side = "below" if is_below else "above"
            return (
                f"the spread of log n* over seeds may lie {side} {edge:.2g}, "
                "at the end of the model's range"
            )


def _describe_count(warning: CountWarning, axis: str) -> str:
    """How many rows or trainings do not count, or count in another way."""
    match warning:
        case DroppedRows(reason, rows):
            end = "" if reason.says_what_counts else ", left out"
            return f"{rows} rows {DROP_REASONS[reason].format(x=axis)}{end}"
        case ExcludedTrainings(trainings):
            return (
                f"{trainings} optimisation-limited trainings left out: "
                "they do not show a lack of data"
            )
        case PossibleLapses(trainings):
            return (
                f"{trainings} trainings are optimisation-limited where others succeed: "
                "counted apart and taken as possible lapses"
            )
        case DivergedTrainings(trainings):
            return f"{trainings} diverged trainings count as failures"


def describe_notice(notice: TableNotice, axis: str = "d") -> str:
    """How a table was read or what it holds besides, as one sentence."""
    match notice:
        case RenamedColumn(written, name):
            return f"column {written!r} is read as {name}"
        case UnreadColumn(written, name):
            return f"column {written} is not read; did you mean {name}?"
        case ReadWord(column, written, meaning):
            return f"{column}={written} is read as {meaning}"
        case FractionalSizes(column, value, row, rows):
            return f"{column} is no whole number in {rows} rows, such as {value:g} in row {row}"
        case NoisyRisk(lowest, eps):
            return (
                f"risks down to {lowest:.2g} have more noise than eps={eps:g}: "
                "noise decides which trainings succeed"
            )
        case MixedSettings(column, d, values):
            return (
                f"column {column} takes several values at {axis}={to_plain_number(d)} "
                f"({', '.join(values)}): trainings of several settings are pooled; select one"
            )
        case DriftingSettings(columns):
            return (
                f"{', '.join(columns)} change along {axis}: the exponent is not that of {axis} "
                "alone where they matter"
            )


def _describe_rise(rise: RiskRises, axis: str) -> str:
    where = f"{axis}={_format_dimensions(rise.dimensions)}: " if rise.dimensions else ""
    return (
        f"{where}risk rises with n, as a score would "
        "(risk must be small where learning succeeds, for instance 1 - accuracy); no statement "
        "about n*"
    )


def _describe_bounds(lo: float, hi: float) -> str:
    if np.isinf(lo) and np.isinf(hi):
        return "the data do not bound the exponent"
    if np.isinf(lo):
        return f"the data bound the exponent on one side only: it is below {hi:.2g}"
    if np.isinf(hi):
        return f"the data bound the exponent on one side only: it is above {lo:.2g}"
    return (
        f"n* is hardly bracketed: an exponent from {lo:.2g} to {hi:.2g} is compatible with the data"
    )


def _describe_failures(failures: tuple[str, ...]) -> str:
    if failures == (Outcome.PLATEAU,):
        return "never by this method (plateau)"
    return f"no success and no sign of a lack of data ({format_outcomes(failures)})"


def _describe_disagreement(likelihood: Interval, other: Interval, estimator: Estimator) -> str:
    return (
        f"the likelihood's exponent {format_interval(*likelihood)} and that of the "
        f"{ESTIMATORS[estimator]}, {format_interval(*other)}, "
        "differ by more than their uncertainties"
    )


def _format_dimensions(dimensions: Iterable[float]) -> str:
    return ", ".join(str(to_plain_number(d)) for d in dimensions)
