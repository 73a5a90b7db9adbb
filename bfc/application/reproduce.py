"""Running all claims within a budget: plan, run study by study, judge, write the page.

Each study is a process of its own, ``python -m bfc.train -m +sweeps=<study>``, which is exactly
what the page names as its command. At the end of the budget it is interrupted, which costs at most
the trainings since its last checkpoint.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from analysis.progress_message import track
from analysis.report import make_console, print_report, write_report
from bfc.application.budget import (
    UNLIMITED,
    Options,
    Pace,
    SizeOption,
    budget_seconds,
    choose_next,
    choose_sizes,
    largest_size_index,
    predict_option,
)
from bfc.errors import UserError, nearest, require
from bfc.experiment import cost
from bfc.hydra_plugins.registration import compose_sweep
from bfc.launch.devices import usable_cores
from bfc.launch.job import PlannedJob
from bfc.launch.plan import format_duration
from bfc.paths import SWEEPS
from bfc.studies import SIZES, study_node

GRACE_SECONDS = 60.0
"""Time that an interrupted study has for its last checkpoint."""
PAGE_SECONDS, PAGE_SHARE = 5.0, 0.05
"""What is kept of the budget for the page: seconds per study, and a share of the whole."""

ComposedStudies = Mapping[str, Mapping[str, Sequence[PlannedJob]]]
"""Study → size → its checked jobs."""


@dataclass
class Progress:
    """How far the studies are."""

    reached: dict[str, str] = field(default_factory=dict)
    """Study → the largest size that was run."""
    failed: set[str] = field(default_factory=set)
    pace: Pace = field(default_factory=Pace)


def reproduce(
    budget: str,
    folder: str,
    only: Sequence[str] | None,
    cores: int | None,
    plan: bool,
    overrides: Sequence[str] = (),
) -> int:
    """Run the studies with claims (``only`` these, if given) and write the page into ``folder``.

    ``overrides`` stand on top of every study; ``plan`` only prints what would be run. Returns the
    exit status, 0 unless a study failed. Raises :class:`UserError` before anything is run.
    """
    seconds = budget_seconds(budget)
    require(cores is None or cores >= 1, "--cores", cores, "an integer >= 1")
    cores = cores or usable_cores()
    root = Path(folder)
    start = time.monotonic()
    overrides = [*overrides, f"results={root / 'results'}"]
    studies = compose_studies(only, budget, overrides)
    deadline = start + _training_seconds(seconds, len(studies))
    model = cost.fit_cost_model([str(root / "results")])
    progress = Progress()
    options = predict_options(studies, cores, model, progress)
    print_plan(options, choose_sizes(options, deadline - time.monotonic()), cores, model.factor)
    if plan:
        return 0
    while True:
        options = predict_options(studies, cores, model, progress)
        step = choose_next(options, progress.reached, deadline - time.monotonic())
        if step is None:
            break
        _run_step(step, overrides, cores, deadline, progress)
    skipped = [study for study in studies if study not in progress.reached]
    if skipped:
        print(f"\nnot run, the budget does not suffice: {', '.join(skipped)}", flush=True)
    write_page(root)
    return 1 if progress.failed else 0


def _training_seconds(seconds: float, studies: int) -> float:
    """What the page leaves of a budget."""
    return (1 - PAGE_SHARE) * seconds - PAGE_SECONDS * studies


def compose_studies(
    only: Sequence[str] | None, budget: str, overrides: Sequence[str]
) -> dict[str, dict[str, list[PlannedJob]]]:
    """The studies with claims, in every size that the budget could pay for.

    Returns study → size → its checked jobs.
    """
    nodes = {path.stem: study_node(path.stem) for path in sorted(SWEEPS.glob("*.yaml"))}
    for study in only or ():
        if study not in nodes:
            raise UserError(f"--study {study}: no such study; {nearest(study, nodes)}")
    composed: dict[str, dict[str, list[PlannedJob]]] = {}
    selected = [
        study for study, node in nodes.items() if node.get("claims") and study in (only or nodes)
    ]
    for study in track(selected, "composing the studies"):
        composed[study] = {
            size: compose_sweep([f"+sweeps={study}", f"study.size={size}", *overrides])
            for size in _considered_sizes(nodes[study], budget)
        }
    return composed


def _considered_sizes(node: Mapping[str, Any], budget: str) -> list[str]:
    """The sizes of a study up to what the budget is named after; for ``full`` the largest alone."""
    sizes = [size for size in SIZES if size in node["sizes"]]
    if budget == UNLIMITED:
        return sizes[-1:]
    largest = largest_size_index(budget)
    affordable = [size for size in sizes if SIZES.index(size) <= largest]
    return affordable or sizes[:1]


def predict_options(
    studies: ComposedStudies, cores: int, model: cost.Cost, progress: Progress
) -> dict[str, list[SizeOption]]:
    """The sizes that can be run from here on; a study that failed has none."""
    options: dict[str, list[SizeOption]] = {}
    for study, sizes in studies.items():
        if study in progress.failed:
            continue
        smallest = SIZES.index(progress.reached.get(study, SIZES[0]))
        larger_sizes = [size for size in sizes if SIZES.index(size) >= smallest]
        options[study] = []
        for size in larger_sizes:
            option = predict_option(study, size, sizes[size], cores, model)
            options[study].append(progress.pace.correct(option))
    return options


def _run_step(
    step: SizeOption,
    overrides: Sequence[str],
    cores: int,
    deadline: float,
    progress: Progress,
) -> None:
    """Run one size of one study, and note how it went."""
    print(
        f"\n{step.study}, size {step.size}: {step.unfinished_jobs} of {step.jobs} jobs to run, "
        f"about {format_duration(step.seconds)}; {format_time_left(deadline)} left",
        flush=True,
    )
    progress.reached[step.study] = step.size
    if not step.unfinished_jobs:
        return
    start = time.monotonic()
    status = run_study(step, overrides, cores, deadline)
    uncorrected = step.seconds / progress.pace.ratio(step.study)
    progress.pace.record(step.study, uncorrected, time.monotonic() - start)
    if status != 0:
        progress.failed.add(step.study)


def run_study(step: SizeOption, overrides: Sequence[str], cores: int, deadline: float) -> int:
    """Run the study as a process, and interrupt it at the deadline.

    Returns its exit status, 0 where the budget ended it.
    """
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
        preexec_fn=_restore_interrupts,
    )
    timeout = None if math.isinf(deadline) else max(1.0, deadline - time.monotonic())
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        print(f"{step.study}: the budget is used up; what is stored so far is judged", flush=True)
        process.send_signal(signal.SIGINT)
        return 0
    finally:
        # Also where this process is interrupted: the study then has had the same interrupt.
        _wait_or_kill(process)


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _restore_interrupts() -> None:
    """Let interrupts end a process.

    Processes that a shell put in the background ignore them, and so would all that they start.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def write_page(root: Path) -> None:
    """Write the page, its tables and figures, and claims.csv, and print a summary."""
    made = write_report(root / "results", root / "report")
    console = make_console()
    print_report(made, console)
    counts = made.claims["verdict"].value_counts()
    verdicts = ", ".join(f"{count} {name}" for name, count in counts.items())
    console.print(
        f"claims: {root / 'report' / 'claims.csv'}: {verdicts}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def print_plan(
    options: Options, chosen: Mapping[str, SizeOption], cores: int, factor: float
) -> None:
    """Print the plan as a table; predictions may be off by ``factor`` either way."""
    title = (
        f"wall time on {cores} cores, within a factor of {factor:.1f} until a study has run here"
    )
    columns = ("study", "size", "jobs", "to run", "predicted", "")
    table = Table(*columns, title=title, title_justify="left")
    for study, sizes in options.items():
        for option in sizes:
            table.add_row(
                study,
                option.size,
                str(option.jobs),
                str(option.unfinished_jobs),
                format_duration(option.seconds),
                "aimed for" if chosen.get(study) == option else "",
            )
    make_console().print(table)


def format_time_left(deadline: float) -> str:
    """The time until the deadline, for a reader."""
    if math.isinf(deadline):
        return "any time"
    return format_duration(max(0.0, deadline - time.monotonic()))
