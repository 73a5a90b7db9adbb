"""Schedules: ordered phases over the names of parameter groups. Joint, staged, layer-wise and refitted training are the
same learner under different schedules, so what separates them is visible as a few lines of YAML; a schedule knows
group names and the range of levels, nothing of any learner's inside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar, Literal

from bfc.errors import UserError, nearest, require

_BRACES = re.compile(r"\{([^{}]*)\}")
_TERM = re.compile(r"\s*([+-]?)\s*(l|L|\d+)\s*")


@dataclass(frozen=True)
class Phase:
    """One phase, or one per level (``each: level``). ``train`` holds group names in which ``{l}`` is the current level,
    ``{L}`` the top and ``{2..l}`` a range of levels (both ends may be sums such as ``l-1``; a range is cut to the levels
    that exist and may be empty); ``*`` stands for any text. ``times`` multiplies the schedule's ``steps``."""

    train: tuple[str, ...]
    name: str = "all"
    each: Literal["level"] | None = None
    times: str = "1"
    until: float | None = None
    """The phase also ends once the training loss, averaged over the steps between two checks and relative to chance, is at most this."""
    penalties: dict[str, float] = field(default_factory=dict)
    """Regularisers of the learner that are on in this phase, with their coefficients."""
    frozen: tuple[str, ...] = ()
    """Groups that are in the network from this phase on without having been trained, for instance a random first layer."""


@dataclass(frozen=True)
class Stage:
    """A phase made concrete: which groups train, which exist in the network, for how many steps."""

    name: str
    train: tuple[str, ...]
    present: frozenset[str]
    steps: int
    until: float | None = None
    penalties: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Schedule:
    """An ordered list of phases. At every phase start the optimizer begins anew; a group is present in the network from the
    first phase that trains it or names it as frozen; validation keeps the best parameters of each phase and restores them at its end."""

    numerics: ClassVar[int] = 1

    phases: tuple[Phase, ...]
    name: str = "custom"
    steps: int = 1000
    """Steps of one phase."""
    check_every: int = 100
    """Steps between two looks at validation and train risk."""
    patience: int | None = None
    """Checks without a better validation risk after which a phase ends early; null: never."""

    def __post_init__(self) -> None:
        require(len(self.phases) > 0, "schedule.phases", "[]", "at least one phase")
        require(bool(self.name.strip()), "schedule.name", self.name, "a name")
        require(1 <= self.steps <= 10**9, "schedule.steps", self.steps, "an integer >= 1")
        require(self.check_every >= 1, "schedule.check_every", self.check_every, "an integer >= 1")
        require(self.patience is None or self.patience >= 1, "schedule.patience", self.patience, "null or an integer >= 1")
        for phase in self.phases:
            require(len(phase.train) > 0, f"schedule phase {phase.name}: train", "[]", "at least one group")
            require(phase.until is None or phase.until > 0, f"schedule phase {phase.name}: until", phase.until, "null or a number > 0")
            require(all(0 <= c < float("inf") for c in phase.penalties.values()), f"schedule phase {phase.name}: penalties",
                    dict(phase.penalties), "coefficients >= 0")

    def stages(self, groups: Iterable[str], levels: Sequence[int], longer: int = 1) -> tuple[Stage, ...]:
        """The phases for a learner with these groups and levels, ``longer`` times as long.

        Raises :class:`bfc.errors.UserError` where a phase names a group that the learner does not have.
        """
        groups, top, present, stages = tuple(groups), max(levels, default=1), frozenset(), []
        for phase in self.phases:
            for level in levels if phase.each == "level" else (top,):
                train, frozen = (tuple(dict.fromkeys(g for text in texts for name in _expand(text, level, top, levels)
                                                     for g in _matching(name, groups))) for texts in (phase.train, phase.frozen))
                for group in (*train, *frozen):
                    if group not in groups:
                        raise UserError(f"schedule={self.name}: no parameter group {group} in this learner; {nearest(group, groups)}")
                name = "".join(_expand(phase.name, level, top, levels))
                if not train:
                    raise UserError(f"schedule={self.name}: phase {name} trains no group")
                present |= frozenset((*train, *frozen))
                steps = self.steps * _value(phase.times, level, top) * longer
                require(steps >= 1, "schedule.phases.times", phase.times, "positive")
                stages.append(Stage(name, train, present, steps, phase.until, phase.penalties))
        names = [stage.name for stage in stages]
        for name in names:
            require(names.count(name) == 1, "schedule.phases.name", name, "different for every phase")
        return tuple(stages)


def _matching(name: str, groups: Sequence[str]) -> list[str]:
    """The groups that a name with ``*`` stands for; a plain name is itself."""
    return [group for group in groups if fnmatchcase(group, name)] if "*" in name else [name]


def _expand(text: str, level: int, top: int, levels: Sequence[int]) -> list[str]:
    """``level{2..l}`` → [level2, ..., level<l>]."""
    brace = _BRACES.search(text)
    if brace is None:
        return [text]
    low, dots, high = brace.group(1).partition("..")
    if dots:
        numbers = [k for k in levels if _value(low, level, top) <= k <= _value(high, level, top)]
    else:
        numbers = [_value(low, level, top)]
    return [name for k in numbers for name in _expand(text[: brace.start()] + str(k) + text[brace.end() :], level, top, levels)]


def _value(text: str, level: int, top: int) -> int:
    """A sum such as ``l-1``, ``L`` or ``2``."""
    total, end = 0, 0
    while (term := _TERM.match(text, end)) and (end == 0 or term.group(1)):
        number = {"l": level, "L": top}.get(term.group(2)) if term.group(2) in "lL" else int(term.group(2))
        total += -number if term.group(1) == "-" else number
        end = term.end()
    require(end == len(text) and end > 0, "schedule.phases", text, "a sum of l (this level), L (the top) and integers, such as l-1")
    return total
