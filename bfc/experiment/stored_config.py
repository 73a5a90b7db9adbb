"""Stored configurations as this version would write them.

Earlier versions left out the fields of new classes, and fields that were added later, where they
had their defaults. A default never changes without the class's ``version``, so what is absent from
a component of the present version has the present default.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from bfc.experiment.cell_spec import SHOWN_COMPONENTS
from bfc.experiment.components import classes_by_identity
from bfc.experiment.identity import default_values, identity_fields
from bfc.field_types import written_types


def fill_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a config.yaml with the defaults that it lacks; other values stay."""
    filled = dict(config)
    for group in SHOWN_COMPONENTS:
        if isinstance(config.get(group), Mapping):
            filled[group] = _fill_component(group, config[group])
    return filled


def _fill_component(group: str, node: Mapping[str, Any]) -> dict[str, Any]:
    """A component with its defaults; as it is where no class of its name and version is known."""
    name = node.get("_target_")
    versions = classes_by_identity(group).get(name, ()) if isinstance(name, str) else ()
    classes = [cls for cls in versions if cls.version == node.get("numerics")]
    return _fill_fields(classes, node)


def _fill_fields(classes: Sequence[type], node: Mapping[str, Any]) -> dict[str, Any]:
    """A dataclass with the defaults on which all ``classes`` that it may be agree."""
    filled = dict(node)
    if not classes:
        return filled
    types = written_types(classes[0])
    for stored_name, f in identity_fields(classes[0]):
        if stored_name in node:
            filled[stored_name] = _fill_nested(types[f.name], node[stored_name])
    first, *others = map(default_values, classes)
    for name, value in first.items():
        if name not in node and all(other.get(name) == value for other in others):
            filled[name] = value
    return filled


def _fill_nested(hint: Any, value: Any) -> Any:
    """A stored value of a field of type ``hint``, the dataclasses within it with their defaults."""
    options = (hint, *get_args(hint))
    classes = [cls for cls in options if isinstance(cls, type) and dataclasses.is_dataclass(cls)]
    if len(classes) != 1:
        return value
    if isinstance(value, list):
        return [_fill_nested(classes[0], item) for item in value]
    return _fill_fields(classes, value) if isinstance(value, Mapping) else value
