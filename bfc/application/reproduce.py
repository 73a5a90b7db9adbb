"""Running all claims within a budget: plan, run study by study through the one entry point, judge,
write the page. Each study is a process of its own, ``python -m bfc.train -m +sweeps=<study>``,
exactly what the page says redoes it; at the end of the budget it is interrupted, which costs at
most the trainings since its last checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bfc.application.budget import (
    SIZES,
    Option,
    Pace,
    budget_seconds,
    choose,
    largest_size,
    next_step,
    predict,
)
from bfc.errors import UserError, nearest, require
from bfc.experiment import cost
from bfc.launch.job import Planned
from bfc.launch.local import cores as usable_cores
from bfc.launch.plan import duration
from bfc.paths import SWEEPS

GRACE = 60.0
"""Seconds that an interrupted study has for its last checkpoint."""
PAGE, SHARE = 5.0, 0.05
"""Seconds of the budget that are kept for every study on the page, and a share of it beside them.
"""


def reproduce(
    budget: str,
    folder: str,
    only: Sequence[str] | None,
    cores: int | None,
    plan: bool,
    overrides: Sequence[str] = (),
) -> int:
    """The exit status: 0 unless a study failed. ``overrides`` stand on top of every study. Raises
    :class:`UserError` before anything is run."""
    seconds, root = budget_seconds(budget), Path(folder)
    require(cores is None or cores >= 1, "--cores", cores, "an integer >= 1")
    cores = cores or usable_cores()
    start = time.monotonic()
    overrides = [*overrides, f"results={root / 'results'}"]
    studies = compose(only, budget, overrides)
    deadline = start + (
        seconds if seconds == float("inf") else (1 - SHARE) * seconds - PAGE * len(studies)
    )
    model, pace = cost.fit([str(root / "results")]), Pace()

    def options() -> dict[str, list[Option]]:
        return {
            study: [
                slower(predict(study, size, jobs, cores, model), pace.of(study))
                for size, jobs in sizes.items()
                if SIZES.index(size) >= SIZES.index(reached.get(study, SIZES[0]))
            ]
            for study, sizes in studies.items()
            if study not in failed
        }

    reached: dict[str, str] = {}
    failed: set[str] = set()
    first = options()
    tell(first, choose(first, deadline - time.monotonic()), cores, model.factor)
    if plan:
        return 0
    while (step := next_step(options(), reached, deadline - time.monotonic())) is not None:
        print(
            f"\n{step.study}, size {step.size}: {step.left} of {step.jobs} jobs to run, about {duration(step.seconds)}; "
            f"{time_left(deadline)} left",
            flush=True,
        )
        began = time.monotonic()
        status = run(step, overrides, cores, deadline) if step.left else 0
        if step.left:
            pace.note(step.study, step.seconds / pace.of(step.study), time.monotonic() - began)
        reached[step.study] = step.size
        if status != 0:
            failed.add(step.study)
    skipped = [study for study in studies if study not in reached]
    if skipped:
        print(f"\nnot run, the budget does not suffice: {', '.join(skipped)}", flush=True)
    write_page(root)
    return 1 if failed else 0


def compose(
    only: Sequence[str] | None, budget: str, overrides: Sequence[str]
) -> dict[str, dict[str, list[Planned]]]:
    """Study with claims → size → its checked jobs; the sizes up to :func:`largest_size`, for
    ``full`` the largest alone."""
    from analysis.progress_message import track
    from bfc.hydra_plugins.registration import compose_sweep
    from bfc.studies import study_node

    known = {path.stem: study_node(path.stem) for path in sorted(SWEEPS.glob("*.yaml"))}
    for study in only or ():
        if study not in known:
            raise UserError(f"--study {study}: no such study; {nearest(study, known)}")
    found: dict[str, dict[str, list[Planned]]] = {}
    wanted = [
        (study, node)
        for study, node in known.items()
        if node.get("claims") and (not only or study in only)
    ]
    for study, node in track(wanted, "composing the studies"):
        sizes = [size for size in SIZES if size in node["sizes"]]
        if budget == "full":
            sizes = sizes[-1:]
        else:
            sizes = [size for size in sizes if SIZES.index(size) <= largest_size(budget)] or sizes[
                :1
            ]
        found[study] = {
            size: compose_sweep([f"+sweeps={study}", f"study.size={size}", *overrides])
            for size in sizes
        }
    return found


def slower(option: Option, ratio: float) -> Option:
    """The option with its prediction corrected."""
    return replace(option, seconds=option.seconds * ratio)


def run(step: Option, overrides: Sequence[str], cores: int, deadline: float) -> int:
    """The study as a process; interrupted at the deadline. Returns its status, 0 where the budget
    ended it."""
    command = [
        sys.executable,
        "-m",
        "bfc.train",
        "-m",
        f"+sweeps={step.study}",
        f"study.size={step.size}",
        *overrides,
        f"hydra.launcher.processes={cores}",
        "hydra.launcher.confirmed=true",
    ]
    process = subprocess.Popen(
        command,
        env={"OMP_NUM_THREADS": "1", **os.environ},
        stdin=subprocess.DEVNULL,
        preexec_fn=_heed_interrupts,
    )
    try:
        return process.wait(
            None if deadline == float("inf") else max(1.0, deadline - time.monotonic())
        )
    except subprocess.TimeoutExpired:
        print(f"{step.study}: the budget is used up; what is stored so far is judged", flush=True)
        process.send_signal(signal.SIGINT)
        return 0
    finally:  # also where this process itself is interrupted: the study then has had its own interrupt
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _heed_interrupts() -> None:
    """Processes that a shell put in the background ignore interrupts, and so would all that they
    start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def write_page(root: Path) -> None:
    """The page, its tables and figures, and claims.csv."""
    from analysis.report import report, show, terminal

    made = report(root / "results", root / "report")
    console = terminal()
    show(made, console)
    counts = made.claims["verdict"].value_counts()
    console.print(
        f"claims: {root / 'report' / 'claims.csv'}: "
        + ", ".join(f"{count} {name}" for name, count in counts.items()),
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def tell(
    options: Mapping[str, Sequence[Option]], chosen: Mapping[str, Option], cores: int, factor: float
) -> None:
    """The plan as a table; ``factor``: by how much predictions may be off either way."""
    from rich.table import Table

    from analysis.report import terminal

    title = (
        f"wall time on {cores} cores, within a factor of {factor:.1f} until a study has run here"
    )
    table = Table(
        "study", "size", "jobs", "to run", "predicted", "", title=title, title_justify="left"
    )
    for study, own in options.items():
        for option in own:
            mark = "aimed for" if chosen.get(study) == option else ""
            table.add_row(
                study,
                option.size,
                str(option.jobs),
                str(option.left),
                duration(option.seconds),
                mark,
            )
    terminal().print(table)


def time_left(deadline: float) -> str:
    return (
        "any time" if deadline == float("inf") else duration(max(0.0, deadline - time.monotonic()))
    )
