"""Waves by d: an adaptive cell starts from what smaller d of the same sweep have shown, so cells of
one d run together and the next d waits until all of them have ended. What a cell learns this way is
frozen into its plan.json when it starts; a result therefore never depends on which job happened to
finish first, and a cell that is resumed keeps the prior it began with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import Job
from bfc.store.cells import Store

DECIMALS = 6


def waves(jobs: Sequence[Job]) -> Iterator[list[int]]:
    """Numbers of the jobs of each wave. Jobs whose measure waits for nothing form the first one
    together."""
    waiting = {
        number: job.target.d
        for number, job in enumerate(jobs)
        if getattr(job.measure, "prior", None) == "auto"
    }
    sizes = sorted(set(waiting.values()))
    yield [
        number
        for number in range(len(jobs))
        if number not in waiting or waiting[number] == sizes[0]
    ]
    for d in sizes[1:]:
        yield [number for number, own in waiting.items() if own == d]


def earlier(jobs: Sequence[Job]) -> list[list[int]]:
    """Per job, the numbers of the jobs it starts from: those of smaller d that differ from it in
    nothing else. Empty where its measure does not ask."""
    lines: dict[str, list[int]] = {}
    own = [line(job) if job.learner is not None else "" for job in jobs]
    for number, name in enumerate(own):
        lines.setdefault(name, []).append(number)
    return [
        [other for other in lines[name] if jobs[other].target.d < job.target.d]
        if name and getattr(job.measure, "prior", None) == "auto"
        else []
        for job, name in zip(jobs, own, strict=True)
    ]


def prior(job: Job, before: Sequence[Job]) -> tuple[float, float] | None:
    """Mean and standard deviation of this job's log n* from the stored trainings of the jobs
    ``before`` (:func:`earlier`); None where they say too little."""
    import pandas

    from bfc.stats.design import predictive

    tables = {}
    for other in before:
        rows = Store(other.results).cell(cell_specs(other)[0].cell_id).rows()
        if rows:
            tables[other.target.d] = pandas.DataFrame(rows)
    believed = predictive(tables, job.target.d, min(job.measure.eps)) if tables else None
    return (
        None if believed is None else (round(believed.mean, DECIMALS), round(believed.sd, DECIMALS))
    )


def line(job: Job) -> str:
    """A learner cell's identity without d and the size that was guessed for tuning: what cells of
    one line share."""
    identity = json.loads(json.dumps(cell_specs(job)[0].identity))
    identity["target"].pop("d", None)
    if identity["measure"].get("tune"):
        identity["measure"]["tune"].pop("n")
    return json.dumps(identity, sort_keys=True)
