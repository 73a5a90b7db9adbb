"""The chance of a false verdict over several looks, by how data are added from look to look.

``python -m benchmarks.looks`` prints the tables of docs/measurement.md (about a minute): for claims
with two thresholds, at either of which both verdicts are false, and for claims with one, where the
truth leaves one kind of false verdict. The last table names no policy: it bounds what any rule by
which data are added can lead to, that of ``bfc reproduce`` among them.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from bfc.stats.looks import (
    CRITICAL_VALUE,
    LARGEST_GROWTH,
    MAX_LOOKS,
    ONE_SIDED_CRITICAL_VALUE,
    ONE_SIDED_POLICIES,
    POCOCK,
    POLICIES,
    Sides,
    simulate_error,
)
from bfc.stats.worst_policy import bound_error

PLAIN = 1.96
"""Half width of a plain 95 % interval, in standard errors."""
PLAIN_ONE_SIDED = 1.645
"""Distance of a plain one-sided 95 % bound, in standard errors."""

SMALLEST_FACTOR, FACTORS = 1.01, 40
"""The smallest growth that the bounds allow, and how many up to the largest are tried."""


def tabulate_errors(paths: int) -> pd.DataFrame:
    """One row per policy and number of looks; the columns are half widths of the intervals."""
    rows = []
    for name, policy in POLICIES.items():
        for looks in range(2, MAX_LOOKS + 1):
            rows.append(
                {
                    "data are added": name,
                    "looks": looks,
                    "plain (1.96)": simulate_error(PLAIN, looks, policy, paths),
                    "Pocock": simulate_error(POCOCK[looks], looks, policy, paths),
                    f"here ({CRITICAL_VALUE})": simulate_error(
                        CRITICAL_VALUE, looks, policy, paths
                    ),
                }
            )
    return pd.DataFrame(rows)


def tabulate_one_sided_errors(paths: int) -> pd.DataFrame:
    """One row per policy at the largest number of looks, for claims with one threshold."""
    rows = []
    for name, policy in ONE_SIDED_POLICIES.items():
        row: dict[str, str | int | float] = {"data are added": name, "looks": MAX_LOOKS}
        for value in (PLAIN_ONE_SIDED, ONE_SIDED_CRITICAL_VALUE):
            row[f"bound at {value:.3f}"] = simulate_error(
                value, MAX_LOOKS, policy, paths, sides="upper"
            )
        rows.append(row)
    return pd.DataFrame(rows)


def tabulate_bounds() -> pd.DataFrame:
    """One row per number of thresholds and largest growth: what no rule of adding data exceeds."""
    rows = []
    values: list[tuple[int, Sides, float]] = [
        (2, "both", CRITICAL_VALUE),
        (1, "upper", ONE_SIDED_CRITICAL_VALUE),
    ]
    for thresholds, sides, value in values:
        for largest in (LARGEST_GROWTH, LARGEST_GROWTH**2):
            growths = np.geomspace(SMALLEST_FACTOR, largest, FACTORS)
            bound = bound_error(value, MAX_LOOKS, growths, sides)
            rows.append(
                {
                    "thresholds": thresholds,
                    "half width": value,
                    "data grow at most": largest,
                    "error of any rule": bound,
                }
            )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paths", type=int, default=400_000)
    paths = parser.parse_args().paths
    for table in (tabulate_errors(paths), tabulate_one_sided_errors(paths), tabulate_bounds()):
        print(table.to_string(index=False, float_format="%.3f"))
        print()


if __name__ == "__main__":
    main()
