"""``hydra/launcher=local``: a sweep on this machine (:mod:`bfc.launch.local`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

from hydra.core.utils import JobReturn

from bfc.experiment.run_job import run_job
from bfc.hydra_plugins.plan_launcher import (
    PlanLauncher,
    completed_return,
    job_return,
    parse_options,
)
from bfc.launch.job import PlannedJob
from bfc.launch.local import (
    count_processes,
    identify_process,
    run_pool,
    submit,
    summarise_local_plan,
)
from bfc.launch.options import LocalOptions
from bfc.launch.plan import Plan, confirm, create_launch, make_plan
from bfc.streams import print_line
from bfc.trackers.client import observe_cell


class LocalLauncher(PlanLauncher):
    """Options: conf/hydra/launcher/local.yaml."""

    LIMIT: ClassVar[str] = "hydra.launcher.processes"

    def __init__(self, **options: Any) -> None:
        self.options: LocalOptions = parse_options(LocalOptions, options)
        self.shows_later = self.options.detach or self.options.dry_run

    def launch_plan(self, jobs: Sequence[PlannedJob]) -> Sequence[JobReturn]:
        """Run every job and return its outcome; with ``detach=true`` start them and return."""
        plan, options = make_plan(jobs), self.options
        processes = count_processes(options, plan)
        if options.dry_run or options.detach:
            print_line(summarise_local_plan(plan, options, processes))
        if options.dry_run or (options.detach and not plan.todo):
            return [completed_return(job) for job in jobs]
        if not plan.todo:
            return [job_return(job, run_job(job.job, observe_cell, wait=True)) for job in jobs]
        confirm(plan, options, sum(plan.seconds.values()) / 3600, "core-hours")
        if options.detach:
            self._start_detached(plan, processes)
            return [completed_return(job) for job in jobs]
        return self._run_here(plan, processes)

    def _start_detached(self, plan: Plan, processes: int) -> None:
        launch = create_launch(plan, "local", self.options, frozen=True)
        submit(launch, plan.todo, processes)
        pid = launch.submissions()[-1]["pid"]
        print_line(launch.describe_submission(f"process {pid}"))

    def _run_here(self, plan: Plan, processes: int) -> list[JobReturn]:
        launch = create_launch(plan, "local", self.options, frozen=False)
        numbers = list(range(len(plan.jobs)))
        launch.add_submission(
            kind="local",
            packs=[numbers],
            ids=["pool"],
            attempt=0,
            processes=processes,
            **identify_process(os.getpid()),
        )
        futures = run_pool(launch, numbers, processes)
        returns = []
        for number, job in enumerate(plan.jobs):
            future = futures[number]
            returns.append(job_return(job, future.exception() or future.result()))
        return returns
