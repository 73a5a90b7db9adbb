"""A baseline's cell: tune once, then one learning curve per seed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch

from bfc import stop_signals
from bfc.environment import hardware
from bfc.experiment.cell_progress import CellProgress
from bfc.experiment.cell_spec import CellSpec
from bfc.experiment.job import Job
from bfc.experiment.stored_cell import missing_work, store_outcomes
from bfc.stats.outcomes import is_saturated
from bfc.store.cells import Cell
from bfc.types import Observer


class BaselineRun:
    """Measures the seeds that are missing."""

    def __init__(
        self,
        spec: CellSpec,
        job: Job,
        cell: Cell,
        device: torch.device,
        observer: Observer,
        progress: CellProgress,
    ) -> None:
        assert job.baseline is not None
        self.spec, self.job, self.cell, self.device = spec, job, cell, device
        self.baseline, self.observer, self.progress = job.baseline, observer, progress

    def run(self) -> None:
        seeds = missing_work(self.spec, self.job, self.cell.rows())
        tuned = self._tune(len(seeds))
        self.progress.update(self.progress.done, force=True)
        for seed in seeds:
            stop_signals.raise_if_requested()
            rows = self._rows(seed, tuned)
            self.cell.write_rows(self.cell.rows() + rows)
            self.observer.stored()
            self.progress.update(self.progress.done + 1, force=True)
        store_outcomes(self.job, self.cell)

    def _tune(self, num_seeds: int) -> Mapping[str, Any]:
        """What was chosen on tuning draws, once for this cell, before ``num_seeds`` are measured.

        Progress counts learning curves, those of the tuning and one per seed.
        """
        tuned: Mapping[str, Any] | None = self.cell.read_json("tuned.json", None)
        self.progress.total = num_seeds
        if tuned is None:
            self.progress.total += self.baseline.num_tuning_curves
            test = self.job.measure.test
            tuned = self.baseline.tune(self.job.target, test, self.device, self._note_tuning)
            self.cell.write_json("tuned.json", tuned)
        return tuned

    def _note_tuning(self, curves: int) -> None:
        self.progress.update(self.progress.done + curves)

    def _rows(self, seed: Any, tuned: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The stored rows of one seed, one per n."""
        start = time.perf_counter()
        test = self.job.measure.test
        curve = self.baseline.curve(self.job.target, seed, test, tuned, self.device)
        common = {
            "seed": seed,
            "fresh": False,
            "validation": "none",
            "seconds": time.perf_counter() - start,
            "stack": 1,
            "ridge": tuned.get("ridge"),
            "hardware": hardware(self.device),
            "dtype": "float64",
            "diverged": False,
            "train_risk": None,
            "steps": 0,
        }
        flat = is_saturated(curve.n, curve.risk, tuned.get("rank"))
        rows = []
        for i, (n, risk, is_flat) in enumerate(zip(curve.n, curve.risk, flat, strict=True)):
            overlap = {f"overlap/{name}": values[i] for name, values in curve.overlap.items()}
            rows.append(
                {"kind": "curve", "n": n, "risk": risk, "flat": is_flat, **common, **overlap}
            )
        return rows
