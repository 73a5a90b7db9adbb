"""The code as it was at submission, so that editing a checkout while jobs are queued changes none
of them: a copy of the package, the configuration groups, the studies and the analysis below the
store, named by its content, so that launches of the same code share one (about 150 small files).
The copy remembers the commit and the uncommitted changes it was made from."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from bfc.environment import ORIGIN, code_origin
from bfc.paths import CONF, PACKAGE, SWEEPS, analysis_folder

SKIPPED = ("__pycache__", ".ipynb_checkpoints")


def snapshot(folder: Path) -> dict[str, Any]:
    """Copy the running code into ``folder/<hash>`` unless it is there; returns ``path``, ``hash``
    and ``commit``."""
    origin = json.dumps(code_origin(), sort_keys=True)
    package, plots = PACKAGE, analysis_folder()
    files = dict(
        _files("bfc", package)
        + _files("conf", CONF)
        + _files("sweeps", SWEEPS)
        + _files("analysis", plots)
    )
    digest = hashlib.sha256(origin.encode())
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + files[name].read_bytes() + b"\0")
    key = digest.hexdigest()[:16]
    path = folder / key
    if not path.is_dir():
        temporary = folder / f".{key}.{secrets.token_hex(4)}"
        for name, source in files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, temporary / name)
        (temporary / ORIGIN).write_text(origin)
        try:
            os.replace(temporary, path)
        except OSError:  # another launch of the same code was faster
            if not path.is_dir():
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return {"path": str(path), "hash": key, "commit": json.loads(origin)["commit"]}


def _files(name: str, folder: Path) -> list[tuple[str, Path]]:
    found = [
        p for p in folder.rglob("*") if p.is_file() and not any(part in SKIPPED for part in p.parts)
    ]
    return [(f"{name}/{p.relative_to(folder).as_posix()}", p) for p in found]
