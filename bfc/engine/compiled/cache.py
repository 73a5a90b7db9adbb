"""Code of steps on disk, so that a process finds what an earlier one compiled.

An entry is found by everything that its code depends on: the step, the hardware, the versions of
torch and the compiler, and the source code of this package and of the components. Entries that
cannot be read are made anew; a folder that cannot be written is done without.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import pickle
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from bfc.engine.compiled.hardware import Hardware
from bfc.engine.compiled.step_code import StepCode
from bfc.engine.recipe import Recipe
from bfc.paths import CACHE, PACKAGE

DIGEST_BYTES = 32


def cached(step: str, recipe: Recipe, hardware: Hardware, make: Callable[[], StepCode]) -> StepCode:
    """The code of a step, from disk or made now and stored; ``step`` names all that is in it."""
    sources = tuple(sorted(_source_files(recipe)))
    name = _digest(repr((step, hardware.version, torch.__version__)), sources)
    file = CACHE / "steps" / f"{name}.pickle"
    code = _read(file)
    if code is None:
        code = make()
        _write(file, code)
    return code


def _source_files(recipe: Recipe) -> set[str]:
    """The files in which the components and their bases are written."""
    files: set[str] = set()
    for part in (recipe.learner, recipe.optimizer, recipe.target):
        for cls in type(part).__mro__:
            with suppress(TypeError, OSError):  # builtins, and classes of a notebook
                files.add(inspect.getfile(cls))
    return files


def _digest(text: str, sources: tuple[str, ...]) -> str:
    digest = hashlib.sha256(text.encode())
    digest.update(_package_digest())
    for source in sources:
        with suppress(OSError):
            digest.update(Path(source).read_bytes())
    return digest.hexdigest()


@functools.cache
def _package_digest() -> bytes:
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
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
        with os.fdopen(handle, "wb") as stream:
            stream.write(hashlib.sha256(body).digest() + body)
        Path(temporary).replace(file)
