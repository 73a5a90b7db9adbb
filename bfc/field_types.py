"""The annotations of a component's fields: which values they take, and what they are in words.

Configurations are checked by pydantic, and components that a program builds by :func:`convert`,
which needs nothing but Python; both refuse a value in the words of :func:`mismatch`.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from numbers import Integral, Real
from typing import Annotated, Any, get_args, get_origin

from bfc.errors import format_value, similar


@dataclass(frozen=True, eq=False)  # unions of another order are equal, but are described in it
class Accepts:
    """``Annotated[held, Accepts(written)]``: a field holds ``held`` and may be given ``written``.

    The class of the field turns one into the other in its ``__post_init__``. Type checkers see what
    the field holds; values are checked against what may be written.
    """

    written: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """The schema that pydantic checks a value of a configuration against."""
        return handler.generate_schema(self.written)


@functools.cache
def written_types(cls: type) -> dict[str, Any]:
    """Field → the type that may be written for it."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {name: _written_type(hint) for name, hint in hints.items()}


def _written_type(hint: Any) -> Any:
    if get_origin(hint) is not Annotated:
        return hint
    held, *metadata = get_args(hint)
    for item in metadata:
        if isinstance(item, Accepts):
            return item.written
    return held


def is_union(hint: Any) -> bool:
    return get_origin(hint) in (typing.Union, types.UnionType)


def convert(hint: Any, value: Any) -> Any:
    """A value in the form that a field of this annotation holds.

    Integers become floats where the annotation says so, and lists and arrays tuples, as pydantic
    does it. Raises TypeError for a value of another type. Classes that are no dataclasses, such as
    protocols, take anything.
    """
    if is_union(hint):
        return _convert_to_option(get_args(hint), value)
    origin = get_origin(hint)
    if origin is typing.Literal:
        return _checked(value, any(_is_same(value, name) for name in get_args(hint)))
    if origin is tuple:
        return _convert_to_tuple(get_args(hint), value)
    if origin is dict:
        return _convert_to_dict(get_args(hint), value)
    if hint in _CONVERSIONS:
        kind, conversion = _CONVERSIONS[hint]
        is_kind = isinstance(value, kind) and (hint is bool or not isinstance(value, bool))
        return conversion(_checked(value, is_kind))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _checked(value, isinstance(value, hint))
    return value


_CONVERSIONS: dict[Any, tuple[type, Any]] = {
    int: (Integral, int),
    float: (Real, float),
    str: (str, str),
    bool: (bool, bool),
    type(None): (type(None), lambda value: value),
}
"""Annotation → the class that a value must have, and how it becomes what the field holds."""


def _checked(value: Any, is_valid: bool) -> Any:
    if not is_valid:
        raise TypeError(f"{value!r} is of another type")
    return value


def _is_same(value: Any, name: Any) -> bool:
    """Whether a value is an option of a Literal; True is not 1."""
    return type(value) is type(name) and bool(value == name)


def _convert_to_option(options: Sequence[Any], value: Any) -> Any:
    """The value by the first option of a union that takes it."""
    for option in options:
        try:
            return convert(option, value)
        except (TypeError, OverflowError):
            continue
    raise TypeError(f"{value!r} is of none of the types")


def _is_array(value: Any) -> bool:
    """Whether it is an array of numpy, which need not be loaded for that: without it there is none.

    A task on a cluster must heed signals before anything heavy is imported, and imports this.
    """
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _convert_to_tuple(arguments: Sequence[Any], value: Any) -> tuple[Any, ...]:
    values = value.tolist() if _is_array(value) else value
    _checked(value, isinstance(values, (list, tuple, range)))
    if Ellipsis in arguments:
        return tuple(convert(arguments[0], part) for part in values)
    _checked(value, len(values) == len(arguments))
    return tuple(map(convert, arguments, values))


def _convert_to_dict(arguments: Sequence[Any], value: Any) -> dict[Any, Any]:
    _checked(value, isinstance(value, dict))
    key_hint, value_hint = arguments
    return {convert(key_hint, key): convert(value_hint, part) for key, part in value.items()}


def mismatch(key: str, hint: Any, value: Any) -> str:
    """The sentence about a value of the wrong type, with the nearest name that is allowed."""
    close = similar(value, _names(hint)) if isinstance(value, str) else None
    hint_text = f"; did you mean {close}?" if close else ""
    if isinstance(value, str) and _reads_as_another_type(value) and _is_plain(value):
        hint_text = "; must be written without quotes"
    if isinstance(value, (int, float)) and _allows_text(hint):
        hint_text = "; a text that looks like another type must be written in quotes"
    return f"{key}={_quoted(value)}: must be {describe(hint)}{hint_text}"


def _quoted(value: Any) -> str:
    """A value as :func:`bfc.errors.format_value` writes it, texts that look like another type in
    quotes."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_quoted, value))}]"
    if isinstance(value, str) and _reads_as_another_type(value):
        return f"'{value}'"
    return format_value(value)


def _reads_as_another_type(text: str) -> bool:
    """Whether a text, shown without quotes, would look like a number, a list or a word of YAML."""
    if text.lower() in ("null", "true", "false") or text[:1] in ("[", "{"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_plain(text: str) -> bool:
    """Whether a text would be of another type without its quotes: no ``024``, a text to YAML."""
    return not re.match(r"[+-]?0[0-9]", text)


def _allows_text(hint: Any) -> bool:
    """Whether any text is allowed."""
    return hint is str or (is_union(hint) and any(map(_allows_text, get_args(hint))))


def _names(hint: Any) -> list[str]:
    """The names that a type annotation allows."""
    if get_origin(hint) is typing.Literal:
        return [str(name) for name in get_args(hint)]
    options = get_args(hint) if is_union(hint) else ()
    return list(chain.from_iterable(map(_names, options)))


TYPE_NAMES = {
    int: "an integer",
    float: "a number",
    str: "a text",
    bool: "true or false",
    type(None): "null",
}


def describe(hint: Any) -> str:
    """A type annotation in words: ``an integer, a list of integers or null``."""
    if hint in TYPE_NAMES:
        return TYPE_NAMES[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.Literal:
        return _either(list(map(str, arguments)))
    if is_union(hint):
        options = [_names(option) or [describe(option)] for option in arguments]
        return _either(list(chain.from_iterable(options)))
    if origin in (tuple, list):
        fixed_length = origin is tuple and Ellipsis not in arguments
        count = f"{len(arguments)} " if fixed_length else ""
        return f"a list of {count}{_plural(arguments[0])}"
    return f"a {getattr(hint, '__name__', str(hint)).lower()}"


def _either(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


def _plural(hint: Any) -> str:
    """The plural of :func:`describe`; options stay as they are."""
    if get_origin(hint) is typing.Literal:
        return describe(hint)
    if get_origin(hint) in (tuple, list):
        return f"lists of {_plural(get_args(hint)[0])}"
    return f"{describe(hint).partition(' ')[2]}s"
