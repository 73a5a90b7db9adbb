"""What a job will take, before it runs.

A learner's seconds are its replica-steps times a share of the fixed cost of a step, plus the work
per row of a batch, and per parameter and row; less of each where steps are generated code. A
kernel's are its factorisation, the solves for the test rows and its kernel matrix, for every
learning curve: one per seed, and those of its tuning. The coefficients were measured on one core
and are scaled to this machine by what the store holds; the scatter of stored
cells around the prediction is the stated uncertainty.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import yaml

from bfc.engine.compiled.choice import expects_code
from bfc.engine.recipe import Recipe
from bfc.engine.signature import signature
from bfc.engine.state import COMPILED
from bfc.errors import UserError
from bfc.experiment.cell_spec import CellSpec
from bfc.experiment.components import component
from bfc.experiment.job import Job
from bfc.store.cells import Cell, Store
from bfc.types import Baseline, Target
from bfc.yaml_text import parse_yaml

STEP, ROW, WORK = 3e-4, 6e-8, 1e-10
"""Seconds of one optimizer step of a stack that do not depend on its size; those per replica and
row of a batch; those per replica, row and parameter (benchmarks/cost.py)."""
COMPILED_STEP, COMPILED_ROW, COMPILED_WORK = 1.5e-5, 3e-9, 5.9e-11
"""The same where steps are generated code, per replica of groups that are filled up."""
COMPILED_GROUP = 16
"""Replicas of a group (AVX-512, single precision): an idle lane takes as long as one in use."""
CUBE, SQUARE = 4.8e-12, 2.6e-8
"""Seconds of a baseline's learning curve per n_max^2 (n_max + 3 test), three times the
floating-point operations of the Cholesky factorisation, n^3 / 3, and of the triangular solves for
the test rows, n^2 test; and those per n_max (n_max + test): a kernel's elementwise passes, beside
which d hardly counts (benchmarks/cost.py)."""
START = 6.0
"""Seconds to start a process and import everything."""
UNKNOWN = 4.0
"""Factor either way within which the prediction is said to lie where the store holds nothing to
compare with."""
NARROWEST = 1.2
"""Smallest such factor that is ever stated."""
MIN_CELLS, MAX_CELLS = 3, 200
"""Stored cells from which the scatter is taken, and the most that are read of one store."""
AUTO_STACK = 32
"""Trainings to a stack that are assumed where the device decides."""


@dataclass(frozen=True)
class Cost:
    """Predicted seconds of jobs."""

    scale: Mapping[str, float] = field(default_factory=dict)
    """Kind of cell → measured over predicted seconds."""
    component_scale: Mapping[str, float] = field(default_factory=dict)
    """Class of a learner or baseline → the same for its cells: the share of a step that is no
    arithmetic differs from one to the next by far more than from one size to the next."""
    factor: float = UNKNOWN
    """The 95 % interval reaches from prediction / factor to prediction * factor."""
    cells: int = 0
    """Stored cells that this rests on."""

    def seconds(self, job: Job, specs: Sequence[CellSpec]) -> float:
        """Of the whole job, confirming runs not counted.

        On one core, or on the GPU that the stored cells used.
        """
        return sum(self._find_scale(job, spec) * _unscaled(job, spec) for spec in specs)

    def _find_scale(self, job: Job, spec: CellSpec) -> float:
        """That of the same learner or baseline, else of all cells of its kind, else of all."""
        measured = job.baseline if spec.kind == "baseline" else job.learner
        of_kind = self.scale.get(spec.kind, self.scale.get("all", 1.0))
        return self.component_scale.get(type(measured).__name__, of_kind)


def fit_cost_model(stores: Iterable[str]) -> Cost:
    """The model scaled to the stored cells of these results folders."""
    measured = []
    for path in stores:
        for folder, changed in _latest_cells(Store(path).root):
            ratio = _measured_over_predicted(folder, changed)
            if ratio is not None:
                measured.append(ratio)
    if not measured:
        return Cost()
    of_kind = _group_log_ratios((ratio.kind, ratio.log_ratio) for ratio in measured)
    scale = {kind: math.exp(statistics.median(ratios)) for kind, ratios in of_kind.items()}
    scale["all"] = math.exp(statistics.median(ratio.log_ratio for ratio in measured))
    component_scale = _scale_components(measured, scale)
    residuals = [ratio.log_ratio - math.log(component_scale[ratio.component]) for ratio in measured]
    factor = _interval_factor(residuals, len(component_scale))
    return Cost(scale, component_scale, factor, len(measured))


@dataclass(frozen=True)
class _Ratio:
    """Measured over predicted seconds of a stored cell, as a logarithm."""

    kind: str
    component: str
    log_ratio: float


def _group_log_ratios(pairs: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for key, log_ratio in pairs:
        groups.setdefault(key, []).append(log_ratio)
    return groups


def _scale_components(measured: Sequence[_Ratio], scale: Mapping[str, float]) -> dict[str, float]:
    """The scale of every learner and baseline: the median of its cells, drawn towards that of its
    kind as if one cell more had been there."""
    kinds = {ratio.component: ratio.kind for ratio in measured}
    of_component = _group_log_ratios((ratio.component, ratio.log_ratio) for ratio in measured)
    scales = {}
    for component_name, ratios in of_component.items():
        prior = math.log(scale[kinds[component_name]])
        count = len(ratios)
        scales[component_name] = math.exp((count * statistics.median(ratios) + prior) / (count + 1))
    return scales


def _latest_cells(root: Path) -> list[tuple[Path, float]]:
    """The cells that changed last, and when they did."""
    changed: dict[Path, float] = {}
    for folder in root.glob("*"):
        with suppress(OSError):  # removed meanwhile, or of another user
            if (folder / "trainings.parquet").is_file():
                changed[folder] = folder.stat().st_mtime
    return sorted(changed.items(), key=lambda item: item[1])[-MAX_CELLS:]


def _interval_factor(residuals: Sequence[float], num_scales: int) -> float:
    """The factor of the 95 % interval, from the scatter of stored cells around the prediction."""
    if len(residuals) < MIN_CELLS:
        return UNKNOWN
    freedom = max(1, len(residuals) - num_scales)
    spread = math.sqrt(sum(r * r for r in residuals) / freedom)
    return max(NARROWEST, math.exp(1.96 * spread))


def _unscaled(job: Job, spec: CellSpec) -> float:
    """Seconds by the coefficients as they stand."""
    measure = job.measure
    if spec.kind == "baseline":
        assert job.baseline is not None
        curves = job.baseline.num_tuning_curves + len(measure.seeds)
        return _curve_seconds(job.baseline, job.target, measure.test) * curves
    assert job.learner is not None and job.schedule is not None and job.optimizer is not None
    tuning = len(measure.tune.trainings()) if measure.tune is not None else 0
    trainings = tuning + measure.max_trainings
    largest_stack = AUTO_STACK if job.compute.stack == "auto" else job.compute.stack
    stack = min(largest_stack, max(measure.max_round, 1))
    stages = job.schedule.stages(job.learner.groups(job.target), job.learner.levels(job.target))
    steps = sum(stage.steps for stage in stages)
    parameters = signature(job.learner, job.target).num_parameters
    recipe = Recipe(
        job.target,
        job.learner,
        job.schedule,
        job.optimizer,
        compile=job.compute.compile,
        device=_expected_device(job.compute.device),
    )
    is_compiled = expects_code(recipe, parameters, stack)
    seconds = training_seconds(steps, stack, job.optimizer.batch, parameters, is_compiled)
    return trainings * seconds


def _expected_device(name: str) -> torch.device:
    """Where a job will run: a GPU that it names need not be on this machine."""
    is_gpu = name.startswith("cuda") or (name == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if is_gpu else "cpu")


def training_seconds(
    steps: float, stack: int, batch: int, parameters: int, is_compiled: bool
) -> float:
    """Seconds of one training of so many steps in a stack, evaluations not counted."""
    if not is_compiled:
        return steps * (STEP / stack + batch * (ROW + WORK * parameters))
    lanes = math.ceil(stack / COMPILED_GROUP) * COMPILED_GROUP / stack
    work = COMPILED_ROW + COMPILED_WORK * parameters
    return steps * (COMPILED_STEP / stack + lanes * batch * work)


def _curve_seconds(baseline: Baseline, target: Target, test: int) -> float:
    seconds = baseline.curve_seconds(target.input_width, test)
    if seconds is not None:
        return seconds
    n_max = baseline.n_max
    return CUBE * n_max**2 * (n_max + 3 * test) + SQUARE * n_max * (n_max + test)


@lru_cache(maxsize=4096)
def _measured_over_predicted(folder: Path, changed: float) -> _Ratio | None:
    """The measured over predicted seconds of a stored cell; None if unknown.

    Who spends a budget asks again and again, so a cell is read once for every time it ``changed``.
    """
    cell = Cell(folder)
    try:
        rows = cell.rows()
        config = parse_yaml((cell.path / "config.yaml").read_text(encoding="utf-8"))
        if config["kind"] == "baseline":
            seconds = {row["seed"]: row["seconds"] for row in rows}
            baseline = _stored_component("baseline", config)
            target = _stored_component("target", config)
            predicted = _curve_seconds(baseline, target, config["measure"]["test"])
            ratio = statistics.median(seconds.values()) / predicted
            return _Ratio("baseline", type(baseline).__name__, math.log(ratio))
        ratios = _training_ratios(rows, config)
        learner = type(_stored_component("learner", config)).__name__
        return _Ratio("learner", learner, math.log(statistics.median(ratios))) if ratios else None
    except (
        UserError,
        OSError,
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
        yaml.YAMLError,
    ):
        return None


def _training_ratios(rows: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> list[float]:
    """Measured over predicted seconds of the stored trainings of a learner's cell."""
    target = _stored_component("target", config)
    parameters = signature(_stored_component("learner", config), target).num_parameters
    batch = _stored_component("optimizer", config).batch
    ratios = []
    for row in rows:
        if row["kind"] == "training" and row["steps"] and row["seconds"] > 0:
            is_compiled = row.get("execution") == COMPILED
            predicted = training_seconds(row["steps"], row["stack"], batch, parameters, is_compiled)
            ratios.append(row["seconds"] / predicted)
    return ratios


def _stored_component(key: str, config: Mapping[str, Any]) -> Any:
    values = {name: value for name, value in config[key].items() if name != "numerics"}
    return component(key, values)
