"""The base of this program's launchers.

They are handed checked jobs and keep the order of the waves themselves.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, ListConfig, OmegaConf

from bfc.errors import UserError, format_value
from bfc.experiment.components import construct
from bfc.hydra_plugins.composer import Composer
from bfc.hydra_plugins.expansion import NEEDS_STUDY_SWEEPER, refuse_study
from bfc.launch.job import PlannedJob, plan_job
from bfc.launch.manifest import Launch
from bfc.launch.options import KEY
from bfc.launch.status import CellState
from bfc.launch.waiting import wait_for_launch

_STOCK = "use hydra/launcher=basic"
IGNORED_KEYS: tuple[tuple[str, Any, str], ...] = (
    ("job.env_set", {}, f"export the variables before the sweep, or {_STOCK}"),
    ("job.chdir", None, f"every job writes to its results folder; or {_STOCK}"),
    ("output_subdir", None, f"every cell holds its configuration; or {_STOCK}"),
    ("sweep.dir", "${results}", f"results=<folder> says where results go; or {_STOCK}"),
    ("sweep.subdir", ".", f"results=<folder> says where results go; or {_STOCK}"),
)
"""Keys of Hydra's node, their values in conf/, and what to do instead."""


class PlanLauncher(Launcher):
    """A launcher that is handed checked jobs and keeps the order of their waves itself.

    Sweepers that only know overrides can use it too.
    """

    LIMIT: ClassVar[str]
    """The option that limits how much runs at a time."""
    shows_later: bool
    """Whether the studies are shown in their trackers later, by the launch's last process, or not
    at all because nothing runs."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.loader, self.config = hydra_context.config_loader, config
        _check_hydra_node(config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        composer = Composer(self.loader, self.config)
        jobs = []
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            job = composer.job(overrides, number)
            refuse_study(job, NEEDS_STUDY_SWEEPER)
            jobs.append(plan_job(overrides, job))
        return self.launch_plan(jobs)

    @abstractmethod
    def launch_plan(self, jobs: Sequence[PlannedJob]) -> Sequence[JobReturn]:
        """Launch jobs; returns their outcomes in order.

        Raises :class:`bfc.errors.UserError` where nothing can be launched.
        """


def _check_hydra_node(config: DictConfig) -> None:
    """Refuse what Hydra's own launchers do and these, whose jobs run elsewhere, do not."""
    hydra = OmegaConf.to_container(config.hydra, resolve=False)
    assert isinstance(hydra, dict)
    # Jobs have the whole environment, so what is copied from it has its effect.
    variables = hydra["job"]["env_set"].items()
    hydra["job"]["env_set"] = {k: v for k, v in variables if os.environ.get(k) != str(v)}
    for key, default, advice in IGNORED_KEYS:
        value: Any = hydra
        for name in key.split("."):
            value = value.get(name)
        if value != default and value:
            raise UserError(
                f"hydra.{key}={format_value(value)}: has no effect with the launchers local and "
                f"slurm; {advice}"
            )


def parse_options(cls: type, values: Mapping[str, Any]) -> Any:
    """Checked options of class ``cls``, from what Hydra hands to a launcher."""
    plain = {}
    for name, value in values.items():
        is_config = isinstance(value, (DictConfig, ListConfig))
        plain[name] = OmegaConf.to_container(value, resolve=True) if is_config else value
    return construct(KEY, cls, plain)


def completed_return(planned: PlannedJob) -> JobReturn:
    """The return of a job that was submitted: completed.

    Its value is the cell id, or the ids of a job of two cells.
    """
    cell_ids = [spec.cell_id for spec in planned.cells]
    return job_return(planned, cell_ids[0] if len(cell_ids) == 1 else cell_ids)


def job_return(planned: PlannedJob, value: Any) -> JobReturn:
    """The return of a job that ended with a value or an error."""
    return _make_return(planned.overrides, value)


def wait_for_returns(launch: Launch, overrides: Sequence[Sequence[str]]) -> list[JobReturn]:
    """Wait for a launch; returns the outcome of every job as Hydra expects it."""
    statuses = wait_for_launch(launch)
    returns = []
    for number, job_overrides in enumerate(overrides):
        cells = [status for status in statuses if status.job == number]
        bad = [status for status in cells if status.state != CellState.DONE]
        value = UserError(str(bad[0].reason)) if bad else [status.cell for status in cells]
        returns.append(_make_return(job_overrides, value))
    return returns


def _make_return(overrides: Sequence[str], value: Any) -> JobReturn:
    failed = isinstance(value, BaseException)
    status = JobStatus.FAILED if failed else JobStatus.COMPLETED
    result = JobReturn(overrides=list(overrides), status=status)
    result.return_value = value
    return result
