"""The studies under ``sweeps/``: their sizes, and what their files say about claims and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bfc.paths import SWEEPS

SIZES = ("demo", "30m", "4h", "full")
"""Of every study, small to large; a study may leave some out."""


def study_node(study: str, folder: Path = SWEEPS) -> dict[str, Any]:
    """The ``study`` node of a study's file; empty for a study without a file."""
    path = folder / f"{study}.yaml"
    return (yaml.safe_load(path.read_text()).get("study") or {}) if path.is_file() else {}


def claims_of(study: str, folder: Path = SWEEPS) -> list[dict[str, Any]]:
    """The claims of a study's file; none for a study without a file."""
    return list(study_node(study, folder).get("claims", []))
