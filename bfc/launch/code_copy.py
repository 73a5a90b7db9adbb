"""A copy of the code as it is at submission, from which the processes of a launch run.

It holds the package, the configuration, the studies and the analysis, below the store and named by
its content, so that launches of the same code share one. It remembers the commit and the
uncommitted changes that it was made from.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bfc.environment import ORIGIN, code_origin
from bfc.paths import CONF, PACKAGE, SWEEPS, analysis_folder

SKIPPED_FOLDERS = ("__pycache__", ".ipynb_checkpoints")


def copy_code(folder: Path) -> dict[str, Any]:
    """Copy the running code into ``folder/<hash>`` unless it is there.

    Returns its ``path``, ``hash`` and ``commit``.
    """
    origin = json.dumps(code_origin(), sort_keys=True)
    files: dict[str, Path] = {}
    packages = {"bfc": PACKAGE, "conf": CONF, "sweeps": SWEEPS, "analysis": analysis_folder()}
    for name, source in packages.items():
        files |= _list_files(name, source)
    key = _hash_files(origin, files)
    path = folder / key
    if not path.is_dir():
        _write_copy(path, files, origin)
    return {"path": str(path), "hash": key, "commit": json.loads(origin)["commit"]}


def _list_files(name: str, folder: Path) -> dict[str, Path]:
    """Name in the copy → file, of everything below a folder."""
    files = {}
    for path in folder.rglob("*"):
        if path.is_file() and not any(part in SKIPPED_FOLDERS for part in path.parts):
            files[f"{name}/{path.relative_to(folder).as_posix()}"] = path
    return files


def _hash_files(origin: str, files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256(origin.encode())
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + files[name].read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _write_copy(path: Path, files: Mapping[str, Path], origin: str) -> None:
    """Write the copy under another name and rename it, so that nobody sees half of one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    for name, source in files.items():
        (temporary / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, temporary / name)
    (temporary / ORIGIN).write_text(origin, encoding="utf-8")
    try:
        os.replace(temporary, path)
    except OSError:  # another launch of the same code was faster
        if not path.is_dir():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
