"""The lower bound for two-layer networks, next to what was trained.

Tables of path norms, computed once, and the certified error of a stored training under the law of
its own target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.estimate_cache import CachedEstimator, Task, compute_cached
from bfc.bounds.two_layer import (
    Certificate,
    Floor,
    Problem,
    bound_error,
    bound_norm,
    build_problem,
    certify_norms,
)
from bfc.targets.radial import Radial

BOUNDS = ("bfc.bounds", "bfc.targets")
"""The packages that a bound follows from."""
RadiusLaw = Literal["bessel", "limit", "uniform"]

LEVELS = (0.9, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Errors whose certificates bound the error at any norm."""
TARGET_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "d": int,
    "profile": str,
    "frequency": float,
    "law": str,
    "edge_ratio": float,
    "inner": float,
    "outer": float,
}
"""Fields of a stored radial target and their types."""


@lru_cache(maxsize=64)
def _make_problem(law: RadiusLaw, d: int) -> Problem:
    """The problem of the hinge; d = 0 is the limit of large d."""
    is_limit = d == 0
    return build_problem(
        Radial(d=2 if is_limit else d, law="limit" if is_limit else law), limit=is_limit
    )


@lru_cache(maxsize=512)
def compute_norm_bounds(law: RadiusLaw, d: int, eps: float) -> Floor:
    """The path norm needed for the hinge at (d, ε) under a radius law; d = 0: large d."""
    task = Task(repr((law, d, eps)), (law, d, eps))
    (floor,) = compute_cached(CachedEstimator(bound_hinge, BOUNDS), [task], "bounding path norms")
    return Floor(**{**floor, "certificate": Certificate(**floor["certificate"])})


def bound_hinge(law: RadiusLaw, d: int, eps: float) -> dict[str, Any]:
    """The fields of the floor of :func:`compute_norm_bounds`."""
    return asdict(bound_norm(_make_problem(law, d), eps))


@lru_cache(maxsize=64)
def compute_certificates(target: Radial) -> tuple[Certificate, ...]:
    """Certificates of a target at :data:`LEVELS`."""
    task = Task(repr(target), (target,))
    (values,) = compute_cached(CachedEstimator(certify_target, BOUNDS), [task], "certifying errors")
    return tuple(Certificate(**fields) for fields in values)


def certify_target(target: Radial) -> list[dict[str, float]]:
    """The fields of the certificates of :func:`compute_certificates`."""
    return [asdict(certificate) for certificate in certify_norms(build_problem(target), LEVELS)]


def find_norm_column(rows: pd.DataFrame) -> str | None:
    """The column of the path norm at the end of the last phase, if the radial probe stored one."""
    names = [name for name in rows if name.endswith("/norm") and rows[name].notna().any()]
    return names[-1] if names else None


def rebuild_target(row: pd.Series) -> Radial:
    """The radial target of a stored training."""
    return Radial(**{key: cast(row[f"config.target.{key}"]) for key, cast in TARGET_KEYS.items()})


def divide_by_floor(rows: pd.DataFrame, column: str) -> pd.Series:
    """Risk over the certified floor at the norm in ``column``; infinite where the floor is 0."""
    floors = [
        bound_error(float(row[column]), compute_certificates(rebuild_target(row)))
        for _, row in rows.iterrows()
    ]
    ratios = np.divide(
        rows["risk"].astype(float),
        floors,
        out=np.full(len(rows), np.inf),
        where=np.array(floors) > 0,
    )
    return pd.Series(ratios, rows.index)
