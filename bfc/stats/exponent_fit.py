"""The exponent of n* for anyone's table of trainings, wherever it came from: one call that runs the
likelihood, the growth candidates and the two quick estimators, and says in sentences what the
numbers do not. A table that supports no number yields a ``reason`` and censored values, never an
exception and never a number; only a table without the needed columns is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bfc.errors import UserError, nearest
from bfc.stats.exponent_posterior import Posterior, posterior
from bfc.stats.likelihood import LAPSES, SPREADS, Cell, Curve, curve, outside, split_cells, summary
from bfc.stats.model_comparison import LOCAL, MODELS, compare, interval, local_exponents, verdict
from bfc.stats.regressions import Quick, disagree, glm, smooth
from bfc.stats.training_table import NEEDED, Judged, judge_table

NSTAR = ("d", "nstar", "lo", "hi", "censored", "outcome", "trainings", "seeds", "excluded")
FAR, LAPSES_SEEN, FEWEST_FAR = 4.0, 0.15, 10


@dataclass(frozen=True, eq=False)
class ExponentFit:
    """What a table of trainings says about n* ∝ d^exponent at one eps. Intervals are 95 %; NaN and
    infinite values are explained by ``reason``."""

    eps: float
    exponent: float
    lo: float
    hi: float
    reason: str
    growth: str
    """The verdict as a sentence."""
    nstar: pd.DataFrame
    """Per d: ``d, nstar, lo, hi, censored`` (empty, ``right`` or ``left``), ``outcome, trainings,
    seeds, excluded``; each cell alone."""
    models: pd.DataFrame
    """Candidates of growth, best held-out score first; see
    :func:`bfc.stats.model_comparison.compare`."""
    local: pd.DataFrame
    """Between neighbouring d: ``d_lo, d_hi, exponent, lo, hi``."""
    glm: Quick
    smooth: Quick
    tau: tuple[float, float, float]
    """2.5, 50 and 97.5 % quantiles of τ, the scatter of log n* over d that no number of seeds
    averages out."""
    spread: tuple[float, float, float]
    """The same of s, the spread of log n* over seeds."""
    counts: Mapping[str, int]
    warnings: tuple[str, ...] = field(default=())
    posterior: Posterior = field(default_factory=Posterior)

    @property
    def prefactor(self) -> float:
        """Of the fitted line n* = prefactor · d^exponent; NaN without an exponent."""
        return float(np.exp(self.posterior.intercept - self.exponent * self.posterior.centre))

    def line(self, d: Sequence[float]) -> pd.DataFrame:
        """What was fitted, for drawing: ``d, nstar, lo, hi`` at every ``d``, the posterior median
        of the line and its 95 % band. The band is that of the line: a cell scatters around it by τ
        besides."""
        lo, middle, hi = np.exp(self.posterior.line(np.asarray(d, float))).T
        return pd.DataFrame({"d": d, "nstar": middle, "lo": lo, "hi": hi})

    def __str__(self) -> str:
        head = f"n*(d, {self.eps:g}): {self.growth}"
        return "\n".join(
            [
                head,
                self.nstar.to_string(index=False, float_format="%.4g"),
                *(f"warning: {w}" for w in self.warnings),
            ]
        )


def fit_exponent(trainings: pd.DataFrame, eps: float, random_effect: bool = True) -> ExponentFit:
    """Fit n*(d, eps), the n at which half of the trainings reach risk eps.

    ``trainings``: one row per training with ``d``, ``n``, ``seed`` and ``risk`` (relative: 1 is no
    better than a constant); optional ``outcome``, ``kind``, ``diverged``, ``train_risk``, ``fresh``
    as stored by this program, see :func:`bfc.stats.training_table.judge_table`. Give equal seeds at
    one d only to trainings that share data or initialisation: they count as one. Call it again for
    another eps: the trainings stay the same.

    ``random_effect``: False leaves τ out, which makes intervals too narrow wherever cells scatter
    more than their seeds say. Raises :class:`bfc.errors.UserError` where a column is missing, there
    twice or of a type that holds no numbers, ``trainings`` is no table or ``eps`` is not positive.
    """
    if not isinstance(trainings, pd.DataFrame):
        raise UserError(f"trainings={type(trainings).__name__}: must be a pandas DataFrame")
    if not len(trainings.columns):
        trainings = pd.DataFrame(columns=["d", *NEEDED], dtype=float)
    if "d" not in trainings:
        raise UserError(f"trainings: has no column d; {nearest('d', map(str, trainings.columns))}")
    judged = judge_table(trainings, eps)
    cells = split_cells(judged)
    curves = {d: curve(cell) for d, cell in cells.items() if cell.bears}
    found = posterior(curves, random_effect)
    nothing = _nothing(cells)
    reason = nothing or found.reason
    if np.isfinite(found.exponent):
        models, factors = compare(curves, found)
        growth = verdict(found, models, factors)
    else:
        models, growth = pd.DataFrame(columns=list(MODELS)), nothing or f"no verdict: {reason}"
    priors = {d: outside(cells[d], one.mu) for d, one in curves.items()}
    local = (
        local_exponents(curves, found, priors)
        if len(curves) > 1
        else pd.DataFrame(columns=list(LOCAL), dtype=float)
    )
    rows = [
        {
            "d": _plain(d),
            **summary(cell),
            "trainings": cell.succeeded + cell.failed,
            "seeds": cell.seeds,
            "excluded": cell.excluded,
        }
        for d, cell in cells.items()
    ]
    nstar = pd.DataFrame(rows, columns=list(NSTAR))
    bearing = judged.where(np.isin(judged.d, list(curves)))
    quick, even = (
        glm(bearing),
        smooth(
            bearing,
            {r["d"]: r["nstar"] for r in rows if not r["censored"] and r["nstar"] > 0},
            random_effect,
        ),
    )
    return ExponentFit(
        judged.eps,
        found.exponent,
        found.lo,
        found.hi,
        reason,
        growth,
        nstar,
        models,
        local,
        quick,
        even,
        found.tau,
        found.spread,
        _counts(judged),
        tuple(_warnings(judged, cells, curves, nstar, found, quick, even)),
        found,
    )


def _nothing(cells: Mapping[float, Cell]) -> str:
    """Why there is nothing to fit, where that is plain from the outcomes."""
    used = [cell for cell in cells.values() if cell.succeeded + cell.failed]
    if not used:
        limited = sum(cell.excluded for cell in cells.values())
        return (
            f"no exponent: all {limited} trainings are optimisation-limited"
            if limited
            else "no exponent: no trainings"
        )
    if not any(cell.succeeded for cell in used):
        kinds = sorted({cell.reason.replace("_", " ") for cell in used} - {"unjudged"})
        return "no exponent: no training reaches eps at any d" + (
            f" ({', '.join(kinds)})" if kinds else ""
        )
    if not any(cell.failed for cell in used):
        return "no exponent: every training reaches eps, n* lies below the smallest n at every d"
    if len(used) == 1:
        return "no exponent: one d"
    return ""


def _counts(judged: Judged) -> dict[str, int]:
    used = ~judged.excluded
    counts = {
        "trainings": len(judged.u),
        "used": int(used.sum()),
        "succeeded": int(judged.success.sum()),
        "optimisation_limited": int(judged.limited.sum()),
        "excluded": int(judged.excluded.sum()),
    }
    return {
        **counts,
        **{name: int(((judged.failure == name) & used).sum()) for name in ("diverged", "plateau")},
        **judged.dropped,
    }


def _warnings(
    judged: Judged,
    cells: Mapping[float, Cell],
    curves: Mapping[float, Curve],
    nstar: pd.DataFrame,
    found: Posterior,
    quick: Quick,
    even: Quick,
) -> list[str]:
    said = [
        f"{count} rows {reason}" + ("" if "count" in reason else ", left out")
        for reason, count in judged.dropped.items()
    ]
    if judged.excluded.any():
        said.append(
            f"{int(judged.excluded.sum())} optimisation-limited trainings left out: they do not show a lack of data"
        )
    if (lapsed := int((judged.limited & ~judged.excluded).sum())) > 0:
        said.append(
            f"{lapsed} trainings are optimisation-limited where others succeed: counted apart and taken as possible lapses"
        )
    if (diverged := int((judged.failure == "diverged").sum())) > 0:
        said.append(f"{diverged} diverged trainings count as failures")
    silent: dict[str, list[str]] = {}
    for d, cell in cells.items():
        if d not in curves and cell.failed:
            kinds = ", ".join(cell.failures).replace("_", " ")
            if cell.succeeded:
                text = f"plateau but for luck ({cell.succeeded} of {cell.succeeded + cell.failed} trainings succeed)"
            else:
                text = (
                    "never by this method (plateau)"
                    if kinds == "plateau"
                    else f"no success and no sign of a lack of data ({kinds})"
                )
            silent.setdefault(text, []).append(f"{d:g}")
    said += [f"d={', '.join(dims)}: {text}, not in the exponent" for text, dims in silent.items()]
    for side, text in (
        ("right", "n* is above the largest n"),
        ("left", "n* is below the smallest n"),
    ):
        if dims := [str(d) for d in nstar.loc[nstar["censored"] == side, "d"] if d in curves]:
            said.append(f"d={', '.join(dims)}: {text}, which only bounds it")
    mine = (found.exponent, found.lo, found.hi)
    for name, other in (("probit regression", quick), ("smooth regression of log risk", even)):
        if disagree(mine, (other.exponent, other.lo, other.hi)):
            said.append(
                f"the likelihood's exponent {interval(*mine)} and that of the {name}, "
                f"{interval(other.exponent, other.lo, other.hi)}, differ by more than their uncertainties"
            )
    both = (
        nstar.merge(even.nstar, on="d", suffixes=("", "_smooth"))
        if len(even.nstar)
        else nstar.iloc[:0]
    )
    for row in both[both["censored"] == ""].to_dict("records"):
        one, two = (
            tuple(np.log(max(row[f"{part}{end}"], 1e-300)) for part in ("nstar", "lo", "hi"))
            for end in ("", "_smooth")
        )
        if disagree(one, two, z=3.0):
            said.append(
                f"d={row['d']}: n* = {row['nstar']:.4g} by the likelihood and {row['nstar_smooth']:.4g} where the mean log risk "
                "crosses eps differ: risk is not smooth in n there"
            )
    where = dict(zip(nstar["d"], nstar["nstar"], strict=True))
    far = judged.where(
        ~judged.excluded
        & (judged.u > np.log(FAR * np.array([where.get(_plain(d), np.inf) for d in judged.d])))
    )
    if len(far.u) >= FEWEST_FAR and (share := 1 - far.success.mean()) > LAPSES_SEEN:
        more = ": more than the lapses of the model" if share > LAPSES[-1] else ""
        said.append(
            f"{share:.0%} of the trainings with n > {FAR:g} n* fail{more}, see how they fail"
        )
    low, _, high = found.spread
    if low < SPREADS[1] or high > SPREADS[-2]:
        side = f"below {SPREADS[1]:.2g}" if low < SPREADS[1] else f"above {SPREADS[-2]:.2g}"
        said.append(
            f"the spread of log n* over seeds may lie {side}, at the end of the model's range"
        )
    return said


def _plain(d: float) -> int | float:
    return int(d) if float(d).is_integer() else float(d)
