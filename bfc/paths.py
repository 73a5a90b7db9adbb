"""Where the configuration files are.

Inside the package when it is installed from a wheel, beside it in a checkout.
"""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
from pathlib import Path

from bfc.errors import UserError

PACKAGE = Path(__file__).resolve().parent
"""The folder of this package."""


def _find(name: str) -> Path:
    installed = PACKAGE / name
    return installed if installed.is_dir() else PACKAGE.parent / name


_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
MAX_NAME_BYTES = 200
"""Of a part of a path: most file systems allow 255, and names of temporary files are longer."""


def local_path(path: str | Path, key: str) -> Path:
    """A file or folder of this machine as a user names it, with ``~`` filled in.

    Raises :class:`UserError` for an address such as ``s3://…``, which nothing here can open, and
    for a name that no file can have. ``key`` names the setting in the sentence.
    """
    text = str(path)
    if _ADDRESS.match(text):
        raise UserError(
            f"{key}={text}: must be a folder or file of this machine, not an address; mount it, "
            "or copy it here"
        )
    expanded = Path(os.path.expanduser(text))
    if str(expanded).startswith("~"):
        if text.startswith("~"):
            user = text.partition("/")[0]
            raise UserError(
                f"{key}={text}: {user} is no user of this machine; a folder is ./{text}"
            )
        expanded = expanded.absolute()  # so that it is not expanded when it is read again
    for part in expanded.parts:
        if "\0" in part or len(os.fsencode(part)) > MAX_NAME_BYTES:
            raise UserError(
                f"{key}={text}: every name in a path must have at most {MAX_NAME_BYTES} bytes, "
                "none of them zero"
            )
    return expanded


def find_obstacle(folder: Path) -> str | None:
    """Why an absolute folder cannot be written, or made; None where nothing is in the way."""
    place = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not place.is_dir():
        return f"{place} is no folder"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"{place} is read-only"
    try:
        # The superuser may write everywhere, but not below /proc or on a full disk.
        with tempfile.TemporaryFile(dir=place):
            return None
    except OSError as error:
        return f"nothing can be made in {place} ({error.strerror})"


def expand_folder(text: str) -> str:
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
