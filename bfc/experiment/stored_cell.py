"""What a stored cell still lacks of what a job asks for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from bfc.experiment.cell_spec import CellSpec
from bfc.experiment.job import Job
from bfc.stats.outcomes import (
    classify_rows,
    is_confirming,
    learning_threshold_of_rows,
    seeds_to_confirm,
)
from bfc.store.cells import Cell, Store
from bfc.types import Resumption, Row, Training


def is_stored(spec: CellSpec, job: Job) -> bool:
    """Whether all that ``job`` asks of this cell is stored, confirmed and judged.

    Writes nothing.
    """
    cell = Store(job.results).cell(spec.cell_id)
    has_config, rows = cell.check_config(spec.identity, spec.config), cell.rows()
    resumption = resume_measure(spec, job, cell)
    if resumption.plan != cell.read_json("plan.json", None):  # a question that is asked anew
        return False
    if not has_config or not rows or cell.state() != "done":
        return False
    job = replace(job, measure=resumption.measure)
    if missing_work(spec, job, rows):
        return False
    eps = strictest_eps(job, cell)
    if spec.kind == "learner" and missing_confirmations(job, rows, eps):
        return False
    return judge_rows(rows, eps) == [row.get("outcome") for row in rows]


def missing_work(
    spec: CellSpec, job: Job, rows: Sequence[Row]
) -> Sequence[Training] | Sequence[int]:
    """The trainings of a learner, or the seeds of a baseline, that are asked for and not stored."""
    if spec.kind == "baseline":
        stored = {row["seed"] for row in rows}
        return [seed for seed in job.measure.seeds if seed not in stored]
    return job.measure.next_round(rows)


def missing_confirmations(job: Job, rows: Sequence[Row], eps: float) -> list[Training]:
    """Confirming runs that are due and not stored."""
    confirmed = {row["seed"] for row in rows if is_confirming(row)}
    seeds = seeds_to_confirm(rows, eps, job.measure.confirm, job.measure.at_top)
    runs = [Training(0, seed, "confirmation") for seed in seeds if seed not in confirmed]
    return runs[: max(0, job.measure.confirm - len(confirmed))]


def resume_measure(spec: CellSpec, job: Job, cell: Cell) -> Resumption:
    """The measure as it goes on in this cell; a baseline keeps no plan."""
    plan = cell.read_json("plan.json", None)
    if spec.kind == "baseline":
        return Resumption(job.measure, plan, request=job.measure)
    return job.measure.resume(plan, cell.rows())


def strictest_eps(job: Job, cell: Cell) -> float:
    """The smallest eps that this or an earlier job asked for: outcomes are judged there."""
    earlier: list[float] = []
    for request in cell.requests():
        if isinstance(request, dict):
            earlier += request.get("eps", [])
    return min([*job.measure.eps, *earlier])


def judge_rows(rows: Sequence[Row], eps: float) -> list[str]:
    """The outcome of every row at ``eps``."""
    confirming = [row["risk"] for row in rows if is_confirming(row)]
    threshold = learning_threshold_of_rows(rows, eps)
    outcomes = classify_rows(rows, eps, confirming, threshold)
    return [outcome.value for outcome in outcomes]


def store_outcomes(job: Job, cell: Cell) -> None:
    """Write the outcome of every row at the strictest eps asked for."""
    rows = cell.rows()
    outcomes = judge_rows(rows, strictest_eps(job, cell))
    cell.write_rows([{**row, "outcome": o} for row, o in zip(rows, outcomes, strict=True)])


def count_trainings(rows: Sequence[Row]) -> int:
    """Trainings behind stored rows: a whole curve of one seed is one."""
    trainings = set()
    for row in rows:
        n = None if row["kind"] == "curve" else row["n"]
        trainings.add((row["kind"], n, row["seed"]))
    return len(trainings)


def describe_request(job: Job) -> dict[str, Any]:
    """What requests.json remembers of a job."""
    request_fields = {}
    for f in fields(job.measure):  # type: ignore[arg-type]
        if f.metadata.get("identity", True) is False:
            request_fields[f.name] = getattr(job.measure, f.name)
    size = (job.study or {}).get("size")
    return {"study": job.study_name, "size": size, **json.loads(json.dumps(request_fields))}
