"""From checked jobs to a launch that is worth confirming: what is stored already, what the rest
will cost, the plan as a table. Shared by the SLURM and the local launcher, so that `bfc plan` says
the same of both."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from bfc.errors import UserError
from bfc.experiment import cost
from bfc.launch.code_copy import snapshot
from bfc.launch.job import Planned, describe
from bfc.launch.manifest import FOLDER, Launch
from bfc.launch.options import Options


@dataclass(frozen=True)
class Plan:
    """``stored``: per job whether nothing is left to do; ``about``: what the manifest will say of
    every job."""

    jobs: Sequence[Planned]
    stored: list[bool]
    about: list[dict[str, Any]]
    cost: cost.Cost

    @property
    def todo(self) -> list[int]:
        return [number for number, done in enumerate(self.stored) if not done]

    @property
    def seconds(self) -> dict[int, float]:
        """Predicted seconds of what is left to do."""
        return {number: self.about[number]["seconds"] for number in self.todo}


def prepare(jobs: Sequence[Planned]) -> Plan:
    """Look into the store, at nothing else, and write nothing."""
    from bfc.experiment.stored_cell import is_stored

    model = cost.fit({each.job.results for each in jobs})
    stored = [all(is_stored(spec, each.job) for spec in each.cells) for each in jobs]
    seconds = [
        0.0 if done else model.seconds(each.job, each.cells)
        for each, done in zip(jobs, stored, strict=True)
    ]
    return Plan(jobs, stored, describe(jobs, stored, seconds), model)


def confirm(plan: Plan, options: Options, hours: float, unit: str) -> None:
    """Ask before something dear; raises :class:`UserError` where nobody can be asked or the answer
    is no."""
    if options.confirmed or options.ask_above is None or hours <= options.ask_above:
        return
    what = (
        f"about {hours:.0f} {unit} are predicted for {len(plan.todo)} jobs, which is above "
        f"hydra.launcher.ask_above={options.ask_above:g}"
    )
    if not sys.stdin.isatty():
        raise UserError(f"{what}; hydra.launcher.confirmed=true confirms it")
    if input(f"{what}. Launch? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UserError("nothing was launched")


def create(plan: Plan, kind: str, options: Options, frozen: bool) -> Launch:
    """Write the launch; ``frozen`` with a copy of the code."""
    results = Path(plan.jobs[0].job.results)
    code = snapshot(results / FOLDER / "code") if frozen else None
    manifest = {
        "kind": kind,
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "folder": str(Path.cwd()),
        "python": sys.executable,
        "code": code,
        "launcher": asdict(options),
        "packages": installed(),
        "jobs": plan.about,
    }
    return Launch.create(
        results, plan.jobs[0].job.study_name, manifest, [each.container for each in plan.jobs]
    )


def installed() -> list[str]:
    """The installed distributions, as ``name==version``."""
    found = {f"{each.metadata['Name']}=={each.version}" for each in metadata.distributions()}
    return sorted(found, key=str.lower)


def duration(seconds: float) -> str:
    """Seconds as a reader wants them: ``40 s``, ``12 min``, ``3.4 h``."""
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def summary(
    plan: Plan,
    packs: Sequence[Sequence[int]],
    unit: str,
    wall: float,
    note: str = "once it runs",
    extra: Sequence[str] = (),
) -> str:
    """The plan in words and figures."""
    total, factor = sum(plan.seconds.values()), plan.cost.factor
    cells = {cell for about in plan.about for cell in about["cells"]}
    done = {cell for about in plan.about if about["stored"] for cell in about["cells"]}
    basis = (
        f"{plan.cost.cells} stored cells"
        if plan.cost.cells
        else "no stored cell yet, so the figures of another machine"
    )
    waves = sorted({about["wave"] for about in plan.about})
    lines = [
        f"jobs      {len(plan.jobs)} ({len(cells)} cells), {len(plan.stored) - len(plan.todo)} already done ({len(done)} cells)",
        f"to run    {len(plan.todo)} jobs in {len(packs)} {'task' if len(packs) == 1 else 'tasks'}"
        + (f", {len(waves)} waves by d" if len(waves) > 1 else ""),
        f"cost      {duration(total)} of {unit} ({duration(total / factor)} to {duration(total * factor)}; from {basis})",
        f"wall      {duration(wall)} {note}",
    ]
    return "\n".join([*lines, *extra])
