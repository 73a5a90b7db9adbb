"""Schedules: ordered phases over the names of parameter groups. Joint, staged, layer-wise and
refitted training are the same learner under different schedules, so what separates them is visible
as a few lines of YAML; a schedule knows group names and the range of levels, nothing of any
learner's inside."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import groupby
from typing import ClassVar

from bfc.errors import UserError, nearest, require
from bfc.types import Stage

_BRACES = re.compile(r"\{([^{}]*)\}")
_TERM = re.compile(r"\s*([+-]?)\s*(k|l|L|\d+)\s*")
_UNTIL = re.compile(r"\s*([0-9.eE+-]+)\s*(gap)?\s*")


@dataclass(frozen=True)
class Phase:
    """One phase, or one per level. ``train`` holds group names in which ``{l}`` is the current
    level, ``{L}`` the top, ``{k}`` the number ``k`` of the schedule and ``{2..l}`` a range of
    levels (both ends may be sums such as ``l-k``; a range is cut to the levels that exist and may
    be empty); ``*`` stands for any text. ``times`` multiplies the schedule's ``steps``."""

    identity_name: ClassVar[str] = "bfc.learners.schedules.Phase"

    train: tuple[str, ...]
    name: str = "all"
    each: str | None = None
    """``level``: one phase per level; a range such as ``3..L``: per level of it; ``down 2..L-1``:
    downwards. Neighbouring phases with the same ``each`` are gone through together, level by level.
    """
    times: str = "1"
    until: float | str | None = None
    """The phase also ends once the training loss, averaged over the steps between two checks, is at
    most this: a number relative to chance, or ``0.5 gap`` relative to the information gap (what the
    next level contributes, alpha_{l+1}^2; zero at the top)."""
    penalties: dict[str, float] = field(default_factory=dict)
    """Regularisers of the learner that are on in this phase, with their coefficients; names as in
    ``train``."""
    frozen: tuple[str, ...] = ()
    """Groups that are in the network from this phase on without having been trained, for instance a
    random first layer."""


@dataclass(frozen=True)
class Schedule:
    """An ordered list of phases. At every phase start the optimizer begins anew; a group is present
    in the network from the first phase that trains it or names it as frozen; validation keeps the
    best parameters of each phase and restores them at its end."""

    identity_name: ClassVar[str] = "bfc.learners.schedules.Schedule"
    version: ClassVar[int] = 1

    phases: tuple[Phase, ...]
    name: str = "custom"
    """``{k}`` in it is replaced."""
    steps: int = 1000
    """Steps of one phase."""
    check_every: int = 100
    """Steps between two looks at validation and train risk."""
    patience: int | None = None
    """Checks without a better validation risk after which a phase ends early; null: never."""
    k: int | None = None
    """The number that ``k`` stands for in the phases."""

    def __post_init__(self) -> None:
        require(len(self.phases) > 0, "schedule.phases", "[]", "at least one phase")
        require(bool(self.name.strip()), "schedule.name", self.name, "a name")
        require(1 <= self.steps <= 10**9, "schedule.steps", self.steps, "an integer >= 1")
        require(self.check_every >= 1, "schedule.check_every", self.check_every, "an integer >= 1")
        require(
            self.patience is None or self.patience >= 1,
            "schedule.patience",
            self.patience,
            "null or an integer >= 1",
        )
        require(self.k is None or self.k >= 0, "schedule.k", self.k, "null or an integer >= 0")
        object.__setattr__(self, "name", self.name.replace("{k}", str(self.k)))
        for phase in self.phases:
            require(
                len(phase.train) > 0,
                f"schedule phase {phase.name}: train",
                "[]",
                "at least one group",
            )
            require(
                _until(phase.until) is not None,
                f"schedule phase {phase.name}: until",
                phase.until,
                "null, a number > 0 or a multiple of the information gap such as '0.5 gap'",
            )
            require(
                all(0 <= c < float("inf") for c in phase.penalties.values()),
                f"schedule phase {phase.name}: penalties",
                dict(phase.penalties),
                "coefficients >= 0",
            )

    def stages(
        self, groups: Iterable[str], levels: Sequence[int], longer: int = 1
    ) -> tuple[Stage, ...]:
        """The phases for a learner with these groups and levels, ``longer`` times as long.

        Raises :class:`bfc.errors.UserError` where a phase names a group that the learner does not
        have.
        """
        groups, stages, present = tuple(groups), [], frozenset()
        for phase, level in self._laid_out(levels):
            text = _Text(level, max(levels, default=1), tuple(levels), self.k)
            train, frozen = (
                tuple(
                    dict.fromkeys(
                        group
                        for name in names
                        for written in text.expand(name)
                        for group in _matching(written, groups)
                    )
                )
                for names in (phase.train, phase.frozen)
            )
            for group in (*train, *frozen):
                if group not in groups:
                    raise UserError(
                        f"schedule={self.name}: no parameter group {group} in this learner; {nearest(group, groups)}"
                    )
            name = "".join(text.expand(phase.name))
            if not train:
                raise UserError(f"schedule={self.name}: phase {name} trains no group")
            steps = self.steps * text.value(phase.times) * longer
            require(steps >= 1, "schedule.phases.times", phase.times, "positive")
            until, of_gap = _until(phase.until)
            penalties = {name: c for key, c in phase.penalties.items() for name in text.expand(key)}
            added = frozenset((*train, *frozen)) - present
            present |= added
            stages.append(
                Stage(
                    name, train, present, steps, until, penalties, level if of_gap else None, added
                )
            )
        names = [stage.name for stage in stages]
        for name in names:
            require(
                names.count(name) == 1, "schedule.phases.name", name, "different for every phase"
            )
        require(
            bool(stages),
            "schedule.phases",
            [phase.each for phase in self.phases],
            "phases of which at least one has a level",
        )
        return tuple(stages)

    def _laid_out(self, levels: Sequence[int]) -> Iterator[tuple[Phase, int]]:
        """Every phase with its level, in the order of training."""
        top = max(levels, default=1)
        for each, run in groupby(self.phases, lambda phase: phase.each):
            together = list(run)
            if each is None:
                yield from ((phase, top) for phase in together)
                continue
            text = _Text(top, top, tuple(levels), self.k)
            down, _, named = each.rpartition("down ")
            require(
                not down and (named == "level" or ".." in named),
                "schedule.phases.each",
                each,
                "null, level, or a range of levels such as 3..L, with the word down before it to go downwards",
            )
            span = list(levels) if named == "level" else text.span(named)
            span = span[::-1] if each.startswith("down ") else span
            yield from ((phase, level) for level in span for phase in together)


def _until(value: float | str | None) -> tuple[float | None, bool] | None:
    """``until`` as a number and whether it is a multiple of the gap; None where it cannot be read."""
    if value is None:
        return None, False
    match = _UNTIL.fullmatch(str(value))
    try:
        number = float(match.group(1)) if match else math.nan
    except ValueError:
        return None
    return (number, match.group(2) is not None) if 0 < number < math.inf else None


def _matching(name: str, groups: Sequence[str]) -> list[str]:
    """The groups that a name with ``*`` stands for; a plain name is itself."""
    return [group for group in groups if fnmatchcase(group, name)] if "*" in name else [name]


@dataclass(frozen=True)
class _Text:
    """What the letters in a phase stand for at one level."""

    level: int
    top: int
    levels: tuple[int, ...]
    k: int | None

    def expand(self, text: str) -> list[str]:
        """``level{2..l}`` → [level2, ..., level<l>]."""
        brace = _BRACES.search(text)
        if brace is None:
            return [text]
        inner = brace.group(1)
        numbers = self.span(inner) if ".." in inner else [self.value(inner)]
        return [
            name
            for n in numbers
            for name in self.expand(text[: brace.start()] + str(n) + text[brace.end() :])
        ]

    def span(self, text: str) -> list[int]:
        """``2..l`` → the levels from 2 up to l."""
        low, _, high = text.partition("..")
        low, high = self.value(low), self.value(high)
        return [n for n in self.levels if low <= n <= high]

    def value(self, text: str) -> int:
        """A sum such as ``l-1``, ``L`` or ``2``."""
        letters = {"l": self.level, "L": self.top, "k": self.k}
        total, end = 0, 0
        while (term := _TERM.match(text, end)) and (end == 0 or term.group(1)):
            number = letters[term.group(2)] if term.group(2) in letters else int(term.group(2))
            require(
                number is not None,
                "schedule.k",
                None,
                f"an integer >= 0, since the phases speak of {text}",
            )
            total += -number if term.group(1) == "-" else number
            end = term.end()
        require(
            end == len(text) and end > 0,
            "schedule.phases",
            text,
            "a sum of l (this level), L (the top), k (schedule.k) and integers, such as l-1",
        )
        return total
