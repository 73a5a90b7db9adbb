"""The form in which a component enters a cell's identity.

The identity is hashed into the name of the cell's folder, so it must not change when code is
moved, renamed or extended. A component therefore enters with a name that is written in its class
(``identity_name``), with its ``version`` (under its earlier name, ``numerics``), and with its
fields:

- A field that was there when identities were frozen always enters
  (:data:`bfc.experiment.frozen_fields.FROZEN_FIELDS`).
- A field that was added later enters only where it differs from its default, so that adding one
  renames no stored cell.
- A field made with ``metadata={"identity": False}`` never enters: it says what is asked for or how
  it is computed, not what the number is. ``metadata={"identity": "<name>"}`` keeps an earlier name.

``config.yaml`` holds the complete form, with the defaults: a default that was changed without
raising ``version`` is noticed by it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from bfc.component import Component
from bfc.experiment.frozen_fields import FROZEN_FIELDS


def identity_name(cls: type) -> str:
    """The name that is written in a component class itself; where none is, the path of the class.

    It is not inherited, since a subclass is another component.
    """
    return str(cls.__dict__.get("identity_name", f"{cls.__module__}.{cls.__qualname__}"))


def short_name(part: Any) -> str:
    """The name of a component in methods and messages, from its identity name.

    ``bfc.targets.parity.Parity`` and ``bfc.targets.parity`` are both ``parity``.
    """
    *modules, last = identity_name(type(part)).split(".")
    return modules[-1] if modules and last[:1].isupper() else last


def canonical(part: Component | None, complete: bool = False) -> dict[str, Any] | None:
    """A component as plain JSON values: written name, version, and the fields of the identity.

    The hash is made of the short form; ``complete``: with later fields at their defaults, too.
    """
    if part is None:
        return None
    plain = _plain_values(part, complete)
    return {"_target_": identity_name(type(part)), "numerics": part.version, **plain}


def identity_fields(cls: type) -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """The fields of a dataclass that describe what is measured, with their stored names."""
    for f in dataclasses.fields(cls):
        written = f.metadata.get("identity", True)
        if written is not False:
            yield (written if isinstance(written, str) else f.name), f


def default_values(cls: type) -> dict[str, Any]:
    """Stored name → default as plain JSON values, for every such field that has one."""
    values = {name: _default(f) for name, f in identity_fields(cls)}
    present = {name: value for name, value in values.items() if value is not dataclasses.MISSING}
    plain: dict[str, Any] = _plain_values(present, complete=True)
    return plain


def _plain_values(value: Any, complete: bool) -> Any:
    """A value as JSON holds it, dataclasses within it as their fields."""
    return json.loads(json.dumps(value, default=partial(_identity_values, complete=complete)))


def _identity_values(part: Any, complete: bool) -> dict[str, Any]:
    """The identity's fields of a dataclass, name → value."""
    frozen = FROZEN_FIELDS.get(identity_name(type(part)), ())
    values = {}
    for name, f in identity_fields(type(part)):
        value = getattr(part, f.name)
        if complete or name in frozen or not bool(value == _default(f)):
            values[name] = value
    return values


def _default(f: dataclasses.Field[Any]) -> Any:
    """The default of a field, MISSING where it has none."""
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    return f.default
