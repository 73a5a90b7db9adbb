"""The fused training loop.

A stack of trainings (one replica each) goes through the stages of a schedule, each with its own
phase, clock, learning rate, n and early stop. A whole ladder of n and seeds then costs little more
than one training, while every replica gets exactly the numbers it would have got alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bfc.engine import stop_rules
from bfc.engine.compiled.choice import compiled_steps
from bfc.engine.compiled.lane_steps import LaneSteps
from bfc.engine.concat_target import split_by_target
from bfc.engine.data import StackData, WeightedRows
from bfc.engine.evaluation import Evaluation, centring_constants, evaluate, weighted_risk
from bfc.engine.recipe import Recipe
from bfc.engine.state import COMPILED, PLAIN, State
from bfc.engine.steps import Replicas, Steps, views
from bfc.shapes import Float, Float64
from bfc.types import Params, Probe, Stage, Training

TRAIN_ROWS = 1024
"""Training rows per replica on which the train risk is taken."""
VALIDATION_REFERENCE = 4096
"""Unlabelled rows per seed, at most, that centre validation and train risks."""

if TYPE_CHECKING:
    from bfc.engine.compiled.compilation import CompiledStep

Record = dict[str, Any]
"""What was measured of a training."""
OnChunk = Callable[[State, int, int], None]
"""Gets the state, the replica-steps done and those in all."""


def train(
    recipe: Recipe,
    trainings: Sequence[Training],
    *,
    rates: Tensor | None = None,
    resume: dict[str, Any] | None = None,
    on_chunk: OnChunk | None = None,
) -> list[Record]:
    """Train a stack; one record per training, in order.

    ``rates`` (R,) replaces the optimizer's learning rate per replica. ``resume`` is
    ``State.tensors()`` of an earlier call with the same arguments. ``on_chunk`` is called between
    chunks.
    """
    return Trainer(recipe, trainings, rates, resume).run(on_chunk)


class Trainer:
    """One stack while it trains.

    :meth:`run` takes it to its end. :meth:`train_chunk` and :meth:`working_copy` are its parts for
    tests and benchmarks.
    """

    def __init__(
        self,
        recipe: Recipe,
        trainings: Sequence[Training],
        rates: Tensor | None = None,
        resume: dict[str, Any] | None = None,
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
        all_replicas = list(range(len(trainings)))
        if rates is None:
            rates = torch.full((len(trainings),), recipe.optimizer.lr, dtype=torch.float64)
        self.lr = rates.to(recipe.device, recipe.dtype).unsqueeze(1)
        self.chance = self.data.draw(all_replicas).chance.to(recipe.device)
        self.reference = self._draw_reference() if recipe.learner.needs_reference else None
        self.probe_steps = recipe.probe_steps()
        self.steps: Steps | LaneSteps | None = None
        self.state = State(**resume) if resume else self._initial_state(all_replicas)
        self.multipliers = self._rate_multipliers()
        self.compiled = self._compile(is_resumed=resume is not None)
        if not resume:
            self._start_phase(all_replicas, 0)

    def _draw_reference(self) -> Float[Tensor, "S B d"]:
        """Unlabelled rows per distinct seed that centre validation and train risks."""
        rows = torch.arange(min(VALIDATION_REFERENCE, self.recipe.test), device=self.recipe.device)
        draws = self.data.draws
        return draws.encode(draws.inputs("reference", rows.expand(len(self.data.seeds), -1)))

    def _initial_state(self, index: list[int]) -> State:
        parts = []
        for target, draw in split_by_target(self.recipe.target, self.data.draw(index)):
            parts.append(self.recipe.learner.init_params(target, draw))
        params = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return State.initial(params, self.recipe.optimizer.state_names)

    def _rate_multipliers(self) -> dict[str, Tensor]:
        """Parameter → multipliers of its learning rate, (1, numel); empty where all are 1."""
        rates = self.recipe.learner.rates(self.recipe.target)
        if not rates:
            return {}
        multipliers = {}
        for name, p in self.state.params.items():
            shape, rate = (1, p[0].numel()), rates.get(name, 1.0)
            multipliers[name] = torch.full(
                shape, rate, dtype=self.recipe.dtype, device=self.recipe.device
            )
        return multipliers

    def _compile(self, is_resumed: bool) -> list[CompiledStep] | None:
        """The code of every stage, where the stack takes its steps by generated code."""
        compiled = compiled_steps(
            self.recipe,
            self.stages,
            self.groups,
            self.state.params,
            bool(self.multipliers),
            self.state.execution == COMPILED if is_resumed else None,
            self.data.draws if all(self.data.fresh) else None,
        )
        self.state.execution = PLAIN if compiled is None else COMPILED
        return compiled

    def _start_phase(self, index: list[int], phase: int) -> None:
        """Let the learner set parameters anew where these replicas enter a phase."""
        if phase >= len(self.stages):
            return
        params, draw = self._params(index), self.data.draw(index)
        changed = self.recipe.learner.on_phase_start(params, draw, self.stages[phase])
        for name, p in changed.items():
            self.state.params[name][index] = p

    def run(self, on_chunk: OnChunk | None) -> list[Record]:
        """Train until every replica has gone through all stages; its record each, in order."""
        total = self.recipe.total_steps() * len(self.trainings)
        self._probe_before_the_first_step()
        while active := self._active():
            phases = self.state.counters["phase"].tolist()
            phase = min(phases[i] for i in active)
            index = [i for i in active if phases[i] == phase]
            stage = self.stages[phase]
            self.train_chunk(index, stage, self._chunk_length(index, stage))
            self._check(index, stage)
            if on_chunk:
                on_chunk(self.state, self.state.steps_done(self.stages), total)
        return self.state.records

    def _active(self) -> list[int]:
        """The replicas that have not gone through all stages."""
        phases = self.state.counters["phase"].tolist()
        return [i for i, phase in enumerate(phases) if phase < len(self.stages)]

    def _probe_before_the_first_step(self) -> None:
        if 0 not in self.probe_steps:
            return
        index = []
        for i in self._active():
            is_at_start = int(self.state.counters["step"][i]) == 0
            if is_at_start and "trace" not in self.state.records[i]:
                index.append(i)
        if index:
            self._append_to_trace(index, self.stages[0])

    def _chunk_length(self, index: list[int], stage: Stage) -> int:
        """Steps until the next check, phase end or observation of any replica of the group."""
        observed = (*self.recipe.observe, *self.probe_steps)
        lengths = []
        for i in index:
            clock, step = int(self.state.counters["clock"][i]), int(self.state.counters["step"][i])
            lengths.append(stop_rules.steps_to_check(clock, stage, self.recipe.schedule))
            lengths += [at - step for at in observed if at > step]
        return min(lengths)

    def train_chunk(self, index: list[int], stage: Stage, length: int) -> None:
        """Take ``length`` optimizer steps of the replicas ``index``.

        Nothing waits for the device within them.
        """
        state, device = self.state, self.recipe.device
        steps = self.working_copy(index, stage)
        clock, step = (state.counters[name][index].to(device) for name in ("clock", "step"))
        loss = steps.run(clock, step, length)
        self._write_back(state.params, steps.trained, steps.flat, index)
        for kind, buffer in steps.buffers.items():
            self._write_back(state.optimizer[kind], steps.trained, buffer, index)
        state.counters["clock"][index] += length
        state.counters["step"][index] += length
        if stage.until is not None:
            state.risks["loss"][index] += (loss / self.chance[index]).cpu()

    def working_copy(self, index: list[int], stage: Stage) -> Steps | LaneSteps:
        """The working copy of these replicas.

        It is the last one as long as the same replicas go on, for nothing else changes what trains
        within a stage.
        """
        if self.steps is None or self.steps.index != index or self.steps.stage is not stage:
            self.steps = self._make_steps(index, stage)
        return self.steps

    def _make_steps(self, index: list[int], stage: Stage) -> Steps | LaneSteps:
        is_whole = len(index) == len(self.trainings)

        def select(values: Params) -> Params:
            return values if is_whole else {name: p[index] for name, p in values.items()}

        replicas = Replicas(
            index,
            select(self.state.params),
            {kind: select(values) for kind, values in self.state.optimizer.items()},
            self.lr if is_whole else self.lr[index],
            self.multipliers,
        )
        if self.compiled is not None:
            code = self.compiled[self.stages.index(stage)]
            return LaneSteps(code, self.recipe, self.data, stage, replicas)
        trained: list[str] = []
        for group in stage.train:
            trained += self.groups[group]
        return Steps(self.recipe, self.data, stage, trained, replicas)

    @staticmethod
    def _write_back(values: Params, names: list[str], flat: Tensor, index: list[int]) -> None:
        like = [values[name][: len(index)] for name in names]
        for name, view in zip(names, views(flat, like), strict=True):
            values[name][index] = view

    def _check(self, index: list[int], stage: Stage) -> None:
        """Between chunks: risks, observations, divergence, and the end of a phase."""
        state, schedule = self.state, self.recipe.schedule
        is_finite = stop_rules.finite_replicas(state.params, index)
        at_check = stop_rules.replicas_at_check(state, index, stage, schedule)
        if at_check:
            self._update_risks(at_check, stage)
        self._observe(index, stage)
        unit = self._threshold_unit(at_check, stage)
        at_low_loss = stop_rules.replicas_at_low_loss(state, at_check, stage, schedule, unit)
        finite = [i for i, healthy in zip(index, is_finite, strict=True) if healthy]
        for i in sorted(set(index) - set(finite)):
            self._end_diverged(i, stage)
        ended = stop_rules.replicas_that_end(state, finite, stage, schedule, at_check, at_low_loss)
        if ended:
            self._end_phase(ended, stage)

    def _update_risks(self, index: list[int], stage: Stage) -> None:
        """Train and validation risk of the replicas at a check; the best parameters are kept."""
        risks = self.state.risks
        centre: dict[str, Tensor] = {}
        if self.reference is not None:
            x = self.reference[[self.data.seed_index[i] for i in index]]
            centre = centring_constants(self.recipe, self._params(index), x, stage.present)
        if not self.data.fresh[index[0]]:
            rows = self.data.training_rows(index, TRAIN_ROWS)
            risk = self._relative_risk(index, stage, rows, centre)
            risks["train_last"][index] = risk
            risks["train"][index] = risks["train"][index].fmin(risk)
        if int(self.data.n_validation[index].min()) == 0:
            return
        risk = self._relative_risk(index, stage, self.data.validation(index), centre)
        improved = stop_rules.note_validation(self.state, index, risk, self.recipe.schedule)
        for name, p in self.state.params.items():
            self.state.best[name][improved] = p[improved]

    def _relative_risk(
        self,
        index: list[int],
        stage: Stage,
        rows: WeightedRows,
        centre: dict[str, Tensor],
    ) -> Float64[Tensor, " R"]:
        """Risk of the replicas on their rows, relative to chance."""
        params = self._params(index)
        risk = weighted_risk(self.recipe, params, *rows, stage.present, centre)
        return risk.div(self.chance[index]).cpu()

    def _threshold_unit(self, index: list[int], stage: Stage) -> Float64[Tensor, " R"]:
        """What the phase's ``until`` is a multiple of: chance, or an information gap."""
        if stage.gap is None or not index:
            return torch.ones(len(index), dtype=torch.float64)
        gaps: list[float] = []
        for target, draw in split_by_target(self.recipe.target, self.data.draw(index)):
            gaps += [target.gaps[stage.gap]] * len(draw.seeds)
        return torch.tensor(gaps, dtype=torch.float64) / self.chance[index].cpu()

    def _params(self, index: list[int]) -> Params:
        return {name: p[index] for name, p in self.state.params.items()}

    def _observe(self, index: list[int], stage: Stage) -> None:
        """Measure the replicas at a step that is to be observed, or probed."""
        step = self.state.counters["step"].tolist()
        observed = [i for i in index if step[i] in self.recipe.observe]
        if observed:
            for i, measured in zip(observed, self.evaluate(observed, stage, None), strict=True):
                curve = self.state.records[i].setdefault("curve", [])
                curve.append((step[i], measured["risk"]))
        probed = [i for i in index if step[i] in self.probe_steps]
        if probed:
            self._append_to_trace(probed, stage)

    def _append_to_trace(self, index: list[int], stage: Stage) -> None:
        """Append what the probe measures now to the trace of these replicas."""
        for i, measured in zip(index, self.evaluate(index, stage, self.recipe.probe), strict=True):
            head = {"step": int(self.state.counters["step"][i]), "stage": stage.name}
            self.state.records[i].setdefault("trace", []).append({**head, **measured})

    def evaluate(self, index: list[int], stage: Stage, probe: Probe | None) -> list[Evaluation]:
        """Test risk and probe of these replicas as they are now."""
        step = self.state.counters["step"][index]
        params = self._params(index)
        return evaluate(self.recipe, self.data, index, params, stage.present, probe, step)

    def _end_diverged(self, i: int, stage: Stage) -> None:
        """End a replica whose parameters are not finite any more."""
        nan = float("nan")
        self.state.records[i] |= {
            "diverged": True,
            "stage": stage.name,
            "risk": nan,
            "train_risk": nan,
        }
        self.state.counters["phase"][i] = len(self.stages)
        self.state.counters["clock"][i] = 0

    def _end_phase(self, index: list[int], stage: Stage) -> None:
        """Restore the best parameters of the phase, measure, and move on."""
        state = self.state
        validated = [i for i in index if state.risks["validation"][i] < float("inf")]
        for name, p in state.params.items():
            p[validated] = state.best[name][validated]
        draw = self.data.draw(index)
        variance_errors = (draw.variance_error / draw.variance).tolist()
        evaluations = self.evaluate(index, stage, self.recipe.probe)
        for i, measured, error in zip(index, evaluations, variance_errors, strict=True):
            state.records[i] |= self._phase_record(i, stage, measured, error)
        state.start_next_phase(index)
        self._start_phase(index, self.stages.index(stage) + 1)

    def _phase_record(
        self, i: int, stage: Stage, measured: Evaluation, variance_error: float
    ) -> Record:
        """What is recorded of replica ``i`` at the end of a phase."""
        risks = self.state.risks
        is_validated = bool(risks["validation"][i] < float("inf"))
        train_risk = measured["risk"] if self.data.fresh[i] else float(risks["train"][i])
        last = train_risk
        if not is_validated and not self.data.fresh[i]:
            last = float(risks["train_last"][i])
        return {
            **{f"{stage.name}/{name}": value for name, value in measured.items()},
            "risk": measured["risk"],
            "train_risk": train_risk,
            "stage": stage.name,
            "validation_risk": float(risks["validation"][i]),
            "steps": int(self.state.counters["step"][i]),
            "variance_error": variance_error,
            "diverged": stop_rules.is_diverged(last),
        }
