"""What one SLURM task runs: the jobs of a pack in one process, so that starting Python is paid
once. It imports nothing heavy before the signal handlers are in place. Every job runs even if
others fail; the exit status then tells SLURM the truth, and a task that is run a second time skips
what is done."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from bfc import stop_signals
from bfc.launch.manifest import Launch

FAILED, UNFINISHED = 1, 3
"""Exit statuses: a job failed; the task was asked to stop and will not be run again by itself."""


@dataclass(frozen=True)
class Pack:
    """The payload of a task, pickled by reference: the launch's folder and the numbers of its jobs."""

    launch: str
    jobs: tuple[int, ...]
    max_requeues: int
    attempt: int = 0
    together: int = 1
    """Jobs of one shape that run side by side."""

    def __call__(self) -> None:
        stop_signals.install_handlers()
        launch = Launch(self.launch, self.attempt)
        done = launch.done()
        todo = [number for number in self.jobs if number not in done]
        if not todo:
            print("everything in this task is done", flush=True)
            return
        failed = self._run(launch, todo, self.together)
        if stop_signals.stop_requested() is not None:
            self._leave(stop_signals.stop_requested())
        if failed:
            print(
                f"{len(failed)} of {len(self.jobs)} jobs failed: {failed}; see `bfc status` and `bfc logs`",
                file=sys.stderr,
                flush=True,
            )
            sys.exit(FAILED)

    @staticmethod
    def _run(launch: Launch, numbers: list[int], together: int) -> list[int]:
        """Run these jobs; returns those that failed."""
        from bfc.launch.worker import message, work

        failed: list[int] = []
        for number, end in work(launch, numbers, together):
            if isinstance(end, Exception):
                print(
                    f"failed: {launch.jobs[number]['label']}: {message(end)}",
                    file=sys.stderr,
                    flush=True,
                )
                failed.append(number)
        return failed

    def _leave(self, number: int) -> None:
        """Ask SLURM to run this task again where it was told that its time is up; otherwise SLURM
        itself decides."""
        restarts = int(os.environ.get("SLURM_RESTART_COUNT", 0))
        if number in stop_signals.REQUEUE and restarts < self.max_requeues:
            array, task = (
                os.environ.get("SLURM_ARRAY_JOB_ID"),
                os.environ.get("SLURM_ARRAY_TASK_ID"),
            )
            own = f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]
            done = subprocess.run(["scontrol", "requeue", own], capture_output=True, text=True)
            if done.returncode == 0:
                print(f"requeued as {own}, restart {restarts + 1}", flush=True)
                sys.exit(0)
            print(
                f"this task cannot be requeued ({done.stderr.strip()}); `bfc retry` goes on with it",
                file=sys.stderr,
                flush=True,
            )
        sys.exit(UNFINISHED)
