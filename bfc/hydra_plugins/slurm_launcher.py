"""``hydra/launcher=slurm``: a sweep as SLURM arrays (:mod:`bfc.launch.slurm.submission`)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any, ClassVar

from hydra.core.utils import JobReturn

from bfc.errors import UserError
from bfc.extras import require_package
from bfc.hydra_plugins.plan_launcher import (
    PlanLauncher,
    completed_return,
    parse_options,
    wait_for_returns,
)
from bfc.launch.job import PlannedJob
from bfc.launch.manifest import Launch
from bfc.launch.options import SlurmOptions
from bfc.launch.plan import Plan, confirm, create_launch, make_plan, summarise_plan
from bfc.launch.slurm import client
from bfc.launch.slurm.division import divide_into_tasks, predict_wall_time
from bfc.launch.slurm.resources import check_gpus, sbatch_flags
from bfc.launch.slurm.submission import submit, use_site_store
from bfc.streams import print_line


class SlurmLauncher(PlanLauncher):
    """Options: conf/hydra/launcher/slurm.yaml."""

    LIMIT: ClassVar[str] = "hydra.launcher.throttle"
    shows_later = True

    def __init__(self, **options: Any) -> None:
        self.options: SlurmOptions = parse_options(SlurmOptions, options)

    def launch_plan(self, jobs: Sequence[PlannedJob]) -> Sequence[JobReturn]:
        """Submit everything that is not stored and return completed jobs.

        With ``detach=false`` wait, and return the outcome of each job.
        """
        options = self.options
        jobs = [use_site_store(job, options.results) for job in jobs]
        check_gpus(jobs, options)
        plan = make_plan(jobs)
        tasks = [numbers for _, numbers in divide_into_tasks(plan.entries, plan.seconds, options)]
        print_line(self._summarise(plan, tasks))
        if options.dry_run or not tasks:
            return [completed_return(job) for job in jobs]
        launch = self._submit(plan)
        if options.detach:
            return [completed_return(job) for job in jobs]
        return wait_for_returns(launch, [job.overrides for job in jobs])

    def _submit(self, plan: Plan) -> Launch:
        options = self.options
        if shutil.which("sbatch") is None:
            raise UserError(
                "hydra/launcher=slurm: there is no sbatch on this machine; launch from a login "
                "node, or use hydra/launcher=local"
            )
        require_package("submitit", "hydra/launcher=slurm", "slurm")
        units = options.gpus or options.cpus
        hours = sum(plan.seconds.values()) * units / 3600
        confirm(plan, options, hours, "GPU-hours" if options.gpus else "core-hours")
        reason = client.find_refusal(sbatch_flags(options))
        if reason is not None:
            raise UserError(f"SLURM refuses the jobs: {reason}")
        launch = create_launch(plan, "slurm", options, frozen=True)
        submit(launch, plan.todo)
        task_ids: list[str] = []
        for submission in launch.submissions():
            task_ids += submission["ids"]
        jobs = client.format_ids(task_ids)
        print_line(launch.describe_submission(f"SLURM jobs {jobs}"))
        return launch

    def _summarise(self, plan: Plan, tasks: Sequence[Sequence[int]]) -> str:
        unit = "GPU time" if self.options.gpus else "core time"
        wall_seconds = predict_wall_time(plan, tasks, self.options)
        extra = self._estimate_start(len(tasks)) if self.options.dry_run else ()
        return summarise_plan(plan, len(tasks), unit, wall_seconds, extra=extra)

    def _estimate_start(self, num_tasks: int) -> list[str]:
        """When SLURM expects the first task to start."""
        if not num_tasks:
            return ["everything is stored"]
        if shutil.which("sbatch") is None:
            return []
        return [f"start     {client.estimate_start(sbatch_flags(self.options))}"]
