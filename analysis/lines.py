"""Decides which cells form one line of a figure and one exponent.

Cells that differ in anything are never merged: a line holds at most one cell per (d, L), and where
a method was measured twice at the same place, the key that differs splits it into two lines.
"""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

HEAD = ("study", "cell_id", "method", "target", "d", "L", "degree", "eps", "state")
AXES = frozenset({"target.d", "target.L", "kind"})
METHOD = ("learner.", "baseline.")


def find_varying_keys(cells: pd.DataFrame) -> list[str]:
    """Configuration keys with more than one value within some method and target of one study.

    In first-seen order; the axes d and L and keys that the method's name implies are left out.
    ``cells``: the cells of one study.
    """
    keys = _list_settings(cells)
    values = cells[keys].map(_to_comparable_text)
    counts = values.groupby([cells["target"], cells["method"]]).nunique()
    return [key for key in keys if (counts[key] > 1).any()]


def label_lines(cells: pd.DataFrame) -> pd.Series:
    """The line of every cell of one study: the method's name, and the keys that single it out.

    Keys that follow d or L (widths, grid sizes) split no line. Within one target the labels of two
    cells at the same (d, L) always differ.
    """
    labels = pd.Series("", index=cells.index, dtype=object)
    for (_, method), group in cells.groupby(["target", "method"]):
        values = group[_list_settings(group)].map(_to_comparable_text)
        keys = _choose_splitting_keys(values, group[["d", "L"]])
        if keys is None:
            keys, values = ["cell_id"], group[["cell_id"]]
        short = [key.rpartition(".")[2] for key in keys]
        names = short if len(set(short)) == len(short) else keys
        for row in group.index:
            parts = [method]
            for name, key in zip(names, keys, strict=True):
                parts.append(f"{name}={format_setting(values.at[row, key])}")
            labels[row] = ", ".join(parts)
    return labels


def _list_settings(table: pd.DataFrame) -> list[str]:
    """The columns that hold what was configured; ``facts`` follow from these."""
    return [
        key for key in table if key not in HEAD and key not in AXES and not key.startswith("facts.")
    ]


def _choose_splitting_keys(values: pd.DataFrame, places: pd.DataFrame) -> list[str] | None:
    """The fewest keys, chosen greedily, that leave one cell per (d, L).

    Keys of the learner or baseline come first: a network is named by its width rather than by the
    steps that go with it. None if two cells agree in every key.
    """

    def count_distinct(keys: list[str]) -> int:
        return len(pd.concat([places, values[keys]], axis=1).drop_duplicates())

    def score(key: str) -> tuple[int, int, bool]:
        return (
            count_distinct([*chosen, key]),
            -values[key].nunique(),
            key.startswith(METHOD),
        )

    chosen: list[str] = []
    candidates = [key for key in values if values[key].nunique() > 1]
    while count_distinct(chosen) < len(values):
        best = max(candidates, key=score, default=None)
        if best is None or count_distinct([*chosen, best]) == count_distinct(chosen):
            return None
        chosen.append(best)
    return chosen


def format_setting(value: Any) -> str:
    """A configuration value as short text: numbers without noise, a class by its last name."""
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return text.rpartition(".")[2] if text.startswith("bfc.") else text


def _to_comparable_text(value: Any) -> str:
    """A value as text that is equal exactly for equal values.

    1 and 1.0 are equal, and null is a value.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value, default=str)
