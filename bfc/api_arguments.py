"""What the functions of :mod:`bfc.api` are given: each argument is checked before anything runs.

Refusals name the arguments of the function rather than keys of a configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from bfc.component import group_of
from bfc.errors import UserError, format_value, require
from bfc.measure.ladder import Ladder
from bfc.measure.single import Single
from bfc.paths import local_path
from bfc.targets.wrapped import Wrapped
from bfc.types import Measure, Target

_ARGUMENT = re.compile(
    r"\b(?:compute|measure|schedule)\.(device|dtype|stack|compile|n|seeds|eps|test|steps)\b"
)
"""A configuration key that is an argument of a function of the library."""


@contextmanager
def speak_of_arguments() -> Iterator[None]:
    """Refusals name the arguments of the function rather than keys of the configuration."""
    try:
        yield
    except UserError as error:
        raise UserError(_ARGUMENT.sub(r"\1", str(error))) from None


def require_component(name: str, part: Any, group: str, words: str) -> Any:
    """``part``, if it is a component of a config group; ``words``: what it must be."""
    require(group_of(type(part)) == group, name, describe_part(part), words)
    return part


def describe_part(part: object) -> str:
    """An object in a sentence: plain values as they are, others by their class."""
    if isinstance(part, (str, int, float, list, tuple, type(None))):
        return format_value(part)
    return part.__name__ if isinstance(part, type) else f"{type(part).__name__}(...)"


def list_targets(target: Target | Sequence[Target]) -> list[Target]:
    """One target or several as a list; refuses what is none."""
    words = "a target such as bfc.targets.Parity(d=8), or a list of targets"
    targets: list[Any] = list(target) if isinstance(target, (list, tuple)) else [target]
    require(len(targets) > 0, "target", "[]", words)
    for part in targets:
        family = part.unwrapped if isinstance(part, Wrapped) else part
        require_component("target", family, "target", words)
    return targets


def check_folder(results: object) -> Path:
    """The folder that ``results`` names; refuses what is no name."""
    is_path = isinstance(results, (str, Path)) and bool(str(results).strip())
    require(is_path, "results", describe_part(results), "a folder name")
    return local_path(str(results), "results")


def build_measure(
    n: int | Sequence[int] | Literal["fresh"] | None,
    seeds: int | Sequence[int],
    eps: float | Sequence[float],
    test: int,
) -> Measure:
    """The measure of :func:`bfc.run` that trains at every n of a list, or on fresh samples."""
    shared: dict[str, Any] = {"seeds": seeds, "eps": eps, "test": test}
    if n is None:
        raise UserError("n: is missing; must be a list of numbers of labels, or fresh")
    if isinstance(n, str):
        require(n == "fresh", "n", n, "a list of numbers of labels, or fresh")
        return Single(n="fresh", **shared)
    return Ladder(n=n, **shared)  # type: ignore[arg-type]
