"""The fused training loop: a stack of trainings (one replica each) goes through the stages of a
schedule together, with its own phase, clock, learning rate, n and early stop per replica. It exists
so that a whole ladder of n and seeds costs little more than one training, while every replica gets
exactly the numbers it would have got alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from bfc.engine.concat_target import split_by_target
from bfc.engine.data import StackData
from bfc.engine.evaluation import Evaluation, evaluate, map_in_chunks, weighted_risk
from bfc.engine.recipe import Recipe
from bfc.engine.state import State
from bfc.engine.steps import Steps, views
from bfc.types import Params, Probe, Stage, Training

TRAIN_ROWS = 1024
VALIDATION_REFERENCE = 4096
DIVERGED_RISK = 10.0
"""A finished training whose train risk is above this (ten times the trivial predictor's) counts as
diverged."""


def train(
    recipe: Recipe,
    trainings: Sequence[Training],
    *,
    rates: Tensor | None = None,
    resume: dict[str, Any] | None = None,
    on_chunk: Callable[[State, int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Train a stack; one record per training, in order.

    ``rates`` (R,) replaces the optimizer's learning rate per replica. ``resume`` is
    ``State.tensors()`` of an earlier call with the same arguments. ``on_chunk(state, done, total)``
    is called between chunks with replica-steps done and in all.
    """
    return Trainer(recipe, trainings, rates, resume).run(on_chunk)


class Trainer:
    def __init__(
        self,
        recipe: Recipe,
        trainings: Sequence[Training],
        rates: Tensor | None,
        resume: dict[str, Any] | None,
    ) -> None:
        self.recipe, self.trainings = recipe, list(trainings)
        self.stages = recipe.stages()
        self.groups = recipe.learner.groups(recipe.target)
        self.data = StackData(
            recipe.target,
            trainings,
            recipe.validation,
            recipe.validation_size,
            recipe.dtype,
            recipe.device,
        )
        everyone = list(range(len(trainings)))
        lr = (
            torch.full((len(trainings),), recipe.optimizer.lr, dtype=torch.float64)
            if rates is None
            else rates
        )
        self.lr = lr.to(recipe.device, recipe.dtype).unsqueeze(1)
        self.chance = self.data.draw(everyone).chance.to(recipe.device)
        self.reference = self._reference() if recipe.learner.needs_reference else None
        self.probe_steps = recipe.probe_steps()
        self.steps: Steps | None = None
        self.state = State(**resume) if resume else self._fresh_state(everyone)
        self.multipliers = self._multipliers()
        if not resume:
            self._begin(everyone, 0)

    def _reference(self) -> Tensor:
        """Unlabelled rows per distinct seed, (S, rows, d), that centre validation and train risks."""
        rows = torch.arange(min(VALIDATION_REFERENCE, self.recipe.test), device=self.recipe.device)
        return self.data.draws.encode(
            self.data.draws.inputs("reference", rows.expand(len(self.data.seeds), -1))
        )

    def _fresh_state(self, everyone: list[int]) -> State:
        parts = [
            self.recipe.learner.init_params(*piece)
            for piece in split_by_target(self.recipe.target, self.data.draw(everyone))
        ]
        params = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        zeros = torch.zeros(len(everyone), dtype=torch.int64)
        worst = torch.full((len(everyone),), float("inf"), dtype=torch.float64)
        return State(
            params,
            {name: p.clone() for name, p in params.items()},
            {
                name: {k: torch.zeros_like(p) for k, p in params.items()}
                for name in self.recipe.optimizer.state_names
            },
            {name: zeros.clone() for name in ("phase", "clock", "step", "stale")},
            {name: worst.clone() for name in ("validation", "train", "train_last")}
            | {"loss": torch.zeros_like(worst)},
            [{} for _ in everyone],
        )

    def _multipliers(self) -> dict[str, Tensor]:
        """Per parameter of a learner that has any its multiplier of the learning rate, flat, (1,
        numel)."""
        rates = self.recipe.learner.rates(self.recipe.target)
        if not rates:
            return {}
        return {
            name: torch.full(
                (1, p[0].numel()),
                rates.get(name, 1.0),
                dtype=self.recipe.dtype,
                device=self.recipe.device,
            )
            for name, p in self.state.params.items()
        }

    def _begin(self, index: list[int], phase: int) -> None:
        """What the learner sets anew where these replicas enter a phase."""
        if phase < len(self.stages):
            for name, p in self.recipe.learner.on_phase_start(
                self._params(index), self.data.draw(index), self.stages[phase]
            ).items():
                self.state.params[name][index] = p

    def run(self, on_chunk: Callable[[State, int, int], None] | None) -> list[dict[str, Any]]:
        per_replica = sum(stage.steps for stage in self.stages)
        start = [
            i
            for i in self._active()
            if int(self.state.counters["step"][i]) == 0 and "trace" not in self.state.records[i]
        ]
        if start and 0 in self.probe_steps:
            self._look(start, self.stages[0])
        while active := self._active():
            phase = min(int(self.state.counters["phase"][i]) for i in active)
            index = [i for i in active if int(self.state.counters["phase"][i]) == phase]
            stage = self.stages[phase]
            self._chunk(index, stage, self._length(index, stage))
            self._check(index, stage)
            if on_chunk:
                on_chunk(
                    self.state,
                    self.state.steps_done(self.stages),
                    per_replica * len(self.trainings),
                )
        return self.state.records

    def _active(self) -> list[int]:
        return [
            i
            for i, phase in enumerate(self.state.counters["phase"].tolist())
            if phase < len(self.stages)
        ]

    def _length(self, index: list[int], stage: Stage) -> int:
        """Steps until the next check, phase end or observation of any replica of the group."""
        every = self.recipe.schedule.check_every
        lengths = []
        for i in index:
            clock, step = int(self.state.counters["clock"][i]), int(self.state.counters["step"][i])
            ahead = (at - step for at in (*self.recipe.observe, *self.probe_steps) if at > step)
            lengths += [stage.steps - clock, every - clock % every, *ahead]
        return min(lengths)

    def _chunk(self, index: list[int], stage: Stage, length: int) -> None:
        """``length`` optimizer steps of the replicas ``index``; no host synchronisation inside."""
        state, device = self.state, self.recipe.device
        steps = self.working_copy(index, stage)
        clock, step = (state.counters[name][index].to(device) for name in ("clock", "step"))
        loss = steps.run(clock, step, length)
        self._write(state.params, steps.trained, steps.flat, index)
        for kind, buffer in steps.buffers.items():
            self._write(state.optimizer[kind], steps.trained, buffer, index)
        for name in ("clock", "step"):
            state.counters[name][index] += length
        if stage.until is not None:
            state.risks["loss"][index] += (loss / self.chance[index]).cpu()

    def working_copy(self, index: list[int], stage: Stage) -> Steps:
        """The working copy of these replicas: the last one while they go on together, for nothing
        else changes what trains within a stage."""
        if self.steps is None or self.steps.index != index or self.steps.stage is not stage:
            whole = len(index) == len(self.trainings)
            take = (lambda t: t) if whole else (lambda t: t[index])
            trained = [name for group in stage.train for name in self.groups[group]]
            self.steps = Steps(
                self.recipe,
                self.data,
                index,
                stage,
                trained,
                {name: take(p) for name, p in self.state.params.items()},
                {
                    kind: {name: take(p) for name, p in values.items()}
                    for kind, values in self.state.optimizer.items()
                },
                take(self.lr),
                self.multipliers,
            )
        return self.steps

    @staticmethod
    def _write(values: Params, names: list[str], flat: Tensor, index: list[int]) -> None:
        for name, view in zip(
            names, views(flat, [values[n][: len(index)] for n in names]), strict=True
        ):
            values[name][index] = view

    def _check(self, index: list[int], stage: Stage) -> None:
        """Between chunks: train and validation risk, observations, divergence, early stop and the
        end of a phase."""
        state, counters = self.state, self.state.counters
        finite = (
            torch.stack([p[index].flatten(1).isfinite().all(1) for p in state.params.values()])
            .all(0)
            .tolist()
        )
        at_check = [
            i
            for i in index
            if int(counters["clock"][i]) % self.recipe.schedule.check_every == 0
            or int(counters["clock"][i]) == stage.steps
        ]
        if at_check:
            self._risks(at_check, stage)
        self._observe(index, stage)
        reached = self._reached(at_check, stage)
        patience = self.recipe.schedule.patience
        ended = []
        for i, healthy in zip(index, finite, strict=True):
            if not healthy:
                state.records[i] |= {
                    "diverged": True,
                    "stage": stage.name,
                    "risk": float("nan"),
                    "train_risk": float("nan"),
                }
                counters["phase"][i], counters["clock"][i] = len(self.stages), 0
            elif (
                int(counters["clock"][i]) >= stage.steps
                or (patience and int(counters["stale"][i]) >= patience)
                or i in reached
            ):
                ended.append(i)
        if ended:
            self._end_phase(ended, stage)

    def _risks(self, index: list[int], stage: Stage) -> None:
        state, risks = self.state, self.state.risks
        centre = None
        if self.reference is not None:
            x = self.reference[[self.data.place[i] for i in index]]
            centre = map_in_chunks(
                self.recipe.learner.statistics, self._params(index), x, stage.present
            )
        if not self.data.fresh[index[0]]:
            now = (
                weighted_risk(
                    self.recipe,
                    self._params(index),
                    *self.data.training_rows(index, TRAIN_ROWS),
                    stage.present,
                    centre,
                )
                .div(self.chance[index])
                .cpu()
            )
            risks["train_last"][index] = now
            risks["train"][index] = risks["train"][index].fmin(now)
        if int(self.data.n_validation[index].min()) == 0:
            return
        now = (
            weighted_risk(
                self.recipe,
                self._params(index),
                *self.data.validation(index),
                stage.present,
                centre,
            )
            .div(self.chance[index])
            .cpu()
        )
        better = [
            i
            for i, new in zip(index, (now < risks["validation"][index]).tolist(), strict=True)
            if new
        ]
        for name, p in state.params.items():
            state.best[name][better] = p[better]
        risks["validation"][index] = risks["validation"][index].fmin(now)
        state.counters["stale"][index] += 1
        state.counters["stale"][better] = 0

    def _reached(self, index: list[int], stage: Stage) -> set[int]:
        """The replicas whose training loss since the last check ends the phase; the sum begins
        anew."""
        if stage.until is None or not index:
            return set()
        every, clock = self.recipe.schedule.check_every, self.state.counters["clock"][index]
        loss = self.state.risks["loss"]
        mean = loss[index] / ((clock - 1) % every + 1)
        loss[index] = 0.0
        unit: Tensor | float = 1.0
        if stage.gap is not None:
            gaps = [
                target.gaps[stage.gap]
                for target, draw in split_by_target(self.recipe.target, self.data.draw(index))
                for _ in draw.seeds
            ]
            unit = torch.tensor(gaps, dtype=torch.float64) / self.chance[index].cpu()
        return {
            i for i, low in zip(index, (mean <= stage.until * unit).tolist(), strict=True) if low
        }

    def _params(self, index: list[int]) -> Params:
        return {name: p[index] for name, p in self.state.params.items()}

    def _observe(self, index: list[int], stage: Stage) -> None:
        due = [i for i in index if int(self.state.counters["step"][i]) in self.recipe.observe]
        if due:
            for i, measured in zip(due, self._evaluate(due, stage, None), strict=True):
                self.state.records[i].setdefault("curve", []).append(
                    (int(self.state.counters["step"][i]), measured["risk"])
                )
        if looked := [i for i in index if int(self.state.counters["step"][i]) in self.probe_steps]:
            self._look(looked, stage)

    def _look(self, index: list[int], stage: Stage) -> None:
        """Append what the probe sees now to the trace of these replicas."""
        for i, measured in zip(index, self._evaluate(index, stage, self.recipe.probe), strict=True):
            where = {"step": int(self.state.counters["step"][i]), "stage": stage.name}
            self.state.records[i].setdefault("trace", []).append({**where, **measured})

    def _evaluate(self, index: list[int], stage: Stage, probe: Probe | None) -> list[Evaluation]:
        return evaluate(self.recipe, self.data, index, self._params(index), stage.present, probe)

    def _end_phase(self, index: list[int], stage: Stage) -> None:
        """Restore the best of the phase, measure, and move on with a new optimizer and clock."""
        state, counters, risks = self.state, self.state.counters, self.state.risks
        restored = [i for i in index if risks["validation"][i] < float("inf")]
        relative_error = self.data.draw(index).variance_error / self.data.draw(index).variance
        for name, p in state.params.items():
            p[restored] = state.best[name][restored]
        for i, measured, error in zip(
            index,
            self._evaluate(index, stage, self.recipe.probe),
            relative_error.tolist(),
            strict=True,
        ):
            record = state.records[i]
            train_risk = measured["risk"] if self.data.fresh[i] else float(risks["train"][i])
            last = (
                train_risk if i in restored or self.data.fresh[i] else float(risks["train_last"][i])
            )
            record |= {f"{stage.name}/{name}": value for name, value in measured.items()}
            record |= {
                "risk": measured["risk"],
                "train_risk": train_risk,
                "stage": stage.name,
                "validation_risk": float(risks["validation"][i]),
                "steps": int(counters["step"][i]),
                "variance_error": error,
                "diverged": not last <= DIVERGED_RISK,
            }
        for values in state.optimizer.values():
            for p in values.values():
                p[index] = 0
        for name in ("clock", "stale"):
            counters[name][index] = 0
        counters["phase"][index] += 1
        for name, values in risks.items():
            values[index] = 0.0 if name == "loss" else float("inf")
        self._begin(index, self.stages.index(stage) + 1)
