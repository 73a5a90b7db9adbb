"""The chance of a false verdict over several looks, by how data are added from look to look.

``python -m benchmarks.looks`` prints the table of docs/measurement.md (about a minute).
"""

from __future__ import annotations

import argparse

import pandas as pd

from bfc.stats.looks import CRITICAL_VALUE, MAX_LOOKS, POCOCK, POLICIES, simulate_error

PLAIN = 1.96
"""Half width of a plain 95 % interval, in standard errors."""


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paths", type=int, default=400_000)
    table = tabulate_errors(parser.parse_args().paths)
    print(table.to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
