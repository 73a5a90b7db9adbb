"""n* of features in an entry: from how many samples on a method has found what the target plants.

Closed-form methods and a probe of networks store the overlap with all planted directions or forms
(``overlap/<feature>``); the learner that is built like a composition is compared with it level by
level (``subspace/<level>``, the share of the level's features that its own do not explain). On
random hierarchies a network has found a level where its deepest units have become blind to synonyms
(``synonyms<level>/<units>``, their distance over that of independent strings). With the share that
is missing in the place of the risk, n* is estimated as that of a risk is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from analysis.feature_tables import OVERLAPS, replace_risk
from bfc.stats.nstar import NStar, estimate_at

OVERLAP = OVERLAPS[0]
"""Share of a feature from which on it counts as found."""
OVERLAP_COLUMN = re.compile(r"(?:.*/)?overlap/(?P<feature>\w+)")
LEVEL_COLUMN = re.compile(r"(?:.*/)?subspace/(?P<level>\d+)")
SYNONYMS_COLUMN = re.compile(r"(?:.*/)?synonyms(?P<level>\d+)/\d+")
"""All may begin with the phase of the training at whose end they were measured."""


@dataclass(frozen=True)
class FeatureNStar:
    """From which n on a method has found a feature at the reference size."""

    feature: str
    """``subspace``, ``forms``, ``form_1`` …, ``level 2`` …, or ``synonyms of level 1`` …"""
    overlap: float
    """The share of it that counts as found."""
    nstar: NStar


def estimate_features(trainings: pd.DataFrame) -> tuple[FeatureNStar, ...]:
    """n* of every feature that ``trainings`` of one cell measured, after their last phase."""
    eps = round(1 - OVERLAP, 12)
    estimates = []
    for feature, missing in list_missing_shares(trainings):
        rows = replace_risk(trainings, missing)
        estimates.append(FeatureNStar(feature, OVERLAP, estimate_at(rows, eps)))
    return tuple(estimates)


def list_missing_shares(trainings: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Every feature with the share of it that each training has not found, NaN if unknown."""
    last_phases: dict[str, pd.Series] = {}
    for column in map(str, trainings.columns):
        if not trainings[column].notna().any():
            continue
        if match := OVERLAP_COLUMN.fullmatch(column):
            last_phases[match["feature"]] = 1 - trainings[column].astype(float)
        elif match := LEVEL_COLUMN.fullmatch(column):
            last_phases[f"level {match['level']}"] = trainings[column].astype(float)
        elif match := SYNONYMS_COLUMN.fullmatch(column):  # the deepest units come last
            last_phases[f"synonyms of level {match['level']}"] = trainings[column].astype(float)
    yield from last_phases.items()
