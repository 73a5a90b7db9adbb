"""The base of this program's launchers, which are handed checked jobs and keep the order of their
waves themselves."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, ListConfig, OmegaConf

from bfc.errors import UserError
from bfc.experiment.components import construct
from bfc.hydra_plugins.composer import Composer
from bfc.launch.job import Planned, planned
from bfc.launch.manifest import Launch
from bfc.launch.options import KEY
from bfc.launch.status import wait


class PlanLauncher(Launcher):
    """A launcher of this program: it is handed checked jobs and keeps the order of their waves
    itself. Sweepers that only know overrides can use it too."""

    LIMIT: ClassVar[str]
    """The option that limits how much runs at a time."""
    shows_later: bool
    """Whether it is left to the launch's last process to show the studies in their trackers, or
    nothing runs that could be shown."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.loader, self.config = hydra_context.config_loader, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        composer = Composer(self.loader, self.config)
        return self.launch_plan(
            [planned(overrides, composer.job(overrides)) for overrides in job_overrides]
        )

    @abstractmethod
    def launch_plan(self, jobs: Sequence[Planned]) -> Sequence[JobReturn]:
        """One return per job, in order. Raises :class:`bfc.errors.UserError` where nothing can be
        launched."""


def parse(cls: type, values: Mapping[str, Any]) -> Any:
    """Options from what Hydra hands to a launcher."""
    plain = {
        k: OmegaConf.to_container(v, resolve=True) if isinstance(v, (DictConfig, ListConfig)) else v
        for k, v in values.items()
    }
    return construct(KEY, cls, plain)


def completed(job: Planned) -> JobReturn:
    """What Hydra is told of a job that was submitted: completed, its value the cell id (ids, for a
    job of two cells)."""
    ids = [spec.cell_id for spec in job.cells]
    done = JobReturn(overrides=list(job.overrides), status=JobStatus.COMPLETED)
    done.return_value = ids[0] if len(ids) == 1 else ids
    return done


def returns(launch: Launch, overrides: Sequence[list[str]]) -> list[JobReturn]:
    """Wait for a launch and say what came of each job, as Hydra wants it."""
    rows = wait(launch)
    found = []
    for number, own in enumerate(overrides):
        mine = [row for row in rows if row.job == number]
        bad = [row for row in mine if row.state != "done"]
        done = JobReturn(overrides=own, status=JobStatus.FAILED if bad else JobStatus.COMPLETED)
        done.return_value = UserError(bad[0].note) if bad else [row.cell for row in mine]
        found.append(done)
    return found


def job_return(job: Planned, value: Any) -> JobReturn:
    failed = isinstance(value, BaseException)
    done = JobReturn(
        overrides=list(job.overrides), status=JobStatus.FAILED if failed else JobStatus.COMPLETED
    )
    done.return_value = value
    return done
