"""Waves by d: an adaptive cell starts from what smaller d of the same sweep have shown, so cells of one d run together and the next d
waits for them. What a cell learns this way is written into its own configuration when it is submitted; a result therefore never
depends on which job happened to finish first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from bfc import config as bfc_config
from bfc.config import CellSpec, Job
from bfc.store import Store

DECIMALS = 6


def waves(jobs: Sequence[Job]) -> Iterator[list[int]]:
    """Numbers of the jobs of each wave. Jobs whose measure waits for nothing form the first one together."""
    waiting = {number: job.target.d for number, job in enumerate(jobs) if getattr(job.measure, "prior", None) == "auto"}
    sizes = sorted(set(waiting.values()))
    yield [number for number in range(len(jobs)) if number not in waiting or waiting[number] == sizes[0]]
    for d in sizes[1:]:
        yield [number for number, own in waiting.items() if own == d]


def prior(job: Job, earlier: Sequence[Job]) -> str | None:
    """The override that freezes what the stored trainings of ``earlier`` jobs say about this job's log n*: those that differ from it in
    nothing but d. None where the job does not ask or they say too little."""
    if getattr(job.measure, "prior", None) != "auto" or job.learner is None:
        return None
    import pandas

    from bfc.measure.planning import predictive

    mine = _line(bfc_config.cells(job)[0])
    tables = {}
    for other in earlier:
        spec = bfc_config.cells(other)[0]
        if other.target.d < job.target.d and spec.kind == "learner" and _line(spec) == mine:
            rows = Store(other.results).cell(spec.cell_id).rows()
            if rows:
                tables[other.target.d] = pandas.DataFrame(rows)
    believed = predictive(tables, job.target.d, min(job.measure.eps)) if tables else None
    return None if believed is None else f"measure.prior=[{believed.mean:.{DECIMALS}f},{believed.sd:.{DECIMALS}f}]"


def _line(spec: CellSpec) -> str:
    """A cell's identity without d and the size that was guessed for tuning: what cells of one line share."""
    identity = json.loads(json.dumps(spec.identity))
    identity["target"].pop("d")
    if identity["measure"].get("tune"):
        identity["measure"]["tune"].pop("n")
    return json.dumps(identity, sort_keys=True)
