"""Trainings of one cell whose risk falls through a known n*."""

import pandas as pd

EPS = 0.01
SPREAD = (0.4, 0.6, 0.8, 1.0, 1.0, 1.25, 1.6, 2.5)
"""Factors of the risks of eight seeds around their median."""


def trainings(risk_by_n, outcome="data_limited", kind="training"):
    """Rows of one cell from n → risks of seeds 0, 1, ..."""
    return pd.DataFrame(
        [
            {"kind": kind, "n": n, "seed": seed, "risk": risk, "outcome": outcome}
            for n, risks in risk_by_n.items()
            for seed, risk in enumerate(risks)
        ]
    )


def falling(centre, grid, spread=SPREAD):
    """Trainings whose median risk crosses EPS at ``centre``."""
    return trainings(
        {int(n): [EPS * (centre / n) ** 2 * factor for factor in spread] for n in grid}
    )
