"""``hydra/launcher=local``: a sweep on this machine (:mod:`bfc.launch.local`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from hydra.core.utils import JobReturn

from bfc.experiment.run_job import run_job
from bfc.hydra_plugins.plan_launcher import PlanLauncher, completed, job_return, parse
from bfc.launch.job import Planned
from bfc.launch.local import describe_process, process_count, run, submit, summarise_plan
from bfc.launch.options import LocalOptions
from bfc.launch.plan import confirm, create, prepare
from bfc.trackers.client import observe_cell


class LocalLauncher(PlanLauncher):
    """Options: conf/hydra/launcher/local.yaml."""

    LIMIT: ClassVar[str] = "hydra.launcher.processes"

    def __init__(self, **options: Any) -> None:
        self.options: LocalOptions = parse(LocalOptions, options)
        self.shows_later = self.options.detach or self.options.dry_run

    def launch_plan(self, jobs: Sequence[Planned]) -> Sequence[JobReturn]:
        """Run every job and return what came of each; with ``detach=true`` start them and return."""
        plan, options = prepare(jobs), self.options
        processes = process_count(options, plan)
        if options.dry_run or options.detach:
            print(summarise_plan(plan, options, processes), flush=True)
        if options.dry_run or (options.detach and not plan.todo):
            return [completed(each) for each in jobs]
        if not plan.todo:
            return [job_return(each, run_job(each.job, observe_cell, wait=True)) for each in jobs]
        confirm(plan, options, sum(plan.seconds.values()) / 3600, "core-hours")
        launch = create(plan, "local", options, frozen=options.detach)
        if options.detach:
            submit(launch, plan.todo, processes)
            print(launch.told(f"process {launch.submissions()[-1]['pid']}"), flush=True)
            return [completed(each) for each in jobs]
        launch.add_submission(
            kind="local",
            packs=[list(range(len(jobs)))],
            ids=["pool"],
            attempt=0,
            processes=processes,
            **describe_process(),
        )
        futures = run(launch, range(len(jobs)), processes)
        return [
            job_return(each, futures[n].exception() or futures[n].result())
            for n, each in enumerate(jobs)
        ]
