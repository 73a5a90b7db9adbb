"""Code of steps on disk: found where it fits, and never where it does not."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import llvmlite
import pytest
import torch
from compared_trainings import TRAININGS
from compiled_cases import SMALL, compare
from llvmlite import binding as llvm

from bfc.engine.compiled import cache, compilation
from bfc.engine.compiled.machine import processor
from bfc.engine.trainer import Trainer, train


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """Nothing of another test is used."""
    monkeypatch.setattr(cache, "CACHE", tmp_path)
    monkeypatch.setattr(compilation, "_steps", {})


OTHER = pickle.dumps("another object")
DAMAGES = {
    "a bit": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "its end": lambda content: content[:50],
    "everything": lambda content: b"",
    "another object": lambda content: hashlib.sha256(OTHER).digest() + OTHER,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_step_is_found_on_disk_and_made_anew_where_that_is_damaged(damage, monkeypatch, tmp_path):
    made = []
    make = compilation.make_code
    monkeypatch.setattr(compilation, "make_code", lambda *a: made.append(a) or make(*a))

    def run():
        monkeypatch.setattr(compilation, "_steps", {})
        return str(train(replace(SMALL, compile="always"), TRAININGS[:2]))

    first = run()
    assert len(made) == 1 and run() == first and len(made) == 1
    (file,) = (tmp_path / "steps").iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert run() == first and len(made) == 2
    assert run() == first and len(made) == 2


def stored_steps(folder):
    return sorted(file.name for file in (folder / "steps").iterdir())


def load_anew(recipe, monkeypatch):
    """The code of a stack in a process that has none of it yet."""
    monkeypatch.setattr(compilation, "_steps", {})
    return Trainer(replace(recipe, compile="always"), TRAININGS[:1]).state.execution


def test_a_step_is_compiled_anew_where_what_it_depends_on_is_another(monkeypatch, tmp_path):
    present = processor()

    def changed(**changes):
        monkeypatch.setattr(compilation, "hardware", lambda device: replace(present, **changes))

    number = 0
    for change in (
        lambda: None,
        lambda: monkeypatch.setattr(torch, "__version__", "another torch"),
        lambda: monkeypatch.setattr(llvmlite, "__version__", "another llvmlite"),
        lambda: monkeypatch.setattr(llvm, "llvm_version_info", (1, 2, 3)),
        lambda: changed(registers=present.registers - 1),
        lambda: changed(features=f"{present.features},-sse4a"),
        lambda: changed(name="x86-64-v3" if "x86" in present.triple else "generic", features=""),
    ):
        change()
        for _ in range(2):
            assert load_anew(SMALL, monkeypatch) == "compiled"
        number += 1
        assert len(stored_steps(tmp_path)) == number


def test_source_code_that_changes_while_a_process_runs_leaves_the_disk_alone(monkeypatch, tmp_path):
    """What the process runs is no longer what its sources say."""
    monkeypatch.setattr(cache, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(cache.import_time, "IMPORTED_AT", 0.0)
    assert load_anew(SMALL, monkeypatch) == "compiled"
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_cannot_be_written_is_done_without(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(cache, "CACHE", tmp_path / "file")
    compare(SMALL, TRAININGS[:2])
    monkeypatch.setattr(cache, "CACHE", tmp_path)
    monkeypatch.setattr(cache.os, "fdopen", lambda *a: (tmp_path / "no" / "disk").open("wb"))
    assert load_anew(SMALL, monkeypatch) == "compiled"
    assert stored_steps(tmp_path) == []


FIRST_STEP = """
import sys
from dataclasses import replace
from compared_trainings import TRAININGS
from compiled_cases import SMALL
from bfc.engine.trainer import Trainer
assert Trainer(replace(SMALL, compile="always"), TRAININGS[:1]).state.execution == "compiled"
print(*(name for name in ("sympy", "torch._dynamo", "torch._inductor") if name in sys.modules))
"""


def test_processes_that_compile_a_step_at_once_store_it_once(tmp_path):
    """And none of them imports the compiler of torch for it."""
    environment = {**os.environ, "BFC_CACHE": str(tmp_path)}
    folder = Path(__file__).parent
    command = [sys.executable, "-c", FIRST_STEP]
    options = {"cwd": folder, "env": environment, "text": True}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, **options, **pipes) for _ in range(2)]
    for process in processes:
        out, err = process.communicate()
        assert (process.returncode, out) == (0, "\n"), err
    assert len(stored_steps(tmp_path)) == 1
