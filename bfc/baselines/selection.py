"""What is read from learning curves: n* of one curve, and the hyper-parameter with the smallest n*.

Baselines and learning rates are chosen by the same rule, :func:`choose`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

SMALLEST_N = 8
"""First n of a baseline's grid."""
Parameter = TypeVar("Parameter", bound=float)


def geometric_grid(n_max: int, ratio: float, first: int = SMALLEST_N) -> list[int]:
    """Increasing integers from ``first`` to exactly ``n_max``, neighbours about ``ratio`` apart."""
    steps = math.ceil(math.log(n_max / first) / math.log(ratio))
    inner = {round(first * ratio**k) for k in range(steps)}
    return [*sorted(n for n in inner if n < n_max), n_max]


def crossing(n: Sequence[int], risk: Sequence[float], eps: float) -> float | None:
    """n* of one curve: where it first comes down to ``eps``.

    Interpolated linearly in (log n, log risk); n[0] if the curve starts there, None if it never
    gets there.
    """
    hit = next((i for i, value in enumerate(risk) if value <= eps), None)
    if hit is None:
        return None
    if hit == 0:
        return float(n[0])
    above, below = risk[hit - 1], max(risk[hit], 1e-300)
    share = math.log(above / eps) / math.log(above / below)
    return float(n[hit - 1] * (n[hit] / n[hit - 1]) ** share)


def choose(
    name: str,
    curves: Mapping[Parameter, Sequence[Sequence[float]]],
    grid: Sequence[int],
    eps: float,
) -> dict[str, Any]:
    """The hyper-parameter ``name`` with the smallest n* at risk ``eps``.

    ``curves``: value → its risks on ``grid``, draw by draw. n* is that of the median over draws; if
    none reaches ``eps``, the value with the lowest median risk at the largest n is chosen. Returns
    the value under ``name``, ``reached``, and ``tried``: per value ``nstar`` and ``risk`` at the
    largest n.
    """
    tried = []
    for value, risks in curves.items():
        median = np.median(risks, axis=0).tolist()
        tried.append({name: value, "nstar": crossing(grid, median, eps), "risk": median[-1]})
    best = min(tried, key=lambda entry: (entry["nstar"] or math.inf, entry["risk"]))
    return {name: best[name], "reached": best["nstar"] is not None, "tried": tried}
