"""A learner's cell, readable top to bottom.

Choose the learning rate on tuning draws; then ask the measure for trainings, train and store them,
until it asks for no more and plateaus are confirmed; then judge.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from bfc.engine.recipe import Recipe
from bfc.engine.stack_request import TrainStack
from bfc.experiment.cell_progress import CellProgress
from bfc.experiment.cell_spec import CellSpec
from bfc.experiment.checkpointed_training import (
    CheckpointedTraining,
    TrainedStack,
    TrainingRequest,
)
from bfc.experiment.job import Job
from bfc.experiment.stored_cell import (
    missing_confirmations,
    resume_measure,
    store_outcomes,
    strictest_eps,
)
from bfc.experiment.training_rows import trace_rows, training_rows
from bfc.stats.outcomes import is_confirming
from bfc.store.cells import Cell
from bfc.types import Observer, Training, Tuning

_log = logging.getLogger(__name__)

CONFIRM_LONGER = 4
"""Confirming runs train this many times as long."""


def recipe_of(job: Job, device: torch.device) -> Recipe:
    """How a learner's job trains, before its learning rate is tuned."""
    assert job.learner is not None and job.schedule is not None and job.optimizer is not None
    recipe = Recipe(
        job.target,
        job.learner,
        job.schedule,
        job.optimizer,
        job.measure.validation,
        job.measure.validation_size,
        job.measure.test,
        job.probe,
        compile=job.compute.compile,
        dtype=getattr(torch, job.compute.dtype),
        device=device,
    )
    return replace(recipe, observe=job.measure.observe(job.optimizer.batch, recipe.total_steps()))


@dataclass
class LearnerRun:
    """Measures what is missing of a learner's cell."""

    spec: CellSpec
    job: Job
    cell: Cell
    device: torch.device
    observer: Observer
    train_stack: TrainStack
    """Trains a stack, alone or together with those of other cells."""
    progress: CellProgress

    def run(self) -> None:
        self.progress.total = 0
        recipe = self._tune(recipe_of(self.job, self.device))
        confirm_recipe = replace(
            recipe, validation="none", longer=CONFIRM_LONGER, observe=(), probe=None
        )
        resumption = resume_measure(self.spec, self.job, self.cell)
        if resumption.plan != self.cell.read_json("plan.json", None):
            self.cell.write_json("plan.json", resumption.plan)
        if resumption.note is not None:
            _log.info(resumption.note)
        measure = resumption.measure
        while True:
            rows = self.cell.rows()
            confirmations = []
            if measure.is_round_complete(rows):
                eps = strictest_eps(self.job, self.cell)
                confirmations = missing_confirmations(self.job, rows, eps)
            if confirmations:
                self._train(confirm_recipe, confirmations)
            elif trainings := measure.next_round(rows):
                self._train(recipe, trainings)
            else:
                break
        self._judge()
        self._drop_stored_checkpoint()

    def _train(self, recipe: Recipe, trainings: Sequence[Training]) -> None:
        """Train and store, stack by stack."""
        self.progress.total += recipe.total_steps() * len(trainings)
        requests = [TrainingRequest(training) for training in trainings]
        self._trainer().run(recipe, requests, lambda stack: self._store(recipe, stack))

    def _trainer(self) -> CheckpointedTraining:
        offset = self.progress.done
        return CheckpointedTraining(
            self.cell,
            self.device,
            self.job.compute.stack,
            self.job.compute.checkpoint_seconds,
            self.train_stack,
            lambda done: self.progress.update(offset + done),
        )

    def _store(self, recipe: Recipe, stack: TrainedStack) -> None:
        """Add the rows of a stack to the cell's tables."""
        trainings = [request.training for request in stack.requests]
        self._store_traces(trainings, stack.records, recipe.optimizer.batch)
        rows = self.cell.rows()
        for training, record in zip(trainings, stack.records, strict=True):
            rows += training_rows(training, record, recipe, stack)
        self.cell.write_rows(rows)
        self.observer.stored()

    def _store_traces(
        self, trainings: Sequence[Training], records: Sequence[dict[str, Any]], batch: int
    ) -> None:
        """Store what the probe measured on the way, in place of earlier rows of these trainings."""
        new = trace_rows(trainings, records, batch)
        if not new:
            return
        replaced = {(t.seed, t.n, t.kind) for t in trainings}
        rows = []
        for row in self.cell.rows("trace"):
            if (row["seed"], 0 if row["fresh"] else row["n"], row["kind"]) not in replaced:
                rows.append(row)
        self.cell.write_rows(rows + new, "trace")

    def _judge(self) -> None:
        """Write the outcome of every training at the strictest eps asked for."""
        store_outcomes(self.job, self.cell)

    def _drop_stored_checkpoint(self) -> None:
        """Remove the checkpoint of a stack that is stored; a kill can leave one behind.

        Trainings that only tune count as stored, since a rate is chosen.
        """
        stored = set()
        for row in self.cell.rows():
            n = 0 if row["fresh"] else row["n"]
            stored.add((is_confirming(row), n, row["seed"]))

        def is_stored(request: TrainingRequest) -> bool:
            t = request.training
            key = (t.kind == "confirmation", t.n, t.seed)
            return request.lr is not None or key in stored

        self._trainer().drop_finished(is_stored)

    def _tune(self, recipe: Recipe) -> Recipe:
        """The recipe with the learning rate chosen for this cell, once, on draws never measured on.

        Until the choice is made, tuned.json holds what was tried so far.
        """
        tune = self.job.measure.tune
        if tune is None:
            return recipe
        tuned = self.cell.read_json("tuned.json", {})
        if "lr" not in tuned:
            tuned = self._try_rates(recipe, tune, tuned)
            self.cell.write_json("tuned.json", tuned)
            if tuned["at_edge"]:
                _log.warning(
                    f"{self.cell.path}: the best learning rate, {tuned['lr']}, is at the edge of "
                    "measure.tune.lr; a wider range may hold a better one"
                )
        return recipe.with_lr(tuned["lr"])

    def _try_rates(self, recipe: Recipe, tune: Tuning, stored: dict[str, Any]) -> dict[str, Any]:
        """Try the rates that were not tried yet, and choose."""
        validation = "none" if tune.fresh else recipe.validation
        plain = replace(recipe, probe=None, observe=(), validation=validation)
        tuned = {"risks": stored.get("risks", []), "seconds": stored.get("seconds", 0.0)}

        def store(stack: TrainedStack) -> None:
            for request, record in zip(stack.requests, stack.records, strict=True):
                training = request.training
                tuned["risks"].append([request.lr, training.n, training.seed, tune.risk(record)])
            tuned["seconds"] += stack.seconds * len(stack.requests)
            self.cell.write_json("tuned.json", tuned)

        tried = {(lr, n, seed) for lr, n, seed, _ in tuned["risks"]}
        requests = []
        for training, lr in tune.trainings():
            if (lr, training.n, training.seed) not in tried:
                requests.append(TrainingRequest(training, lr))
        self.progress.total += recipe.total_steps() * len(requests)
        self._trainer().run(plain, requests, store)
        risks = {(lr, n, seed): risk for lr, n, seed, risk in tuned["risks"]}
        return {**tune.choose(risks), "seconds": tuned["seconds"]}
