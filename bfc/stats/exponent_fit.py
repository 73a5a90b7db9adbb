"""The exponent of n* for anyone's table of trainings, wherever it came from.

One call runs the likelihood, the growth candidates and the two regressions, and says in sentences
what the numbers do not. A table that supports no number yields a ``reason`` and censored values,
never an exception and never a number; only a table without the needed columns is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from bfc.errors import require
from bfc.stats.cell_counts import CellCounts, split_cells
from bfc.stats.exponent_posterior import Posterior, fit_posterior
from bfc.stats.fit_warnings import (
    find_cell_warnings,
    find_disagreements,
    find_model_warnings,
    find_table_warnings,
)
from bfc.stats.likelihood import LikelihoodCurve
from bfc.stats.messages import (
    describe_drops,
    describe_no_verdict,
    describe_reason,
    describe_warning,
    to_plain_number,
)
from bfc.stats.model_comparison import (
    LOCAL,
    MODELS,
    compare_models,
    estimate_local_exponents,
)
from bfc.stats.nstar import Censored, estimate_nstar, log_prior_outside
from bfc.stats.outcomes import UNJUDGED, FloatArray, Outcome
from bfc.stats.reasons import (
    AllExcluded,
    Interval,
    NoSuccess,
    NothingToFit,
    NoTrainings,
    RiskRises,
)
from bfc.stats.regressions import RegressionFit, fit_glm, fit_smooth
from bfc.stats.smooth_cells import CellCurve, Likelihood, choose_curves
from bfc.stats.swept_axis import AXES, DIMENSION
from bfc.stats.table_checks import check_sweep
from bfc.stats.training_table import TrainingTable, build_training_table
from bfc.stats.verdict import GrowthVerdict, describe_verdict, judge_growth

NSTAR = (
    "d",
    "nstar",
    "lo",
    "hi",
    "censored",
    "outcome",
    "trainings",
    "seeds",
    "excluded",
    "likelihood",
)


@dataclass(frozen=True, eq=False)
class ExponentFit:
    """What a table of trainings says about n* ∝ d^exponent at one eps.

    Along another ``axis``, such as the depth L, that takes the place of d in every column and
    sentence. Intervals are 95 %; NaN and infinite values are explained by ``reason``.
    """

    eps: float
    exponent: float
    lo: float
    hi: float
    reason: str
    growth: str
    """The verdict as a sentence."""
    nstar: pd.DataFrame
    """Per d: ``d, nstar, lo, hi, censored`` (empty, ``right`` or ``left``), ``outcome, trainings,
    seeds, excluded, likelihood`` (``smooth`` where the sizes of the risks count, else ``binary``:
    success and failure alone); each cell from its own trainings, except that smooth cells share the
    slope of log risk."""
    models: pd.DataFrame
    """Candidates of growth, best held-out score first; see
    :func:`bfc.stats.model_comparison.compare_models`."""
    local: pd.DataFrame
    """Between neighbouring d, ``d_lo`` and ``d_hi``: Δ log n* / Δ log d as ``exponent, lo, hi``
    and Δ log n* / Δ d as ``rate, rate_lo, rate_hi``."""
    glm: RegressionFit
    smooth: RegressionFit
    tau: Interval
    """2.5, 50 and 97.5 % quantiles of τ, the scatter of log n* over d that no number of seeds
    averages out."""
    spread: Interval
    """The same of s, the spread of log n* over seeds."""
    counts: Mapping[str, int]
    warnings: tuple[str, ...] = field(default=())
    posterior: Posterior = field(default_factory=Posterior)
    verdict: GrowthVerdict | None = None
    """The verdict on growth; None where there is no exponent."""
    axis: str = DIMENSION.name
    """The column that n* was fitted against."""

    @property
    def rate(self) -> Interval:
        """b of the candidate n* ∝ e^(b d) with its 95 % interval; NaN where the d are too few.

        Along L, n* grows by the factor e^b from level to level.
        """
        candidates = self.models[self.models["model"] == "exponential"]
        if candidates.empty:
            return (np.nan, np.nan, np.nan)
        value, lo, hi = (float(candidates[name].iloc[0]) for name in ("value", "lo", "hi"))
        return value, lo, hi

    @property
    def prefactor(self) -> float:
        """Of the fitted line n* = prefactor · d^exponent; NaN without an exponent."""
        return float(np.exp(self.posterior.intercept - self.exponent * self.posterior.centre))

    def line(self, d: float | Sequence[float]) -> pd.DataFrame:
        """What was fitted, for drawing: the posterior median of the line and its 95 % band.

        Columns ``d, nstar, lo, hi``, one row per ``d``, which is one number or several. The band is
        that of the line: a cell scatters around it by τ besides. Raises
        :class:`bfc.errors.UserError` for a ``d`` that is no positive number.
        """
        dimensions = _check_dimensions(d)
        lo, middle, hi = np.exp(self.posterior.predict_line(dimensions)).T
        return pd.DataFrame({self.axis: dimensions, "nstar": middle, "lo": lo, "hi": hi})

    def __str__(self) -> str:
        head = f"n*({self.axis}, {self.eps:g}): {self.growth}"
        table = self.nstar.to_string(index=False, float_format="%.4g")
        return "\n".join([head, table, *(f"warning: {warning}" for warning in self.warnings)])


def fit_exponent(
    trainings: pd.DataFrame, eps: float, random_effect: bool = True, axis: str = DIMENSION.name
) -> ExponentFit:
    """Fit n*(d, eps), the n at which half of the trainings reach risk eps.

    ``trainings``: one row per training with ``d``, ``n``, ``seed`` and ``risk`` (relative: 1 is no
    better than a constant); optional ``outcome``, ``kind``, ``diverged``, ``train_risk``, ``fresh``
    as stored by this program, see :func:`bfc.stats.training_table.build_training_table`. Give equal
    seeds at one d only to trainings that share data or initialisation: they count as one. Call it
    again for another eps: the trainings stay the same.

    ``random_effect``: False leaves τ out, which makes intervals too narrow wherever cells scatter
    more than their seeds say. ``axis``: the column that n* is fitted against, d or L; a table along
    L needs no d. Raises :class:`bfc.errors.UserError` where a column is missing, there
    twice or holds a value that it cannot mean ("1,024", an unknown outcome), where there are
    several methods or targets, ``trainings`` is no table or ``eps`` is not positive.
    """
    require(isinstance(random_effect, bool), "random_effect", random_effect, "True or False")
    require(axis in AXES, "axis", axis, " or ".join(AXES))
    frame, notices = check_sweep(trainings, axis)
    table = build_training_table(frame, eps)
    cells = split_cells(table)
    chosen = choose_curves(table, cells)
    curves = {d: choice.curve for d, choice in chosen.items()}
    posterior = fit_posterior(curves, random_effect)
    nothing = _find_nothing_to_fit(cells)
    models, verdict = _compare_growth(curves, posterior, axis)
    growth = describe_verdict(verdict, axis) if verdict else None
    nstar = _tabulate_nstar(cells, eps, chosen)
    informative = table.select(np.isin(table.d, list(curves)))
    glm = fit_glm(informative)
    smooth = fit_smooth(informative, _closed_nstar(nstar), random_effect)
    warnings = [
        *notices,
        *find_table_warnings(table),
        *find_cell_warnings(cells, nstar),
        *find_disagreements(posterior, nstar, glm, smooth),
        *find_model_warnings(table, nstar, posterior),
    ]
    return ExponentFit(
        eps=table.eps,
        exponent=posterior.exponent,
        lo=posterior.lo,
        hi=posterior.hi,
        reason=describe_reason(nothing or posterior.cause, axis),
        growth=growth or describe_no_verdict(nothing, posterior.cause, axis),
        nstar=_rename_sizes(nstar, axis),
        models=models,
        local=_rename_sizes(_estimate_local(cells, curves, posterior), axis),
        glm=replace(glm, axis=axis),
        smooth=replace(smooth, nstar=_rename_sizes(smooth.nstar, axis), axis=axis),
        tau=posterior.tau,
        spread=posterior.spread,
        counts=_count_trainings(table, axis),
        warnings=tuple(describe_warning(warning, axis) for warning in warnings),
        posterior=posterior,
        verdict=verdict,
        axis=axis,
    )


def _rename_sizes(table: pd.DataFrame, axis: str) -> pd.DataFrame:
    """A table whose sizes, ``d`` or ``d_lo`` and ``d_hi``, are named after the axis."""
    names = {"d": axis, "d_lo": f"{axis}_lo", "d_hi": f"{axis}_hi"}
    return table.rename(columns=names)


def _check_dimensions(d: float | Sequence[float]) -> FloatArray:
    """One d or several as an array (K,)."""
    try:
        dimensions = np.atleast_1d(np.asarray(d, dtype=float))
    except (TypeError, ValueError):
        dimensions = np.zeros(0)
    is_valid = dimensions.ndim == 1 and bool((dimensions > 0).all() and len(dimensions))
    is_valid = is_valid and bool(np.isfinite(dimensions).all()) and not isinstance(d, str)
    require(is_valid, "d", d, "a positive number, or a list of them")
    return dimensions


def _find_nothing_to_fit(cells: Mapping[float, CellCounts]) -> NothingToFit | None:
    """Why there is nothing to fit, where that is plain from the outcomes."""
    used = [cell for cell in cells.values() if cell.trainings and not cell.rises]
    rising = tuple(d for d, cell in cells.items() if cell.rises)
    if not used and rising:
        return RiskRises(rising)
    if not used:
        excluded = sum(cell.excluded for cell in cells.values())
        return AllExcluded(excluded) if excluded else NoTrainings.NONE
    if not any(cell.succeeded for cell in used):
        modes = {cell.failure_mode for cell in used} - {UNJUDGED}
        return NoSuccess(tuple(sorted(modes)))
    if not any(cell.failed for cell in used):
        return NoTrainings.ALL_SUCCEED
    return NoTrainings.ONE_D if len(used) == 1 else None


def _compare_growth(
    curves: Mapping[float, LikelihoodCurve], posterior: Posterior, axis: str
) -> tuple[pd.DataFrame, GrowthVerdict | None]:
    """The table of candidates and the verdict on growth."""
    if not np.isfinite(posterior.exponent):
        return pd.DataFrame(columns=list(MODELS)), None
    models, log_factors = compare_models(curves, posterior, axis)
    return models, judge_growth(posterior, models, log_factors)


def _estimate_local(
    cells: Mapping[float, CellCounts],
    curves: Mapping[float, LikelihoodCurve],
    posterior: Posterior,
) -> pd.DataFrame:
    if len(curves) < 2:
        return pd.DataFrame(columns=list(LOCAL), dtype=float)
    priors = {d: log_prior_outside(cells[d], curve.mu) for d, curve in curves.items()}
    return estimate_local_exponents(curves, posterior, priors)


def _tabulate_nstar(
    cells: Mapping[float, CellCounts], eps: float, chosen: Mapping[float, CellCurve]
) -> pd.DataFrame:
    """n* at ``eps``, one row per d, columns ``NSTAR``."""
    rows = []
    for d, cell in cells.items():
        counts = {"trainings": cell.trainings, "seeds": cell.seeds, "excluded": cell.excluded}
        choice = chosen.get(d)
        row = estimate_nstar(cell, eps, choice.curve if choice else None).as_row()
        kind = choice.kind if choice else Likelihood.BINARY
        rows.append({"d": to_plain_number(d), **row, **counts, "likelihood": kind.value})
    return pd.DataFrame(rows, columns=list(NSTAR))


def _closed_nstar(nstar: pd.DataFrame) -> dict[float, float]:
    """d → n* of the cells that bracket it."""
    closed = nstar[(nstar["censored"] == Censored.NO.value) & (nstar["nstar"] > 0)]
    return dict(zip(closed["d"], closed["nstar"], strict=True))


def _count_trainings(table: TrainingTable, axis: str) -> dict[str, int]:
    used = ~table.excluded
    counts = {
        "trainings": len(table.u),
        "used": int(used.sum()),
        "succeeded": int(table.success.sum()),
        Outcome.OPTIMISATION_LIMITED.value: int(table.limited.sum()),
        "excluded": int(table.excluded.sum()),
    }
    for outcome in (Outcome.DIVERGED, Outcome.PLATEAU):
        counts[outcome.value] = int(((table.outcome == outcome.value) & used).sum())
    return {**counts, **describe_drops(table.dropped, axis)}
