"""``hydra/launcher=slurm``: a sweep as SLURM arrays (:mod:`bfc.launch.slurm.submission`)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any, ClassVar

from hydra.core.utils import JobReturn

from bfc.errors import UserError
from bfc.hydra_plugins.plan_launcher import PlanLauncher, completed, parse, returns
from bfc.launch.job import Planned
from bfc.launch.options import SlurmOptions
from bfc.launch.plan import confirm, create, prepare, summary
from bfc.launch.slurm import client as cluster
from bfc.launch.slurm.submission import (
    check_gpus,
    divide,
    format_ids,
    predicted_wall,
    sbatch_flags,
    submit,
    with_site_store,
)


class SlurmLauncher(PlanLauncher):
    """Options: conf/hydra/launcher/slurm.yaml."""

    LIMIT: ClassVar[str] = "hydra.launcher.throttle"
    shows_later = True

    def __init__(self, **options: Any) -> None:
        self.options: SlurmOptions = parse(SlurmOptions, options)

    def launch_plan(self, jobs: Sequence[Planned]) -> Sequence[JobReturn]:
        """Submit everything that is not stored and return; one completed return per job, whose
        value is the cell id (ids, for a job of two cells). With ``detach=false`` wait, and return
        what came of each job."""
        options = self.options
        jobs = [with_site_store(each, options.results) for each in jobs]
        check_gpus(jobs, options)
        plan = prepare(jobs)
        packs = [numbers for _, numbers in divide(plan.about, plan.seconds, options)]
        unit = "GPU time" if options.gpus else "core time"
        hours = (
            sum(plan.seconds.values())
            * max(options.gpus, options.cpus if not options.gpus else 1)
            / 3600
        )
        print(
            summary(
                plan,
                packs,
                unit,
                predicted_wall(plan, packs, options),
                extra=self._estimate(packs) if options.dry_run else (),
            ),
            flush=True,
        )
        if options.dry_run or not packs:
            return [completed(each) for each in jobs]
        if shutil.which("sbatch") is None:
            raise UserError(
                "hydra/launcher=slurm: there is no sbatch on this machine; launch from a login node, or use "
                "hydra/launcher=local"
            )
        confirm(plan, options, hours, f"{'GPU' if options.gpus else 'core'}-hours")
        if (reason := cluster.refusal(sbatch_flags(options))) is not None:
            raise UserError(f"SLURM refuses the jobs: {reason}")
        launch = create(plan, "slurm", options, frozen=True)
        submit(launch, plan.todo)
        print(
            launch.told(
                f"SLURM jobs {format_ids([i for each in launch.submissions() for i in each['ids']])}"
            ),
            flush=True,
        )
        if options.detach:
            return [completed(each) for each in jobs]
        return returns(launch, [list(each.overrides) for each in jobs])

    def _estimate(self, packs: Sequence[Sequence[int]]) -> list[str]:
        """When SLURM says that the first task would start."""
        if not packs or shutil.which("sbatch") is None:
            return [] if packs else ["everything is stored"]
        return [f"start     {cluster.start_estimate(sbatch_flags(self.options))}"]
