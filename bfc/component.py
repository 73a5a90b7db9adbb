"""The base of every component: its fields are checked when it is built, by whatever it is built.

A component is a frozen dataclass whose ``__post_init__`` refuses values out of range. Before that
runs, every value is checked against the annotation of its field, so that a program that builds
components gets the sentences that a configuration gets, also where pydantic is not installed.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Protocol, cast

from bfc.errors import UserError, require
from bfc.field_types import convert, mismatch, written_types


class Component(Protocol):
    """A frozen dataclass with checked fields; ``config_key`` is what sentences call it.

    A class gives its key as ``class Target(Component, Protocol, config_key="target")``, and those
    that derive from it inherit the key.
    """

    config_key: ClassVar[str] = "component"
    version: ClassVar[int] = 1
    """Raised where equal fields come to give other numbers; part of a cell's identity."""
    derived_keys: ClassVar[Mapping[str, str]] = {}
    """What is no key because it follows from keys → how, as the rest of a sentence about it."""

    def __init_subclass__(cls, config_key: str | None = None, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if config_key is not None:
            cls.config_key = config_key
        if "__post_init__" in cls.__dict__:
            checked = _check_around(cls.__dict__["__post_init__"])
            cls.__post_init__ = checked  # type: ignore[assignment, method-assign]

    def __post_init__(self) -> None:
        """Refuse values of the wrong type; a class that checks ranges overrides this."""
        _check_finite(self, _convert_fields(self))


def group_of(cls: type) -> str | None:
    """The ``config_key`` of a class of components; None for any other class."""
    return cast(type[Component], cls).config_key if Component in cls.__mro__ else None


def _check_around(check_ranges: Callable[[Any], None]) -> Callable[[Any], None]:
    """A ``__post_init__`` that checks types first and, last, that all numbers are finite.

    It does so once for an object: where a class calls the ``__post_init__`` of its base, that only
    checks ranges.
    """

    @functools.wraps(check_ranges)
    def check(self: Any) -> None:
        if type(self).__post_init__ is not check:
            check_ranges(self)
            return
        written = _convert_fields(self)
        check_ranges(self)
        _check_finite(self, written)

    return check


def _convert_fields(part: Any) -> dict[str, Any]:
    """Give every field its value in the form that its annotation asks for; the values by name.

    Raises :class:`UserError` for a value of the wrong type.
    """
    cls: type = type(part)
    hints = written_types(cls)
    values = {}
    for f in dataclasses.fields(part):
        if not f.init:
            continue
        value = getattr(part, f.name)
        try:
            values[f.name] = convert(hints[f.name], value)
        except (TypeError, OverflowError):
            key = f"{part.config_key}.{f.name}"
            raise UserError(mismatch(key, hints[f.name], value)) from None
        object.__setattr__(part, f.name, values[f.name])
    return values


def _check_finite(part: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        is_finite = all(map(math.isfinite, _floats(value)))
        require(is_finite, f"{part.config_key}.{name}", value, "finite")


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _floats(part)
