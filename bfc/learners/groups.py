"""Names of level groups, ``level2`` ... ``levelL``, and what a set of them says of a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from bfc.errors import UserError

PREFIX = "level"


def present_levels(present: frozenset[str]) -> list[int]:
    """The levels among the groups, ascending."""
    return sorted(int(name.removeprefix(PREFIX)) for name in present if name.startswith(PREFIX))


def top_level(present: frozenset[str]) -> int:
    """The highest level present; 1 if there is none."""
    return max(present_levels(present), default=1)


def list_parameters(groups: Mapping[str, Iterable[str]], chosen: Iterable[str]) -> list[str]:
    """The names of the parameters in some of the groups, in their order."""
    return list(chain.from_iterable(groups[group] for group in chosen))


def require_groups(learner: str, names: Iterable[str], present: frozenset[str]) -> None:
    """Refuse a network without one of the groups that it always needs.

    Raises :class:`bfc.errors.UserError`.
    """
    for name in names:
        if name not in present:
            raise UserError(
                f"schedule: learner={learner} is no network without {name}; name it under train "
                "or frozen in the first phase"
            )


def check_chain(present: frozenset[str]) -> None:
    """Refuse a level without the level right below it, which it reads.

    Raises :class:`bfc.errors.UserError`.
    """
    top = top_level(present)
    for level in range(2, top):
        if f"{PREFIX}{level}" not in present:
            raise UserError(f"schedule: level{top} is trained before level{level}, which it reads")
