"""The largest chance of a false verdict that any way of adding data leads to.

:func:`bfc.stats.looks.simulate_error` tries policies one by one. Here no policy is named: whoever
adds data sees the estimate, and chooses by what factor the data grow so that a false verdict
becomes as likely as possible. With the truth on the threshold, z at the next look depends on z at
this one and on the factor alone, so the best that can be chosen follows backwards from the last
look (dynamic programming, Bellman 1957). Whatever else is known, such as how other claims stand,
says nothing about the data that are still to come and does not raise this bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from bfc.stats.looks import Sides
from bfc.stats.outcomes import FloatArray

GRID = 400
"""Intervals of z between the two critical values; with 800 results differ by less than 1e-4."""


def bound_error(
    critical_value: float,
    looks: int,
    growths: Sequence[float],
    sides: Sides = "both",
    grid: int = GRID,
) -> float:
    """The chance of a false verdict under the policy that makes it largest.

    ``growths``: the factors, above 1, among which the policy may choose at every look. ``sides``:
    as in :func:`bfc.stats.looks.simulate_error`.
    """
    edges = np.linspace(-critical_value, critical_value, grid + 1)
    centres = (edges[:-1] + edges[1:]) / 2.0
    transitions = [_find_transition(centres, edges, growth, sides) for growth in growths]
    error_to_come = np.zeros(grid)
    for _ in range(looks - 1):
        choices = [stay @ error_to_come + is_false for stay, is_false in transitions]
        error_to_come = np.max(choices, axis=0)
    stay, is_false = _find_transition(np.zeros(1), edges, math.inf, sides)
    return float((stay @ error_to_come + is_false)[0])


def _find_transition(
    centres: FloatArray, edges: FloatArray, growth: float, sides: Sides
) -> tuple[FloatArray, FloatArray]:
    """From every z the chances to be in each interval at the next look, shape (z, intervals), and
    to have a false verdict there, shape (z,). An infinite growth forgets where z was."""
    means = centres[:, None] / math.sqrt(growth)
    spread = math.sqrt(1.0 - 1.0 / growth)
    below = stats.norm.cdf((edges - means) / spread)
    is_false = 1.0 - below[:, -1]
    if sides == "both":
        is_false = is_false + below[:, 0]
    return np.diff(below, axis=1), is_false
