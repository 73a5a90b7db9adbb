"""What a target's ``theory()`` predicts, beside what was measured: the bound itself where its
constants make it say something, and a slope to compare with where they do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.chart import GUIDE, Series
from bfc.errors import UserError
from bfc.experiment.components import component

KEY = "config.target."
COLUMNS = ["d", "kind", "exponent", "bound", "source", "nstar"]
BELOW = 0.6
"""Slopes start at this share of the smallest n* shown, so that they lie beside the data."""


def predictions(trainings: pd.DataFrame, target: str, L: int) -> pd.DataFrame:
    """The :data:`COLUMNS`: what the stored targets say at every d, empty where they say nothing. A
    target that this version cannot rebuild from its stored configuration says nothing."""
    if trainings.empty:
        return pd.DataFrame(columns=COLUMNS)
    rows = trainings[(trainings["target"] == target) & (trainings["L"] == L)]
    keys = [name for name in rows if name.startswith(KEY)]
    found = []
    for d, own in rows.groupby("d"):
        stored = {name.removeprefix(KEY): _value(own[name].iloc[0]) for name in keys}
        node = {
            name: value for name, value in stored.items() if value is not None
        }  # also the keys of other targets in the same store
        found += [
            {
                "d": d,
                "kind": kind,
                "exponent": said.exponent,
                "bound": said.bound,
                "source": said.source,
                "nstar": said.nstar,
            }
            for kind, said in _theory(node).items()
        ]
    return pd.DataFrame(found, columns=COLUMNS)


def guides(theory: pd.DataFrame, nstar: pd.DataFrame) -> list[Series]:
    """A grey line per kind of method, its source in the legend. The prediction is drawn at the d
    where it is at least the smallest n* of ``nstar``; where it is nowhere, or has no constants, a
    slope of its exponent, as far as it stays within the n* shown."""
    measured = nstar["nstar"].dropna()
    if measured.empty:
        return []
    drawn = []
    for rank, (kind, own) in enumerate(theory.groupby("kind", sort=False)):
        said = own.iloc[-1]
        visible = own[own["nstar"].astype(float) >= max(1.0, measured.min())]
        if len(visible) > 1:
            x, y = visible["d"].to_numpy(float), visible["nstar"].to_numpy(float)
            text = f"{kind}, {said['bound']}: {said['source']}"
        else:
            low = BELOW * measured.min()
            x = np.array([nstar["d"].min(), nstar["d"].max()], float)
            x[1] = min(x[1], x[0] * (measured.max() / low) ** (1 / max(said["exponent"], 1e-9)))
            y = low * (x / x[0]) ** said["exponent"]
            text = f"slope d^{said['exponent']:g}: {kind}, {said['bound']}: {said['source']}"
        look = replace(GUIDE, dash=(":", "-.", "--")[rank % 3])
        drawn.append(Series(f"theory, {kind}", look, pd.DataFrame({"x": x, "y": y}), "line", text))
    return drawn


def _theory(node: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return component(
            "target",
            {name: value for name, value in node.items() if "." not in name and name != "numerics"},
        ).theory()
    except (UserError, TypeError, ValueError, ArithmeticError):
        return {}


def _value(value: Any) -> Any:
    """A flattened configuration value as it was: lists are JSON, integers may have become floats,
    nothing is NaN."""
    if isinstance(value, str):
        try:
            return json.loads(value) if value.startswith("[") else value
        except ValueError:
            return value
    if value is None or value != value:
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value
