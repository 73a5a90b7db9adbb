"""What a simulated study of a predicate is made of: evidence, truths and reference intervals.

Draws have heavy tails (a Student law with 3 degrees of freedom). The simulations themselves stand
in ``simulated_risks`` and ``simulated_sample_sizes``; ``test_predicate_coverage`` runs them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.evidence import Evidence
from bfc.stats.estimates import LEVEL, Ends

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


def add_simulation(
    simulations: dict[str, Simulation], predicate: str, reference: str, **options: Any
) -> Callable[..., Any]:
    """A decorator that adds the simulation of a predicate to ``simulations``."""

    def add(simulate: Callable[[Generator, int], Simulated]) -> Any:
        simulations[predicate] = Simulation(simulate, reference, **options)
        return simulate

    return add


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


CLOPPER = "Clopper and Pearson"


def clopper(successes: int, count: int) -> Ends:
    ends = stats.binomtest(successes, count).proportion_ci(LEVEL, "exact")
    return ends.low, ends.high
