"""Finds the parts of the analysis by their files.

A predicate is the function of a file in ``analysis/predicates``, a figure that of a file in
``analysis/plots``, each named like its file. So adding one is adding a file, and there is no list
to keep.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from bfc.errors import UserError, nearest

EMPTY = inspect.Parameter.empty


def list_parts(package: str) -> list[str]:
    """The parts of ``analysis.<package>``, in alphabetical order."""
    path = importlib.import_module(f"analysis.{package}").__path__
    return sorted(name for _, name, _ in pkgutil.iter_modules(path))


def load_part(package: str, name: str, where: str) -> Callable[..., Any]:
    """The function ``name`` of ``analysis.<package>.<name>``.

    Raises :class:`UserError`, beginning with ``where``, if there is none.
    """
    known = list_parts(package)
    if name not in known:
        kind = package.removesuffix("s")
        raise UserError(f"{where} {name}: no such {kind}; {nearest(name, known)}")
    function: Callable[..., Any] = getattr(_import_part(package, name), name)
    return function


def load_constant(package: str, name: str, constant: str, default: Any) -> Any:
    """A constant of the file of a part, ``default`` where the file has none of this name."""
    return getattr(_import_part(package, name), constant, default)


def _import_part(package: str, name: str) -> Any:
    return importlib.import_module(f"analysis.{package}.{name}")


def list_options(function: Callable[..., Any]) -> dict[str, bool]:
    """The options of a part, all but its first argument: name → whether it is required."""
    parameters = list(inspect.signature(function).parameters.items())[1:]
    return {name: parameter.default is EMPTY for name, parameter in parameters}


def call_part(
    function: Callable[..., Any], first: Any, options: Mapping[str, Any], where: str
) -> Any:
    """``function(first, **options)`` after checking the names of the options.

    Raises :class:`UserError` for an unknown or missing one.
    """
    known = list_options(function)
    for name in options:
        if name not in known:
            hint = nearest(name, known)
            raise UserError(f"{where}: {function.__name__} has no option {name}; {hint}")
    missing = [name for name, is_required in known.items() if is_required and name not in options]
    if missing:
        raise UserError(f"{where}: {function.__name__} needs {', '.join(missing)}")
    return function(first, **options)
