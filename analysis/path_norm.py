"""The two-layer floor beside what was trained: tables of path norms, computed once, and the floor
of a stored training under the law of its own target."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from bfc.bounds.two_layer import (
    Certificate,
    Floor,
    Problem,
    certificates,
    error_floor,
    norm_needed,
    problem,
)
from bfc.targets.radial import Radial

LEVELS = (0.9, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Errors whose certificates bound the error at any norm."""


@lru_cache(maxsize=64)
def _problem(law: str, d: int) -> Problem:
    """Of the hinge; d = 0 stands for the limit of large d."""
    return problem(Radial(d=d or 2, law="limit" if d == 0 else law), limit=d == 0)


@lru_cache(maxsize=512)
def floor(law: str, d: int, eps: float) -> Floor:
    """The path norm needed for the hinge at (d, ε) under a radius law; d = 0: the limit of large d."""
    return norm_needed(_problem(law, d), eps)


@lru_cache(maxsize=64)
def found(target: Radial) -> tuple[Certificate, ...]:
    """Certificates of a target at :data:`LEVELS`."""
    return tuple(certificates(problem(target), LEVELS))


def norm_column(rows: pd.DataFrame) -> str | None:
    """The column of the path norm at the end of the last phase, if the radial probe measured one."""
    names = [name for name in rows if name.endswith("/norm") and rows[name].notna().any()]
    return names[-1] if names else None


def target_of(row: pd.Series) -> Radial:
    """The radial target of a stored training."""
    keys = {
        "d": int,
        "profile": str,
        "frequency": float,
        "law": str,
        "edge_ratio": float,
        "inner": float,
        "outer": float,
    }
    return Radial(**{key: cast(row[f"config.target.{key}"]) for key, cast in keys.items()})


def over_floor(rows: pd.DataFrame, name: str) -> pd.Series:
    """Risk over the certified floor at the norm in column ``name``; infinite where the floor is 0."""
    floors = [error_floor(float(row[name]), found(target_of(row))) for _, row in rows.iterrows()]
    return pd.Series(
        np.divide(
            rows["risk"].astype(float),
            floors,
            out=np.full(len(rows), np.inf),
            where=np.array(floors) > 0,
        ),
        rows.index,
    )
