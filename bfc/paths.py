"""Where the configuration files are.

Inside the package when it is installed from a wheel, beside it in a checkout.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
"""The folder of this package."""


def _find(name: str) -> Path:
    installed = PACKAGE / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def named(text: str) -> str:
    """A folder as a site overlay names it, ``$USER`` and ``~`` filled in."""
    return str(Path(os.path.expandvars(text)).expanduser().absolute())


CONF = _find("conf")
"""The folder of ``config.yaml`` and the config groups."""
SWEEPS = _find("sweeps")
"""The folder of the studies."""
CACHE = Path(
    os.environ.get("BFC_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bfc"
).absolute()
"""The folder of what can be made again at any time, such as compiled steps."""
SITE = Path(os.environ.get("BFC_SITE") or Path.home() / ".config" / "bfc").absolute()
"""The folder with what this cluster adds to ``conf/``, such as site/slurm.yaml (docs/slurm.md)."""


def analysis_folder() -> Path:
    """The folder of the package ``analysis``, which nothing below the application imports."""
    spec = importlib.util.find_spec("analysis")
    assert spec is not None and spec.origin is not None, "analysis is installed with bfc"
    return Path(spec.origin).parent
