"""Where the configuration files are: inside the package when installed from a wheel, beside it in a checkout."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def _find(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def named(text: str) -> str:
    """A folder as a site overlay names it, ``$USER`` and ``~`` filled in."""
    return str(Path(os.path.expandvars(text)).expanduser().absolute())


CONF = _find("conf")
"""The folder of ``config.yaml`` and the config groups."""
SWEEPS = _find("sweeps")
"""The folder of the studies."""
SITE = Path(os.environ.get("BFC_SITE") or Path.home() / ".config" / "bfc").absolute()
"""The folder with what this cluster adds to ``conf/``, such as site/slurm.yaml (docs/slurm.md)."""
