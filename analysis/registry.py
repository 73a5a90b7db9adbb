"""Parts of the analysis that are found by existing: a predicate is the function of a file in
``analysis/predicates``, a figure the one of a file in ``analysis/plots``, each called like its
file. So adding one is adding a file, and no list has to be kept."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from bfc.errors import UserError, nearest

EMPTY = inspect.Parameter.empty


def names(package: str) -> list[str]:
    """The parts of ``analysis.<package>``, in alphabetical order."""
    return sorted(
        name
        for _, name, _ in pkgutil.iter_modules(
            importlib.import_module(f"analysis.{package}").__path__
        )
    )


def part(package: str, name: str, where: str) -> Callable[..., Any]:
    """The function ``name`` of ``analysis.<package>.<name>``; raises :class:`UserError`, beginning
    with ``where``, if there is none."""
    known = names(package)
    if name not in known:
        raise UserError(
            f"{where} {name}: no such {package.removesuffix('s')}; {nearest(name, known)}"
        )
    return getattr(importlib.import_module(f"analysis.{package}.{name}"), name)


def constant(package: str, name: str, constant: str, default: Any) -> Any:
    """What the file of a part says about itself, ``default`` where it does not."""
    return getattr(importlib.import_module(f"analysis.{package}.{name}"), constant, default)


def options(function: Callable[..., Any]) -> dict[str, bool]:
    """What a part can be given beside its first argument: name → whether it has to be."""
    return {
        name: parameter.default is EMPTY
        for name, parameter in list(inspect.signature(function).parameters.items())[1:]
    }


def call(function: Callable[..., Any], first: Any, given: Mapping[str, Any], where: str) -> Any:
    """``function(first, **given)`` after checking the names in ``given``; raises :class:`UserError`
    for an unknown or missing one."""
    known = options(function)
    for name in given:
        if name not in known:
            raise UserError(
                f"{where}: {function.__name__} has no option {name}; {nearest(name, known)}"
            )
    if missing := [name for name, needed in known.items() if needed and name not in given]:
        raise UserError(f"{where}: {function.__name__} needs {', '.join(missing)}")
    return function(first, **given)
