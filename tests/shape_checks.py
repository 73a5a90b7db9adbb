"""The checker behind ``pytest --check-shapes``: annotated shapes at every call.

Components are known by protocols, which are checked by mypy; at run time any object will do, also
the stand-ins of tests.
"""

from __future__ import annotations

from typing import Any, Self

from beartype import BeartypeConf, FrozenDict, beartype

from bfc import types

_PROTOCOLS = [value for value in vars(types).values() if getattr(value, "_is_protocol", False)]
_OVERRIDES = FrozenDict(dict.fromkeys([*_PROTOCOLS, Self], object))

check_shapes: Any = beartype(conf=BeartypeConf(hint_overrides=_OVERRIDES))
"""A decorator for :func:`jaxtyping.install_import_hook`."""
