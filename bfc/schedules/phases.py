"""One phase of a schedule, and the small language in which its texts are written."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar

from bfc.component import Component
from bfc.errors import require

_BRACES = re.compile(r"\{([^{}]*)\}")
_TERM = re.compile(r"\s*([+-]?)\s*(k|l|L|\d+)\s*")
_UNTIL = re.compile(r"\s*([0-9.eE+-]+)\s*(gap)?\s*")


@dataclass(frozen=True)
class Phase(Component, config_key="schedule.phases"):
    """One phase, or one phase per level.

    ``train`` holds group names in which ``{l}`` is the current level, ``{L}`` the top, ``{k}`` the
    number ``k`` of the schedule and ``{2..l}`` a range of levels. Both ends of a range may be sums
    such as ``l-k``; it is cut to the levels that exist and may be empty. ``*`` stands for any text.
    ``times`` multiplies the schedule's ``steps``.
    """

    identity_name: ClassVar[str] = "bfc.learners.schedules.Phase"

    train: tuple[str, ...]
    name: str = "all"
    each: str | None = None
    """``level``: one phase per level; a range such as ``3..L``: one per level of it;
    ``down 2..L-1``: one per level of it, downwards.

    Neighbouring phases with the same ``each`` are gone through together, level by level.
    """
    times: str = "1"
    until: float | str | None = None
    """The phase also ends once the training loss is at most this, averaged over the steps between
    two checks.

    A number is relative to chance; ``0.5 gap`` is relative to the information gap (what the next
    level contributes, alpha_{l+1}^2; zero at the top).
    """
    penalties: dict[str, float] = field(default_factory=dict)
    """Coefficients of the regularisers that are on in this phase; names as in ``train``."""
    frozen: tuple[str, ...] = ()
    """Groups that are in the network from this phase on without having been trained, for instance a
    random first layer."""

    def check(self) -> None:
        """Refuse values that no learner can be trained with (:class:`bfc.errors.UserError`)."""
        where = f"schedule phase {self.name}"
        require(len(self.train) > 0, f"{where}: train", "[]", "at least one group")
        require(
            self.until is None or parse_threshold(self.until) is not None,
            f"{where}: until",
            self.until,
            "null, a number > 0 or a multiple of the information gap such as '0.5 gap'",
        )
        valid = all(0 <= coefficient < math.inf for coefficient in self.penalties.values())
        require(valid, f"{where}: penalties", dict(self.penalties), "coefficients >= 0")


@dataclass(frozen=True)
class Threshold:
    """A training loss at which a phase ends."""

    value: float
    of_gap: bool
    """Whether ``value`` is a multiple of the information gap, rather than of chance."""


def parse_threshold(text: float | str) -> Threshold | None:
    """``0.3`` or ``0.5 gap`` as a threshold; None where it is neither."""
    match = _UNTIL.fullmatch(str(text))
    if match is None:
        return None
    try:
        value = float(match.group(1))
    except ValueError:
        return None
    return Threshold(value, match.group(2) is not None) if 0 < value < math.inf else None


@dataclass(frozen=True)
class Letters:
    """What the letters in the texts of a phase stand for at one level."""

    level: int
    top: int
    levels: tuple[int, ...]
    """All levels of the learner."""
    k: int | None

    def expand(self, text: str) -> list[str]:
        """The names that a text stands for: ``level{2..l}`` → [level2, ..., level<l>]."""
        brace = _BRACES.search(text)
        if brace is None:
            return [text]
        inner = brace.group(1)
        numbers = self.range(inner) if ".." in inner else [self.value(inner)]
        names = []
        for number in numbers:
            names += self.expand(text[: brace.start()] + str(number) + text[brace.end() :])
        return names

    def groups(self, texts: Sequence[str], groups: Sequence[str]) -> tuple[str, ...]:
        """The groups that some texts name, each once; unknown names are left as they are."""
        names: list[str] = []
        for text in texts:
            for name in self.expand(text):
                names += _match(name, groups)
        return tuple(dict.fromkeys(names))

    def range(self, text: str) -> list[int]:
        """The levels of a range: ``2..l`` → from 2 up to l."""
        first, _, last = text.partition("..")
        low, high = self.value(first), self.value(last)
        return [level for level in self.levels if low <= level <= high]

    def value(self, text: str) -> int:
        """The value of a sum such as ``l-1``, ``L`` or ``2``."""
        total, end = 0, 0
        match = _TERM.match(text)
        while match is not None and (end == 0 or match.group(1)):
            number = self._number(match.group(2), text)
            total += -number if match.group(1) == "-" else number
            end = match.end()
            match = _TERM.match(text, end)
        require(
            end == len(text) and end > 0,
            "schedule.phases",
            text,
            "a sum of l (this level), L (the top), k (schedule.k) and integers, such as l-1",
        )
        return total

    def _number(self, term: str, text: str) -> int:
        """The value of one letter or integer of the sum ``text``."""
        if term == "k":
            allowed = f"an integer >= 0, since the phases use k in {text}"
            require(self.k is not None, "schedule.k", None, allowed)
            assert self.k is not None
            return self.k
        if term == "l":
            return self.level
        return self.top if term == "L" else int(term)


def _match(name: str, groups: Sequence[str]) -> list[str]:
    """The groups that a name with ``*`` stands for; a plain name stands for itself."""
    if "*" not in name:
        return [name]
    return [group for group in groups if fnmatchcase(group, name)]
