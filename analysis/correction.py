"""Backward feature correction in the stored probes.

Which columns say what about the lower levels after each phase, and their medians. The probes are
stored with each training in columns ``<phase>/<probe>/<level>`` and ``<phase>/risk``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

PROBES = {"gram": "Gram error", "subspace": "subspace error", "feature": "feature error (1 − R²)"}
COLUMNS = (
    "method",
    "d",
    "L",
    "n",
    "seeds",
    "learning rate",
    "quantity",
    "phase",
    "median",
    "lower quartile",
    "upper quartile",
)
QUARTILES = ("lower quartile", "median", "upper quartile")


class ProbeColumn(NamedTuple):
    """A stored column ``<phase>/<probe>/<level>``."""

    name: str
    phase: str
    probe: str
    level: int


def select_largest_n(trainings: pd.DataFrame) -> pd.DataFrame:
    """The trainings (kind ``training``) of each cell at its largest n."""
    rows = trainings[trainings["kind"] == "training"]
    return rows[rows["n"] == rows.groupby("cell_id")["n"].transform("max")]


def find_probe_columns(rows: pd.DataFrame) -> dict[str, dict[str, str]]:
    """What the correction figure shows: panel title → phase → column.

    Gram and subspace errors of the lowest level, feature errors of the levels above, and the risk.
    """
    columns = _parse_probe_columns(rows)
    if not columns:
        return {}
    lowest = min(column.level for column in columns)
    panels: dict[tuple[int, int], dict[str, str]] = {}
    for column in columns:
        is_upper = column.level > lowest
        if column.probe in PROBES and is_upper == (column.probe == "feature"):
            key = list(PROBES).index(column.probe), column.level
            panels.setdefault(key, {})[column.phase] = column.name
    names = list(PROBES.values())
    titled = {
        f"{names[probe]}, level {level}": panels[probe, level] for probe, level in sorted(panels)
    }
    risks = _find_risk_columns(rows)
    return {**titled, "relative test risk": risks} if risks else titled


def _parse_probe_columns(rows: pd.DataFrame) -> list[ProbeColumn]:
    """The columns ``<phase>/<probe>/<level>`` that hold a value."""
    columns = []
    for name in _select_measured(rows, [name for name in rows if name.count("/") == 2]):
        phase, probe, level = name.split("/")
        if level.isdigit():
            columns.append(ProbeColumn(name, phase, probe, int(level)))
    return columns


def _find_risk_columns(rows: pd.DataFrame) -> dict[str, str]:
    """Phase → column ``<phase>/risk``, where it holds a value."""
    names = [name for name in rows if name.count("/") == 1 and name.endswith("/risk")]
    return {read_phase(name): name for name in _select_measured(rows, names)}


def _select_measured(rows: pd.DataFrame, names: list[str]) -> list[str]:
    """Those of some columns that hold a value."""
    has_value = rows[names].notna().to_numpy().any(axis=0)
    return [name for name, is_measured in zip(names, has_value, strict=True) if is_measured]


def read_phase(column: str) -> str:
    """The phase of a column ``<phase>/...``."""
    return column.partition("/")[0]


def order_phases(rows: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """The phases of columns ``<phase>/...`` in the order of training.

    That is the order in which the columns are stored.
    """
    phases = {read_phase(name) for name in columns}
    stored = dict.fromkeys(read_phase(name) for name in rows if "/" in name)
    return [phase for phase in stored if phase in phases]


def tabulate_corrections(trainings: pd.DataFrame) -> pd.DataFrame:
    """Medians over seeds at each cell's largest n, one row per line, d, L, quantity and phase.

    Columns :data:`COLUMNS`; ``trainings`` has the column ``line``. The quartiles show errors that
    fall into two groups of seeds, as Gram errors do at a large learning rate, which cells may tune.
    """
    rows = []
    for (line, d, L), group in select_largest_n(trainings).groupby(["line", "d", "L"]):
        head = {
            "method": line,
            "d": d,
            "L": L,
            "n": group["n"].max(),
            "seeds": group["seed"].nunique(),
            "learning rate": _join_rates(group),
        }
        for quantity, columns in find_probe_columns(group).items():
            for phase, name in columns.items():
                if group[name].notna().any():
                    quartiles = group[name].quantile([0.25, 0.5, 0.75])
                    spread = dict(zip(QUARTILES, quartiles, strict=True))
                    rows.append({**head, "quantity": quantity, "phase": phase, **spread})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _join_rates(rows: pd.DataFrame) -> str:
    """The learning rates of some trainings, ``0.03``; empty where none is stored."""
    rates = rows["lr"].dropna().unique() if "lr" in rows else ()
    return ", ".join(f"{rate:g}" for rate in sorted(rates))
