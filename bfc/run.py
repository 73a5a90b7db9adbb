"""Run one cell: find what is asked for and not yet stored, train it in stacks (or compute the baseline's curves), confirm plateaus,
judge outcomes, store. It is safe to stop at any moment: finished stacks are stored, the current one has a checkpoint."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from bfc import interrupt
from bfc.config import CellSpec, Job
from bfc.engine.loop import Recipe
from bfc.engine.together import Run, alone
from bfc.environment import environment, hardware, resolve_device
from bfc.errors import UserError
from bfc.measure.outcomes import judge, learned_at, saturated, to_confirm
from bfc.stacks import Asked, Stacks
from bfc.store import Cell, Store
from bfc.trackers.watch import Watch
from bfc.types import Training

CONFIRM_LONGER = 4
STATUS_SECONDS, STATUS_MOST, STATUS_SHARE = 1.0, 60.0, 0.002
"""A cell tells how far it is this often, and down to so rarely where telling would take a larger share of the time: many cells may run
side by side, on a file system that is slow."""
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What running a cell came to: its id, how many trainings it holds and how many were computed now."""

    cell_id: str
    method: str
    stored: int
    computed: int


def run_cell(spec: CellSpec, job: Job, tracker: Any = None, wait: bool = False) -> Outcome:
    """Bring one cell up to what ``job`` asks for, and show it. Raises :class:`UserError` if another process is at it, unless told to
    ``wait``."""
    return alone(measuring(spec, job, tracker, wait))


def measuring(spec: CellSpec, job: Job, tracker: Any = None, wait: bool = False) -> Run[Outcome]:
    """:func:`run_cell` as a run, which may share its stacks with others (:mod:`bfc.engine.together`)."""
    with Watch(tracker, job.results, job.study_name, spec.cell_id) as watch:
        return (yield from _measured(spec, job, watch, wait))


def recipe_of(job: Job, device: torch.device) -> Recipe:
    """How a learner's job trains, before its learning rate is tuned."""
    recipe = Recipe(job.target, job.learner, job.schedule, job.optimizer, job.measure.validation, job.measure.validation_size,
                    job.measure.test, job.probe, dtype=getattr(torch, job.compute.dtype), device=device)
    return replace(recipe, observe=job.measure.observe(job.optimizer.batch, sum(stage.steps for stage in recipe.stages())))


def _measured(spec: CellSpec, job: Job, watch: Watch, wait: bool) -> Run[Outcome]:
    cell = Store(job.results).cell(spec.cell_id)
    if (stored := _stored(spec, job, cell)) is not None:
        return stored
    device = resolve_device(job.compute.device)
    torch.set_num_threads(job.compute.threads)
    with cell.claim(wait):
        if (stored := _stored(spec, job, cell)) is not None:  # by the process that was waited for
            return stored
        before = len(cell.rows())
        cell.write_config(spec.config)
        cell.write_json("environment.json", environment(device))
        cell.add_request(_asked(job))
        run = _Run(spec, job, cell, device, watch)
        try:
            watch.begin()
            if spec.kind == "learner":
                yield from run.learner()
            else:
                run.baseline()
        except interrupt.Stopped:
            with suppress(UserError):
                cell.status("stopped", done=run.done, total=run.total, method=spec.method)
            raise
        except BaseException as error:
            with suppress(UserError):
                cell.status("failed", error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc(), done=run.done,
                            total=run.total)
            raise
        rows = cell.rows()
        cell.status("done", done=run.total, total=run.total, trainings=count_trainings(rows))
    return Outcome(spec.cell_id, spec.method, len(rows), len(rows) - before)


def count_trainings(rows: Rows) -> int:
    """Trainings behind stored rows: a whole curve of one seed is one."""
    return len({(row["kind"], None if row["kind"] == "curve" else row["n"], row["seed"]) for row in rows})


def _asked(job: Job) -> dict[str, Any]:
    """What requests.json remembers of a job."""
    measure = {f.name: getattr(job.measure, f.name) for f in fields(job.measure) if not f.metadata.get("identity", True)}
    return {"study": job.study_name, "size": (job.study or {}).get("size"), **json.loads(json.dumps(measure))}


def _stored(spec: CellSpec, job: Job, cell: Cell) -> Outcome | None:
    """The outcome if everything asked for is stored; nothing but the request is then written."""
    if not is_stored(spec, job):
        return None
    cell.add_request(_asked(replace(job, measure=_told(job.measure, _resumed(spec, job.measure, cell)[0]))))
    return Outcome(spec.cell_id, spec.method, len(cell.rows()), 0)


def is_stored(spec: CellSpec, job: Job) -> bool:
    """Whether everything that ``job`` asks of this cell is stored, confirmed and judged. Writes nothing."""
    cell = Store(job.results).cell(spec.cell_id)
    measured, rows = cell.check_config(spec.identity), cell.rows()
    measure, plan = _resumed(spec, job.measure, cell)
    if plan != cell.read_json("plan.json", None):  # a question that was not asked before
        return False
    job = replace(job, measure=measure)
    if cell.read_json("status.json", {}).get("state") != "done" or not measured or not rows or _wanted(spec, job, rows):
        return False
    eps = _strictest(job, cell)
    to_confirm = spec.kind == "learner" and _to_confirm(job, rows, eps)
    return not to_confirm and _judged(rows, eps) == [row.get("outcome") for row in rows]


def _strictest(job: Job, cell: Cell) -> float:
    """The smallest eps that this or an earlier job asked this cell for: outcomes are judged there."""
    earlier = [e for request in cell.requests() if isinstance(request, dict) for e in request.get("eps", [])]
    return min([*job.measure.eps, *earlier])


def _judged(rows: Rows, eps: float) -> list[str]:
    confirming = [row["risk"] for row in rows if row["kind"] == "probe"]
    enough = learned_at(rows, eps)
    return [judge(row, eps, confirming, enough) for row in rows]


def _to_confirm(job: Job, rows: Rows, eps: float) -> list[Training]:
    """Confirming runs that are due and not stored."""
    confirmed = {row["seed"] for row in rows if row["kind"] == "probe"}
    seeds = to_confirm(rows, eps, job.measure.confirm, job.measure.at_top)
    return [Training(0, seed, "probe") for seed in seeds if seed not in confirmed][: max(0, job.measure.confirm - len(confirmed))]


def _wanted(spec: CellSpec, job: Job, rows: Rows) -> Sequence[Any]:
    """What is asked for and not stored: trainings of a learner, seeds of a baseline."""
    if spec.kind == "baseline":
        stored = {row["seed"] for row in rows}
        return [seed for seed in job.measure.seeds if seed not in stored]
    return job.measure.next_round(rows)


def _resumed(spec: CellSpec, measure: Any, cell: Cell) -> tuple[Any, Any]:
    """The measure as it goes on in this cell and the plan to store with it; a baseline needs none."""
    stored = cell.read_json("plan.json", None)
    return measure.resume(stored, cell.rows()) if spec.kind == "learner" and hasattr(measure, "resume") else (measure, stored)


def _told(measure: Any, resumed: Any) -> Any:
    """``measure`` with the prior of ``resumed``, and a line about it where another one was asked for."""
    if not hasattr(measure, "prior") or measure.prior == resumed.prior:
        return measure
    print(f"measure.prior={measure.prior}: this cell keeps the prior it was begun with, {resumed.prior}")
    return replace(measure, prior=resumed.prior)


class _Run:
    """One cell being measured; ``done`` and ``total`` count replica-steps (learner) or seeds (baseline) for the progress display."""

    def __init__(self, spec: CellSpec, job: Job, cell: Cell, device: torch.device, watch: Watch) -> None:
        self.spec, self.job, self.cell, self.device, self.watch = spec, job, cell, device, watch
        self.done, self.total = 0, 1
        self._next = STATUS_SECONDS

    def learner(self) -> Run[None]:
        job, recipe = self.job, recipe_of(self.job, self.device)
        steps = sum(stage.steps for stage in recipe.stages())
        self.total = 0
        recipe = yield from self._tuned(recipe, steps)
        confirm = replace(recipe, validation="none", longer=CONFIRM_LONGER, observe=(), probe=None)
        measure, plan = _resumed(self.spec, job.measure, self.cell)
        if plan != self.cell.read_json("plan.json", None):
            self.cell.write_json("plan.json", plan)
        _told(job.measure, measure)
        while True:
            rows = self.cell.rows()
            confirming = _to_confirm(job, rows, _strictest(job, self.cell)) if measure.between_rounds(rows) else []
            wanted = confirming or measure.next_round(rows)
            if not wanted:
                break
            yield from self._train(confirm if confirming else recipe, wanted, steps * (CONFIRM_LONGER if confirming else 1))
        self._judge()
        stored = {(0 if row["fresh"] else row["n"], row["seed"], row["kind"] == "probe") for row in self.cell.rows()}
        self._stacks().drop_finished(
            lambda a: a.lr is not None or (a.training.n, a.training.seed, a.training.kind == "probe") in stored)

    def _stacks(self) -> Stacks:
        offset = self.done
        return Stacks(self.cell, self.device, self.job.compute.stack, self.job.compute.checkpoint_seconds,
                      lambda done: self._tell(offset + done))

    def _tuned(self, recipe: Recipe, steps: int) -> Run[Recipe]:
        """The recipe with the learning rate that was chosen for this cell, once, on draws that are not measured. Until the choice is
        made, tuned.json holds what was tried so far."""
        tune = self.job.measure.tune
        if tune is None:
            return recipe
        tuned = self.cell.read_json("tuned.json", {})
        if "lr" not in tuned:
            plain = replace(recipe, probe=None, observe=(), validation="none" if tune.fresh else recipe.validation)
            tuned = {"risks": tuned.get("risks", []), "seconds": tuned.get("seconds", 0.0)}

            def keep(asked: list[Asked], records: Rows, seconds: float, stack: int) -> None:
                tuned["risks"] += [[a.lr, a.training.n, a.training.seed, tune.risk(record)]
                                   for a, record in zip(asked, records, strict=True)]
                tuned["seconds"] += seconds * len(asked)
                self.cell.write_json("tuned.json", tuned)

            tried = {tuple(key) for *key, _ in tuned["risks"]}
            wanted = [Asked(t, lr) for t, lr in tune.trainings() if (lr, t.n, t.seed) not in tried]
            self.total += steps * len(wanted)
            yield from self._stacks().run(plain, wanted, keep)
            tuned = {**tune.choose({tuple(key): risk for *key, risk in tuned["risks"]}), "seconds": tuned["seconds"]}
            self.cell.write_json("tuned.json", tuned)
            if tuned["at_edge"]:
                print(f"{self.cell.path}: the best learning rate, {tuned['lr']}, is at the edge of measure.tune.lr; "
                      "a wider range may hold a better one")
        return replace(recipe, optimizer=replace(recipe.optimizer, lr=tuned["lr"]))

    def _train(self, recipe: Recipe, wanted: Sequence[Training], steps: int) -> Run[None]:
        """Train what is ``wanted``, ``steps`` each, and store its rows stack by stack."""
        def keep(asked: list[Asked], records: Rows, seconds: float, stack: int) -> None:
            self._keep_traces([a.training for a in asked], records, recipe.optimizer.batch)
            rows = [row for a, record in zip(asked, records, strict=True)
                    for row in self._rows(a.training, record, recipe, seconds, stack)]
            self.cell.write_rows(self.cell.rows() + rows)
            self.watch.stored()

        self.total += steps * len(wanted)
        yield from self._stacks().run(recipe, [Asked(t) for t in wanted], keep)

    def _keep_traces(self, trainings: list[Training], records: list[dict[str, Any]], batch: int) -> None:
        """Store what the probe saw on the way: one row per training and look, in the cell's table ``trace``."""
        looks = [{"n": t.n or look["step"] * batch, "seed": t.seed, "fresh": t.n == 0, "kind": t.kind, **look}
                 for t, record in zip(trainings, records, strict=True) for look in record.pop("trace", [])]
        if looks:
            again = {(t.seed, t.n, t.kind) for t in trainings}
            before = [row for row in self.cell.rows("trace") if (row["seed"], 0 if row["fresh"] else row["n"], row["kind"]) not in again]
            self.cell.write_rows(before + looks, "trace")

    def _rows(self, t: Training, record: dict[str, Any], recipe: Recipe, seconds: float, stack: int) -> Rows:
        """The stored row of one training; a point per look for the online measure."""
        batch, fresh = recipe.optimizer.batch, t.n == 0
        common = {"seed": t.seed, "fresh": fresh, "validation": "none" if fresh else recipe.validation, "seconds": seconds, "stack": stack,
                  "lr": recipe.optimizer.lr, "hardware": hardware(self.device), "dtype": str(recipe.dtype).removeprefix("torch.")}
        curve = record.pop("curve", [])
        nan = float("nan")
        measured = {"risk": nan, "train_risk": nan, "validation_risk": nan, "steps": None, "diverged": False, **record}
        if recipe.observe and curve:
            looks = [{"kind": "curve", "n": step * batch, **common, "risk": risk, "train_risk": nan, "steps": step,
                      "diverged": risk != risk} for step, risk in curve]
            return [*looks[:-1], {**measured, **looks[-1], "diverged": measured["diverged"] or looks[-1]["diverged"]}]
        n = batch * sum(stage.steps for stage in recipe.stages()) if fresh else t.n
        return [{"kind": t.kind, "n": n, **common, **measured}]

    def baseline(self) -> None:
        job = self.job
        seeds = _wanted(self.spec, job, self.cell.rows())
        self.total = len(seeds) + 1
        tuned = self.cell.read_json("tuned.json", None)
        if tuned is None:
            tuned = job.baseline.tune(job.target, job.measure.test, self.device)
            self.cell.write_json("tuned.json", tuned)
        self._tell(1, force=True)
        for seed in seeds:
            interrupt.check()
            began = time.perf_counter()
            curve = job.baseline.curve(job.target, seed, job.measure.test, tuned, self.device)
            common = {"seed": seed, "fresh": False, "validation": "none", "seconds": time.perf_counter() - began, "stack": 1,
                      "ridge": tuned.get("ridge"), "hardware": hardware(self.device), "dtype": "float64", "diverged": False,
                      "train_risk": None, "steps": 0}
            flat = saturated(curve.n, curve.risk, tuned.get("rank"))
            rows = [{"kind": "curve", "n": n, "risk": risk, "flat": still, **common}
                    for n, risk, still in zip(curve.n, curve.risk, flat, strict=True)]
            self.cell.write_rows(self.cell.rows() + rows)
            self.watch.stored()
            self._tell(self.done + 1, force=True)
        self._judge()

    def _judge(self) -> None:
        """Write the outcome of every training at the strictest eps asked for."""
        rows = self.cell.rows()
        outcomes = _judged(rows, _strictest(self.job, self.cell))
        self.cell.write_rows([{**row, "outcome": outcome} for row, outcome in zip(rows, outcomes, strict=True)])

    def _tell(self, done: int, force: bool = False) -> None:
        self.done, now = done, time.monotonic()
        if force or now >= self._next:
            with suppress(UserError):  # a display only
                self.cell.status("running", done=done, total=self.total, method=self.spec.method)
            after = time.monotonic()
            self._next = after + max(STATUS_SECONDS, min((after - now) / STATUS_SHARE, STATUS_MOST))
