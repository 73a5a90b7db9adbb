"""``agnostic_bound``: the risk of agnostic learning against the best risk in the class."""

from __future__ import annotations

from dataclasses import replace

from analysis.evidence import Evidence, Finding, judge_interval, no_data, select_values_by_seed
from analysis.risks import compute_median_interval
from bfc.tasks.agnostic import Agnostic

QUANTITY = "median risk over its bound, at most 1"


def agnostic_bound(evidence: Evidence, method: str, gamma: float, eps: float) -> Finding:
    """The median over seeds of the relative risk over its bound (1 + γ) OPT + ε² is at most one.

    OPT is that of the cell's task.
    """
    rows = evidence.trainings
    if "config.task.size" not in rows:
        return no_data("no cell with task=agnostic")
    rows = rows[(rows["method"] == method) & (rows["config.task.judge"] == "total")]
    sizes = rows["config.task.size"].dropna().unique()
    if len(sizes) != 1:
        return no_data(
            f"{len(sizes)} sizes of the function outside the class of {method}; one is needed"
        )
    task = Agnostic(size=float(sizes[0]))
    values = select_values_by_seed(replace(evidence, trainings=rows), method, "risk").dropna()
    bound = task.bound(gamma, eps)
    median, lo, hi = (value / bound for value in compute_median_interval(values.to_numpy()))
    return judge_interval(median, lo, hi, at_most=1.0, remark=f"OPT = {task.opt:.4g} of Var y")
