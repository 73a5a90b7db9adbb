"""What is measured of a stack between chunks of steps, and what follows from it.

A replica ends or moves on to its next phase by its own risks, whatever stack it is part of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bfc.engine import stop_rules
from bfc.engine.centring import make_centring
from bfc.engine.concat_target import split_by_target
from bfc.engine.data import StackData, WeightedRows
from bfc.engine.evaluation import Evaluation, evaluate, weighted_risk
from bfc.engine.recipe import Recipe
from bfc.engine.state import State
from bfc.shapes import Float64
from bfc.types import Params, Probe, Stage

TRAIN_ROWS = 1024
"""Training rows per replica on which the train risk is taken."""

Record = dict[str, Any]
"""What was measured of a training."""


class Checks:
    """Measures the replicas of a stack, records it in their state, and ends their phases."""

    def __init__(
        self, recipe: Recipe, stages: Sequence[Stage], data: StackData, state: State
    ) -> None:
        """Networks are centred by the kind of code that ``state`` names."""
        self.recipe, self.stages, self.data, self.state = recipe, stages, data, state
        draws = data.draw(range(len(data.seed_index)))
        self.chance: Float64[Tensor, " R"] = draws.chance.to(recipe.device)
        """What the risks of a replica are relative to."""
        self.centring = make_centring(recipe, data, state.execution)
        self.probe_steps = recipe.probe_steps()

    def start_phase(self, index: list[int], phase: int) -> None:
        """Let the learner set parameters anew where these replicas enter a phase."""
        if phase >= len(self.stages):
            return
        params, draw = self._params(index), self.data.draw(index)
        changed = self.recipe.learner.on_phase_start(params, draw, self.stages[phase])
        for name, p in changed.items():
            self.state.params[name][index] = p

    def probe_before_the_first_step(self, active: Sequence[int]) -> None:
        """Measure the probe of replicas that have not begun, where it is asked for at step 0."""
        if 0 not in self.probe_steps:
            return
        index = []
        for i in active:
            is_at_start = int(self.state.counters["step"][i]) == 0
            if is_at_start and "trace" not in self.state.records[i]:
                index.append(i)
        if index:
            self._append_to_trace(index, self.stages[0])

    def check(self, index: list[int], stage: Stage) -> None:
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
        if self.centring is not None:
            seed_index = [self.data.seed_index[i] for i in index]
            centre = self.centring.constants(self._params(index), seed_index, stage.present)
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
        self.start_phase(index, self.stages.index(stage) + 1)

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
