"""All that changes while a stack trains, as plain tensors and numbers, so that a checkpoint is a
picture of it. The stack's R comes first in every tensor: the state of several trainings is that of
each, one after the other, and can be taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bfc.types import Params, Stage


@dataclass
class State:
    """It lives through compaction: a finished replica simply no longer takes part."""

    params: Params
    best: Params
    optimizer: dict[str, Params]
    counters: dict[str, Tensor]
    """int64 (R,): ``phase``, ``clock`` (steps in it), ``step`` (in all), ``stale`` (checks without
    a better validation)."""
    risks: dict[str, Tensor]
    """float64 (R,): ``validation`` (best in phase), ``train`` (lowest so far in phase),
    ``train_last`` (at the last check), ``loss`` (training loss, summed over the steps since the
    last check; only where a phase ends on it)."""
    records: list[dict[str, Any]] = field(default_factory=list)
    """Per replica what was measured so far, then its finished row."""

    def tensors(self) -> dict[str, Any]:
        return {
            "params": self.params,
            "best": self.best,
            "optimizer": self.optimizer,
            "counters": self.counters,
            "risks": self.risks,
            "records": self.records,
        }

    def part(self, rows: slice) -> State:
        """The state of some replicas; shares memory with this one."""
        return State(**_leaves(lambda value: value[rows], self.tensors()))

    def copy(self) -> State:
        """The same in memory of its own."""
        return State(
            **_leaves(
                lambda value: value.clone() if isinstance(value, Tensor) else list(value),
                self.tensors(),
            )
        )

    def to(self, device: torch.device) -> State:
        """Parameters on the device; counters, risks and records stay on the CPU."""
        moved = {"params": self.params, "best": self.best, "optimizer": self.optimizer}
        return State(**{**self.tensors(), **_leaves(lambda value: value.to(device), moved)})

    def steps_done(self, stages: Sequence[Stage]) -> int:
        """Replica-steps behind this state; those of a phase that ended early count."""
        before = torch.tensor(
            [sum(stage.steps for stage in stages[:i]) for i in range(len(stages) + 1)]
        )
        return int((before[self.counters["phase"]] + self.counters["clock"]).sum())


def join(states: Sequence[State]) -> State:
    """One state of all replicas, in order."""

    def one(*parts: Any) -> Any:
        return (
            torch.cat(parts)
            if isinstance(parts[0], Tensor)
            else [record for part in parts for record in part]
        )

    return State(**_leaves(one, *(state.tensors() for state in states)))


def _leaves(function: Callable[..., Any], *trees: Any) -> Any:
    """``function`` of the leaves of dictionaries that are built alike."""
    if isinstance(trees[0], dict):
        return {name: _leaves(function, *(tree[name] for tree in trees)) for name in trees[0]}
    return function(*trees)
