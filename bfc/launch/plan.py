"""From checked jobs to a launch that is worth confirming.

What is stored already, what the rest will cost, and the plan as text. Both launchers use it, so
that ``bfc plan`` says the same of both.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from bfc.durations import format_duration
from bfc.errors import UserError, describe_error
from bfc.experiment import cost
from bfc.experiment.cell_spec import CellSpec
from bfc.experiment.stored_cell import is_stored
from bfc.launch.code_copy import copy_code
from bfc.launch.job import PlannedJob, describe_jobs
from bfc.launch.manifest import FOLDER, Launch
from bfc.launch.options import Options


@dataclass(frozen=True)
class Plan:
    """The jobs of a launch, and what is left of them to do."""

    jobs: Sequence[PlannedJob]
    stored: list[bool]
    """Per job, whether nothing is left to do."""
    entries: list[dict[str, Any]]
    """What the manifest will say of every job."""
    cost: cost.Cost
    problems: list[str] = field(default_factory=list)
    """Sentences about cells that cannot be read; their jobs will fail."""

    @property
    def todo(self) -> list[int]:
        """The numbers of the jobs that are not stored."""
        return [number for number, is_stored in enumerate(self.stored) if not is_stored]

    @property
    def seconds(self) -> dict[int, float]:
        """Predicted seconds of the jobs that are left to do."""
        return {number: self.entries[number]["seconds"] for number in self.todo}


def make_plan(jobs: Sequence[PlannedJob]) -> Plan:
    """Plan a launch by reading the store; writes nothing."""
    model = cost.fit_cost_model({planned.job.results for planned in jobs})
    stored: list[bool] = []
    seconds: list[float] = []
    problems: list[str] = []
    counted: set[tuple[str, str]] = set()
    for planned in jobs:
        try:
            is_done = all(is_stored(spec, planned.job) for spec in planned.cells)
        except (UserError, OSError) as error:  # this job will fail with it, and the others run
            problems.append(describe_error(error) or str(error))
            is_done = False
        new = _select_new_cells(planned, counted)
        stored.append(is_done)
        seconds.append(0.0 if is_done else model.seconds(planned.job, new))
    if len(problems) == len(jobs):
        raise UserError(problems[0])
    return Plan(jobs, stored, describe_jobs(jobs, stored, seconds), model, problems)


def _select_new_cells(planned: PlannedJob, counted: set[tuple[str, str]]) -> list[CellSpec]:
    """The cells of a job of which no earlier job asks for the same; they join ``counted``."""
    new = []
    for spec in planned.cells:
        request = (spec.cell_id, repr(planned.job.measure))
        if request not in counted:
            counted.add(request)
            new.append(spec)
    return new


def confirm(plan: Plan, options: Options, hours: float, unit: str) -> None:
    """Ask before something expensive is launched.

    Raises :class:`UserError` where nobody can be asked or the answer is no.
    """
    if options.confirmed or options.ask_above is None or hours <= options.ask_above:
        return
    prediction = (
        f"about {hours:.0f} {unit} are predicted for {len(plan.todo)} jobs, which is above "
        f"hydra.launcher.ask_above={options.ask_above:g}"
    )
    if not sys.stdin.isatty():
        raise UserError(f"{prediction}; hydra.launcher.confirmed=true confirms it")
    if input(f"{prediction}. Launch? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UserError("nothing was launched")


def create_launch(plan: Plan, kind: str, options: Options, frozen: bool) -> Launch:
    """Write the launch; ``frozen`` with a copy of the code."""
    results = Path(plan.jobs[0].job.results)
    manifest = {
        "kind": kind,
        "command": shlex.join([sys.executable, "-m", "bfc.train", *sys.argv[1:]]),
        "folder": str(Path.cwd()),
        "python": sys.executable,
        "code": copy_code(results / FOLDER / "code") if frozen else None,
        "launcher": asdict(options),
        "packages": list_packages(),
        "jobs": plan.entries,
    }
    containers = [planned.container for planned in plan.jobs]
    studies = {planned.job.study_name for planned in plan.jobs}
    study = studies.pop() if len(studies) == 1 else None
    return Launch.create(results, study, manifest, containers)


def list_packages() -> list[str]:
    """The installed distributions, as ``name==version``."""
    names = {
        f"{package.metadata['Name']}=={package.version}" for package in metadata.distributions()
    }
    return sorted(names, key=str.lower)


def summarise_plan(
    plan: Plan,
    num_tasks: int,
    unit: str,
    wall_seconds: float,
    note: str = "once it runs",
    extra: Sequence[str] = (),
) -> str:
    """The plan in words and figures."""
    lines = [
        f"jobs      {_summarise_jobs(plan)}",
        f"to run    {_summarise_tasks(plan, num_tasks)}",
        f"cost      {_summarise_cost(plan, unit)}",
        f"wall      {format_duration(wall_seconds)} {note}",
    ]
    lines += [f"problem   {problem}" for problem in plan.problems]
    return "\n".join([*lines, *extra])


def _summarise_jobs(plan: Plan) -> str:
    cells: set[str] = set()
    stored_cells: set[str] = set()
    for entry in plan.entries:
        cells.update(entry["cells"])
        if entry["stored"]:
            stored_cells.update(entry["cells"])
    num_stored = len(plan.stored) - len(plan.todo)
    return (
        f"{len(plan.jobs)} ({len(cells)} cells), {num_stored} already done "
        f"({len(stored_cells)} cells)"
    )


def _summarise_tasks(plan: Plan, num_tasks: int) -> str:
    tasks = f"{len(plan.todo)} jobs in {num_tasks} {'task' if num_tasks == 1 else 'tasks'}"
    waves = {entry["wave"] for entry in plan.entries}
    return f"{tasks}, {len(waves)} waves by d" if len(waves) > 1 else tasks


def _summarise_cost(plan: Plan, unit: str) -> str:
    total, factor = sum(plan.seconds.values()), plan.cost.factor
    basis = "no stored cell yet, so the figures of another machine"
    if plan.cost.cells:
        basis = f"{plan.cost.cells} stored cells"
    low, high = format_duration(total / factor), format_duration(total * factor)
    return f"{format_duration(total)} of {unit} ({low} to {high}; from {basis})"
