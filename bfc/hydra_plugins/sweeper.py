"""The sweeper: expands a study's blocks and checks every cell before the first one runs."""

from __future__ import annotations

import contextlib
import io
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from bfc.errors import UserError, require
from bfc.hydra_plugins.expansion import expand
from bfc.hydra_plugins.hydra_errors import explain
from bfc.hydra_plugins.plan_launcher import PlanLauncher
from bfc.launch.dependencies import earlier, prior, waves
from bfc.launch.job import Planned
from bfc.trackers.client import show_studies


class StudySweeper(Sweeper):
    """Hydra's basic sweep over the blocks of a study. A block is a mapping of overrides, each value
    a single one or a comma list; a study is the union of its blocks' grids; the command line is
    applied on top of every block. ``max_batch_size`` and ``params`` are the basic sweeper's."""

    def __init__(
        self, max_batch_size: int | None = None, params: Mapping[str, str] | None = None
    ) -> None:
        valid = max_batch_size is None or (
            isinstance(max_batch_size, int)
            and not isinstance(max_batch_size, bool)
            and max_batch_size >= 1
        )
        require(valid, "hydra.sweeper.max_batch_size", max_batch_size, "null or an integer >= 1")
        require(
            params is None or isinstance(params, Mapping),
            "hydra.sweeper.params",
            params,
            "null or a mapping of overrides",
        )
        self.max_batch_size, self.params = max_batch_size, dict(params or {})

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.config, self.loader = config, hydra_context.config_loader
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Compose and check every job, then launch them together; nothing is written before all
        have passed. After all have ended, failures are listed and raised as one :class:`UserError`.
        """
        jobs = expand(
            self.config,
            self.loader,
            [f"{key}={value}" for key, value in self.params.items()],
            arguments,
        )
        if isinstance(self.launcher, PlanLauncher):
            require(
                self.max_batch_size is None,
                "hydra.sweeper.max_batch_size",
                self.max_batch_size,
                f"null with this launcher, which submits everything at once; {self.launcher.LIMIT} limits what runs together",
            )
            returns = [self.launcher.launch_plan(jobs)]
            finished = dict(enumerate(returns[0]))
        else:
            returns, finished = self._in_waves(jobs)
        if not isinstance(self.launcher, PlanLauncher) or not self.launcher.shows_later:
            show_studies([each.job for each in jobs])
        failures = [
            (each, error)
            for n, each in enumerate(jobs)
            if (error := _failure(finished[n])) is not None
        ]
        for each, error in failures:
            if explain(error) is None:
                traceback.print_exception(error)
            own = " ".join(
                t for t in each.overrides if not all(t in other.overrides for other in jobs)
            ) or " ".join(each.overrides)
            print(
                f"failed: {own}: {explain(error) or f'{type(error).__name__}: {error}'}",
                file=sys.stderr,
            )
        if failures:
            raise UserError(
                f"{len(failures)} of {len(jobs)} jobs failed; the others are stored, and the same command runs only "
                "what is missing"
            )
        return returns

    def _in_waves(self, jobs: Sequence[Planned]) -> tuple[list[Any], dict[int, Any]]:
        """Hand the jobs to a launcher that knows overrides only, wave by wave; what came back, and
        the result of every job."""
        loaded, size = [each.job for each in jobs], self.max_batch_size or len(jobs)
        before, returns = earlier(loaded), []
        finished: dict[int, Any] = {}
        for wave in waves(loaded):
            overrides = {}
            for number in wave:
                known = prior(loaded[number], [loaded[other] for other in before[number]])
                overrides[number] = [
                    *jobs[number].overrides,
                    *([f"measure.prior=[{known[0]},{known[1]}]"] if known else []),
                ]
            for start in range(0, len(wave), size):
                numbers = wave[start : start + size]
                returns.append(
                    self.launcher.launch(
                        [overrides[number] for number in numbers], initial_job_idx=len(finished)
                    )
                )
                finished |= dict(zip(numbers, returns[-1], strict=True))
        return returns, finished


def _failure(result: JobReturn) -> BaseException | None:
    """Why a job failed, without Hydra's own line about it."""
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            _ = result.return_value
        except Exception as error:
            return error
    return None
