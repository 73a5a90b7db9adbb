"""Component packages that offer their classes by name: ``bfc.targets.Parity``.

A new component joins by existing: its class is found in the package's files when it is first asked
for, so that importing one target does not import all of them. A class is a component where it is
public and has an ``identity_name`` of its own.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CLASS = re.compile(r"^class (\w+)(.*(?:\n(?:[ )].*)?)*)", re.MULTILINE)
"""A class, its name and its body."""
_IDENTITY_NAME = re.compile(r"^    identity_name: ClassVar\[str\] = ", re.MULTILINE)


def offer_classes(
    package: str, folder: str | Path
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package that offers the components in it."""

    def find_modules() -> dict[str, str]:
        modules = {}
        for file in sorted(Path(folder).glob("[!_]*.py")):
            for name, body in _CLASS.findall(file.read_text(encoding="utf-8")):
                if name[0] != "_" and _IDENTITY_NAME.search(body):
                    modules[name] = f"{package}.{file.stem}"
        return modules

    def get_attribute(name: str) -> Any:
        if not name.startswith("_"):
            module = find_modules().get(name)
            if module is not None:
                return getattr(importlib.import_module(module), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def list_names() -> list[str]:
        return sorted(find_modules())

    return get_attribute, list_names
