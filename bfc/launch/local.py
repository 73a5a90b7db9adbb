"""``hydra/launcher=local``: a sweep on this machine.

One worker process per core, or per GPU where jobs use GPUs, each of which imports torch once and
runs many jobs (:mod:`bfc.launch.worker_pool`), with a progress display that reads the store. With
``detach=true`` the same pool runs in a session of its own, from a copy of the code, and survives
the terminal. (Submitit's local executor has neither a limit on processes nor a session of its own.)
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from bfc.experiment import cost
from bfc.launch.devices import choose_fuse_jobs, gpus_for, usable_cores
from bfc.launch.finalise import Finalise
from bfc.launch.fusion_groups import split_into_fusion_groups
from bfc.launch.manifest import Launch
from bfc.launch.older_launches import check_code_copy
from bfc.launch.options import LocalOptions
from bfc.launch.plan import Plan, summarise_plan
from bfc.launch.progress_bar import show_until_done
from bfc.launch.worker_pool import WorkerPool
from bfc.messages import show_messages
from bfc.store.lease import start_of
from bfc.streams import secure_streams

SUBMISSION_POLL_SECONDS = 0.05


def submit(
    launch: Launch,
    numbers: Sequence[int],
    processes: int | None = None,
    code: Mapping[str, Any] | None = None,
) -> None:
    """Start a pool for the jobs ``numbers`` that goes on when this process ends."""
    submissions = launch.submissions()
    attempt = len(submissions)
    processes = processes or submissions[-1]["processes"]
    code = code or launch.code
    check_code_copy(launch.name, code)
    with open(launch.logs / f"pool-{attempt}.log", "ab") as log:
        pool = subprocess.Popen(
            [launch.manifest["python"], "-m", "bfc.launch.local", str(launch.path), str(attempt)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=_pool_environment(code),
            cwd=launch.manifest["folder"],
        )
    # The pool outlives this process, or is reaped by it.
    threading.Thread(target=pool.wait, daemon=True).start()
    launch.add_submission(
        kind="local",
        packs=[list(numbers)],
        ids=[f"pool-{attempt}"],
        attempt=attempt,
        processes=processes,
        **identify_process(pool.pid),
    )


def _pool_environment(code: Mapping[str, Any] | None) -> dict[str, str]:
    """This environment, in which Python imports the copy of the code first."""
    environment = dict(os.environ)
    if not code:
        environment.pop("PYTHONPATH", None)
        return environment
    paths = [code["path"], os.environ.get("PYTHONPATH")]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    environment["PYTHONSAFEPATH"] = "1"
    return environment


def run_pool(
    launch: Launch, numbers: Sequence[int], processes: int, attempt: int = 0, logs: bool = False
) -> dict[int, Future[Any]]:
    """Run jobs, one wave after the other, and return when all have ended.

    ``logs``: workers write to files below the launch.
    """
    pool = WorkerPool(min(processes, len(numbers)), attempt, logs)
    futures: dict[int, Future[Any]] = {}
    try:
        for wave in sorted({launch.jobs[number]["wave"] for number in numbers}):
            jobs = [number for number in numbers if launch.jobs[number]["wave"] == wave]
            wave_futures = pool.submit(launch, jobs)
            show_until_done(list(wave_futures.values()), _futures_by_cell(launch, wave_futures))
            futures |= wave_futures
    finally:
        pool.stop()
    return futures


def _futures_by_cell(
    launch: Launch, futures: Mapping[int, Future[Any]]
) -> dict[Path, list[Future[Any]]]:
    cells: dict[Path, list[Future[Any]]] = {}
    for number, future in futures.items():
        for folder in launch.folders(number):
            cells.setdefault(folder, []).append(future)
    return cells


def run_detached(path: str, attempt: int) -> None:
    """The process of a detached launch."""
    secure_streams()
    show_messages()
    launch = Launch(path)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    while len(launch.submissions()) <= attempt:
        time.sleep(SUBMISSION_POLL_SECONDS)
    submission = launch.submissions()[attempt]
    futures = run_pool(launch, submission["packs"][0], submission["processes"], attempt, logs=True)
    Finalise(path, launch.options["finalise"])()
    sys.exit(any(future.exception() is not None for future in futures.values()))


def count_processes(options: LocalOptions, plan: Plan) -> int:
    """The number of worker processes: as asked for, one per GPU, or one per core."""
    gpus = gpus_for([planned.container for planned in plan.jobs])
    return options.processes or len(gpus) or usable_cores()


def summarise_local_plan(plan: Plan, options: LocalOptions, processes: int) -> str:
    """The plan of a local launch in words and figures."""
    containers = [planned.container for planned in plan.jobs]
    fuse_jobs = choose_fuse_jobs(options.fuse_jobs, containers)
    groups = list(split_into_fusion_groups(plan.entries, plan.todo, fuse_jobs, processes))
    loads = [sum(plan.seconds[number] for number in group) for group in groups]
    wall_seconds = 0.0
    if loads:
        # A worker starts, and before it the pool of a launch in the background.
        starts = cost.START * (2 if options.detach else 1)
        wall_seconds = starts + max(max(loads), sum(plan.seconds.values()) / processes)
    note = f"with {processes} processes"
    return summarise_plan(plan, len(groups), "core time", wall_seconds, note)


def identify_process(pid: int) -> dict[str, Any]:
    """What tells whether the process of a submission still runs."""
    return {"host": socket.gethostname(), "pid": pid, "started": start_of(pid)}


if __name__ == "__main__":
    run_detached(sys.argv[1], int(sys.argv[2]))
