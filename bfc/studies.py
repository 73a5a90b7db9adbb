"""The studies under ``sweeps/``: their sizes, and what their files say about claims and figures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from bfc.errors import UserError
from bfc.paths import SWEEPS
from bfc.yaml_text import parse_yaml

SIZES = ("demo", "30m", "4h", "full")
"""Of every study, small to large; a study may leave some out."""


def study_node(study: str, folder: Path = SWEEPS) -> dict[str, Any]:
    """The ``study`` node of a study's file; empty for a study without a file.

    Raises :class:`UserError` where the file is none of a study.
    """
    path = folder / f"{study}.yaml"
    if not os.path.isfile(path):
        return {}
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: cannot be read as YAML ({reason})") from error
    node = content.get("study") if isinstance(content, dict) else content
    if node is not None and not isinstance(node, dict):
        raise UserError(f"{path}: must hold a mapping with the key study, itself a mapping")
    return _checked_lists(path, node or {})


def _checked_lists(path: Path, node: dict[str, Any]) -> dict[str, Any]:
    """The node, if what it says of claims and figures are lists of mappings."""
    for key in ("claims", "figures"):
        entries = node.get(key, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UserError(f"{path}: study.{key} must be a list of mappings")
    return node


def claims_of(study: str, folder: Path = SWEEPS) -> list[dict[str, Any]]:
    """The claims of a study's file; none for a study without a file."""
    return list(study_node(study, folder).get("claims", []))
