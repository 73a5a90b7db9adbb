"""What a job will take, before it runs. A learner's seconds are its replica-steps times (a share of
the fixed cost of a step, plus the work per row of a batch, and per parameter and row); a kernel's
are its factorisation and its kernel matrix. The coefficients were measured on one core and are
scaled to this machine by what the store holds; the scatter of stored cells around the prediction is
the stated uncertainty."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bfc.engine.signature import shapes
from bfc.errors import UserError
from bfc.experiment.cell_spec import CellSpec
from bfc.experiment.components import component
from bfc.experiment.job import Job
from bfc.store.cells import Cell, Store

STEP, ROW, WORK = 3e-4, 6e-8, 1e-10
"""Seconds of one optimizer step of a stack that do not depend on its size; those per replica and
row of a batch; those per replica, row and parameter (benchmarks/cost.py)."""
CUBE, SQUARE = 1.2e-11, 2.5e-8
"""Seconds of a baseline's seed per n_max^3 and per n_max (n_max + test): a kernel's elementwise
passes, beside which d hardly counts."""
START = 6.0
"""Seconds to start a process and import everything."""
UNKNOWN = 4.0
"""Factor either way within which the prediction is said to lie where the store holds nothing to
compare with."""
FEWEST, MOST = 3, 200
"""Stored cells from which the scatter is taken, and the most that are read."""


@dataclass(frozen=True)
class Cost:
    """Predicted seconds of jobs. ``scale``: kind of cell → measured over predicted; ``factor``: the
    95 % interval reaches from prediction / factor to prediction * factor; ``cells``: how many
    stored cells this rests on."""

    scale: Mapping[str, float] = field(default_factory=dict)
    factor: float = UNKNOWN
    cells: int = 0

    def seconds(self, job: Job, specs: Sequence[CellSpec]) -> float:
        """Of the whole job, on one core or the GPU that the stored cells used, confirming runs not
        counted."""
        return sum(
            self.scale.get(spec.kind, self.scale.get("all", 1.0)) * _raw(job, spec)
            for spec in specs
        )


def fit(stores: Iterable[str]) -> Cost:
    """The model scaled to the stored cells of these results folders."""
    ratios: dict[str, list[float]] = {}
    for path in stores:
        folders = sorted(
            (p for p in Store(path).root.glob("*") if (p / "trainings.parquet").is_file()),
            key=lambda p: p.stat().st_mtime,
        )
        for folder in folders[-MOST:]:
            measured = _measured(Cell(folder))
            if measured is not None:
                ratios.setdefault(measured[0], []).append(math.log(measured[1]))
    every = [r for values in ratios.values() for r in values]
    if not every:
        return Cost()
    scale = {kind: math.exp(statistics.median(values)) for kind, values in ratios.items()} | {
        "all": math.exp(statistics.median(every))
    }
    left = [r - math.log(scale[kind]) for kind, values in ratios.items() for r in values]
    spread = math.sqrt(sum(r * r for r in left) / max(1, len(left) - len(ratios)))
    return Cost(
        scale, UNKNOWN if len(every) < FEWEST else max(1.2, math.exp(1.96 * spread)), len(every)
    )


def _raw(job: Job, spec: CellSpec) -> float:
    """Seconds by the coefficients as they stand."""
    if spec.kind == "baseline":
        return _curve(job.baseline, job.measure.test) * len(job.measure.seeds)
    asked = _trainings(job)
    stack = 32 if job.compute.stack == "auto" else job.compute.stack
    stages = job.schedule.stages(job.learner.groups(job.target), job.learner.levels(job.target))
    steps = sum(stage.steps for stage in stages)
    size = shapes(job.learner, job.target).parameters
    return asked * _training(steps, min(stack, max(asked, 1)), job.optimizer.batch, size)


def _training(steps: float, stack: float, batch: int, size: int) -> float:
    return steps * (STEP / stack + batch * (ROW + WORK * size))


def _curve(baseline: Any, test: int) -> float:
    most = getattr(baseline, "n_max", 1000)
    return CUBE * most**3 + SQUARE * most * (most + test)


def _trainings(job: Job) -> int:
    """How many trainings a learner's cell asks for at most, tuning included."""
    measure = job.measure
    tuning = len(measure.tune.trainings()) if measure.tune is not None else 0
    return tuning + (
        measure.rounds * measure.replicas
        if hasattr(measure, "replicas")
        else len(measure.trainings())
    )


def _measured(cell: Cell) -> tuple[str, float] | None:
    """The kind of a stored cell and its measured over predicted seconds; None where it cannot be
    told."""
    try:
        rows = cell.rows()
        stored = _config(cell)
        target = _component("target", stored)
        if stored["kind"] == "baseline":
            seconds = {row["seed"]: row["seconds"] for row in rows}
            predicted = _curve(_component("baseline", stored), stored["measure"]["test"])
            return "baseline", statistics.median(seconds.values()) / predicted
        batch, size = (
            stored["optimizer"]["batch"],
            shapes(_component("learner", stored), target).parameters,
        )
        ratios = [
            row["seconds"] / _training(row["steps"], row["stack"], batch, size)
            for row in rows
            if row["kind"] == "training" and row["steps"] and row["seconds"] > 0
        ]
        return ("learner", statistics.median(ratios)) if ratios else None
    except (UserError, LookupError, TypeError, ValueError, ArithmeticError):
        return None


def _config(cell: Cell) -> dict[str, Any]:
    import yaml

    return yaml.safe_load((cell.path / "config.yaml").read_text())


def _component(key: str, stored: Mapping[str, Any]) -> Any:
    return component(
        key, {name: value for name, value in stored[key].items() if name != "numerics"}
    )
