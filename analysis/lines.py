"""Which cells form one line of a figure and one exponent. Cells that differ in anything are never
merged: a line holds at most one cell per (d, L), and where a method was measured twice at the same
place the key that differs splits it in two lines."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

HEAD = ("study", "cell_id", "method", "target", "d", "L", "degree", "eps", "state")
AXES = frozenset({"target.d", "target.L", "kind"})
METHOD = ("learner.", "baseline.")


def varying_keys(cells: pd.DataFrame) -> list[str]:
    """Configuration keys that take more than one value within some method and target of one study,
    in first-seen order. The axes d and L and keys that the method's name implies are left out.

    ``cells``: the rows of one study of :class:`analysis.collect.Collected`.
    """
    keys = _settings(cells)
    values = cells[keys].map(_text)
    counts = values.groupby([cells["target"], cells["method"]]).nunique()
    return [key for key in keys if (counts[key] > 1).any()]


def line_labels(cells: pd.DataFrame) -> pd.Series:
    """The line of every cell of one study, as text: the method's name, and the keys that tell it
    from its doubles.

    Keys that follow d or L (widths, grid sizes) split no line. Within one target the labels of two
    cells at the same (d, L) always differ."""
    labels = pd.Series("", index=cells.index, dtype=object)
    for (_, method), group in cells.groupby(["target", "method"]):
        keys = _settings(group)
        values = group[keys].map(_text)
        chosen = _splitting(values, group[["d", "L"]])
        if chosen is None:
            chosen, values = ["cell_id"], group[["cell_id"]]
        short = [key.rpartition(".")[2] for key in chosen]
        names = short if len(set(short)) == len(short) else chosen
        for row in group.index:
            parts = [
                f"{name}={shown(values.at[row, key])}"
                for name, key in zip(names, chosen, strict=True)
            ]
            labels[row] = ", ".join([method, *parts])
    return labels


def _settings(table: pd.DataFrame) -> list[str]:
    """The columns that hold what was configured; ``facts`` follow from these."""
    return [
        key for key in table if key not in HEAD and key not in AXES and not key.startswith("facts.")
    ]


def _splitting(values: pd.DataFrame, places: pd.DataFrame) -> list[str] | None:
    """The fewest keys, chosen greedily, that leave one cell per (d, L), those of the learner or
    baseline first (a network is told by its width rather than by the steps that go with it); None
    if two cells agree in every key."""
    chosen: list[str] = []

    def distinct(keys: list[str]) -> int:
        return len(pd.concat([places, values[keys]], axis=1).drop_duplicates())

    candidates = [key for key in values if values[key].nunique() > 1]
    while distinct(chosen) < len(values):
        best = max(
            candidates,
            key=lambda key: (
                distinct([*chosen, key]),
                -values[key].nunique(),
                key.startswith(METHOD),
            ),
            default=None,
        )
        if best is None or distinct([*chosen, best]) == distinct(chosen):
            return None
        chosen.append(best)
    return chosen


def shown(value: Any) -> str:
    """A configuration value as short text: numbers without noise, a class by its last name."""
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return text.rpartition(".")[2] if text.startswith("bfc.") else text


def _text(value: Any) -> str:
    """A value as text that is equal exactly for equal values (1 and 1.0 are equal, null is a
    value)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value, default=str)
