"""Many verdicts at once: how many of them chance alone would make, and which stand all the same.

Every verdict is made such that it is false with a probability of at most 5 %. Among a hundred of
them a few will be; the procedure of Benjamini and Hochberg (1995) keeps the expected share of false
ones among those that stand at 5 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.verdicts import Finding, Measurement, Verdict, decide

ERROR = 0.05
"""The chance of a false verdict, and the share of false ones among those that stand."""
SMALLEST = 1e-9
"""P-values below this are not told apart."""
HALVINGS = 30


def compute_p_value(measurement: Measurement, finding: Finding) -> float:
    """The smallest error at which a single look still makes the verdict; NaN where it makes none.

    The level of the intervals is raised until the verdict is lost. 0 for what is certified.
    """
    if finding.verdict not in (Verdict.REPRODUCED, Verdict.CONTRADICTED):
        return float("nan")
    if finding.is_certified:
        return 0.0
    lo, hi = np.log(SMALLEST), np.log(0.5)
    for _ in range(HALVINGS):
        middle = (lo + hi) / 2.0
        is_kept = decide(measurement, 1.0 - np.exp(middle)) is finding.verdict
        lo, hi = (lo, middle) if is_kept else (middle, hi)
    return float(np.exp(hi))


def find_standing(p_values: Sequence[float]) -> list[bool]:
    """Which verdicts stand after Benjamini and Hochberg at :data:`ERROR`; NaN never does."""
    values = np.asarray(p_values, float)
    order = np.argsort(values)
    count = int(np.isfinite(values).sum())
    limits = ERROR * np.arange(1, count + 1) / max(count, 1)
    passed = np.flatnonzero(values[order][:count] <= limits)
    largest = values[order][passed[-1]] if len(passed) else -1.0
    return [bool(value <= largest) for value in values]


def describe_board(verdicts: pd.DataFrame) -> str:
    """How many verdicts chance alone would make, and which do not stand; empty without any.

    ``verdicts``: columns ``verdict, p_value, stands``; what is certified (p = 0) is left out.
    """
    if verdicts.empty:
        return ""
    decided = verdicts[verdicts["p_value"] > 0]
    if decided.empty:
        return ""
    fallen = int((~decided["stands"].astype(bool)).sum())
    rest = "all stand" if not fallen else f"{len(decided) - fallen} stand"
    return (
        f"Of {len(decided)} verdicts from random draws chance alone would make at most "
        f"{ERROR * len(decided):.1f}; {rest} after Benjamini and Hochberg at 5 %."
    )
