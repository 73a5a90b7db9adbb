"""Every predicate against simulated truths: coverage, width and false verdicts of its intervals.

A predicate takes part by having a file in ``analysis/predicates``; a test fails that names the one
without a simulation here. A simulation makes the evidence of a study whose truth is known, with
3, 6 and 12 seeds, heavy tails (a Student law with 3 degrees of freedom), seeds whose draws are
shared, several d and censored n*, and gives the interval of a reference method that is stated with
it. False verdicts are counted where they are most likely: at thresholds next to the truth.

Run as a script it prints the table with as many repeats as its argument says.
"""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.evidence import Evidence
from analysis.kernel_prediction import predict_kernel_risks
from analysis.path_norm import compute_certificates
from analysis.reference_laws import LAWS
from analysis.registry import call_part, list_parts, load_part
from analysis.verdicts import Measurement, Verdict, judge
from bfc.bounds.two_layer import bound_error, bound_norm, build_problem
from bfc.stats.estimates import LEVEL, Ends
from bfc.targets.radial import Radial
from bfc.tasks.agnostic import Agnostic

SEEDS = (3, 6, 12)
REPEATS = 30
"""Studies that are simulated per number of seeds."""
EMPTY = pd.DataFrame()
Generator = np.random.Generator
Array = np.ndarray


@dataclass(frozen=True)
class Simulated:
    """A simulated study: its evidence, the truth of every part, and reference intervals."""

    evidence: Evidence
    options: dict[str, Any]
    truths: Sequence[float]
    references: Sequence[Ends] = ()
    """None where the part is censored or certified."""


@dataclass(frozen=True)
class Simulation:
    simulate: Callable[[Generator, int], Simulated]
    reference: str
    in_logs: bool = True
    """Whether widths are compared as ratios of the ends."""
    at_most: float | None = None
    """The threshold, where the predicate has a fixed one; else thresholds next to the truth."""
    repeats: int = REPEATS


SIMULATIONS: dict[str, Simulation] = {}


def simulates(predicate: str, reference: str, **options: Any) -> Callable[..., Any]:
    """Registers the simulation of a predicate."""

    def register(simulate: Callable[[Generator, int], Simulated]) -> Any:
        SIMULATIONS[predicate] = Simulation(simulate, reference, **options)
        return simulate

    return register


def spread(generator: Generator, *shape: int) -> Array:
    """Positive draws with median 1 and heavy tails."""
    return np.exp(0.2 * generator.standard_t(3, shape))


def student(draws: Array, in_logs: bool = True) -> Ends:
    """Student's interval, of log draws where ``in_logs``."""
    values = np.log(draws) if in_logs else draws
    error = values.std(ddof=1) / math.sqrt(len(values))
    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * error
    ends = values.mean() - half, values.mean() + half
    return (math.exp(ends[0]), math.exp(ends[1])) if in_logs else ends


def median_reference(draws: Array, in_logs: bool = True) -> Ends:
    """Student's interval; from 6 draws on that of the signed-rank test; of logs where asked."""
    count = len(draws)
    if count < 6:
        return student(draws, in_logs)
    values = np.log(draws) if in_logs else draws
    first, second = np.triu_indices(count)
    averages = np.sort((values[first] + values[second]) / 2)
    rank = _signed_rank(count)
    ends = averages[rank - 1], averages[-rank]
    return (math.exp(ends[0]), math.exp(ends[1])) if in_logs else ends


@functools.cache
def _signed_rank(count: int) -> int:
    """The rank of the Walsh average that ends the 95 % interval: exact, by counting subsets."""
    ways = np.zeros(count * (count + 1) // 2 + 1)
    ways[0] = 1
    for size in range(1, count + 1):
        ways[size:] += ways[:-size].copy()
    tails = np.cumsum(ways) / 2.0**count
    return int(np.searchsorted(tails, (1 - LEVEL) / 2, side="right"))


def welch(first: Array, second: Array) -> Ends:
    """Welch's interval of the ratio, from log draws."""
    test = stats.ttest_ind(np.log(first), np.log(second), equal_var=False)
    lo, hi = test.confidence_interval(LEVEL)
    return math.exp(lo), math.exp(hi)


def normal(value: float, error: float, in_logs: bool = True) -> Ends:
    half = 1.959964 * error
    ends = value - half, value + half
    return (math.exp(ends[0]), math.exp(ends[1])) if in_logs else ends


def trainings(method: str, columns: dict[str, Array], d: Sequence[int] = (8,)) -> pd.DataFrame:
    """Trainings with columns of shape (seeds, d), one cell per d."""
    seeds = len(next(iter(columns.values())))
    place = np.tile(np.array(d), seeds)
    flat = {name: np.asarray(values).reshape(-1) for name, values in columns.items()}
    return pd.DataFrame(
        {
            "method": method,
            "kind": "training",
            "line": method,
            "target": "t",
            "cell_id": [f"{method} {size}" for size in place],
            "d": place,
            "L": 3,
            "degree": 4,
            "n": 64,
            "seed": np.repeat(np.arange(seeds), len(d)),
            **flat,
        }
    )


def evidence(*tables: pd.DataFrame, **more: Any) -> Evidence:
    rows = pd.concat(tables, ignore_index=True) if tables else EMPTY
    return Evidence(more.pop("nstar", EMPTY), more.pop("exponents", EMPTY), rows, **more)


STUDENT = "Student of log values, signed-rank from 6 seeds on"


@simulates("median_value", STUDENT)
def _(generator: Generator, seeds: int) -> Simulated:
    risk = 0.1 * spread(generator, seeds, 1)
    rows = trainings("m", {"risk": risk})
    return Simulated(evidence(rows), {"method": "m"}, [0.1], [median_reference(risk[:, 0])])


@simulates("within", STUDENT, repeats=60)
def _(generator: Generator, seeds: int) -> Simulated:
    risk = 0.1 * spread(generator, seeds, 1)
    other = trainings("m", {"risk": 9 * risk}).assign(target="u", d=99)
    claim = {"where": {"target": "t"}, "predicate": "median_value", "thresholds": {"method": "m"}}
    rows = evidence(trainings("m", {"risk": risk}), other)
    return Simulated(rows, claim, [0.1], [median_reference(risk[:, 0])])


@simulates("of_feature", STUDENT, repeats=60)
def _(generator: Generator, seeds: int) -> Simulated:
    missing = 0.1 * spread(generator, seeds, 1)
    claim = {"feature": "forms", "predicate": "median_value", "thresholds": {"method": "m"}}
    measured = evidence(trainings("m", {"risk": missing}))
    rows = evidence(trainings("m", {"risk": 9 * missing}), features={"forms": measured})
    return Simulated(rows, claim, [0.1], [median_reference(missing[:, 0])])


@simulates("median_ratio", STUDENT + ", of ratios seed by seed")
def _(generator: Generator, seeds: int) -> Simulated:
    """Both methods share the draws of a seed, whose effect is larger than what differs."""
    shared = spread(generator, seeds, 1) ** 3
    first, second = (shared * spread(generator, seeds, 1) for _ in range(2))
    rows = evidence(trainings("a", {"risk": 3 * first}), trainings("b", {"risk": second}))
    options = {"over": "a", "under": "b"}
    return Simulated(rows, options, [3.0], [median_reference((3 * first / second)[:, 0])])


@simulates("agnostic_bound", STUDENT)
def _(generator: Generator, seeds: int) -> Simulated:
    risk = 0.2 * spread(generator, seeds, 1)
    rows = trainings("m", {"risk": risk})
    rows = rows.assign(**{"config.task.size": 0.5, "config.task.judge": "total"})
    bound = Agnostic(size=0.5).bound(0.1, 0.1)
    options = {"method": "m", "gamma": 0.1, "eps": 0.1}
    return Simulated(evidence(rows), options, [0.2 / bound], [median_reference(risk[:, 0] / bound)])


@simulates("agreement", STUDENT, in_logs=False, repeats=25)
def _(generator: Generator, seeds: int) -> Simulated:
    measured = 1.2 * spread(generator, seeds, 3)
    rows = trainings("m", {"a": measured, "b": np.ones((seeds, 3))}, d=(8, 16, 32))
    rows["config.target.alpha"] = "[1.0, 0.5]"
    options = {"method": "m", "column": "a", "with_column": "b"}
    references = [
        median_reference(column) for column in measured[:, [1, 2, 0]].T
    ]  # "m 16" < "m 32"
    return Simulated(evidence(rows), options, [1.2] * 3, references)


@simulates("kernel_law", STUDENT + ", of the geometric mean over n")
def _(generator: Generator, seeds: int) -> Simulated:
    """Curves that lie by a factor above the law, at an n that counts and at one that does not."""
    ratio = 1.02 * spread(generator, seeds, 1)
    small = trainings("m", {"risk": np.ones((seeds, 1))}).assign(n=100)
    large = [trainings("m", {"risk": np.ones((seeds, 1))}).assign(n=n) for n in (700, 1000)]
    rows = pd.concat([small, *large], ignore_index=True).assign(kind="curve", ridge=1e-8)
    keys = {
        "target._target_": "bfc.targets.hierarchy.Hierarchy",
        "target.judged": "squared",
        "baseline._target_": "bfc.baselines.kernels.NTK",
        "baseline.ridge": 1e-8,
    }
    rows = rows.assign(**{f"config.{key}": value for key, value in keys.items()})
    factor = rows["seed"].map(dict(enumerate(ratio[:, 0]))).where(rows["n"] >= 700, 5.0)
    rows["risk"] = predict_kernel_risks(rows) * factor
    return Simulated(evidence(rows), {"method": "m"}, [1.02], [median_reference(ratio[:, 0])])


@simulates("falling_medians", STUDENT + ", of ratios seed by seed", repeats=25)
def _(generator: Generator, seeds: int) -> Simulated:
    shared = spread(generator, seeds, 1) ** 3
    risks = [shared * spread(generator, seeds, 1) / 3**i for i in range(4)]
    rows = evidence(*(trainings(f"m{i}", {"risk": risk}) for i, risk in enumerate(risks)))
    options = {"methods": [f"m{i}" for i in range(4)], "factors": [2, 2, 2]}
    references = [median_reference((risks[i] / risks[i + 1] / 2)[:, 0]) for i in range(3)]
    return Simulated(rows, options, [1.5] * 3, references)


@simulates("risk_at_every_d", STUDENT)
def _(generator: Generator, seeds: int) -> Simulated:
    """One training in 40 diverges."""
    shared = spread(generator, seeds, 1)
    risk = 0.1 * shared * spread(generator, seeds, 4)
    references = [median_reference(column) for column in risk.T]
    risk[generator.random(risk.shape) < 1 / 40] = np.nan
    rows = trainings("m", {"risk": risk}, d=(8, 12, 16, 24))
    # the median moves up by .0127 of the probability: that of the finite risks, at 1 / (2 · .975)
    return Simulated(evidence(rows), {"method": "m"}, [0.1 * _shared_quantile()] * 4, references)


@functools.cache
def _shared_quantile() -> float:
    """The quantile at .5 / .975 of the product of two draws of :func:`spread`."""
    generator = np.random.default_rng(7)
    product = spread(generator, 4_000_000) * spread(generator, 4_000_000)
    return float(np.quantile(product, 0.5 / 0.975))


@simulates("risk_ratio_at_every_d", STUDENT + ", of ratios seed by seed")
def _(generator: Generator, seeds: int) -> Simulated:
    shared = spread(generator, seeds, 1) ** 3
    first, second = (shared * spread(generator, seeds, 3) for _ in range(2))
    places = (8, 16, 32)
    rows = evidence(
        trainings("a", {"risk": 3 * first}, places), trainings("b", {"risk": second}, places)
    )
    references = [median_reference(3 * x / y) for x, y in zip(first.T, second.T, strict=True)]
    return Simulated(rows, {"over": "a", "under": "b"}, [3.0] * 3, references)


@simulates("growing_in_d", "Welch of log values")
def _(generator: Generator, seeds: int) -> Simulated:
    risk = np.array([1, 2, 4]) * spread(generator, seeds, 3)
    rows = trainings("m", {"risk": risk}, d=(8, 16, 32))
    references = [welch(risk[:, i + 1], risk[:, i]) for i in range(2)]
    return Simulated(evidence(rows), {"method": "m"}, [2.0] * 2, references)


@simulates("trace_bound", STUDENT, in_logs=False)
def _(generator: Generator, seeds: int) -> Simulated:
    value = 0.1 * spread(generator, seeds, 1)
    rows = trainings("m", {"risk": value})
    head = rows[["cell_id", "seed", "n"]]
    traces = pd.concat([head.assign(step=0, x=9.0), head.assign(step=4, x=value[:, 0])])
    options = {"method": "m", "column": "x", "at": "last"}
    return Simulated(evidence(rows, traces=traces), options, [0.1], [median_reference(value[:, 0])])


@simulates("power_law", "Student of slopes, signed-rank from 6 seeds on", in_logs=False, repeats=80)
def _(generator: Generator, seeds: int) -> Simulated:
    ratios = np.array([0.1, 0.2, 0.4, 0.8])
    x = np.log(ratios)
    values = np.exp(1.5 * x) * spread(generator, seeds, 1) * spread(generator, seeds, 4)
    rows = trainings("m", {"y": values}, d=range(4)).assign(d=8)
    rows["config.target.alpha"] = [json.dumps([2.0, 2 * a]) for a in np.tile(ratios, seeds)]
    slopes = np.log(values) @ (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    options = {"method": "m", "column": "y", "ratio": [3, 2]}
    return Simulated(evidence(rows), options, [1.5], [median_reference(slopes, in_logs=False)])


@simulates("log_slope", "Student of slopes", in_logs=False)
def _(generator: Generator, seeds: int) -> Simulated:
    widths = np.array([64.0, 256, 1024])
    x = np.log(widths) - np.log(widths).mean()
    values = widths**-0.25 * spread(generator, seeds, 1) * spread(generator, seeds, 3)
    rows = trainings("m", {"x": values}, d=range(3)).assign(d=8)
    rows["config.learner.width"] = np.tile(widths, seeds)
    options = {"method": "m", "column": "x", "against": "learner.width"}
    reference = student(np.log(values) @ x / (x @ x), in_logs=False)
    band = {"at_least": -1.0, "at_most": 1.0}
    return Simulated(evidence(rows), options | band, [-0.25], [reference])


CLOPPER = "Clopper and Pearson"


def clopper(successes: int, count: int) -> Ends:
    ends = stats.binomtest(successes, count).proportion_ci(LEVEL, "exact")
    return ends.low, ends.high


@simulates("share_falling", CLOPPER, in_logs=False)
def _(generator: Generator, seeds: int) -> Simulated:
    falls = generator.random((seeds, 1)) < 0.7
    rows = trainings("m", {"a": np.ones((seeds, 1)), "b": np.where(falls, 0.5, 2.0)})
    options = {"method": "m", "columns": ["a", "b"], "at_least": 0.5}
    return Simulated(evidence(rows), options, [0.7], [clopper(int(falls.sum()), seeds)])


@simulates("success_share", CLOPPER + ", one trial per seed", in_logs=False)
def _(generator: Generator, seeds: int) -> Simulated:
    """Three cells share the draws of a seed, which decides alone in half of the seeds."""
    is_shared = generator.random((seeds, 1)) < 0.5
    draws = np.where(is_shared, generator.random((seeds, 1)), generator.random((seeds, 3)))
    risk = np.where(draws < 0.6, 0.001, 1.0)
    rows = trainings("m", {"risk": risk}, d=(8, 16, 32))
    rows["config.target.alpha"] = "[1.0, 0.5]"
    reference = clopper(round((risk < 0.1).mean() * seeds), seeds)
    return Simulated(evidence(rows), {"method": "m", "risk": 0.01}, [0.6], [reference])


@simulates("never", CLOPPER, in_logs=False, at_most=0.2)
def _(generator: Generator, seeds: int) -> Simulated:
    """Two d, one with a chance of success of .2 and one where it may be above."""
    chances = [0.2, generator.choice([0.05, 0.2, 0.25, 0.4])]
    count = 4 * seeds
    is_success = generator.random((count, 2)) < chances
    rows = trainings("m", {"risk": np.where(is_success, 0.001, 1.0)}, d=(8, 16))
    cells = rows.drop_duplicates("cell_id")
    nstar = cells.assign(eps=0.01, outcome="plateau", seeds=count, largest_n=64)
    references = [clopper(int(column.sum()), count) for column in is_success.T]
    return Simulated(evidence(rows, nstar=nstar), {"method": "m", "eps": 0.01}, chances, references)


def nstar_rows(
    generator: Generator, method: str, truths: Array, error: float, largest: float
) -> tuple[pd.DataFrame, Array]:
    """n* of cells with a normal error of the logarithm, censored above ``largest``; logs."""
    logs = np.log(truths) + error * generator.normal(size=len(truths))
    lo, hi = (np.exp(logs + sign * 1.959964 * error) for sign in (-1, 1))
    is_censored = logs > math.log(largest)
    table = pd.DataFrame(
        {
            "method": method,
            "cell_id": [f"{method} {i}" for i in range(len(truths))],
            "d": 8 * np.arange(1, len(truths) + 1),
            "L": 3,
            "degree": 4,
            "eps": 0.01,
            "nstar": np.where(is_censored, largest, np.exp(logs)),
            "lo": np.where(is_censored, np.minimum(lo, largest), lo),
            "hi": np.where(is_censored, np.inf, hi),
            "seeds": 4,
            "largest_n": largest,
        }
    )
    return table, np.where(is_censored, np.nan, logs)


@simulates("nstar_ratio", "normal, errors in quadrature")
def _(generator: Generator, seeds: int) -> Simulated:
    """Four d; n* of the last one of the slow method is censored in half of the studies."""
    fast, slow = np.array([50.0, 100, 200, 400]), 4 * np.array([50.0, 100, 200, 400])
    error = 0.6 / math.sqrt(seeds)
    over, over_logs = nstar_rows(generator, "slow", slow, error, 1600.0)
    under, under_logs = nstar_rows(generator, "fast", fast, 0.5 * error, 6400.0)
    options = {"over": "slow", "under": "fast", "eps": 0.01, "at_least": 2}
    references = [normal(log, error * math.hypot(1, 0.5)) for log in over_logs - under_logs]
    tables = evidence(nstar=pd.concat([over, under], ignore_index=True))
    return Simulated(tables, options, [4.0] * 4, references)


@simulates("nstar_span", "normal, errors in quadrature")
def _(generator: Generator, seeds: int) -> Simulated:
    """Two depths of one method, the deeper of which needs 1.3 times as many samples."""
    error = 0.6 / math.sqrt(seeds)
    rows, logs = nstar_rows(generator, "m", np.array([100.0, 130.0]), error, 1e6)
    options = {"method": "m", "eps": 0.01, "at_most": 2.0}
    gap = float(logs[0] - logs[1])
    references = [normal(sign * gap, error * math.sqrt(2)) for sign in (1, -1)]
    truths = [100 / 130, 130 / 100]
    return Simulated(evidence(nstar=rows.assign(L=[2, 3])), options, truths, references)


@simulates("theory_ratio", "normal")
def _(generator: Generator, seeds: int) -> Simulated:
    """A method that needs three times n_c m^L at two depths, and is censored at times."""
    depths, error = (2, 3), 0.6 / math.sqrt(seeds)
    law = np.array([4.0 * 4**L for L in depths])
    rows, logs = nstar_rows(generator, "m", 3 * law, error, 900.0)
    config = {"_target_": "bfc.targets.hierarchy.Hierarchy", "v": 4, "classes": 4, "m": 4, "s": 2}
    columns = {f"config.target.{name}": value for name, value in config.items()}
    cells = rows.assign(**columns, **{"config.target.L": depths}, line="m", n=64, seed=0)
    cells = cells.assign(target="hierarchy", kind="training", risk=1.0)
    options = {"method": "m", "eps": 0.01, "kind": "tree"}
    references = [normal(log - math.log(n), error) for log, n in zip(logs, law, strict=True)]
    return Simulated(evidence(cells, nstar=rows), options, [3.0, 3.0], references)


@simulates("feature_first", "normal, errors in quadrature")
def _(generator: Generator, seeds: int) -> Simulated:
    """The same for n* of the risk over n* of the feature, of one method at four d."""
    feature, risk = np.array([50.0, 100, 200, 400]), 4 * np.array([50.0, 100, 200, 400])
    error = 0.6 / math.sqrt(seeds)
    over, over_logs = nstar_rows(generator, "m", risk, error, 1600.0)
    under, under_logs = nstar_rows(generator, "m", feature, 0.5 * error, 6400.0)
    tables = evidence(nstar=over, features={"subspace": evidence(nstar=under.assign(eps=0.2))})
    options = {"method": "m", "feature": "subspace", "eps": 0.01, "at_least": 2}
    references = [normal(log, error * math.hypot(1, 0.5)) for log in over_logs - under_logs]
    return Simulated(tables, options, [4.0] * 4, references)


def exponent_rows(generator: Generator, truths: dict[str, float], error: float) -> pd.DataFrame:
    values = np.array(list(truths.values())) + error * generator.normal(size=len(truths))
    half = 1.959964 * error
    table = {"method": list(truths), "line": list(truths), "eps": 0.01, "exponent": values}
    return pd.DataFrame({**table, "lo": values - half, "hi": values + half})


@simulates("exponent", "normal", in_logs=False, repeats=200)
def _(generator: Generator, seeds: int) -> Simulated:
    """At the level of the table; the fit is held by tests/test_posterior.py."""
    error = 0.6 / math.sqrt(seeds)
    fits = exponent_rows(generator, {"m": 1.4}, error)
    reference = normal(fits["exponent"][0], error, in_logs=False)
    options = {"method": "m", "eps": 0.01}
    return Simulated(evidence(exponents=fits), options, [1.4], [reference])


@simulates("level_factor", "normal", repeats=200)
def _(generator: Generator, seeds: int) -> Simulated:
    """At the level of the table, as for ``exponent``."""
    error = 0.6 / math.sqrt(seeds)
    fits = exponent_rows(generator, {"m": math.log(3)}, error)
    fits = fits.assign(axis="L", rate=fits["exponent"], rate_lo=fits["lo"], rate_hi=fits["hi"])
    reference = normal(fits["rate"][0], error)
    options = {"method": "m", "eps": 0.01}
    return Simulated(evidence(exponents=fits), options, [3.0], [reference])


@simulates("exponent_gap", "normal, errors in quadrature", in_logs=False, repeats=200)
def _(generator: Generator, seeds: int) -> Simulated:
    error = 0.6 / math.sqrt(seeds)
    fits = exponent_rows(generator, {"a": 3.0, "b": 1.4}, error)
    gap = fits["exponent"][0] - fits["exponent"][1]
    reference = normal(gap, error * math.sqrt(2), in_logs=False)
    options = {"over": "a", "under": "b", "eps": 0.01, "at_least": 1.0}
    return Simulated(evidence(exponents=fits), options, [1.6], [reference])


def learning_curves(crossings: Array, d: Sequence[int], top: Sequence[float]) -> pd.DataFrame:
    """Curves of shape (seeds, d) that fall as n^-2 through .1 at ``crossings``."""
    tables = []
    for i, size in enumerate(d):
        center = 3 * LAWS["P2"](size, 4)
        grid = np.round(center * np.geomspace(0.25, top[i], 8))
        risk = 0.1 * (grid / crossings[:, i, None]) ** -2.0
        table = trainings("m", {"risk": risk}, d=[size] * len(grid))
        tables.append(table.assign(n=np.tile(grid, len(crossings)), fresh=False))
    return pd.concat(tables, ignore_index=True)


@simulates("collapse", STUDENT + ", without censoring", repeats=25)
def _(generator: Generator, seeds: int) -> Simulated:
    """The grid of the largest d ends a little above n*, so that a quarter of its seeds is cut."""
    d = (6, 8, 12)
    ratios = 3 * spread(generator, seeds, 1) * spread(generator, seeds, 3)
    law = np.array([LAWS["P2"](size, 4) for size in d])
    rows = learning_curves(ratios * law, d, top=(4, 4, 1.25))
    options = {"method": "m", "eps": 0.1, "law": "P2", "at_least": 0.0, "at_most": 9.0}
    references = [median_reference(column) for column in ratios.T]
    references[2] = (math.nan, math.nan)
    return Simulated(evidence(rows), options, [3.0] * 3, references)


@simulates("nstar_slope", "least squares, without censoring", in_logs=False, repeats=25)
def _(generator: Generator, seeds: int) -> Simulated:
    """Four ranks at two d, n* ∝ rank^0.6; seeds of a d share their draws.

    The grid of the largest rank at the larger d ends at n*, so that its median is censored in half
    of the studies.
    """
    d, ranks = (6, 8), np.array([1, 2, 3, 4])
    tables, logs = [], []
    for size in d:
        center = 3 * LAWS["P2"](size, 4)
        shared = spread(generator, seeds, 1)
        crossings = center * ranks**0.6 * shared * spread(generator, seeds, len(ranks))
        for rank, column in zip(ranks, crossings.T, strict=True):
            middle = center * rank**0.6
            curves = _dense_curves(column, size, middle)
            if (size, rank) == (d[-1], ranks[-1]):
                curves = pd.concat([curves[curves["n"] < middle], _end_at(column, size, middle)])
            tables.append(curves.assign(**{"config.target.degrees": str([4] * int(rank))}))
        logs.append(np.log(np.median(crossings, axis=0)))
    x = np.log(ranks) - np.log(ranks).mean()
    y = np.concatenate([log - log.mean() for log in logs])
    xs = np.tile(x, len(d))
    slope = xs @ y / (xs @ xs)
    error = np.std(y - slope * xs, ddof=len(d) + 1) / math.sqrt(xs @ xs)
    half = stats.t.ppf(0.975, len(y) - len(d) - 1) * error
    options = {"method": "m", "eps": 0.1, "against": "target.degrees"}
    band = {"at_least": 0.0, "at_most": 9.0}
    ends = slope - half, slope + half
    return Simulated(evidence(*tables), options | band, [0.6], [ends])


def _end_at(crossings: Array, d: int, n: float) -> pd.DataFrame:
    """The last n of every seed's curve."""
    table = trainings("m", {"risk": 0.1 * (n / crossings[:, None]) ** -2.0}, d=[d])
    return table.assign(n=n, fresh=False)


def _dense_curves(crossings: Array, d: int, center: float) -> pd.DataFrame:
    """Curves on a grid wide enough for every seed."""
    grid = center * np.geomspace(1 / 200, 200, 4)
    risk = 0.1 * (grid / crossings[:, None]) ** -2.0
    table = trainings("m", {"risk": risk}, d=[d] * len(grid))
    return table.assign(n=np.tile(grid, len(crossings)), fresh=False)


RADIAL = Radial(d=4, law="limit", profile="hinge")


@simulates("above_floor", "certified", repeats=2)
def _(generator: Generator, seeds: int) -> Simulated:
    """Trainings at known multiples of the floor of their norm."""
    floor = bound_error(0.5, compute_certificates(RADIAL))
    ratios = 1 + generator.random((seeds, 1))
    rows = trainings("m", {"risk": floor * ratios, "all/norm": np.full((seeds, 1), 0.5)}, d=(4,))
    for key in ("d", "profile", "frequency", "law", "edge_ratio", "inner", "outer"):
        rows[f"config.target.{key}"] = getattr(RADIAL, key)
    return Simulated(evidence(rows), {"method": "m"}, [float(ratios.min())])


@functools.cache
def _finer_bounds(d: int, eps: float) -> Any:
    """With four times as many radii as the predicate uses."""
    return bound_norm(build_problem(Radial(d=d, law="limit"), radii=1600), eps)


@simulates("certified_norm", "certified", repeats=1)
def _(generator: Generator, seeds: int) -> Simulated:
    bounds = _finer_bounds(4, 0.1)
    return Simulated(evidence(), {"d": 4, "eps": 0.1}, [math.sqrt(bounds.lower * bounds.upper)])


@simulates("certified_gap", "certified", repeats=1)
def _(generator: Generator, seeds: int) -> Simulated:
    truths = [bound_norm(build_problem(Radial(d=d, law="limit")), 0.1).gap for d in (2, 4)]
    return Simulated(evidence(), {"d": [2, 4], "eps": [0.1], "at_most": 1.0}, truths)


@dataclass
class Counts:
    """What was counted over the repeats of a simulation with one number of seeds."""

    covered: list[float] = field(default_factory=list)
    """Per study the share of its intervals that cover; studies without one are left out."""
    widths: list[float] = field(default_factory=list)
    """Of intervals over those of the reference."""
    reproduced: list[bool] = field(default_factory=list)
    """Whether a false claim was reproduced."""
    contradicted: list[bool] = field(default_factory=list)
    """Whether a true claim was contradicted."""


def count(predicate: str, seeds: int, repeats: int | None = None) -> Counts:
    simulation = SIMULATIONS[predicate]
    function = load_part("predicates", predicate, "test")
    generator = np.random.default_rng([seeds, *predicate.encode()])
    counts = Counts()
    for _ in range(repeats or simulation.repeats):
        study = simulation.simulate(generator, seeds)
        measurement = call_part(function, study.evidence, study.options, "test")
        assert not measurement.missing, measurement.missing
        assert len(measurement.parts) == len(study.truths)
        _count_intervals(counts, simulation, study, measurement)
        for is_true, claim in _make_claims(simulation, study, measurement):
            verdict = judge(claim).verdict
            if is_true:
                counts.contradicted.append(verdict is Verdict.CONTRADICTED)
            else:
                counts.reproduced.append(verdict is Verdict.REPRODUCED)
    return counts


def _count_intervals(
    counts: Counts, simulation: Simulation, study: Simulated, measurement: Measurement
) -> None:
    covered = []
    references = study.references or [(math.nan, math.nan)] * len(study.truths)
    for part, truth, reference in zip(measurement.parts, study.truths, references, strict=True):
        lo, hi = part.estimate.interval(LEVEL)
        if math.isnan(lo) or math.isnan(hi):
            continue
        covered.append(lo * (1 - 1e-9) <= truth <= hi * (1 + 1e-9) or lo <= truth <= hi)
        if not math.isnan(reference[0]) and math.isfinite(hi):
            ends = np.array([(lo, hi), reference])
            with np.errstate(divide="ignore"):
                widths = np.diff(np.log(ends) if simulation.in_logs else ends)[:, 0]
            counts.widths.append(float(widths[0] / widths[1]))
    if covered:
        counts.covered.append(float(np.mean(covered)))


def _make_claims(
    simulation: Simulation, study: Simulated, measurement: Measurement
) -> list[tuple[bool, Measurement]]:
    """Claims and whether they are true, with thresholds next to the truth."""
    if simulation.at_most is not None:
        is_true = max(study.truths) <= simulation.at_most
        return [(is_true, measurement)]
    lowest, highest = min(study.truths), max(study.truths)
    step = 1e-6 * abs(lowest)
    return [
        (True, replace(measurement, at_least=lowest - step, at_most=math.inf)),
        (False, replace(measurement, at_least=lowest + step, at_most=math.inf)),
        (True, replace(measurement, at_least=-math.inf, at_most=highest + step)),
        (False, replace(measurement, at_least=-math.inf, at_most=highest - step)),
        (True, replace(measurement, at_least=lowest - step, at_most=highest + step)),
        (False, replace(measurement, at_least=lowest + step, at_most=highest + abs(highest))),
    ]


def two_errors(rate: float, repeats: int) -> float:
    """Two standard errors of a rate."""
    return 2 * math.sqrt(rate * (1 - rate) / max(repeats, 1))


def test_no_predicate_is_without_a_simulated_truth():
    missing = sorted(set(list_parts("predicates")) - set(SIMULATIONS))
    assert not missing, f"no simulated truth here for {', '.join(missing)}"


@functools.cache
def count_once(predicate: str, seeds: int) -> Counts:
    return count(predicate, seeds)


def list_cases() -> list[Any]:
    """Predicates and numbers of seeds.

    A worker runs everything of a predicate, so that nothing is simulated twice.
    """
    cases = []
    for predicate in sorted(SIMULATIONS):
        marks = [pytest.mark.xdist_group(f"predicate {predicate}")]
        for seeds in SEEDS:
            cases.append(pytest.param(predicate, seeds, marks=marks))
    return cases


@pytest.mark.sampled
@pytest.mark.parametrize("predicate, seeds", list_cases())
def test_intervals_cover_and_verdicts_are_rarely_false(predicate, seeds):
    counts = count_once(predicate, seeds)
    studies = SIMULATIONS[predicate].repeats
    if counts.covered:
        coverage, bound = np.mean(counts.covered), LEVEL - two_errors(LEVEL, len(counts.covered))
        assert coverage >= bound, f"covers {coverage:.3f}"
    for rates in (counts.reproduced, counts.contradicted):
        assert np.mean(rates or [0]) <= 0.05 + two_errors(0.05, studies)


@pytest.mark.sampled
@pytest.mark.parametrize("predicate, seeds", list_cases())
def test_intervals_are_not_much_wider_than_those_of_the_reference(predicate, seeds):
    widths = count_once(predicate, seeds).widths
    if SIMULATIONS[predicate].reference != "certified":
        assert np.median(widths) <= 1.25, SIMULATIONS[predicate].reference


def tabulate(repeats: int) -> pd.DataFrame:
    """The table of the battery."""
    rows = []
    for predicate, simulation in sorted(SIMULATIONS.items()):
        for seeds in SEEDS:
            runs = min(repeats, 4) if simulation.repeats <= 4 else repeats
            counts = count(predicate, seeds, runs)
            rows.append(
                {
                    "predicate": predicate,
                    "seeds": seeds,
                    "coverage": np.mean(counts.covered) if counts.covered else math.nan,
                    "width ratio": np.median(counts.widths) if counts.widths else math.nan,
                    "falsely reproduced": np.mean(counts.reproduced or [math.nan]),
                    "falsely contradicted": np.mean(counts.contradicted or [math.nan]),
                }
            )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    print(tabulate(int(sys.argv[1])).round(3).to_string(index=False))
