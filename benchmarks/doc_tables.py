"""The tables of docs that benchmarks print: a row of figures as soon as it is measured."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np

from bfc.stats.estimates import LEVEL, SampleMedian


def print_row(name: str, values: Sequence[float], digits: int = 0) -> None:
    print(f"{name:44s}", *[f"{value:.{digits}f}" for value in values], flush=True)


def print_median(name: str, values: Sequence[float], few: int, digits: int = 0) -> None:
    """The median over seeds, its interval, and where medians of ``few`` of these seeds lie."""
    median = SampleMedian(np.array(values))
    ends = (*median.interval(LEVEL), *median_range(values, few))
    low, high, few_low, few_high = (f"{end:.{digits}f}" for end in ends)
    print(
        f"{name:44s} {median.value:.{digits}f} ({low}–{high}), {len(values)} seeds; "
        f"of {few} {few_low}–{few_high}",
        flush=True,
    )


def median_range(values: Sequence[float], few: int) -> tuple[float, float]:
    """The range that holds 95 % of the medians of ``few`` of the values, each subset once."""
    subsets = np.array(list(combinations(values, few)))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.median(subsets, 1), (tail, 1 - tail), method="inverted_cdf")
    return float(low), float(high)


def print_growth(name: str, samples: Mapping[int, float]) -> None:
    """Samples at every d, and the exponent of the line through them in logarithms."""
    exponent = float(np.polyfit(np.log(list(samples)), np.log(list(samples.values())), 1)[0])
    dimensions = "/".join(map(str, samples))
    values = " ".join(f"{n:.0f}" for n in samples.values())
    print(f"{name:44s} d={dimensions}: {values}, exponent {exponent:.2f}", flush=True)


def print_tables(tables: Mapping[str, Callable[[], None]]) -> None:
    """Print the tables that are named on the command line, by default all."""
    for name in sys.argv[1:] or tables:
        start = time.perf_counter()
        print(name, tables[name].__doc__)
        tables[name]()
        print(f"{time.perf_counter() - start:.0f} s", flush=True)
