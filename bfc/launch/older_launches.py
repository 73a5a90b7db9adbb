"""Launches that an earlier version began: they are followed, cancelled and retried like new ones.

Manifests and configurations are never rewritten; what has a new name since is renamed when it is
read.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bfc.errors import UserError
from bfc.experiment.components import RENAMED_KEYS

ENTRY_POINT = Path("bfc", "launch", "slurm", "task.py")
"""A file of the package that copies of the code by earlier versions do not have."""


def rename_keys(node: Mapping[str, Any], group: str) -> dict[str, Any]:
    """The keys of a config group by their present names."""
    renamed = {}
    for name, value in node.items():
        key = RENAMED_KEYS.get(f"{group}.{name}", f"{group}.{name}")
        renamed[key.removeprefix(f"{group}.")] = value
    return renamed


def rename_container_keys(container: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a job, with the keys of its groups by their present names."""
    renamed = copy.deepcopy(dict(container))
    for group, node in container.items():
        if isinstance(node, Mapping) and node.get("_target_"):
            renamed[group] = rename_keys(node, group)
    return renamed


def check_code_copy(launch_name: str, code: Mapping[str, Any] | None) -> None:
    """Refuse to run a launch again from a copy of the code that this version cannot start."""
    if code is not None and not (Path(code["path"]) / ENTRY_POINT).is_file():
        raise UserError(
            f"{launch_name}: its copy of the code was made by an earlier version, which cannot be "
            f"started from here; add --new-code, as in `bfc retry {launch_name} --new-code`"
        )
