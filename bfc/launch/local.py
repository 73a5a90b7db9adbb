"""``hydra/launcher=local``: a sweep on this machine, one worker process per core (or as asked for), each importing torch once and
running many cells, with a progress display that reads the store. One cell's failure leaves the others untouched."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from bfc import config as bfc_config
from bfc.errors import UserError
from bfc.launch.plugins import job_values
from bfc.train import run_job

LINE_SECONDS = 15.0
"""Between two progress lines where the output is not a terminal."""


class LocalLauncher(Launcher):
    """``processes``: null for one per usable core."""

    def __init__(self, processes: int | None = None) -> None:
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.processes = processes or usable

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run every job; raises one :class:`UserError` naming the failures after all have ended."""
        loader = self.hydra_context.config_loader
        containers = [job_values(loader.load_sweep_config(self.config, list(overrides))) for overrides in job_overrides]
        loaded = [bfc_config.load(c) for c in containers]
        folders = [[Path(job.results) / spec.cell_id for spec in bfc_config.cells(job)] for job in loaded]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(self.processes, len(containers)), mp_context=context) as pool:
            futures = [pool.submit(run_job, container) for container in containers]
            try:
                _follow(futures, folders)
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list((pool._processes or {}).values()):
                    process.terminate()
                raise UserError("interrupted: finished trainings are stored; the same command goes on where this one stopped") from None
        failures = [(o, f.exception()) for o, f in zip(job_overrides, futures, strict=True) if f.exception() is not None]
        for overrides, error in failures:
            print(f"failed: {' '.join(overrides)}: {type(error).__name__}: {error}", file=sys.stderr)
        if failures:
            raise UserError(f"{len(failures)} of {len(futures)} jobs failed; the others are stored, and the same command runs only what "
                            "is missing")
        return [_job_return(o, f) for o, f in zip(job_overrides, futures, strict=True)]


def _job_return(overrides: Sequence[str], future: Future[Any]) -> JobReturn:
    done = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
    done.return_value = future.result()
    return done


def _follow(futures: Sequence[Future[Any]], folders: Sequence[Sequence[Path]]) -> None:
    """Show cells done, the share of all work done and the time left until every future has ended."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    cells, began, told = sum(map(len, folders)), time.time(), time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(), TimeRemainingColumn())
    terminal = sys.stderr.isatty()
    with Progress(*columns, disable=not terminal, transient=True) as progress:
        bar = progress.add_task("", total=cells)
        while True:
            pending = wait(futures, timeout=1.0).not_done
            shares = [_share(folder, future, began) for future, mine in zip(futures, folders, strict=True) for folder in mine]
            share, finished = sum(s for s, _ in shares), sum(s >= 1 for s, _ in shares)
            trainings = sum(count for _, count in shares)
            text = f"{finished}/{cells} cells, {trainings} trainings stored"
            progress.update(bar, completed=share, description=text)
            if not terminal and (not pending or time.monotonic() - told >= LINE_SECONDS):
                told = time.monotonic()
                left = f", about {_minutes((time.time() - began) * (cells - share) / share)} left" if pending and share > 0 else ""
                print(f"{text}, {100 * share / cells:.0f} % after {_minutes(time.time() - began)}{left}", file=sys.stderr, flush=True)
            if not pending:
                return


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


def _share(folder: Path, future: Future[Any], began: float) -> tuple[float, int]:
    """Share of a cell's work that is done, and the trainings it holds, from its status file."""
    try:
        status = json.loads((folder / "status.json").read_text())
    except (OSError, ValueError):
        status = {}
    count = int(status.get("trainings", 0))
    if future.done():
        return 1.0, count
    if status.get("time", 0) < began or status.get("state") == "done":
        return (0.0 if status.get("time", 0) < began else 1.0), count
    return min(0.99, status.get("done", 0) / max(1, status.get("total", 1))), count
