"""What a target's ``theory()`` predicts, next to what was measured.

The bound itself where its constants make it comparable with the data, and a slope where they do
not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.chart import GUIDE, Series
from analysis.stored_components import read_config, rebuild
from bfc.errors import UserError
from bfc.types import Theory

COLUMNS = ["d", "kind", "exponent", "bound", "source", "nstar", "status"]
BELOW = 0.6
"""Slopes start at this share of the smallest n* shown, so that they lie below the data."""


def load_predictions(trainings: pd.DataFrame, target: str) -> pd.DataFrame:
    """What the stored targets of one name predict at every d, columns :data:`COLUMNS`.

    Empty where they predict nothing, as a target does that this version cannot rebuild from its
    stored configuration.
    """
    if trainings.empty:
        return pd.DataFrame(columns=COLUMNS)
    rows = trainings[trainings["target"] == target]
    records = []
    for d, group in rows.groupby("d"):
        for kind, theory in _load_theory(read_config(group, "target")).items():
            records.append(
                {
                    "d": d,
                    "kind": kind,
                    "exponent": theory.exponent,
                    "bound": theory.bound,
                    "source": theory.source,
                    "nstar": theory.nstar,
                    "status": theory.status,
                }
            )
    return pd.DataFrame(records, columns=COLUMNS)


def predict_nstar(trainings: pd.DataFrame, kind: str) -> float | None:
    """What the target of one cell predicts as n* of a kind of method; None where it does not."""
    if trainings.empty:
        return None
    theory = _load_theory(read_config(trainings, "target")).get(kind)
    return theory.nstar if theory else None


def make_guides(theory: pd.DataFrame, nstar: pd.DataFrame) -> list[Series]:
    """A grey line per kind of method, its source in the legend.

    The prediction is drawn at the d where it is at least the smallest n* of ``nstar``. Where it is
    so at fewer than two d, or has no constants, a slope of its exponent is drawn instead, as far as
    it stays within the n* shown.
    """
    measured = nstar["nstar"].dropna()
    if measured.empty:
        return []
    guides = []
    for rank, (kind, rows) in enumerate(theory.groupby("kind", sort=False)):
        last = rows.iloc[-1]
        status = f" ({last['status']})" if last.get("status") else ""
        text = f"{kind}, {last['bound']}{status}: {last['source']}"
        visible = rows[rows["nstar"].astype(float) >= max(1.0, measured.min())]
        if len(visible) > 1:
            x, y = visible["d"].to_numpy(float), visible["nstar"].to_numpy(float)
        else:
            x, y = _make_slope(last["exponent"], nstar)
            text = f"slope d^{last['exponent']:g}: {text}"
        style = replace(GUIDE, dash=(":", "-.", "--")[rank % 3])
        data = pd.DataFrame({"x": x, "y": y})
        guides.append(Series(f"theory, {kind}", style, data, "line", text))
    return guides


def _make_slope(exponent: float, nstar: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Two points d, n of a power law below the measured n*, as far as it stays within them."""
    measured = nstar["nstar"].dropna()
    low = BELOW * measured.min()
    x = np.array([nstar["d"].min(), nstar["d"].max()], float)
    x[1] = min(x[1], x[0] * (measured.max() / low) ** (1 / max(exponent, 1e-9)))
    return x, low * (x / x[0]) ** exponent


def _load_theory(config: Mapping[str, Any]) -> Mapping[str, Theory]:
    """The theory of the target with this configuration; empty where it cannot be rebuilt."""
    try:
        theory: Mapping[str, Theory] = rebuild("target", config).theory()
    except (UserError, TypeError, ValueError, ArithmeticError):
        return {}
    return theory
