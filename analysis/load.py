"""Reads a results folder and estimates everything that follows from it.

The page, a notebook and a claim's predicate all read these tables. Nothing is written and nothing
is drawn.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from analysis.cell_cache import read_cells
from analysis.cell_selection import CellSelection, select_cells
from analysis.evidence import Evidence
from analysis.feature_tables import FeatureTables, join_features, tabulate_features
from analysis.nstar_tables import (
    fit_lines,
    select_depth_rows,
    tabulate_exponents,
    tabulate_local_exponents,
    tabulate_nstar,
)
from analysis.style import LineStyle, assign_line_styles
from bfc.errors import UserError, nearest
from bfc.experiment.stored_config import fill_defaults
from bfc.store.reading import UNNAMED, Collected, collect_cells


@dataclass(frozen=True)
class Results:
    """A results folder with its estimates; the tables are those of all studies."""

    stored: Collected
    nstar: pd.DataFrame
    """Columns :data:`analysis.nstar_tables.NSTAR` and ``keys``."""
    exponents: pd.DataFrame
    """Columns :data:`analysis.nstar_tables.EXPONENTS` and ``keys``."""
    local: pd.DataFrame
    """Columns :data:`analysis.nstar_tables.LOCAL`."""
    depth: pd.DataFrame
    """Columns :data:`analysis.nstar_tables.DEPTH`."""
    nstar_feature: pd.DataFrame
    """n* of features: the columns of ``nstar`` and ``feature``."""
    exponents_feature: pd.DataFrame
    """Their exponents: the columns of ``exponents`` and ``feature``."""
    keys: list[str]
    """The configuration keys that vary."""
    studies: Mapping[str, Evidence]
    """Name → the tables of that study; cells without a study are last."""
    partial: frozenset[str] = frozenset()
    """Studies of which only some cells were read."""
    extent: str = ""
    """What was read and left out, as a sentence; empty where everything was read."""


def load_results(
    results: str | Path, study: str | None = None, processes: int = 1, cells: int | None = None
) -> Results:
    """Read everything below ``results``, or one ``study``, and estimate n* and exponents.

    ``processes``: those that compute what :mod:`analysis.estimate_cache` does not hold. ``cells``:
    the most cells to read, of which :mod:`analysis.cell_selection` says which they are. Raises
    :class:`UserError` where there is nothing.
    """
    stored, selection = _read_store(results, study, processes, cells)
    nstar, keys = tabulate_nstar(stored, processes)
    fits = fit_lines(stored, nstar, processes)
    tables = {
        "nstar": nstar,
        "exponents": tabulate_exponents(nstar, keys, fits),
        "local": tabulate_local_exponents(nstar, fits),
        "depth": select_depth_rows(nstar),
    }
    styles = assign_line_styles(nstar)
    names = sorted(set(stored.cells["study"]), key=lambda name: (name == UNNAMED, name))
    features = tabulate_features(stored, processes)
    studies = {}
    for name in names:
        evidence = _select_study(name, stored, tables, styles)
        studies[name] = replace(evidence, features=_select_features(name, features, styles))
    nstar_feature, exponents_feature = join_features(features)
    return Results(
        stored,
        **tables,
        nstar_feature=nstar_feature,
        exponents_feature=exponents_feature,
        keys=keys,
        studies=studies,
        partial=selection.partial,
        extent=selection.sentence,
    )


def _select_features(
    study: str, features: Mapping[str, FeatureTables], styles: Mapping[str, LineStyle]
) -> dict[str, Evidence]:
    """The tables of the features that a study measured."""
    selected = {}
    for feature, measured in features.items():
        tables = {"nstar": measured.nstar, "exponents": measured.exponents}
        if study in set(measured.nstar["study"]):
            selected[feature] = _select_study(study, measured.stored, tables, styles)
    return selected


def _read_store(
    results: str | Path, study: str | None, processes: int = 1, limit: int | None = None
) -> tuple[Collected, CellSelection]:
    if not os.path.isdir(results):
        raise UserError(f"{results}: there is no such folder")
    stored, selection = _read_cells(results, study, processes, limit)
    if study is not None and study not in set(stored.cells.get("study", ())):
        stored, selection = _read_cells(results, None, processes, limit)
    if stored.cells.empty:
        skipped = ""
        if stored.problems:
            count, first = len(stored.problems), stored.problems[0]
            skipped = f" ({count} folders skipped, the first: {first})"
        raise UserError(f"{results}: holds no measured cell{skipped}")
    if study is None:
        return stored, selection
    names = set(stored.cells["study"])
    if study not in names:
        raise UserError(f"study {study}: is not in {results}; {nearest(study, names)}")
    return stored.study(study), selection


def _read_cells(
    results: str | Path, study: str | None, processes: int, limit: int | None
) -> tuple[Collected, CellSelection]:
    selection = select_cells(results, study, limit)
    files = read_cells(selection.folders, processes)
    stored = collect_cells(selection.folders, files, fill_defaults)
    if selection.studies is None or stored.cells.empty:
        return stored, selection
    return stored.keep_studies(selection.studies), selection


def _select_study(
    name: str,
    stored: Collected,
    tables: Mapping[str, pd.DataFrame],
    styles: Mapping[str, LineStyle],
) -> Evidence:
    """The tables of one study, its trainings and traces with the column ``line``."""
    part = stored.study(name)
    selected = {key: table[table["study"] == name] for key, table in tables.items()}
    lines = dict(zip(selected["nstar"]["cell_id"], selected["nstar"]["line"], strict=True))
    return Evidence(
        **selected,
        trainings=_add_lines(part.trainings, lines),
        traces=_add_lines(part.traces, lines),
        styles=styles,
        name=name,
    )


def _add_lines(table: pd.DataFrame, lines: Mapping[str, str]) -> pd.DataFrame:
    if "cell_id" not in table:
        return table
    return table.assign(line=table["cell_id"].map(lines))
