"""What a tracker shows of the trainings of one cell: records, totals and tables, from its rows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.training_kinds import drop_confirming, select_measured
from bfc.stats.outcomes import is_confirming

Rows = Sequence[Mapping[str, Any]]
QUARTILES = [0.25, 0.5, 0.75]
QUARTILE_NAMES = ["q25", "median", "q75"]


def list_records(rows: Rows) -> list[dict[str, float]]:
    """The numbers of every row.

    ``trainings`` counts the trainings so far; a whole curve of one seed is one training.
    """
    records: list[dict[str, float]] = []
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        seen.add(_training_key(row))
        record: dict[str, float] = {"trainings": len(seen)}
        for column, value in row.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                record[column] = value
        records.append(record)
    return records


def _training_key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Identifies the training that a row belongs to."""
    return row["kind"], None if row["kind"] == "curve" else row["n"], row["seed"]


def summarise(rows: Rows) -> dict[str, Any]:
    """Totals, and medians over seeds at the largest n."""
    if not rows:
        return {"trainings": 0}
    totals: dict[str, Any] = {
        "trainings": list_records(rows)[-1]["trainings"],
        "seconds": _total_seconds(rows),
        "diverged": sum(bool(row.get("diverged")) for row in rows),
    }
    return totals | _count_outcomes(rows) | _largest_n_medians(rows)


def _total_seconds(rows: Rows) -> float:
    """Seconds of all trainings.

    The rows of a curve each hold the seconds of the whole curve, which counts once per seed.
    """
    seconds: dict[tuple[Any, ...], float] = {}
    for row in rows:
        is_curve = row["kind"] == "curve"
        seconds[is_curve, 0 if is_curve else row["n"], row["seed"]] = row.get("seconds") or 0.0
    return sum(seconds.values())


def _count_outcomes(rows: Rows) -> dict[str, int]:
    outcomes = [str(row["outcome"]) for row in rows if row.get("outcome")]
    return {f"outcome/{name}": outcomes.count(name) for name in sorted(set(outcomes))}


def _largest_n_medians(rows: Rows) -> dict[str, float]:
    """Medians over the seeds at the largest n: the risk, and what the probes measured."""
    measured = [row for row in rows if not is_confirming(row)]
    largest_n = max((row["n"] for row in measured), default=0)
    last_rows = [row for row in measured if row["n"] == largest_n]
    columns: dict[str, None] = {"risk": None}
    for row in last_rows:
        columns |= dict.fromkeys(column for column in row if "/" in column)
    medians: dict[str, float] = {}
    for column in columns:
        median = _median([row.get(column) for row in last_rows])
        if median is not None:
            medians["risk/median" if column == "risk" else f"probe/{column}"] = median
    return medians


def _median(values: Sequence[Any]) -> float | None:
    """The median, where NaN counts as infinite; None where nothing finite was measured."""
    numbers = []
    for value in values:
        if value is not None:
            numbers.append(math.inf if value != value else float(value))
    if all(math.isinf(number) for number in numbers):
        return None
    return statistics.median(numbers)


def learning_curves(trainings: pd.DataFrame) -> pd.DataFrame:
    """Risk against n, seed by seed; where the data are fresh, n is the samples seen so far."""
    measured = select_measured(trainings)
    columns = [
        name for name in ("seed", "n", "steps", "risk", "train_risk") if name in measured.columns
    ]
    return measured[columns].sort_values(["seed", "n"])


def risk_per_n(trainings: pd.DataFrame, levels: Sequence[float]) -> pd.DataFrame:
    """Quartiles of the risk over seeds at every n, and the share of seeds at or below each eps.

    What diverged counts as infinite.
    """
    measured = select_measured(trainings)
    risks = measured["risk"].astype(float).fillna(math.inf)
    groups = measured.assign(risk=risks).groupby("n")["risk"]
    quartiles = groups.quantile(QUARTILES, interpolation="nearest").unstack()
    table = quartiles.set_axis(QUARTILE_NAMES, axis=1)
    table.insert(0, "seeds", groups.size())
    for eps in levels:
        table[f"share<={eps:g}"] = groups.agg(lambda risk, eps=eps: (risk <= eps).mean())
    return table.reset_index()


def probe_table(trainings: pd.DataFrame) -> pd.DataFrame:
    """What the probes measured after every phase: quartiles over seeds.

    One row per (n, phase, quantity); empty where nothing was probed.
    """
    columns = [name for name in trainings if "/" in str(name)]
    if not columns:
        return pd.DataFrame()
    measured = drop_confirming(trainings)
    values = measured.melt(["n", "seed"], columns, "column").dropna(subset=["value"])
    if values.empty:
        return pd.DataFrame()
    values = values.assign(value=values["value"].astype(float))
    groups = values.groupby(["n", "column"], sort=False)["value"]
    table = groups.quantile(QUARTILES).unstack().set_axis(QUARTILE_NAMES, axis=1).reset_index()
    phases = table.pop("column").str.partition("/")
    table.insert(1, "phase", phases[0])
    table.insert(2, "quantity", phases[2])
    return table
