"""Jobs of one shape side by side: how a launch divides them among processes and tasks, and that a
sweep gives the same store, whatever befalls its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from commands import TINY, command, container, environment, files, process, same, store

from bfc.errors import UserError
from bfc.launch import local
from bfc.launch.job import companies, company, describe, planned
from bfc.launch.manifest import Launch
from bfc.launch.options import SlurmOptions
from bfc.launch.slurm.submission import divide


def jobs(*about: tuple[int | None, str]) -> list[dict[str, Any]]:
    return [{"shape": shape, "cells": [cell]} for shape, cell in about]


def test_companies():
    every = jobs((0, "a"), (1, "b"), (0, "c"), (None, "d"), (0, "a"), (0, "e"), (None, "f"))
    assert company(every, range(7), 9) == [0, 2, 5] and company(every, [3, 6], 9) == [3]
    assert list(companies(every, range(7), 2)) == [[0, 2], [1], [3], [4, 5], [6]]
    assert list(companies(every, [1, 4, 0], 1)) == [[1], [4], [0]]
    assert company([{"cells": ["a"]}, {"cells": ["b"]}], [0, 1], 9) == [0], (
        "a manifest from before shapes"
    )
    assert company([{**each, "wave": i} for i, each in enumerate(every)], range(7), 9) == [0]
    long = [{**each, "seconds": 10.0} for each in jobs(*((0, str(i)) for i in range(8)))]
    assert [len(group) for group in companies(long, range(8), 32, most_seconds=35.0)] == [3, 3, 2]
    assert [len(group) for group in companies(long, range(8), 32, processes=3)] == [3, 3, 2], (
        "a process stands idle"
    )
    assert [len(group) for group in companies(long, range(8), 2, processes=3)] == [2, 2, 2, 2]
    half = [{**each, "stored": i < 4} for i, each in enumerate(long)]
    assert list(companies(half, range(8), 32, processes=2)) == [[0, 1], [2, 3], [4, 5], [6, 7]], (
        "what is stored fills a process"
    )


@pytest.mark.parametrize(
    "limits, most_tasks, most_jobs",
    [
        ({}, 9, 92),
        ({"cells_per_task": 40}, 9, 40),
        ({"cells_per_task": 1}, 92, 1),
        ({"task_minutes": 20.0}, 5, 92),
        ({"max_submit": 3}, 2, 92),
    ],
    ids=str,
)
def test_tasks_of_companies_and_single_jobs_keep_the_limits(limits, most_tasks, most_jobs):
    """32 jobs of one shape and 60 that train nothing, a minute each, on GPUs."""
    every = jobs(*((0 if i < 32 else None, str(i)) for i in range(92)))
    about = [{**each, "wave": 0, "seconds": 60.0} for each in every]
    found = [
        numbers
        for _, numbers in divide(
            about, dict.fromkeys(range(92), 60.0), SlurmOptions(gpus=1, **limits)
        )
    ]
    assert sorted(number for numbers in found for number in numbers) == list(range(92))
    assert len(found) <= most_tasks and max(map(len, found)) <= most_jobs
    if "cells_per_task" not in limits and "max_submit" not in limits:
        assert max(map(len, found)) <= 2 * limits.get("task_minutes", 15)


SWEEP = (
    *TINY,
    "-m",
    "target.alpha=[1.0,0.5],[0.5,1.0],[1.0,0.25]",
    "task.noise=0,0.2",
    "schedule=staged,joint",
    "measure.seeds=3",
    "compute.stack=64",
    "compute.dtype=float64",
)


BESIDE = ("hydra.launcher.together=32", "hydra.launcher.processes=1")


def alike_but_for_stacks(found: Path, want: Path, most: int, rel: float = 1e-9) -> None:
    """The same cells and numbers; every stack was ``most`` times as large."""
    one, other = store(want / "results"), store(found / "results")
    assert one.keys() == other.keys() and {
        row["stack"] for rows in other.values() for row in rows
    } == {most * row["stack"] for rows in one.values() for row in rows}
    same(
        {cell: [{**row, "stack": 0} for row in rows] for cell, rows in other.items()},
        {cell: [{**row, "stack": 0} for row in rows] for cell, rows in one.items()},
        rel,
    )


def test_a_sweep_side_by_side_gives_the_same_store(tmp_path):
    """The stacks are larger, and nothing else is different."""
    for folder, options in (("apart", ()), ("beside", BESIDE)):
        (tmp_path / folder).mkdir()
        done = process(*SWEEP, *options, cwd=tmp_path / folder)
        assert done.status == 0, done
    alike_but_for_stacks(tmp_path / "beside", tmp_path / "apart", 6)
    before = files(tmp_path / "beside" / "results")
    assert process(*SWEEP, cwd=tmp_path / "beside").status == 0
    tables = [name for name in before if name.endswith("trainings.parquet")]
    assert len(tables) == 12 and all(
        files(tmp_path / "beside" / "results")[name] == before[name] for name in tables
    )


def test_a_killed_process_costs_its_company_nothing(tmp_path):
    """As the kernel does where memory does not suffice: the jobs go on one by one."""
    sweep = (
        *SWEEP,
        "schedule=joint",
        "schedule.steps=2000",
        "compute.checkpoint_seconds=0",
        *BESIDE,
    )
    running = subprocess.Popen(
        command(*sweep),
        cwd=tmp_path,
        env=environment(),
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    until_six_have_begun(running, tmp_path)
    (worker,) = [
        p
        for p in psutil.Process(running.pid).children(recursive=True)
        if "spawn_main" in " ".join(p.cmdline())
    ]
    worker.kill()
    _, err = running.communicate(timeout=120)
    assert running.returncode == 0 and "6/6 cells" in err.splitlines()[-1], err
    assert {row["stack"] for rows in store(tmp_path / "results").values() for row in rows} == {6}


@pytest.mark.parametrize("broken", ["Pipe", "Process", "send"])
def test_where_no_process_can_be_had_nobody_waits_for_ever(broken, monkeypatch, tmp_path):
    class Context:
        def __init__(self, plain):
            self.plain = plain

        def __getattr__(self, name):
            if name == broken:
                raise OSError(24, "Too many open files")
            return getattr(self.plain, name)

    results = tmp_path / "results"
    both = [
        planned([f"target.d={d}"], {**container(*TINY, f"target.d={d}"), "results": str(results)})
        for d in (4, 5)
    ]
    manifest = {"kind": "local", "jobs": describe(both, [False] * 2, [1.0] * 2), "launcher": {}}
    launch = Launch.create(results, None, manifest, [each.container for each in both])
    workers = local._Workers(launch, 2, 0, False)
    workers.context = Context(workers.context)
    if broken == "send":
        monkeypatch.setattr(
            local._Workers, "_start", lambda self: setattr(self.mine, "pipe", object())
        )
    for future in workers.submit([0, 1]).values():
        assert isinstance(future.exception(timeout=60), (OSError, UserError, AttributeError))
    workers.stop()
    assert {event["state"] for event in launch.events().values()} == {"failed"}


def until_six_have_begun(running: subprocess.Popen, folder: Path) -> None:
    end = time.monotonic() + 60
    while len(list(folder.rglob("checkpoint.pt"))) < 6:
        assert time.monotonic() < end and running.poll() is None
        time.sleep(0.02)


def test_a_kill_in_the_middle_costs_no_cell_its_numbers(tmp_path):
    """Each has a checkpoint of its own, and they go on in one stack."""
    sweep = (
        *SWEEP,
        "schedule=joint",
        "schedule.steps=2000",
        "compute.checkpoint_seconds=0",
        *BESIDE,
    )
    running = subprocess.Popen(
        command(*sweep),
        cwd=tmp_path,
        env=environment(),
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    until_six_have_begun(running, tmp_path)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    begun = [
        torch.load(path)["state"]["counters"]["step"] for path in tmp_path.rglob("checkpoint.pt")
    ]
    assert len(begun) == 6 and all(0 < int(steps.min()) < 2000 for steps in begun)
    assert process(*sweep, cwd=tmp_path).status == 0 and not list(tmp_path.rglob("checkpoint.pt"))
    (tmp_path / "apart").mkdir()
    assert process(*sweep, "hydra.launcher.together=1", cwd=tmp_path / "apart").status == 0
    alike_but_for_stacks(tmp_path, tmp_path / "apart", 6, rel=1e-5)
