"""Code of steps on disk, so that a process finds what an earlier one compiled.

An entry is found by everything that its code depends on: the step, the hardware, the versions of
torch and the compiler, and the source code of this program. Entries that cannot be read are made
anew; a folder that cannot be written is done without.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch

from bfc import import_time
from bfc.engine.compiled.hardware import Hardware
from bfc.engine.compiled.step_code import StepCode
from bfc.paths import CACHE, PACKAGE

DIGEST_BYTES = 32


def cached(step: str, hardware: Hardware, make: Callable[[], StepCode]) -> StepCode:
    """The code of a step, from disk or made now and stored; ``step`` names all that is in it."""
    files = sorted(PACKAGE.rglob("*.py"))
    if max(file.stat().st_mtime for file in files) > import_time.IMPORTED_AT:
        return make()  # what runs here may be no longer what is in the files
    digest = hashlib.sha256(repr((step, hardware.version, torch.__version__)).encode())
    digest.update(_digest(tuple(files)))
    file = CACHE / "steps" / f"{digest.hexdigest()}.pickle"
    code = _read(file)
    if code is None:
        code = make()
        _write(file, code)
    return code


def is_named_by_repr(value: Any) -> bool:
    """Whether ``repr`` of a component says all that it does, given the sources of this program.

    It does not for what is written elsewhere, such as a learner of a notebook: its class may be
    another one under the same name, or call functions that have changed.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return True
    if isinstance(value, tuple | list | frozenset):
        return all(map(is_named_by_repr, value))
    if isinstance(value, Mapping):
        return is_named_by_repr(tuple(value.items()))
    if not is_dataclass(value) or type(value).__module__.partition(".")[0] != "bfc":
        return False
    return all(is_named_by_repr(getattr(value, f.name)) for f in fields(value) if f.compare)


@functools.cache
def _digest(files: tuple[Path, ...]) -> bytes:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.digest()


def _read(file: Path) -> StepCode | None:
    try:
        content = file.read_bytes()
    except OSError:
        return None
    digest, body = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        return None
    code: Any = pickle.loads(body)
    return code if isinstance(code, StepCode) else None


def _write(file: Path, code: StepCode) -> None:
    """Store code under its name at once, so that no reader sees half of it."""
    body = pickle.dumps(code)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(hashlib.sha256(body).digest() + body)
            Path(temporary).replace(file)
        finally:
            Path(temporary).unlink(missing_ok=True)
