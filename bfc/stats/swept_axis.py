"""The size that n* is fitted against: the dimension d, or the depth L.

Every estimator reads one size per cell and calls it d. What it is in a given table, and what it is
called in columns and sentences, is said here alone, so that depth needs no second set of
estimators: n* = a L^b is the power law of that axis, and n* = a f^L its exponential.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SweptAxis:
    """A size that studies vary."""

    name: str
    """The column that holds it, which is its symbol in sentences too."""
    label: str
    """In words, for the axis of a figure."""


DIMENSION = SweptAxis("d", "input dimension d")
DEPTH = SweptAxis("L", "depth L")
AXES = {axis.name: axis for axis in (DIMENSION, DEPTH)}
"""Name → axis."""
