"""Waves by d: which jobs of a sweep must have ended before others start.

An adaptive cell starts from what smaller d of the same sweep have shown, so cells of one d run at
the same time and the next d waits until all of them have ended. The prior that a cell computes this
way is frozen into its plan.json when it starts. A result therefore never depends on which job
finished first, and a cell that is resumed keeps the prior it began with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import Job
from bfc.store.cells import Store

PRIOR_DECIMALS = 6


def split_into_waves(jobs: Sequence[Job]) -> Iterator[list[int]]:
    """The numbers of the jobs of each wave.

    Jobs that wait for nothing, such as those without a learner, belong to the first wave, with
    those of the smallest d.
    """
    waiting = {
        number: job.target.d
        for number, job in enumerate(jobs)
        if job.learner is not None and job.measure.waits_for_smaller_d
    }
    dimensions = sorted(set(waiting.values()))
    smallest = dimensions[0] if dimensions else None
    yield [number for number in range(len(jobs)) if waiting.get(number, smallest) == smallest]
    for d in dimensions[1:]:
        yield [number for number, job_d in waiting.items() if job_d == d]


def find_dependencies(jobs: Sequence[Job]) -> list[list[int]]:
    """The numbers of the jobs that each job starts from.

    Those of smaller d that differ from it in nothing else; none where its measure does not ask for
    them.
    """
    keys = ["" if job.learner is None else dependency_key(job) for job in jobs]
    numbers_by_key: dict[str, list[int]] = {}
    for number, key in enumerate(keys):
        numbers_by_key.setdefault(key, []).append(number)
    dependencies = []
    for job, key in zip(jobs, keys, strict=True):
        candidates = numbers_by_key[key] if key and job.measure.waits_for_smaller_d else []
        smaller = [number for number in candidates if jobs[number].target.d < job.target.d]
        dependencies.append(smaller)
    return dependencies


def compute_prior(job: Job, smaller: Sequence[Job]) -> tuple[float, float] | None:
    """Mean and standard deviation of a job's log n* from what smaller d have stored.

    ``smaller`` are the jobs that it starts from (:func:`find_dependencies`). None where they say
    too little.
    """
    # pandas loads late: planning a sweep without adaptive cells needs none of this
    import pandas

    from bfc.stats.design import predict_density

    tables: dict[float, pandas.DataFrame] = {}
    for other in smaller:
        rows = Store(other.results).cell(cell_specs(other)[0].cell_id).rows()
        if rows:
            tables[other.target.d] = pandas.DataFrame(rows)
    if not tables:
        return None
    prediction = predict_density(tables, job.target.d, min(job.measure.eps))
    if prediction is None:
        return None
    return round(prediction.mean, PRIOR_DECIMALS), round(prediction.sd, PRIOR_DECIMALS)


def dependency_key(job: Job) -> str:
    """A learner cell's identity without d and without the n that tuning guesses from it."""
    identity = json.loads(json.dumps(cell_specs(job)[0].identity))
    identity["target"].pop("d", None)
    if identity["measure"].get("tune"):
        identity["measure"]["tune"].pop("n")
    return json.dumps(identity, sort_keys=True)
