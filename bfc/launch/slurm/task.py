"""What one SLURM task runs: several jobs in one process, so that starting Python is paid once.

Nothing heavy is imported before the signal handlers are in place. Every job runs even if others
fail; the exit status then tells SLURM that one did, and a task that runs a second time skips what
is done.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from bfc import stop_signals
from bfc.launch.manifest import Launch, slurm_task_id
from bfc.messages import show_messages
from bfc.streams import print_line, secure_streams

EXIT_FAILED = 1
"""A job failed."""
EXIT_UNFINISHED = 3
"""The task was asked to stop and will not be run again by itself."""


@dataclass(frozen=True)
class SlurmTask:
    """The payload of a task, pickled by reference."""

    launch: str
    """The launch's folder."""
    jobs: tuple[int, ...]
    """The numbers of its jobs."""
    max_requeues: int
    attempt: int = 0
    fuse_jobs: int = 1
    """Jobs of one fusion group that are trained in common stacks."""

    def __call__(self) -> None:
        stop_signals.install_handlers()
        secure_streams()
        show_messages()
        launch = Launch(self.launch, self.attempt)
        done = launch.done()
        todo = [number for number in self.jobs if number not in done]
        if not todo:
            print_line("everything in this task is done")
            return
        failed = self._run(launch, todo)
        signal_number = stop_signals.stop_requested()
        if signal_number is not None:
            self._exit_stopped(signal_number)
        if failed:
            _print_error(
                f"{len(failed)} of {len(self.jobs)} jobs failed: {failed}; see `bfc status` and "
                "`bfc logs`"
            )
            sys.exit(EXIT_FAILED)

    def _run(self, launch: Launch, numbers: list[int]) -> list[int]:
        """Run these jobs; returns those that failed."""
        # torch loads late: a signal that arrives meanwhile finds its handler
        from bfc.launch.worker import describe_failure, run_jobs

        failed: list[int] = []
        for number, result in run_jobs(launch, numbers, self.fuse_jobs):
            if isinstance(result, Exception):
                label = launch.jobs[number]["label"]
                _print_error(f"failed: {label}: {describe_failure(result)}")
                failed.append(number)
        return failed

    def _exit_stopped(self, signal_number: int) -> None:
        """Leave the process, after asking SLURM to run the task again where its time was up.

        On other signals SLURM itself decides.
        """
        restarts = int(os.environ.get("SLURM_RESTART_COUNT", 0))
        task_id = slurm_task_id()
        may_requeue = signal_number in stop_signals.REQUEUE and restarts < self.max_requeues
        if may_requeue and task_id is not None:
            requeue = ["scontrol", "requeue", task_id]
            result = subprocess.run(requeue, capture_output=True, text=True)
            if result.returncode == 0:
                print_line(f"requeued as {task_id}, restart {restarts + 1}")
                sys.exit(0)
            _print_error(
                f"this task cannot be requeued ({result.stderr.strip()}); `bfc retry` goes on "
                "with it"
            )
        sys.exit(EXIT_UNFINISHED)


def _print_error(text: str) -> None:
    print_line(text, to_stderr=True)
