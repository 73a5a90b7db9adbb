"""A pool of worker processes on this machine.

A job that fails or whose process is killed leaves the others untouched; workers die with the
launcher, however it ends.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from bfc.errors import UserError, describe_error
from bfc.launch.devices import choose_fuse_jobs, usable_gpus
from bfc.launch.fusion_groups import split_into_fusion_groups
from bfc.launch.manifest import LOG_VARIABLE, Launch
from bfc.launch.worker import describe_failure, record_failure, run_jobs
from bfc.messages import show_messages
from bfc.streams import secure_streams


class WorkerPool:
    """Threads that each feed one process, so that it is known which job a killed process had.

    The processes run the jobs of one launch after another, in the order in which they are
    submitted. ``logs``: what they print goes to files below the launch whose jobs they run.
    """

    def __init__(self, count: int, attempt: int = 0, logs: bool = False) -> None:
        self.count = count
        self.context: Any = multiprocessing.get_context("spawn")
        self._attempt, self._logs = attempt, logs
        self._threads = ThreadPoolExecutor(count)
        self._worker = threading.local()
        """Of each thread: the pipe to its process (``pipe``), and the process (``process``)."""
        self._processes: list[Any] = []
        self._places = itertools.count()
        self._gpus = usable_gpus()
        self._stopped = False

    def submit(self, launch: Launch, numbers: Sequence[int]) -> dict[int, Future[Any]]:
        """A future per job of a launch; the jobs of a fusion group go to one process."""
        futures: dict[int, Future[Any]] = {number: Future() for number in numbers}
        fuse_jobs = choose_fuse_jobs(launch.options.get("fuse_jobs"), launch.containers)
        for group in split_into_fusion_groups(launch.jobs, numbers, fuse_jobs, self.count):
            group_futures = {number: futures[number] for number in group}
            self._threads.submit(self._run, launch, fuse_jobs, group_futures)
        return futures

    def stop(self) -> None:
        """End at once: jobs that have not begun are dropped, those running are killed."""
        self._stopped = True
        for process in self._processes:
            process.terminate()
        self._threads.shutdown(cancel_futures=True)

    def _run(self, launch: Launch, fuse_jobs: int, futures: Mapping[int, Future[Any]]) -> None:
        """Have jobs run by the process of this thread, and settle their futures."""
        pending = dict(futures)
        try:
            if not hasattr(self._worker, "pipe"):
                self._start_process()
            self._exchange(launch, fuse_jobs, pending)
        except BaseException as error:  # of any kind: nobody may wait for these jobs for ever
            for future in pending.values():
                future.set_exception(error)
            if not self._stopped:
                for number in pending:
                    record_failure(launch, number, error)

    def _exchange(self, launch: Launch, fuse_jobs: int, pending: dict[int, Future[Any]]) -> None:
        """Send jobs to the process and receive their results; ``pending`` shrinks as they arrive.

        Where the process is killed, its only job fails; several are submitted again one by one,
        since one of them is to blame.
        """
        try:
            for future in pending.values():
                if not future.running():  # it is where it is submitted again
                    future.set_running_or_notify_cancel()
            self._worker.pipe.send((str(launch.path), list(pending), fuse_jobs))
            while pending:
                number, cell_ids, failure = self._worker.pipe.recv()
                future = pending.pop(number)
                if failure is None:
                    future.set_result(cell_ids)
                else:
                    future.set_exception(UserError(failure))
        except (EOFError, OSError):
            error = UserError(
                f"its process was killed ({self._describe_end()}), which is what happens where "
                "memory does not suffice; finished trainings are stored"
            )
            if len(pending) == 1 or self._stopped:
                raise error from None
            for number in list(pending):
                alone = {number: pending.pop(number)}
                self._threads.submit(self._run, launch, fuse_jobs, alone)

    def _start_process(self) -> None:
        pipe, worker_pipe = self.context.Pipe()
        place = next(self._places)
        gpu = self._gpus[place % len(self._gpus)] if self._gpus else None
        log = f"worker-{self._attempt}-{place}.log" if self._logs else None
        arguments = (worker_pipe, self._attempt, gpu, log)
        process = self.context.Process(target=serve_jobs, args=arguments, daemon=True)
        try:
            process.start()
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"no process could be started for it ({reason})") from error
        worker_pipe.close()
        self._worker.pipe, self._worker.process = pipe, process
        self._processes.append(process)
        if self._stopped:
            process.terminate()

    def _describe_end(self) -> str:
        """How the process of this thread ended; the next job starts another."""
        self._worker.process.join()
        code = self._worker.process.exitcode or 0
        del self._worker.pipe
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def serve_jobs(pipe: Connection, attempt: int, gpu: str | None, log: str | None) -> None:
    """A worker process: run jobs until the launcher closes the pipe.

    An interrupt is left to the launcher.
    """
    secure_streams()
    show_messages()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    if log is not None:
        os.environ[LOG_VARIABLE] = log
    launch = None
    while True:
        try:
            path, numbers, fuse_jobs = pipe.recv()
        except EOFError:
            return
        if launch is None or str(launch.path) != path:
            launch = Launch(path, attempt)
            if log is not None:
                _redirect_output(str(launch.logs / log))
        for number, result in run_jobs(launch, numbers, fuse_jobs):
            if isinstance(result, Exception):
                if describe_error(result) is None:
                    traceback.print_exception(result)
                pipe.send((number, None, describe_failure(result)))
            else:
                pipe.send((number, result, None))


def _redirect_output(path: str) -> None:
    """Append standard output and standard error of this process to a file."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
