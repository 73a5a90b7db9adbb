"""n* of features: from how many samples on a method has found what the target plants.

A method that learns directions or quadratic forms stores their overlap with the planted ones at
every n (columns ``overlap/<feature>``, with the phase before it where a probe measures it after
every phase of a training). With 1 − overlap in the place of the risk, everything that is estimated
of n* is estimated of these in the same way, so that n*_feature stands beside n*_risk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from analysis.nstar_tables import EXPONENTS, NSTAR, fit_lines, tabulate_exponents, tabulate_nstar
from bfc.store.reading import Collected

OVERLAPS = (0.8, 0.9)
"""Overlaps from which on a feature counts as found; the first is the usual one."""
MARK = "overlap/"


@dataclass(frozen=True)
class FeatureTables:
    """Estimates about one feature."""

    stored: Collected
    """The trainings that measured it, with 1 − overlap as their risk."""
    nstar: pd.DataFrame
    exponents: pd.DataFrame


def list_features(trainings: pd.DataFrame) -> list[str]:
    """The features whose overlap some training has: ``subspace``, or ``all/subspace`` by phase."""
    return sorted(column.replace(MARK, "") for column in trainings if MARK in column)


def find_column(trainings: pd.DataFrame, feature: str) -> str | None:
    """The column of the overlap of a feature; None where it was not measured."""
    for column in trainings:
        if MARK in column and column.replace(MARK, "") == feature:
            return str(column)
    return None


def replace_risk(trainings: pd.DataFrame, missing: pd.Series) -> pd.DataFrame:
    """The trainings with what is ``missing`` of a feature, such as 1 − overlap, as their risk.

    Trainings of which it is unknown are left out, and so is what judges the risk: whether a failure
    is one of data or of optimisation is not known of a feature.
    """
    rows = trainings[missing.notna()]
    judged = [name for name in ("outcome", "train_risk") if name in rows]
    return rows.drop(columns=judged).assign(risk=missing[missing.notna()].astype(float))


def tabulate_features(stored: Collected, processes: int = 1) -> dict[str, FeatureTables]:
    """Feature → n* of every cell that measured it, at 1 − every overlap of :data:`OVERLAPS`.

    ``processes``: those that compute what is not on disk.
    """
    tables = {}
    for feature in list_features(stored.trainings):
        column = find_column(stored.trainings, feature)
        assert column is not None
        trainings = replace_risk(stored.trainings, 1 - stored.trainings[column])
        cells = stored.cells[stored.cells["cell_id"].isin(trainings["cell_id"])]
        eps = tuple(round(1 - overlap, 12) for overlap in OVERLAPS)
        cells = cells.assign(eps=[eps] * len(cells)).reset_index(drop=True)
        part = replace(stored, cells=cells, trainings=trainings.reset_index(drop=True))
        nstar, keys = tabulate_nstar(part, processes)
        exponents = tabulate_exponents(nstar, keys, fit_lines(part, nstar, processes))
        tables[feature] = FeatureTables(part, nstar, exponents)
    return tables


def join_features(features: Mapping[str, FeatureTables]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of n* and of exponents of all features, each with the column ``feature``."""
    nstar, exponents = [], []
    for feature, tables in features.items():
        nstar.append(tables.nstar.assign(feature=feature))
        exponents.append(tables.exponents.assign(feature=feature))
    if not nstar:
        return pd.DataFrame(columns=["feature", *NSTAR]), pd.DataFrame(
            columns=["feature", *EXPONENTS]
        )
    return pd.concat(nstar, ignore_index=True), pd.concat(exponents, ignore_index=True)
