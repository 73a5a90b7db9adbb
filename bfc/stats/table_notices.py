"""What reading anyone's table has to say, as data: how it was read, and what it holds besides.

:mod:`bfc.stats.messages` turns these into English, like all of :mod:`bfc.stats.reasons`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RenamedColumn:
    """A column that is read under another spelling of its name."""

    written: str
    name: str


@dataclass(frozen=True)
class UnreadColumn:
    """A column that is not read, though its name is close to one that would be."""

    written: str
    name: str


@dataclass(frozen=True)
class ReadWord:
    """A word of a column that is read as one of ours."""

    column: str
    written: str
    meaning: str


@dataclass(frozen=True)
class FractionalSizes:
    """Sizes that are no whole numbers; ``value`` is the first, in ``row``."""

    column: str
    value: float
    row: int
    rows: int


@dataclass(frozen=True)
class NoisyRisk:
    """Risks lie further below zero than eps, so that noise decides about success."""

    lowest: float
    eps: float


@dataclass(frozen=True)
class MixedSettings:
    """A column, not read, that tells trainings at one d apart."""

    column: str
    d: float
    values: tuple[str, ...]


@dataclass(frozen=True)
class DriftingSettings:
    """Columns, not read, that are constant at every d but change along d."""

    columns: tuple[str, ...]


TableNotice = (
    RenamedColumn
    | UnreadColumn
    | ReadWord
    | FractionalSizes
    | NoisyRisk
    | MixedSettings
    | DriftingSettings
)
