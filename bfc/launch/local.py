"""``hydra/launcher=local``: a sweep on this machine, one worker process per core (or as asked for;
per GPU where there are GPUs), each importing torch once and running many jobs, with a progress
display that reads the store. A job that fails or whose process is killed leaves the others
untouched; workers die with the launcher, however it ends. With ``detach=true`` the same pool runs
in a session of its own, from a copy of the code, and survives the terminal. (Submitit's local
executor offers neither a cap nor a session of its own.)"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bfc.errors import UserError, describe_error
from bfc.launch.finalise import Finalise
from bfc.launch.job import companies
from bfc.launch.manifest import Launch
from bfc.launch.options import TOGETHER, LocalOptions
from bfc.launch.plan import Plan, summary
from bfc.launch.progress_bar import follow
from bfc.launch.worker import fail, message, work
from bfc.store.lease import start_of

LOG = "BFC_LOG"
"""Environment variable of a worker whose output goes to a file: its name below the launch's logs.
"""


def submit(
    launch: Launch,
    numbers: Sequence[int],
    processes: int | None = None,
    code: Mapping[str, Any] | None = None,
) -> None:
    """Start a pool for the jobs ``numbers`` that goes on when this process ends."""
    earlier = launch.submissions()
    attempt, processes = len(earlier), processes or earlier[-1]["processes"]
    code = code or launch.manifest["code"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if code:
        environment |= {
            "PYTHONPATH": os.pathsep.join(
                filter(None, (code["path"], os.environ.get("PYTHONPATH")))
            ),
            "PYTHONSAFEPATH": "1",
        }
    command = [launch.manifest["python"], "-m", "bfc.launch.local", str(launch.path), str(attempt)]
    with open(launch.logs / f"pool-{attempt}.log", "ab") as log:
        pool = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=environment,
            cwd=launch.manifest["folder"],
        )
    threading.Thread(
        target=pool.wait, daemon=True
    ).start()  # it outlives this process, or is reaped by it
    launch.add_submission(
        kind="local",
        packs=[list(numbers)],
        ids=[f"pool-{attempt}"],
        attempt=attempt,
        processes=processes,
        host=socket.gethostname(),
        pid=pool.pid,
        started=start_of(pool.pid),
    )


def run(
    launch: Launch, numbers: Sequence[int], processes: int, attempt: int = 0, logs: bool = False
) -> dict[int, Future[Any]]:
    """Run jobs wave after wave and return when all have ended. ``logs``: workers write to files
    below the launch."""
    workers = _Workers(launch, min(processes, len(numbers)), attempt, logs)
    futures: dict[int, Future[Any]] = {}
    try:
        for wave in sorted({launch.jobs[n]["wave"] for n in numbers}):
            mine = workers.submit([n for n in numbers if launch.jobs[n]["wave"] == wave])
            cells: dict[Path, list[Future[Any]]] = {}
            for number, future in mine.items():
                for folder in launch.folders(number):
                    cells.setdefault(folder, []).append(future)
            follow(list(mine.values()), cells)
            futures |= mine
    finally:
        workers.stop()
    return futures


def main(path: str, attempt: int) -> None:
    """The process of a detached launch."""
    launch = Launch(path)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    while len(launch.submissions()) <= attempt:
        time.sleep(0.05)
    mine = launch.submissions()[attempt]
    futures = run(launch, mine["packs"][0], mine["processes"], attempt, logs=True)
    Finalise(path, launch.manifest["launcher"]["finalise"])()
    sys.exit(any(future.exception() is not None for future in futures.values()))


def process_count(options: LocalOptions, plan: Plan) -> int:
    return options.processes or len(_gpus_of([each.container for each in plan.jobs])) or cores()


def _gpus_of(containers: Sequence[Mapping[str, Any]]) -> list[str]:
    """The GPUs that these jobs will use."""
    return (
        _gpus() if any(container["compute"]["device"] != "cpu" for container in containers) else []
    )


def _together(asked: int | None, containers: Sequence[Mapping[str, Any]]) -> int:
    return asked or (TOGETHER if _gpus_of(containers) else 1)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    count = torch.cuda.device_count()
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named[:count] if named else [str(i) for i in range(count)]


def summarise_plan(plan: Plan, options: LocalOptions, processes: int) -> str:
    together = _together(options.together, [each.container for each in plan.jobs])
    groups = list(companies(plan.about, plan.todo, together, processes))
    longest = max((sum(plan.seconds[number] for number in group) for group in groups), default=0.0)
    return summary(
        plan,
        groups,
        "core time",
        max(longest, sum(plan.seconds.values()) / processes),
        f"with {processes} processes",
    )


def describe_process() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": start_of(os.getpid())}


class _Workers:
    """Threads that each feed one process, so that it is known which job a killed process had."""

    def __init__(self, launch: Launch, count: int, attempt: int, logs: bool) -> None:
        self.launch, self.attempt, self.logs = launch, attempt, logs
        self.context = multiprocessing.get_context("spawn")
        self.count, self.threads = count, ThreadPoolExecutor(count)
        self.mine = threading.local()
        self.processes: list[Any] = []
        self.places = itertools.count()
        self.gpus = _gpus()
        self.together = _together(launch.manifest["launcher"].get("together"), launch.containers)
        self.stopped = False

    def submit(self, numbers: Sequence[int]) -> dict[int, Future[Any]]:
        """A future per job; those that run side by side go to one process."""
        futures: dict[int, Future[Any]] = {number: Future() for number in numbers}
        for group in companies(self.launch.jobs, numbers, self.together, self.count):
            self.threads.submit(self._run, {number: futures[number] for number in group})
        return futures

    def stop(self) -> None:
        """End at once: jobs that have not begun are dropped, those running are killed."""
        self.stopped = True
        for process in self.processes:
            process.terminate()
        self.threads.shutdown(cancel_futures=True)

    def _run(self, futures: Mapping[int, Future[Any]]) -> None:
        """Have jobs run by the process of this thread."""
        left = dict(futures)
        try:
            if not hasattr(self.mine, "pipe"):
                self._start()
            try:
                self.mine.pipe.send((list(futures), self.together))
                while left:
                    number, ids, sentence = self.mine.pipe.recv()
                    future = left.pop(number)
                    future.set_result(ids) if sentence is None else future.set_exception(
                        UserError(sentence)
                    )
            except (EOFError, OSError):
                error = UserError(
                    f"its process was killed ({self._ended()}), which is what happens where memory does not suffice; "
                    "finished trainings are stored"
                )
                if len(left) == 1 or self.stopped:
                    raise error from None
                for number in list(left):  # one of them is to blame
                    self.threads.submit(self._run, {number: left.pop(number)})
        except BaseException as error:  # of whatever kind: nobody may wait for these jobs for ever
            for future in left.values():
                future.set_exception(error)
            for number in left if not self.stopped else ():
                fail(self.launch, number, error)

    def _start(self) -> None:
        pipe, theirs = self.context.Pipe()
        place = next(self.places)
        gpu = self.gpus[place % len(self.gpus)] if self.gpus else None
        log = f"worker-{self.attempt}-{place}.log" if self.logs else None
        process = self.context.Process(
            target=_serve, args=(theirs, str(self.launch.path), self.attempt, gpu, log), daemon=True
        )
        try:
            process.start()
        except OSError as error:
            raise UserError(
                f"no process could be started for it ({error.strerror or error})"
            ) from error
        theirs.close()
        self.mine.pipe, self.mine.process = pipe, process
        self.processes.append(process)
        if self.stopped:
            process.terminate()

    def _ended(self) -> str:
        self.mine.process.join()
        code = self.mine.process.exitcode or 0
        del self.mine.pipe
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _serve(pipe: Connection, path: str, attempt: int, gpu: str | None, log: str | None) -> None:
    """A worker process: run jobs until the launcher closes the pipe. An interrupt is the launcher's
    to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    launch = Launch(path, attempt)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    if log is not None:
        os.environ[LOG] = log
        handle = os.open(launch.logs / log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
    while True:
        try:
            numbers, together = pipe.recv()
        except EOFError:
            return
        for number, end in work(launch, numbers, together):
            failed = isinstance(end, Exception)
            if failed and describe_error(end) is None:
                traceback.print_exception(end)
            pipe.send((number, None, message(end)) if failed else (number, end, None))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
