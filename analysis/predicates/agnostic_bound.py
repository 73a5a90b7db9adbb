"""``agnostic_bound``: the risk of agnostic learning against the best risk in the class."""

from __future__ import annotations

from dataclasses import replace

from analysis.evidence import Evidence, select_largest, select_values_by_seed
from analysis.source import Source
from analysis.verdicts import Measurement, measure_one, not_run
from bfc.stats.estimates import SampleMedian
from bfc.tasks.agnostic import Agnostic

QUANTITY = "median risk over its bound, at most 1"


def agnostic_bound(evidence: Evidence, method: str, gamma: float, eps: float) -> Measurement:
    """The median over seeds of the relative risk over its bound (1 + γ) OPT + ε² is at most one.

    OPT is that of the cell's task.
    """
    rows = evidence.trainings
    if "config.task.size" not in rows:
        return not_run("no cell with task=agnostic")
    rows = rows[(rows["method"] == method) & (rows["config.task.judge"] == "total")]
    sizes = rows["config.task.size"].dropna().unique()
    if len(sizes) != 1:
        return not_run(
            f"{len(sizes)} sizes of the function outside the class of {method}; one is needed"
        )
    task = Agnostic(size=float(sizes[0]))
    part = replace(evidence, trainings=rows)
    values = select_values_by_seed(part, method, "risk") / task.bound(gamma, eps)
    return measure_one(
        SampleMedian(values.to_numpy()),
        at_most=1.0,
        source=Source.of(select_largest(part, method)),
        remark=f"OPT = {task.opt:.4g} of Var y",
    )
