"""Where a phase of a replica ends, and when a training counts as diverged.

A phase ends after its last step, or at a check where the rule of the schedule says so
(:class:`bfc.schedules.stop_rule.StopRule`; docs/change_the_early_stop.md). What the rule is given,
the validation risks and the mean training loss since the last check, is kept here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from bfc.engine.state import State
from bfc.shapes import Float64
from bfc.types import Params, Schedule, Stage

DIVERGED_RISK = 10.0
"""A finished training counts as diverged above this train risk, ten times that of the best
constant."""


def is_diverged(train_risk: float) -> bool:
    """Whether a finished training has diverged, by its last train risk relative to chance."""
    return not train_risk <= DIVERGED_RISK


def finite_replicas(params: Params, index: Sequence[int]) -> list[bool]:
    """Per replica of ``index`` whether all its parameters are finite."""
    finite = [p[index].flatten(1).isfinite().all(1) for p in params.values()]
    return torch.stack(finite).all(0).tolist()


def steps_to_check(clock: int, stage: Stage, schedule: Schedule) -> int:
    """Steps from ``clock`` in a phase to its next check or its end."""
    return min(stage.steps - clock, schedule.check_every - clock % schedule.check_every)


def replicas_at_check(
    state: State, index: Sequence[int], stage: Stage, schedule: Schedule
) -> list[int]:
    """The replicas of ``index`` whose risks are due: every ``check_every`` steps and at the end."""
    at_check = []
    for i in index:
        clock = int(state.counters["clock"][i])
        if clock % schedule.check_every == 0 or clock == stage.steps:
            at_check.append(i)
    return at_check


def note_validation(
    state: State, index: Sequence[int], risk: Float64[Tensor, " R"], schedule: Schedule
) -> list[int]:
    """Enter the validation risks of a check; returns the replicas that have improved."""
    best = state.risks["validation"][index]
    has_improved = schedule.has_improved(risk, best)
    improved = [i for i, better in zip(index, has_improved.tolist(), strict=True) if better]
    state.risks["validation"][index] = torch.where(has_improved, risk, best)
    state.counters["stale"][index] += 1
    state.counters["stale"][improved] = 0
    return improved


def replicas_at_low_loss(
    state: State,
    index: Sequence[int],
    stage: Stage,
    schedule: Schedule,
    unit: Float64[Tensor, " R"],
) -> set[int]:
    """The replicas at a check whose training loss since the last one ends the phase.

    ``unit`` is what the phase's ``until`` is a multiple of, relative to chance. The sum of the loss
    starts again.
    """
    if stage.until is None or not index:
        return set()
    clock = state.counters["clock"][index]
    loss = state.risks["loss"]
    mean = loss[index] / ((clock - 1) % schedule.check_every + 1)
    loss[index] = 0.0
    is_low = (mean <= stage.until * unit).tolist()
    return {i for i, low in zip(index, is_low, strict=True) if low}


def replicas_that_end(
    state: State,
    index: Sequence[int],
    stage: Stage,
    schedule: Schedule,
    at_check: Collection[int],
    at_low_loss: Collection[int],
) -> list[int]:
    """The replicas of ``index`` whose phase ends now."""
    ended = []
    for i in index:
        clock, stale = (int(state.counters[name][i]) for name in ("clock", "stale"))
        is_stopped = i in at_check and schedule.ends_phase(clock, stale, i in at_low_loss)
        if clock >= stage.steps or is_stopped:
            ended.append(i)
    return ended
