"""``hydra/launcher=local``: a sweep on this machine, one worker process per core (or as asked for), each importing torch once and
running many jobs, with a progress display that reads the store. A job that fails or whose process is killed leaves the others
untouched; workers die with the launcher, however it ends."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from bfc import config as bfc_config
from bfc.errors import UserError, require
from bfc.launch.compat import explain
from bfc.launch.plugins import Composer
from bfc.train import run_job

LINE_SECONDS = 15.0
"""Between two progress lines where the output is not a terminal."""


class LocalLauncher(Launcher):
    """``processes``: null for one per usable core."""

    def __init__(self, processes: int | None = None) -> None:
        valid = processes is None or (isinstance(processes, int) and not isinstance(processes, bool) and 1 <= processes <= 4096)
        require(valid, "hydra.launcher.processes", processes, "null (one per usable core) or an integer from 1 to 4096")
        self.processes = processes or _cores()

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run every job, and return what came of each after all have ended."""
        composer = Composer(self.hydra_context.config_loader, self.config)
        containers = [composer.job(overrides) for overrides in job_overrides]
        jobs = [bfc_config.load(c) for c in containers]
        workers = _Workers(min(self.processes, len(containers)))
        try:
            futures = [workers.submit(container) for container in containers]
            cells: dict[Path, list[Future[Any]]] = {}
            for job, future in zip(jobs, futures, strict=True):
                for spec in bfc_config.cells(job):
                    cells.setdefault(Path(job.results) / spec.cell_id, []).append(future)
            _follow(futures, cells)
        finally:
            workers.stop()
        return [_job_return(o, f) for o, f in zip(job_overrides, futures, strict=True)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _job_return(overrides: Sequence[str], future: Future[Any]) -> JobReturn:
    error = future.exception()
    done = JobReturn(overrides=list(overrides), status=JobStatus.FAILED if error else JobStatus.COMPLETED)
    done.return_value = error or future.result()
    return done


class _Workers:
    """Threads that each feed one process, so that it is known which job a killed process had."""

    def __init__(self, count: int) -> None:
        self.context = multiprocessing.get_context("spawn")
        self.threads = ThreadPoolExecutor(count)
        self.mine = threading.local()
        self.processes: list[Any] = []
        self.stopped = False

    def submit(self, container: Mapping[str, Any]) -> Future[Any]:
        return self.threads.submit(self._run, container)

    def stop(self) -> None:
        """End at once: jobs that have not begun are dropped, those running are killed."""
        self.stopped = True
        for process in self.processes:
            process.terminate()
        self.threads.shutdown(cancel_futures=True)

    def _run(self, container: Mapping[str, Any]) -> list[str]:
        if not hasattr(self.mine, "pipe"):
            self._start()
        try:
            self.mine.pipe.send(container)
            ids, sentence = self.mine.pipe.recv()
        except (EOFError, OSError):
            code = self._ended()
            raise UserError(f"its process was killed ({code}), which is what happens where memory does not suffice; finished trainings are "
                            "stored") from None
        if sentence is not None:
            raise UserError(sentence)
        return ids

    def _start(self) -> None:
        self.mine.pipe, theirs = self.context.Pipe()
        self.mine.process = self.context.Process(target=_serve, args=(theirs,), daemon=True)
        self.mine.process.start()
        theirs.close()
        self.processes.append(self.mine.process)
        if self.stopped:
            self.mine.process.terminate()

    def _ended(self) -> str:
        self.mine.process.join()
        code = self.mine.process.exitcode or 0
        del self.mine.pipe
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _serve(pipe: Connection) -> None:
    """A worker process: run jobs until the launcher closes the pipe. An interrupt is the launcher's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    while True:
        try:
            container = pipe.recv()
        except EOFError:
            return
        try:
            answer = (run_job(container, wait=True), None)
        except Exception as error:
            sentence = explain(error)
            if sentence is None:
                traceback.print_exc()
            answer = (None, sentence or f"{type(error).__name__}: {error}")
        pipe.send(answer)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _follow(futures: Sequence[Future[Any]], cells: Mapping[Path, Sequence[Future[Any]]]) -> None:
    """Show cells done, the share of all work done and the time left until every future has ended."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    began, told = time.time(), time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(),
               TimeRemainingColumn())
    terminal = sys.stderr.isatty()
    with Progress(*columns, disable=not terminal, transient=True) as progress:
        bar = progress.add_task("", total=len(cells))
        while True:
            pending = wait(futures, timeout=1.0).not_done
            shares = [_share(folder, mine, began) for folder, mine in cells.items()]
            share, finished = sum(s for s, _ in shares), sum(s >= 1 for s, _ in shares)
            trainings = sum(count for _, count in shares)
            failed = sum(future.done() and future.exception() is not None for future in futures)
            text = f"{finished}/{len(cells)} cells, {trainings} trainings stored{f', {failed} jobs failed' if failed else ''}"
            progress.update(bar, completed=share, description=text)
            if not terminal and (not pending or time.monotonic() - told >= LINE_SECONDS):
                told = time.monotonic()
                left = f", about {_minutes((time.time() - began) * (len(cells) - share) / share)} left" if pending and share > 0 else ""
                print(f"{text}, {100 * share / len(cells):.0f} % after {_minutes(time.time() - began)}{left}", file=sys.stderr, flush=True)
            if not pending:
                return


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


def _share(folder: Path, futures: Sequence[Future[Any]], began: float) -> tuple[float, int]:
    """Share of a cell's work that is done, and the trainings it holds, from its status file."""
    try:
        status = json.loads((folder / "status.json").read_text())
        count, told = int(status.get("trainings", 0)), status.get("time", 0) >= began
        done = status.get("state") == "done" and (told or all(future.done() for future in futures))
        part = status.get("done", 0) / max(1, status.get("total", 1)) if told else 0.0
    except (OSError, ValueError, AttributeError, TypeError):
        return 0.0, 0
    return 1.0 if done else min(0.99, part), count
