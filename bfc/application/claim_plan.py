"""What it would take to decide each claim, before anything is run.

The cells that a claim reads follow from its thresholds. What decides it is known only where it has
been looked at: from the store, else from the pilot values that are committed with the studies
(:mod:`bfc.application.pilots`). Nothing is written, and no look is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from analysis.claims import judge_claims
from analysis.load import load_results
from analysis.look_log import LookLog, identify_claim
from analysis.progress_message import track
from analysis.report import make_console
from bfc.application.budget import UNLIMITED
from bfc.application.claim_reads import list_cells, list_readings, select_required
from bfc.application.claim_states import ClaimState, StudyState
from bfc.application.pilots import Pilot, load_pilots
from bfc.application.study_jobs import is_finished
from bfc.application.study_list import list_studies
from bfc.durations import format_duration
from bfc.errors import UserError
from bfc.experiment import cost
from bfc.launch.devices import usable_cores
from bfc.launch.job import PlannedJob
from bfc.stats.claim_verdicts import DECIDED

NO_CELLS = "nothing is trained for it"
UNKNOWN = "unknown before the first look"


@dataclass(frozen=True)
class PlanRow:
    """What is known about one claim."""

    study: str
    statement: str
    verdict: str
    """Empty before the first look."""
    cells: tuple[str, ...]
    """What it reads of the smallest size that has all that it requires: methods and d."""
    decided_by: str
    """What decides it, and what that costs, as a sentence."""


def plan_claims(overrides: Sequence[str], results: str) -> None:
    """Print the plan of the study that overrides name (``+sweeps=...``), or of all studies."""
    prefix = "+sweeps="
    only = [text.removeprefix(prefix) for text in overrides if text.startswith(prefix)]
    others = [text for text in overrides if not text.startswith(prefix)]
    studies = list_studies(only or None, UNLIMITED, Path(results).resolve(), others)
    print_claim_plan(studies, usable_cores())


def print_claim_plan(studies: Sequence[StudyState], cores: int) -> None:
    """Print a table with a row per claim."""
    rows = list(tabulate_claims(studies, cores))
    title = f"what decides each claim, on {cores} core{'s' * (cores > 1)}"
    table = Table("study", "claim", "verdict", "reads", "decided by", title=title, show_lines=True)
    for row in rows:
        cells = "\n".join(row.cells)
        texts = (row.study, row.statement, row.verdict, cells, row.decided_by)
        table.add_row(*map(escape, texts))
    make_console().print(table)


def tabulate_claims(studies: Sequence[StudyState], cores: int) -> Iterator[PlanRow]:
    """The rows of the plan; reads the store of the studies, where there is one."""
    results = studies[0].jobs.results if studies else None
    model = cost.fit_cost_model([str(results)] if results else [])
    pilots = load_pilots()
    for study in track(studies, "reading the studies"):
        judged = _judge(study)
        for claim in study.claims:
            verdict, power = judged.get(identify_claim(claim.claim), ("", ""))
            jobs = _find_jobs(study, claim)
            decided_by = power
            if verdict in DECIDED:
                decided_by = "nothing more: it is decided"
            elif not power:
                pilot = pilots.get(identify_claim(claim.claim))
                decided_by = _describe_first_look(jobs, model, cores, pilot)
            statement = str(claim.claim["statement"]).strip()
            yield PlanRow(study.name, statement, verdict, _name_cells(claim, jobs), decided_by)


def _judge(study: StudyState) -> Mapping[str, tuple[str, str]]:
    """Claim → its verdict and what would decide it, where its study has been run."""
    results = study.jobs.results
    try:
        evidence = load_results(results, study.name).studies[study.name]
    except UserError:  # nothing is stored
        return {}
    claims = [claim.claim for claim in study.claims]
    table = judge_claims(study.name, evidence, claims, log=LookLog(results, study.name))
    return {
        identify_claim(claim): (str(row["verdict"]), str(row["power"]))
        for claim, row in zip(claims, table.to_dict("records"), strict=True)
    }


def _find_jobs(study: StudyState, claim: ClaimState) -> list[PlannedJob]:
    """The jobs of the smallest size that has all that a claim requires."""
    for size in study.jobs.sizes:
        required = select_required(claim.claim, study.jobs.of_size(size))
        if required:
            return required
    return []


def _name_cells(claim: ClaimState, jobs: Sequence[PlannedJob]) -> tuple[str, ...]:
    """``method, d = ...`` for every method that a claim reads."""
    dimensions: dict[str, set[int]] = {}
    for job in jobs:
        for spec in list_cells(list_readings(claim.claim), job):
            dimensions.setdefault(spec.method, set()).add(int(spec.config["d"]))
    return tuple(
        f"{method}, d = {', '.join(map(str, sorted(values)))}"
        for method, values in dimensions.items()
    )


def _describe_first_look(
    jobs: Sequence[PlannedJob], model: cost.Cost, cores: int, pilot: Pilot | None
) -> str:
    """What decides a claim that was not looked at: by a pilot, or unknown."""
    if not jobs:
        return NO_CELLS
    missing = [job for job in jobs if not is_finished(job)]
    seconds = sum(model.seconds(job.job, job.cells) for job in missing) / cores
    first_look = f"the first look takes about {format_duration(seconds)}"
    if pilot is None:
        return f"{UNKNOWN}; {first_look}"
    seconds_per_seed = sum(
        model.seconds(job.job, job.cells) / len(job.job.measure.seeds) for job in jobs
    )
    return f"{pilot.describe(seconds_per_seed, cores)}; {first_look}"
