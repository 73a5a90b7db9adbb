"""The node of a config group's option with some of its keys changed, for commands without Hydra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bfc.errors import UserError, nearest
from bfc.paths import CONF
from bfc.yaml_text import parse_yaml


def read_option(group: str, option: str, keys: Sequence[str]) -> dict[str, Any]:
    """The option's file with ``key=value`` texts on top.

    Raises :class:`bfc.errors.UserError` for an option that is none, and for a text of another form.
    """
    options = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    if option not in options:
        raise UserError(f"{group}={option}: no such {group}; {nearest(option, options)}")
    text = (CONF / group / f"{option}.yaml").read_text(encoding="utf-8")
    node: dict[str, Any] = parse_yaml(text)
    for change in keys:
        key, sign, value = change.partition("=")
        if not sign:
            raise UserError(f"{change}: must be key=value, for instance basis=power")
        node[key] = parse_yaml(value)
    return node
