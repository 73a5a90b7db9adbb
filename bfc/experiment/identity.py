"""The form in which a component enters a cell's identity.

The identity is hashed into the name of the cell's folder, so it must not change when code is
moved, renamed or extended. A component therefore enters with a name that is written in its class
(``identity_name``), with its ``version``, and with its fields:

- A field that was there when identities were frozen always enters
  (:data:`bfc.experiment.frozen_fields.FROZEN_FIELDS`).
- A field that was added later enters only where it differs from its default, so that adding one
  renames no stored cell.
- A field made with ``metadata={"identity": False}`` never enters: it says what is asked for or how
  it is computed, not what the number is. ``metadata={"identity": "<name>"}`` keeps an earlier name.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

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


def canonical(part: Any) -> dict[str, Any] | None:
    """A component as plain JSON values: written name, version, and the fields of the identity."""
    if part is None:
        return None
    cls = type(part)
    plain = json.loads(json.dumps(_identity_values(part), default=_identity_values))
    return {"_target_": identity_name(cls), "numerics": getattr(cls, "version", 1), **plain}


def _identity_values(part: Any) -> dict[str, Any]:
    """The identity's fields of a dataclass, name → value."""
    frozen = FROZEN_FIELDS.get(identity_name(type(part)), ())
    values = {}
    for f in dataclasses.fields(part):
        written = f.metadata.get("identity", True)
        if written is False:
            continue
        name = written if isinstance(written, str) else f.name
        value = getattr(part, f.name)
        if name in frozen or not _is_default(f, value):
            values[name] = value
    return values


def _is_default(f: dataclasses.Field[Any], value: Any) -> bool:
    if f.default_factory is not dataclasses.MISSING:
        return bool(value == f.default_factory())
    return f.default is not dataclasses.MISSING and bool(value == f.default)
