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
from bfc.engine.checks import Checks, Record
from bfc.engine.compiled.choice import compiled_steps
from bfc.engine.compiled.lane_steps import LaneSteps
from bfc.engine.concat_target import split_by_target
from bfc.engine.data import StackData
from bfc.engine.recipe import Recipe
from bfc.engine.state import COMPILED, PLAIN, State
from bfc.engine.steps import Replicas, Steps, views
from bfc.learners.groups import list_parameters
from bfc.types import Params, Stage, Training

if TYPE_CHECKING:
    from bfc.engine.compiled.compilation import CompiledStep

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
        self.steps: Steps | LaneSteps | None = None
        self.state = State(**resume) if resume else self._initial_state(all_replicas)
        self.multipliers = self._rate_multipliers()
        self.compiled = self._compile(is_resumed=resume is not None)
        self.checks = Checks(recipe, self.stages, self.data, self.state)
        if not resume:
            self.checks.start_phase(all_replicas, 0)

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

    def run(self, on_chunk: OnChunk | None) -> list[Record]:
        """Train until every replica has gone through all stages; its record each, in order."""
        total = self.recipe.total_steps() * len(self.trainings)
        self.checks.probe_before_the_first_step(self._active())
        while active := self._active():
            phases = self.state.counters["phase"].tolist()
            phase = min(phases[i] for i in active)
            index = [i for i in active if phases[i] == phase]
            stage = self.stages[phase]
            self.train_chunk(index, stage, self._chunk_length(index, stage))
            self.checks.check(index, stage)
            if on_chunk:
                on_chunk(self.state, self.state.steps_done(self.stages), total)
        return self.state.records

    def _active(self) -> list[int]:
        """The replicas that have not gone through all stages."""
        phases = self.state.counters["phase"].tolist()
        return [i for i, phase in enumerate(phases) if phase < len(self.stages)]

    def _chunk_length(self, index: list[int], stage: Stage) -> int:
        """Steps until the next check, phase end or observation of any replica of the group."""
        observed = (*self.recipe.observe, *self.checks.probe_steps)
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
            state.risks["loss"][index] += (loss / self.checks.chance[index]).cpu()

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
        trained = list_parameters(self.groups, stage.train)
        return Steps(self.recipe, self.data, stage, trained, replicas)

    @staticmethod
    def _write_back(values: Params, names: list[str], flat: Tensor, index: list[int]) -> None:
        like = [values[name][: len(index)] for name in names]
        for name, view in zip(names, views(flat, like), strict=True):
            values[name][index] = view
