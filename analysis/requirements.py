"""What a claim requires to have been measured before it is judged.

Each requirement is checked against the :class:`analysis.source.Source` of a measurement; where one
is not met the claim is *not run*, whatever was measured instead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from analysis.source import Source
from analysis.verdicts import Measurement, not_run


def check_requirements(measurement: Measurement, required: Mapping[str, Any]) -> Measurement:
    """The measurement, or that it was not run where it lacks what the claim requires."""
    if measurement.missing:
        return measurement
    source = measurement.source
    for name, demanded in required.items():
        lacking = REQUIREMENTS[name](source, demanded)
        if lacking:
            return not_run(f"needs {lacking}; measured: {source or 'nothing'}")
    return measurement


def _find_lacking(name: str, present: Collection[int], demanded: int | Sequence[int]) -> str:
    """The demanded values that are not present, in words; empty where all are."""
    values = demanded if isinstance(demanded, list) else [demanded]
    lacking = [str(value) for value in values if value not in present]
    return f"{name} = {', '.join(lacking)}" if lacking else ""


def _check_least(name: str, largest: int, least: int) -> str:
    return f"{name} of at least {least}" if largest < least else ""


def _check_steps(steps: Collection[int], demanded: int | str) -> str:
    """``steps``: of all trainings; ``demanded``: their number, or :data:`EQUAL`."""
    if demanded == EQUAL:
        return "" if len(steps) == 1 else f"equal steps (measured: {sorted(steps)})"
    return "" if set(steps) == {demanded} else f"{demanded} steps (measured: {sorted(steps)})"


EQUAL = "equal"
"""Stands for any number of optimizer steps that all compared trainings have in common."""
REQUIREMENTS: Mapping[str, Callable[[Source, Any], str]] = {
    "d": lambda source, values: _find_lacking("d", source.d, values),
    "L": lambda source, values: _find_lacking("L", source.L, values),
    "n": lambda source, least: _check_least("a largest n", max(source.n, default=0), least),
    "seeds": lambda source, least: _check_least("a number of seeds", source.seeds, least),
    "steps": lambda source, demanded: _check_steps(source.steps, demanded),
}
"""What a claim may require: of what was read, what is lacking, in words; empty where nothing is.

d and L: a value or values that must be among those read; n: the largest n is at least this; seeds:
the least number; steps: the optimizer steps of all trainings.
"""
