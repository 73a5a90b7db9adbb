"""Many verdicts at once: how many of them chance alone would make, and which stand all the same.

A claim that is judged, over all its looks, gets a false verdict with a probability of at most 5 %.
Among a hundred claims a few will, those that stay undecided counted with the others; the procedure
of Benjamini and Hochberg (1995) keeps the expected share of false ones among the verdicts that
stand at 5 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.verdicts import Finding, Measurement, decide
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.looks import bound_error_over_looks

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


def mark_standing(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The table of claims with the column ``stands``: after Benjamini and Hochberg, over all.

    ``verdicts``: columns ``verdict, source, p_value``. A p-value counts with its error over all
    looks, and a claim that stays undecided as one that was tested without success. What is
    certified stands, and is no test.
    """
    if verdicts.empty:
        return verdicts
    is_random = _is_judged_from_draws(verdicts)
    errors = verdicts["p_value"].map(bound_error_over_looks).fillna(1.0).where(is_random)
    is_certified = _is_decided(verdicts) & ~is_random
    return verdicts.assign(stands=np.array(find_standing(errors.tolist())) | is_certified)


def _is_decided(verdicts: pd.DataFrame) -> pd.Series:
    return verdicts["verdict"].isin([Verdict.REPRODUCED, Verdict.CONTRADICTED])


def _is_judged_from_draws(verdicts: pd.DataFrame) -> pd.Series:
    """The claims whose verdict, or the lack of one, rests on random draws."""
    return (verdicts["verdict"] != Verdict.NOT_RUN) & (verdicts["source"] != "certified")


def describe_board(verdicts: pd.DataFrame) -> str:
    """How many verdicts chance alone would make, and which do not stand; empty without any.

    ``verdicts``: columns ``verdict, source, stands``; what is certified is left out.
    """
    if verdicts.empty:
        return ""
    judged = verdicts[_is_judged_from_draws(verdicts)]
    decided = judged[_is_decided(judged)]
    if decided.empty:
        return ""
    fallen = int((~decided["stands"].astype(bool)).sum())
    rest = "all stand" if not fallen else f"{len(decided) - fallen} stand"
    claims = f"{len(judged)} claim" + "s" * (len(judged) != 1)
    are_decided = f"{len(decided)} {'is' if len(decided) == 1 else 'are'} decided"
    return (
        f"Of {claims} judged from random draws {are_decided}; chance alone would give at most "
        f"{ERROR * len(judged):.1f} false verdicts; {rest} after Benjamini and Hochberg at 5 %."
    )
