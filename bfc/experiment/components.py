"""From a YAML node to a checked component.

Every YAML of ``conf/`` maps one-to-one to a frozen dataclass of this package. Types are checked
against the annotations, ranges by the class itself, so that an invalid value is rejected with a
one-line error before anything runs.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import json
from collections.abc import Mapping
from typing import Any, cast, get_args, get_origin

from bfc.component import Component, group_of
from bfc.errors import UserError, format_value, nearest, require
from bfc.experiment.identity import identity_name
from bfc.field_types import describe, is_union, mismatch, written_types
from bfc.paths import CONF
from bfc.yaml_text import parse_yaml

GROUPS = (
    "target",
    "task",
    "representation",
    "learner",
    "schedule",
    "optimizer",
    "probe",
    "baseline",
    "measure",
    "tracker",
    "compute",
)
"""The config groups, each of which is the ``config_key`` of its components."""
RENAMED_KEYS = {
    "probe.looks": "probe.num_evals",
    "hydra.launcher.together": "hydra.launcher.fuse_jobs",
}
"""Keys of earlier versions → what they are called now."""


def component(group: str, node: Any) -> Any:
    """The component that ``node`` (a mapping with ``_target_``) describes.

    Returns None where the group is ``none``, that is where ``_target_`` is null; other keys are
    then left over from a study that sets them for its other blocks. Raises :class:`UserError` for
    an unknown class or key and for a value of the wrong type or out of range.
    """
    if node is None or (
        isinstance(node, Mapping) and node.get("_target_", None if not node else "") is None
    ):
        return None
    if not isinstance(node, Mapping):
        raise UserError(f"{group}={format_value(node)}: must be a group option with a _target_")
    cls = find_class(group, node.get("_target_"))
    values = {name: value for name, value in node.items() if name != "_target_"}
    return construct(group, cls, values)


def find_class(group: str, path: Any) -> type:
    """The dataclass of this package at a dotted ``path``, or the one whose identity name it is.

    Raises :class:`UserError` for anything that cannot be an option of ``group``.
    """
    classes = classes_by_identity(group).get(path, ()) if isinstance(path, str) else ()
    cls = classes[0] if len(classes) == 1 else _class_at(group, path)
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    if missing:
        raise UserError(
            f"{group}._target_={path}: its class does not define {', '.join(missing)}; "
            f"what a {group} must offer is in bfc/types"
        )
    return cls


def _class_at(group: str, path: Any) -> type:
    """The dataclass at a dotted ``path``."""
    within = isinstance(path, str) and path.startswith("bfc.") and path.count(".") >= 2
    require(
        within, f"{group}._target_", path, f"a {group} class of this package, bfc.<module>.<Class>"
    )
    try:
        cls = _import_class(path)
    except (ImportError, AttributeError) as error:
        options = nearest(path, set(class_paths(group).values()))
        raise UserError(f"{group}._target_={path}: no such class ({error}); {options}") from error
    if not _suits(group, cls, path):
        options = nearest(path, set(class_paths(group).values()))
        raise UserError(f"{group}._target_={path}: is no {group} class of this package; {options}")
    return cls


def _import_class(path: str) -> type[Component]:
    """What a dotted path names; :func:`_suits` checks that it is a class."""
    module, _, name = path.rpartition(".")
    imported: type[Component] = getattr(importlib.import_module(module), name)
    return imported


def _suits(group: str, cls: Any, path: str) -> bool:
    """Whether a class can be an option of ``group``: a concrete component, not a base class."""
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        return False
    if not cls.__module__.startswith("bfc.") or group_of(cls) != group:
        return False
    is_base = inspect.isabstract(cls) or bool(cls.__subclasses__())
    return path in class_paths(group).values() or not is_base


@functools.cache
def class_paths(group: str) -> Mapping[str, str]:
    """Option (file name) → class path of every option of a group that has a class."""
    paths = {}
    for file in sorted((CONF / group).glob("*.yaml")):
        node = parse_yaml(file.read_text(encoding="utf-8"))
        if isinstance(node, Mapping) and node.get("_target_"):
            paths[file.stem] = node["_target_"]
    return paths


@functools.cache
def classes_by_identity(group: str) -> Mapping[str, tuple[type[Component], ...]]:
    """Identity name → the options of a group that have it, for configurations that were stored.

    Several classes may share a name, as the measures of finite n do.
    """
    classes: dict[str, tuple[type[Component], ...]] = {}
    for path in dict.fromkeys(class_paths(group).values()):
        try:
            cls = _import_class(path)
        except (ImportError, AttributeError):
            continue  # the YAML of this option names no class, which is reported where it is chosen
        if _suits(group, cls, path):
            name = identity_name(cls)
            classes[name] = (*classes.get(name, ()), cls)
    return classes


def construct(key: str, cls: type, values: Mapping[str, Any]) -> Any:
    """A dataclass from plain values, with keys and types checked.

    Raises :class:`UserError` with one sentence about ``key.<name>``.
    """
    import pydantic  # here, since the library works without it

    _check_keys(key, cls, values)
    try:
        return _adapter(cls).validate_json(json.dumps(values), strict=True)
    except pydantic.ValidationError as error:
        problems = error.errors()
        for problem in problems:
            cause = problem.get("ctx", {}).get("error")
            if isinstance(cause, UserError):
                raise cause from None
        raise UserError(_type_error(key, cls, values, problems[0]["loc"])) from None


def _check_keys(path: str, hint: Any, value: Any) -> None:
    """Refuse unknown and missing keys of a dataclass and of those within it."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        _check_keys_of(path, hint, value)
    elif is_union(hint) and isinstance(value, Mapping):
        for option in get_args(hint):
            _check_keys(path, option, value)
    elif get_origin(hint) is tuple and isinstance(value, list):
        for i, part in enumerate(value):
            _check_keys(f"{path}[{i}]", get_args(hint)[0], part)


def _check_keys_of(path: str, cls: type, values: Mapping[str, Any]) -> None:
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    hints = written_types(cls)
    for name in values:
        if f"{path}.{name}" in RENAMED_KEYS:
            raise UserError(f"{path}.{name}: is now called {RENAMED_KEYS[f'{path}.{name}']}")
        if name not in fields:
            rule = explain_derived_key(cls, str(name)) or nearest(str(name), fields)
            raise UserError(f"{path}.{name}: no such key; {rule}")
    for name, f in fields.items():
        if name in values:
            _check_keys(f"{path}.{name}", hints[name], values[name])
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise UserError(f"{path}.{name}: is missing; it must be {describe(hints[name])}")


def explain_derived_key(cls: type, name: str) -> str | None:
    """Why ``name`` is no key of a class, where it follows from other keys; else None."""
    if Component not in cls.__mro__:
        return None
    component_class = cast(type[Component], cls)
    rule = component_class.derived_keys.get(name)
    return f"{name} {rule}" if rule else None


@functools.cache
def _adapter(cls: type) -> Any:
    import pydantic

    return pydantic.TypeAdapter(cls)


def _type_error(path: str, hint: Any, value: Any, location: tuple[int | str, ...]) -> str:
    """The sentence about the innermost key of ``location`` that a reader can change."""
    for step in location:
        if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
            path = f"{path}.{step}"
            hint = written_types(hint)[str(step)]  # type: ignore[arg-type]
            value = value.get(step)
        elif _is_tuple_of_dataclasses(hint) and isinstance(value, list):
            path, hint, value = f"{path}[{step}]", get_args(hint)[0], value[int(step)]
        else:
            break
    return mismatch(path, hint, value)


def _is_tuple_of_dataclasses(hint: Any) -> bool:
    return get_origin(hint) is tuple and dataclasses.is_dataclass(get_args(hint)[0])
