"""Backward feature correction in the stored probes: which columns say what about the lower levels
after each phase, and their medians. The probes are stored with each training in columns
``<phase>/<probe>/<level>`` and ``<phase>/risk``."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

PROBES = {"gram": "Gram error", "subspace": "subspace error", "feature": "feature error (1 − R²)"}


def at_largest_n(trainings: pd.DataFrame) -> pd.DataFrame:
    """The trainings (kind ``training``) of each cell at its largest n."""
    rows = trainings[trainings["kind"] == "training"]
    return rows[rows["n"] == rows.groupby("cell_id")["n"].transform("max")]


def probe_columns(rows: pd.DataFrame) -> dict[str, dict[str, str]]:
    """What the correction figure shows: panel title → phase → column, for Gram and subspace errors
    of the lowest level, feature errors of the levels above, and the risk. Columns are named
    ``<phase>/<probe>/<level>`` and ``<phase>/risk``."""
    parts = [
        (name, *name.split("/"))
        for name in rows
        if name.count("/") == 2 and rows[name].notna().any()
    ]
    parts = [
        (name, phase, probe, int(level)) for name, phase, probe, level in parts if level.isdigit()
    ]
    if not parts:
        return {}
    lowest = min(level for *_, level in parts)
    wanted = sorted(
        {
            (list(PROBES).index(probe), level, probe)
            for _, _, probe, level in parts
            if probe in PROBES and (level > lowest) == (probe == "feature")
        }
    )
    shown = {
        f"{PROBES[probe]}, level {level}": {
            phase: name for name, phase, p, l in parts if (p, l) == (probe, level)
        }
        for _, level, probe in wanted
    }
    risks = {
        name.partition("/")[0]: name
        for name in rows
        if name.count("/") == 1 and name.endswith("/risk") and rows[name].notna().any()
    }
    return {**shown, **({"relative test risk": risks} if risks else {})}


def phases_in_order(rows: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """The phases of columns ``<phase>/...`` in the order of training, which is that in which the
    columns are stored."""
    wanted = {name.partition("/")[0] for name in columns}
    return [
        phase
        for phase in dict.fromkeys(name.partition("/")[0] for name in rows if "/" in name)
        if phase in wanted
    ]


def correction_table(trainings: pd.DataFrame) -> pd.DataFrame:
    """Medians over seeds at each cell's largest n: one row per line, d, L, quantity and phase,
    columns ``method, d, L, n, seeds, quantity, phase, median``; ``trainings`` has the column
    ``line``."""
    rows = []
    for (line, d, L), own in at_largest_n(trainings).groupby(["line", "d", "L"]):
        head = {"method": line, "d": d, "L": L, "n": own["n"].max(), "seeds": own["seed"].nunique()}
        for quantity, names in probe_columns(own).items():
            rows += [
                {**head, "quantity": quantity, "phase": phase, "median": own[name].median()}
                for phase, name in names.items()
                if own[name].notna().any()
            ]
    return pd.DataFrame(
        rows, columns=["method", "d", "L", "n", "seeds", "quantity", "phase", "median"]
    )
