"""The sweeper: expands a study's blocks and checks every cell before the first one runs."""

from __future__ import annotations

import contextlib
import io
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from bfc.errors import UserError, require
from bfc.experiment.job import Job
from bfc.hydra_plugins.expansion import expand_study
from bfc.hydra_plugins.hydra_errors import explain
from bfc.hydra_plugins.plan_launcher import PlanLauncher
from bfc.launch.dependencies import compute_prior, find_dependencies, split_into_waves
from bfc.launch.job import PlannedJob, label_jobs
from bfc.launch.worker import describe_failure
from bfc.streams import print_line
from bfc.trackers.client import show_studies


class StudySweeper(Sweeper):
    """Hydra's basic sweep over the blocks of a study.

    A block is a mapping of overrides, each value a single one or a comma list; a study is the union
    of its blocks' grids; the command line is applied on top of every block. ``max_batch_size`` and
    ``params`` are the basic sweeper's.
    """

    def __init__(
        self, max_batch_size: int | None = None, params: Mapping[str, str] | None = None
    ) -> None:
        is_integer = isinstance(max_batch_size, int) and not isinstance(max_batch_size, bool)
        valid = max_batch_size is None or (is_integer and max_batch_size >= 1)
        require(valid, "hydra.sweeper.max_batch_size", max_batch_size, "null or an integer >= 1")
        valid = params is None or isinstance(params, Mapping)
        require(valid, "hydra.sweeper.params", params, "null or a mapping of overrides")
        self.max_batch_size, self.params = max_batch_size, dict(params or {})

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.config, self.loader = config, hydra_context.config_loader
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Compose and check every job, then launch them all.

        Nothing is written before all have passed. After all have ended, failures are listed and
        raised as one :class:`UserError`.
        """
        params = [f"{key}={value}" for key, value in self.params.items()]
        assert self.config is not None and self.launcher is not None, "Hydra calls setup first"
        jobs = expand_study(self.config, self.loader, params, arguments)
        launcher = self.launcher
        if isinstance(launcher, PlanLauncher):
            require(
                self.max_batch_size is None,
                "hydra.sweeper.max_batch_size",
                self.max_batch_size,
                "null with this launcher, which submits everything at once; "
                f"{launcher.LIMIT} limits what runs at a time",
            )
            returns = [launcher.launch_plan(jobs)]
            results = dict(enumerate(returns[0]))
        else:
            returns, results = self._launch_waves(launcher, jobs)
        if not isinstance(launcher, PlanLauncher) or not launcher.shows_later:
            show_studies([planned.job for planned in jobs])
        _report_failures(jobs, results)
        return returns

    def _launch_waves(
        self, launcher: Launcher, planned: Sequence[PlannedJob]
    ) -> tuple[list[Sequence[JobReturn]], dict[int, JobReturn]]:
        """Hand the jobs to a launcher that knows overrides only, wave by wave.

        Returns what the launcher returned, and the result of every job.
        """
        jobs = [entry.job for entry in planned]
        batch_size = self.max_batch_size or len(jobs)
        dependencies = find_dependencies(jobs)
        returns: list[Sequence[JobReturn]] = []
        results: dict[int, JobReturn] = {}
        for wave in split_into_waves(jobs):
            overrides = {}
            for number in wave:
                prior = _prior_override(jobs, number, dependencies[number])
                overrides[number] = [*planned[number].overrides, *prior]
            for start in range(0, len(wave), batch_size):
                numbers = wave[start : start + batch_size]
                batch = [overrides[number] for number in numbers]
                returns.append(launcher.launch(batch, initial_job_idx=len(results)))
                results |= dict(zip(numbers, returns[-1], strict=True))
        return returns, results


def _prior_override(jobs: Sequence[Job], number: int, dependencies: Sequence[int]) -> list[str]:
    """The override that gives a job the prior from the jobs that it starts from; none without."""
    prior = compute_prior(jobs[number], [jobs[other] for other in dependencies])
    return [] if prior is None else [f"measure.prior=[{prior[0]},{prior[1]}]"]


def _report_failures(jobs: Sequence[PlannedJob], results: Mapping[int, JobReturn]) -> None:
    """Print a line per job that failed, and raise one error about all of them."""
    errors = {number: _failure(result) for number, result in sorted(results.items())}
    failures = {number: error for number, error in errors.items() if error is not None}
    labels = label_jobs(jobs)
    for number, error in failures.items():
        sentence = explain(error)
        if sentence is None:
            traceback.print_exception(error)
        reason = sentence or describe_failure(error)
        print_line(f"failed: {labels[number]}: {reason}", to_stderr=True)
    if failures:
        raise UserError(
            f"{len(failures)} of {len(jobs)} jobs failed; the others are stored, and the same "
            "command runs only what is missing"
        )


def _failure(result: JobReturn) -> BaseException | None:
    """Why a job failed, without Hydra's own line about it."""
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            _ = result.return_value
        except Exception as error:
            return error
    return None
