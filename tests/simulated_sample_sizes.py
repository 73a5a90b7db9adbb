"""Simulated studies of the predicates that read n*, exponents and where learning curves cross."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from predicate_simulation import (
    CLOPPER,
    STUDENT,
    Array,
    Generator,
    Simulated,
    Simulation,
    add_simulation,
    clopper,
    evidence,
    median_reference,
    normal,
    spread,
    trainings,
)
from scipy import stats

from analysis.reference_laws import LAWS

SIMULATIONS: dict[str, Simulation] = {}
simulates = functools.partial(add_simulation, SIMULATIONS)


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
