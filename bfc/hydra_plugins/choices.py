"""What a command line chooses: the option of every group, and the keys that it has.

Hydra's errors name a key and say nothing of the option that lacks it, so the sentences about them
are made from the overrides, the study among them and the YAML files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bfc.experiment.components import GROUPS, class_paths, find_class
from bfc.paths import CONF, SWEEPS
from bfc.yaml_text import parse_yaml

STUDIES = "sweeps"
"""The config group of studies, of which a list is a sweep as well."""
HYDRA_KEYS = ("launcher", "sweeper", "job", "run", "sweep", "mode", "verbose")


def list_options(group: str) -> list[str]:
    """The options of a config group, that is its YAML files."""
    return [path.stem for path in (CONF / group).glob("*.yaml")]


def list_allowed_keys(parent: str, arguments: Sequence[str]) -> list[str]:
    """The keys under ``parent``, or of the root; empty where they are not known here.

    The keys of a group are those of the option chosen on the command line, or by default.
    """
    if parent == "hydra":
        return list(HYDRA_KEYS)
    chosen = find_chosen_options(parent, arguments)
    if not parent:
        groups = [name for name in chosen if "/" not in name]
        keys = [name for name in read_root_config() if name not in ("defaults", "hydra")]
        return [*groups, *keys]
    group = parent.replace(".", "/")
    return list_keys(group, chosen.get(group, ""))


def read_root_config() -> dict[str, Any]:
    """``config.yaml`` as it is written."""
    root: dict[str, Any] = parse_yaml((CONF / "config.yaml").read_text(encoding="utf-8"))
    return root


def find_chosen_options(parent: str, arguments: Sequence[str]) -> dict[str, str]:
    """Group → its option by default or of the study, that of ``parent`` as it is among the
    arguments."""
    chosen: dict[str, str] = {}
    for entry in [*read_root_config()["defaults"], *_read_study_defaults(arguments)]:
        if isinstance(entry, dict):
            for name, option in entry.items():
                chosen[name.removeprefix("override ").removeprefix("/")] = option
    group = parent.replace(".", "/")
    for argument in arguments:
        name, _, option = argument.lstrip("+").partition("=")
        if name == group:
            chosen[name] = option.split(",")[0]
    return chosen


def _read_study_defaults(arguments: Sequence[str]) -> list[Any]:
    """The defaults of the study among the arguments; empty without one."""
    for argument in arguments:
        group, _, study = argument.lstrip("+").partition("=")
        path = SWEEPS / f"{study}.yaml"
        if group == STUDIES and path.is_file():
            node = parse_yaml(path.read_text(encoding="utf-8"))
            return list(node.get("defaults", []))
    return []


def find_chosen_class(group: str, arguments: Sequence[str]) -> type[Any] | None:
    """The class of the option that is chosen of a group; None where there is none."""
    option = find_chosen_options(group, arguments).get(group, "")
    if group not in GROUPS or option not in class_paths(group):
        return None
    return find_class(group, class_paths(group)[option])


def list_keys(group: str, option: str) -> list[str]:
    """The keys that the YAML of an option has; empty where there is none."""
    path = CONF / group / f"{option}.yaml"
    if not path.exists():
        return []
    return [name for name in parse_yaml(path.read_text(encoding="utf-8")) if name != "_target_"]
