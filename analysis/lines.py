"""Decides which cells form one line of a figure and one exponent.

Cells that differ in anything are never merged: a line holds at most one cell per (d, L), and where
a method was measured twice at the same place, the key that differs splits it into two lines.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

HEAD = ("study", "cell_id", "method", "target", "d", "L", "degree", "eps", "state")
AXES = frozenset({"target.d", "target.L", "kind"})
METHOD = ("learner.", "baseline.")


def find_varying_keys(cells: pd.DataFrame) -> list[str]:
    """Configuration keys with more than one value within some method and target of one study.

    In first-seen order; the axes d and L and keys that the method's name implies are left out.
    ``cells``: the cells of one study.
    """
    settings = _Settings.of(cells)
    varies = np.zeros(len(settings.keys), dtype=bool)
    for places in cells.groupby(["target", "method"]).indices.values():
        codes = settings.codes[places]
        varies |= (codes != codes[0]).any(0)
    return [settings.keys[k] for k in np.flatnonzero(varies)]


def label_lines(cells: pd.DataFrame) -> pd.Series:
    """The line of every cell of one study: the method's name, and the keys that single it out.

    Keys that follow d or L (widths, grid sizes) split no line. Within one target the labels of two
    cells at the same (d, L) always differ.
    """
    settings = _Settings.of(cells)
    sizes = cells[["d", "L"]].to_numpy(dtype=np.int64)
    labels = np.full(len(cells), "", dtype=object)
    for (_, method), places in cells.groupby(["target", "method"]).indices.items():
        chosen = _choose_splitting_keys(settings.keys, settings.codes[places], sizes[places])
        if chosen is None:
            names = ["cell_id"]
            texts = [cells["cell_id"].to_numpy()[places]]
        else:
            keys = [settings.keys[k] for k in chosen]
            short = [key.rpartition(".")[2] for key in keys]
            names = short if len(set(short)) == len(short) else keys
            texts = [settings.texts[k][settings.codes[places, k]] for k in chosen]
        for row, place in enumerate(places):
            parts = [method]
            for name, column in zip(names, texts, strict=True):
                parts.append(f"{name}={format_setting(column[row])}")
            labels[place] = ", ".join(parts)
    return pd.Series(labels, index=cells.index, dtype=object)


@dataclass(frozen=True)
class _Settings:
    """What N cells were configured with: a code per value of each of K keys."""

    keys: list[str]
    codes: NDArray[np.int64]
    """(N, K); equal exactly for equal values of a key."""
    texts: list[np.ndarray]
    """Per key the values as text, at their codes."""

    @classmethod
    def of(cls, cells: pd.DataFrame) -> _Settings:
        keys = _list_settings(cells)
        codes = np.empty((len(cells), len(keys)), dtype=np.int64)
        texts = []
        for k, key in enumerate(keys):
            code_of: dict[str, int] = {}
            for row, value in enumerate(cells[key]):
                codes[row, k] = code_of.setdefault(_to_comparable_text(value), len(code_of))
            texts.append(np.array(list(code_of), dtype=object))
        return cls(keys, codes, texts)


def _list_settings(table: pd.DataFrame) -> list[str]:
    """The columns that hold what was configured; ``facts`` follow from these."""
    return [
        key for key in table if key not in HEAD and key not in AXES and not key.startswith("facts.")
    ]


def _choose_splitting_keys(
    keys: Sequence[str], codes: NDArray[np.int64], sizes: NDArray[np.int64]
) -> list[int] | None:
    """The places of the fewest keys, chosen greedily, that leave one cell per (d, L).

    ``codes`` (N, K) and ``sizes`` (N, 2) of the cells of one method. Keys of the learner or
    baseline come first: a network is named by its width rather than by the steps that go with it.
    None if two cells agree in every key.
    """
    numbers = {k: len(np.unique(codes[:, k])) for k in range(len(keys))}
    candidates = [k for k, number in numbers.items() if number > 1]
    groups = np.unique(sizes, axis=0, return_inverse=True)[1].ravel()
    chosen: list[int] = []
    while (count := groups.max() + 1) < len(codes):
        split = {k: _split_groups(groups, codes[:, k]) for k in candidates}

        def score(k: int, split: dict[int, NDArray[np.int64]] = split) -> tuple[int, int, bool]:
            return int(split[k].max()) + 1, -numbers[k], keys[k].startswith(METHOD)

        best = max(candidates, key=score, default=None)
        if best is None or split[best].max() + 1 == count:
            return None
        groups = split[best]
        chosen.append(best)
    return chosen


def _split_groups(groups: NDArray[np.int64], codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers, from 0, of the groups of cells that are in one group and have one code."""
    return np.unique(groups * (codes.max() + 1) + codes, return_inverse=True)[1]


def format_setting(value: Any) -> str:
    """A configuration value as short text: numbers without noise, a class by its last name."""
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return text.rpartition(".")[2] if text.startswith("bfc.") else text


@functools.lru_cache(maxsize=1 << 16, typed=True)
def _to_comparable_text(value: Any) -> str:
    """A value as text that is equal exactly for equal values.

    1 and 1.0 are equal, and null is a value.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value, default=str)
