"""The jobs of a study in each of its sizes, composed when they are first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bfc.experiment.stored_cell import is_stored
from bfc.hydra_plugins.expansion import spell_value
from bfc.hydra_plugins.registration import compose_sweep
from bfc.launch.job import PlannedJob, plan_job
from bfc.store.cells import Store


class StudyJobs:
    """The jobs of one study; composing those of a size takes a second.

    ``sizes``: those that are considered, small to large. ``overrides`` stand on top of the study.
    """

    def __init__(
        self, study: str, sizes: Sequence[str], results: Path, overrides: Sequence[str] = ()
    ) -> None:
        self.study, self.sizes, self.results = study, tuple(sizes), results
        self._overrides = (*overrides, f"results={results}")
        self._composed: dict[str, list[PlannedJob]] = {}

    def of_size(self, size: str) -> list[PlannedJob]:
        """The checked jobs of a size."""
        if size not in self._composed:
            arguments = [f"+sweeps={self.study}", f"study.size={size}", *self._overrides]
            self._composed[size] = compose_sweep(arguments)
        return self._composed[size]

    def find_job(self, cell_id: str) -> PlannedJob | None:
        """The job that a stored cell was asked for by, that of the largest size where several did.

        None where no size that is considered holds it.
        """
        requested = self._find_size(cell_id)
        for size in sorted(self.sizes, key=lambda size: size != requested):
            for job in self.of_size(size):
                if any(spec.cell_id == cell_id for spec in job.cells):
                    return job
        return None

    def _find_size(self, cell_id: str) -> str | None:
        """The largest size of this study that asked for a cell so far."""
        requests = Store(self.results).cell(cell_id).requests()
        requested = {
            request.get("size")
            for request in requests
            if isinstance(request, dict) and request.get("study") == self.study
        }
        return next((size for size in reversed(self.sizes) if size in requested), None)


def is_finished(job: PlannedJob) -> bool:
    """Whether all that a job asks for is stored."""
    return all(is_stored(spec, job.job) for spec in job.cells)


def extend_job(job: PlannedJob, num_seeds: int) -> PlannedJob:
    """The job that asks for so many seeds of the same cells; what is stored is used again."""
    fields = job.job.measure.extend(num_seeds)
    keys = {f"measure.{name}" for name in fields}
    overrides = [text for text in job.overrides if text.partition("=")[0] not in keys]
    overrides += [f"measure.{name}={spell_value(value)}" for name, value in fields.items()]
    measure = {**job.container["measure"], **fields}
    return plan_job(overrides, {**job.container, "measure": measure})
