"""The tables of the page about trainings: outcomes, tuning, cost, environments, corrections.

Each is made from what is stored, and holds nothing that is not in the CSV files of the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.correction import QUARTILES
from analysis.display_table import PageTable, format_table_value, make_page_table
from analysis.lines import format_setting
from analysis.page_tables import SHARED
from analysis.training_kinds import count_curves_once, mark_confirming
from bfc.stats.outcomes import Outcome
from bfc.store.reading import Collected

SCORES = {"median": "median risk", "nstar": "n*", "risk": "risk"}
"""Key of a tuning trial that holds its score → what it is called."""


def make_tuning_table(stored: Collected, lines: Mapping[str, str]) -> PageTable:
    """What tuning chose and tried, per cell; ``lines``: cell id → line.

    A tuned setting is one that every trial names; a trial's score is its ``median`` (risk over
    draws), ``nstar`` or ``risk``.
    """
    records = []
    cells = stored.cells[["cell_id", "method", "target", "L", "d"]]
    for cell in cells.drop_duplicates("cell_id").to_dict("records"):
        tuned = stored.tuned.get(cell["cell_id"], {})
        trials = [trial for trial in tuned.get("tried") or [] if isinstance(trial, Mapping)]
        settings = [key for key in tuned if trials and all(key in trial for trial in trials)]
        score = _find_score(trials)
        if not settings or score is None:
            continue
        records.append(
            {
                "method": lines.get(cell["cell_id"], cell["method"]),
                "target": cell["target"],
                "L": cell["L"],
                "d": cell["d"],
                "chosen": _format_pairs(tuned, settings),
                "at the edge of what was tried": "yes" if tuned.get("at_edge") else "no",
                "score": SCORES[score],
                "tried": "; ".join(_format_trial(trial, settings, score) for trial in trials),
                "draws": len(tuned.get("seeds") or []),
            }
        )
    return make_page_table(records, fold=(*SHARED, "score", "draws"))


def _find_score(trials: Sequence[Mapping[str, Any]]) -> str | None:
    """The first of :data:`SCORES` that some trial has."""
    for key in SCORES:
        if any(trial.get(key) is not None for trial in trials):
            return key
    return None


def _format_trial(trial: Mapping[str, Any], settings: Sequence[str], score: str) -> str:
    value = "not reached" if trial.get(score) is None else format_table_value(trial[score])
    return f"{_format_pairs(trial, settings)}: {value}"


def _format_pairs(values: Mapping[str, Any], keys: Sequence[str]) -> str:
    return ", ".join(f"{key} {format_setting(values[key])}" for key in keys)


def list_variance_notes(trainings: pd.DataFrame) -> list[str]:
    """Targets whose Var f*, and so every relative risk, has the error of a quadrature.

    Read from the column ``variance_error``.
    """
    if "variance_error" not in trainings:
        return []
    error = pd.to_numeric(trainings["variance_error"], errors="coerce")
    largest = error[error > 0].groupby([trainings["target"], trainings["L"]]).max()
    notes = []
    for (target, L), value in largest.items():
        notes.append(
            f"Var f* of {target}, L = {L}, is known by quadrature to {100 * value:.2g} % "
            "(standard error); relative risks share that factor"
        )
    return notes


def make_correction_table(table: pd.DataFrame) -> PageTable:
    """The medians of :func:`analysis.correction.tabulate_corrections`, phases side by side."""
    records = []
    head = ["method", "d", "L", "n", "seeds", "learning rate", "quantity"]
    for key, group in table.groupby(head, sort=False):
        errors = zip(*(group[name] for name in ("phase", *QUARTILES)), strict=True)
        phases = " → ".join(
            f"{phase} {median:.3g} ({lower:.3g}–{upper:.3g})"
            for phase, lower, median, upper in errors
        )
        row = {**dict(zip(head, key, strict=True)), "median (quartiles) after each phase": phases}
        records.append(row)
    return make_page_table(records, fold=SHARED)


def make_outcome_table(trainings: pd.DataFrame) -> PageTable:
    """How the trainings ended, per line, d and L.

    Of a whole learning curve only the last point counts.
    """
    curves = trainings[trainings["kind"] == "curve"]
    ends = curves[curves["n"] == curves.groupby(["cell_id", "seed"])["n"].transform("max")]
    counted = pd.concat([trainings[trainings["kind"] == "training"], ends])
    confirmations = trainings[mark_confirming(trainings)]
    records = []
    for (line, L, d), group in counted.groupby(["line", "L", "d"]):
        confirming = confirmations[
            (confirmations["line"] == line) & (confirmations["L"] == L) & (confirmations["d"] == d)
        ]
        counts = group["outcome"].value_counts()
        numbers = {outcome.value: int(counts.get(outcome.value, 0)) for outcome in Outcome}
        records.append(
            {
                "method": line,
                "L": L,
                "d": d,
                **{name.replace("_", " "): count for name, count in numbers.items()},
                "unjudged": len(group) - sum(numbers.values()),
                "confirming runs": len(confirming),
                "their median risk": float(confirming["risk"].median()) if len(confirming) else "",
            }
        )
    return make_page_table(records)


def make_cost_table(stored: Collected, trainings: pd.DataFrame) -> PageTable:
    """Seconds per line, those of tuning apart.

    The seconds of a learning curve are stored with each of its points and count once.
    """
    runs = count_curves_once(trainings)
    if "seconds" not in runs:
        return make_page_table([])
    records = []
    for line, group in runs.groupby("line"):
        cells = group["cell_id"].unique()
        tuning = sum(float(stored.tuned.get(cell, {}).get("seconds") or 0) for cell in cells)
        confirming = mark_confirming(group)
        records.append(
            {
                "method": line,
                "cells": len(cells),
                "trainings or curves": int((~confirming).sum()),
                "seconds": round(float(group.loc[~confirming, "seconds"].sum()), 1),
                "confirming runs": int(confirming.sum()),
                "their seconds": round(float(group.loc[confirming, "seconds"].sum()), 1),
                "seconds of tuning": round(tuning, 1),
            }
        )
    return make_page_table(records)


def make_environment_table(stored: Collected) -> PageTable:
    """The distinct environments of the cells, and how many cells were computed in each."""
    counts = Counter(tuple(_list_facts(facts).items()) for facts in stored.environments.values())
    return make_page_table([{"cells": count, **dict(facts)} for facts, count in counts.items()])


def _list_facts(environment: Mapping[str, Any]) -> dict[str, str]:
    """What the page shows of one stored environment."""
    names = ("python", "platform", "hardware", "commit")
    facts = {name: format_table_value(environment.get(name, "")) for name in names}
    packages = environment.get("packages")
    versions = packages.items() if isinstance(packages, Mapping) else []
    facts["uncommitted changes"] = "yes" if environment.get("diff") else "no"
    facts["packages"] = ", ".join(f"{name} {version}" for name, version in versions)
    return facts
