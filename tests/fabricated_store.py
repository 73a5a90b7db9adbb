"""A results folder whose trainings are made up from the jobs that would run them.

Every cell of every job is there with the n and seeds that the job asks for, risks that fall as
1/n through the strictest eps in the middle of its n, and whatever columns a test names. So what a
claim selects from a whole size of a study can be tested without training anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from bfc.experiment.cell_spec import CellSpec
from bfc.launch.job import PlannedJob
from bfc.measure.online import Online

FRESH_N = 10**6
"""Samples of a training that sees fresh ones only."""
CURVE_POINTS = 8


def fabricate_store(
    root: Path, study: str, size: str, jobs: Sequence[PlannedJob], columns: Sequence[str]
) -> None:
    """Write the cells of jobs below ``root``; ``columns``: those that probes would store."""
    for job in jobs:
        for spec in job.cells:
            folder = root / spec.cell_id
            folder.mkdir(parents=True, exist_ok=True)
            trainings = _make_trainings(job, spec, columns)
            request = {"study": study, "size": size, "eps": list(job.job.measure.eps)}
            (folder / "config.yaml").write_text(yaml.safe_dump(_to_plain(spec.config)))
            (folder / "requests.json").write_text(json.dumps([request]))
            (folder / "status.json").write_text(json.dumps({"state": "done"}))
            trainings.to_parquet(folder / "trainings.parquet")
            if spec.kind == "learner":
                traces = [trainings.assign(step=step) for step in (0, 9)]
                pd.concat(traces).to_parquet(folder / "trace.parquet")


def _make_trainings(job: PlannedJob, spec: CellSpec, columns: Sequence[str]) -> pd.DataFrame:
    sizes = _list_sizes(job, spec)
    seeds = job.job.measure.seeds
    generator = np.random.default_rng(int(spec.cell_id, 16))
    n = np.repeat(sizes, len(seeds))
    eps, middle = min(job.job.measure.eps), float(np.exp(np.mean(np.log(sizes))))
    risk = eps * middle / n * np.exp(0.2 * generator.standard_normal(len(n)))
    is_online = spec.kind == "learner" and isinstance(job.job.measure, Online)
    is_fresh = (n == FRESH_N) | is_online
    made_up = {name: np.exp(generator.standard_normal(len(n))) for name in columns}
    for name in made_up:
        if "overlap/" in name:
            made_up[name] = 1.0 - np.minimum(1.0, risk)
    return pd.DataFrame(
        {
            "kind": "training" if spec.kind == "learner" and not is_online else "curve",
            "ridge": 1e-3,
            "n": n,
            "seed": np.tile(seeds, len(sizes)),
            "risk": risk,
            "fresh": is_fresh,
            "validation": job.job.measure.validation,
            "seconds": 1.0,
            "diverged": False,
            "outcome": np.where(risk <= eps, "success", "data_limited"),
            "steps": _count_steps(job) if spec.kind == "learner" else 0,
            **made_up,
        }
    )


def _count_steps(job: PlannedJob) -> int:
    """Optimizer steps of a training, all phases together."""
    learner, schedule, target = job.job.learner, job.job.schedule, job.job.target
    assert learner is not None and schedule is not None
    return sum(
        stage.steps for stage in schedule.stages(learner.groups(target), learner.levels(target))
    )


def _list_sizes(job: PlannedJob, spec: CellSpec) -> list[int]:
    """The n of a learner's ladder, else some up to the largest."""
    if spec.kind == "baseline":
        assert job.job.baseline is not None
        largest = job.job.baseline.n_max
    elif isinstance(job.job.measure, Online):
        largest = FRESH_N
    else:
        asked = sorted({training.n for training in job.job.measure.next_round([])})
        if len(asked) > 1 or not asked[0]:
            return [n or FRESH_N for n in asked]
        largest = job.job.measure.largest_n or FRESH_N
        if largest == asked[0]:
            return asked
    curve = np.geomspace(max(1, largest // 64), largest, CURVE_POINTS)
    return sorted({int(n) for n in np.round(curve)})


def _to_plain(value: Any) -> Any:
    """Mappings and sequences as YAML writes them."""
    if isinstance(value, Mapping):
        return {str(key): _to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(item) for item in value]
    return value
