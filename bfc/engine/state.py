"""All that changes while a stack trains, as plain tensors and numbers.

A checkpoint is therefore a picture of it. The stack's R comes first in every tensor: the state of
several trainings is that of each, one after the other, and can be taken apart and put together
again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bfc.types import Params, Stage

PLAIN, COMPILED = "plain", "compiled"
COUNTERS = ("phase", "clock", "step", "stale")
RISKS = ("validation", "train", "train_last", "loss")


@dataclass
class State:
    """The state of a stack; a finished replica stays in it and no longer takes part."""

    params: Params
    best: Params
    """Parameters at the best validation risk of the phase."""
    optimizer: dict[str, Params]
    """Buffer of the optimizer → parameter → its values."""
    counters: dict[str, Tensor]
    """int64 (R,): ``phase``, ``clock`` (steps in it), ``step`` (in all), ``stale`` (checks without
    a better validation risk)."""
    risks: dict[str, Tensor]
    """float64 (R,): ``validation`` (best in phase), ``train`` (lowest in phase), ``train_last`` (at
    the last check), ``loss`` (training loss, summed over the steps since the last check; only where
    a phase ends on it)."""
    records: list[dict[str, Any]] = field(default_factory=list)
    """Per replica what was measured so far, then its finished row."""
    execution: str = PLAIN
    """``compiled`` or ``plain``: by which kind of code the stack takes its steps."""

    @classmethod
    def initial(cls, params: Params, buffers: Sequence[str]) -> State:
        """The state before the first step, with zeros in the optimizer's ``buffers``."""
        replicas = len(next(iter(params.values())))
        optimizer = {
            name: {key: torch.zeros_like(p) for key, p in params.items()} for name in buffers
        }
        counters = {name: torch.zeros(replicas, dtype=torch.int64) for name in COUNTERS}
        worst = torch.full((replicas,), float("inf"), dtype=torch.float64)
        risks = {name: worst.clone() for name in RISKS}
        risks["loss"] = torch.zeros_like(worst)
        best = {name: p.clone() for name, p in params.items()}
        return cls(params, best, optimizer, counters, risks, [{} for _ in range(replicas)])

    def start_next_phase(self, index: list[int]) -> None:
        """Move replicas on to their next phase, with a new optimizer and clock."""
        for buffer in self.optimizer.values():
            for values in buffer.values():
                values[index] = 0
        self.counters["clock"][index] = 0
        self.counters["stale"][index] = 0
        self.counters["phase"][index] += 1
        for name, risk in self.risks.items():
            risk[index] = 0.0 if name == "loss" else float("inf")

    def tensors(self) -> dict[str, Any]:
        """The fields, by which a state is stored: ``State(**tensors)`` is the same state."""
        return {
            "params": self.params,
            "best": self.best,
            "optimizer": self.optimizer,
            "counters": self.counters,
            "risks": self.risks,
            "records": self.records,
            "execution": self.execution,
        }

    def part(self, rows: slice) -> State:
        """The state of some replicas; shares memory with this one."""
        return self._mapped(lambda value: value[rows])

    def copy(self) -> State:
        """The same state in memory of its own."""
        return self._mapped(_copy)

    def to(self, device: torch.device) -> State:
        """Parameters on the device; counters, risks and records stay on the CPU."""
        moved = {"params": self.params, "best": self.best, "optimizer": self.optimizer}
        on_device = _map_leaves(lambda value: value.to(device), moved)
        return State(**{**self.tensors(), **on_device})

    def _mapped(self, function: Callable[..., Any]) -> State:
        """The state with a function applied to what has one entry per replica."""
        return State(**_map_leaves(function, self._per_replica()), execution=self.execution)

    def _per_replica(self) -> dict[str, Any]:
        return {name: value for name, value in self.tensors().items() if name != "execution"}

    def steps_done(self, stages: Sequence[Stage]) -> int:
        """Replica-steps behind this state; those of a phase that ended early count."""
        steps = [stage.steps for stage in stages]
        before = torch.tensor([sum(steps[:i]) for i in range(len(stages) + 1)])
        return int((before[self.counters["phase"]] + self.counters["clock"]).sum())


def join(states: Sequence[State]) -> State:
    """One state of all replicas, in order; they take their steps by the same kind of code."""
    (execution,) = {state.execution for state in states}
    parts = [state._per_replica() for state in states]
    return State(**_map_leaves(_concatenate, *parts), execution=execution)


def _copy(value: Tensor | list[Any]) -> Tensor | list[Any]:
    return value.clone() if isinstance(value, Tensor) else list(value)


def _concatenate(*parts: Any) -> Any:
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    return list(itertools.chain.from_iterable(parts))


def _map_leaves(function: Callable[..., Any], *trees: Any) -> Any:
    """``function`` of the leaves of dictionaries that are built alike."""
    if isinstance(trees[0], Mapping):
        return {name: _map_leaves(function, *(tree[name] for tree in trees)) for name in trees[0]}
    return function(*trees)
