"""A schedule as a list of phases, and how it becomes concrete for a learner's groups and levels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from bfc import types
from bfc.errors import UserError, nearest, require
from bfc.schedules.phases import Letters, Phase, parse_threshold
from bfc.schedules.stop_rule import StopRule
from bfc.types import Stage


@dataclass(frozen=True)
class Schedule(StopRule, types.Schedule):
    """An ordered list of phases, each of which may end early (:class:`StopRule`).

    The optimizer begins anew at the start of every phase. A group is present in the network from
    the first phase that trains it or names it as frozen. Validation keeps the best parameters of
    each phase and restores them at its end.
    """

    identity_name: ClassVar[str] = "bfc.learners.schedules.Schedule"
    version: ClassVar[int] = 1

    phases: tuple[Phase, ...]
    """Which parameter groups train, phase by phase."""
    name: str = "custom"
    """``{k}`` in it is replaced."""
    steps: int = 1000
    """Steps of one phase."""
    check_every: int = 100
    """Steps between two evaluations of validation and train risk."""
    k: int | None = None
    """The number that ``k`` stands for in the phases."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.phases) > 0, "schedule.phases", "[]", "at least one phase")
        require(bool(self.name.strip()), "schedule.name", self.name, "a name")
        require(1 <= self.steps <= 10**9, "schedule.steps", self.steps, "an integer >= 1")
        require(self.check_every >= 1, "schedule.check_every", self.check_every, "an integer >= 1")
        require(self.k is None or self.k >= 0, "schedule.k", self.k, "null or an integer >= 0")
        object.__setattr__(self, "name", self.name.replace("{k}", str(self.k)))
        for phase in self.phases:
            phase.check()

    def stages(
        self, groups: Iterable[str], levels: Sequence[int], longer: int = 1
    ) -> tuple[Stage, ...]:
        """The phases for a learner with these groups and levels, ``longer`` times as long.

        Raises :class:`bfc.errors.UserError` where a phase names a group that the learner does not
        have, trains none, or has no positive number of steps.
        """
        available = tuple(groups)
        stages: list[Stage] = []
        present: frozenset[str] = frozenset()
        for phase, level in self._phases_by_level(levels):
            stage = self._stage(phase, self._letters(levels, level), available, present, longer)
            present = stage.present
            stages.append(stage)
        names = [stage.name for stage in stages]
        for name in names:
            is_unique = names.count(name) == 1
            require(is_unique, "schedule.phases.name", name, "different for every phase")
        ranges = [phase.each for phase in self.phases]
        allowed = "phases of which at least one has a level"
        require(bool(stages), "schedule.phases", ranges, allowed)
        return tuple(stages)

    def _letters(self, levels: Sequence[int], level: int) -> Letters:
        return Letters(level, max(levels, default=1), tuple(levels), self.k)

    def _phases_by_level(self, levels: Sequence[int]) -> Iterator[tuple[Phase, int]]:
        """Every phase with its level, in the order of training."""
        top = max(levels, default=1)
        for level_range, run in groupby(self.phases, lambda phase: phase.each):
            neighbours = list(run)
            for level in [top] if level_range is None else self._levels_of(level_range, levels):
                for phase in neighbours:
                    yield phase, level

    def _levels_of(self, level_range: str, levels: Sequence[int]) -> list[int]:
        """The levels that a phase's ``each`` names, in the order of training."""
        down, _, span = level_range.rpartition("down ")
        require(
            not down and (span == "level" or ".." in span),
            "schedule.phases.each",
            level_range,
            "null, level, or a range of levels such as 3..L, with the word down before it to go "
            "downwards",
        )
        letters = self._letters(levels, max(levels, default=1))
        numbers = list(levels) if span == "level" else letters.range(span)
        return numbers[::-1] if level_range.startswith("down ") else numbers

    def _stage(
        self,
        phase: Phase,
        letters: Letters,
        groups: Sequence[str],
        present: frozenset[str],
        longer: int,
    ) -> Stage:
        """One phase at one level, after phases that have left ``present`` in the network."""
        train = letters.groups(phase.train, groups)
        frozen = letters.groups(phase.frozen, groups)
        for group in (*train, *frozen):
            if group not in groups:
                raise UserError(
                    f"schedule={self.name}: no parameter group {group} in this learner; "
                    f"{nearest(group, groups)}"
                )
        name = "".join(letters.expand(phase.name))
        if not train:
            raise UserError(f"schedule={self.name}: phase {name} trains no group")
        steps = self.steps * letters.value(phase.times) * longer
        require(steps >= 1, "schedule.phases.times", phase.times, "positive")
        penalties: dict[str, float] = {}
        for text, coefficient in phase.penalties.items():
            penalties |= dict.fromkeys(letters.expand(text), coefficient)
        threshold = None if phase.until is None else parse_threshold(phase.until)
        added = frozenset((*train, *frozen)) - present
        return Stage(
            name,
            train,
            present | added,
            steps,
            until=None if threshold is None else threshold.value,
            penalties=penalties,
            gap=letters.level if threshold is not None and threshold.of_gap else None,
            added=added,
        )
