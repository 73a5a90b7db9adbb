"""Fused jobs: a sweep in common stacks gives the same store, whatever happens to its processes."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import psutil
import pytest
import torch
from commands import (
    MAX_SECONDS,
    TINY,
    assert_same_records,
    container,
    files,
    has_stopped,
    process,
    run,
    running,
    stop_at_checkpoints,
    store,
    wait_until,
    workers,
)

from bfc.errors import UserError
from bfc.launch.job import describe_jobs, plan_job
from bfc.launch.manifest import Launch
from bfc.launch.worker_pool import WorkerPool

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
FUSED = ("hydra.launcher.fuse_jobs=32", "hydra.launcher.processes=1")
LONGER = (*SWEEP, "schedule=joint", "schedule.steps=400", "compute.checkpoint_seconds=0")
"""Six jobs with many checkpoints."""


def without_stacks(results: Path) -> dict[str, list[dict]]:
    """A store without the sizes of its stacks."""
    cells = {}
    for cell, rows in store(results).items():
        cells[cell] = [{**row, "stack": 0, "execution": ""} for row in rows]
    return cells


def stack_sizes(results: Path) -> set[int]:
    rows = itertools.chain(*store(results).values())
    return {row["stack"] for row in rows}


def assert_fused(fused: Path, apart: Path, factor: int, rel: float = 1e-9) -> None:
    """The same cells and numbers; every stack was ``factor`` times as large."""
    sizes = {factor * size for size in stack_sizes(apart / "results")}
    assert stack_sizes(fused / "results") == sizes
    assert_same_records(without_stacks(fused / "results"), without_stacks(apart / "results"), rel)


def test_a_fused_sweep_gives_the_same_store(tmp_path) -> None:
    """The stacks are larger, and nothing else is different."""
    fused, apart = tmp_path / "fused", tmp_path / "apart"
    done = process(*SWEEP, *FUSED, cwd=fused)
    assert done.status == 0, done
    done = run(*SWEEP, "hydra/launcher=basic", cwd=apart)
    assert done.status == 0, done
    assert_fused(fused, apart, 6)
    before = files(fused / "results")
    assert run(*SWEEP, cwd=fused).status == 0
    after = files(fused / "results")
    tables = [name for name in before if name.endswith("trainings.parquet")]
    assert len(tables) == 12
    assert all(after[name] == before[name] for name in tables)


def stopped_worker(sweep, folder: Path) -> psutil.Process:
    """The only worker of a sweep, once each of its six jobs has a checkpoint and it has stopped."""
    wait_until(lambda: any(map(has_stopped, workers(sweep))), sweep)
    (worker,) = workers(sweep)
    assert len(list(folder.rglob("checkpoint.pt"))) == 6
    return worker


def test_the_jobs_of_a_killed_process_go_on_with_the_same_numbers(tmp_path) -> None:
    """As the kernel kills one where memory does not suffice: its jobs go on one by one."""
    stopping = stop_at_checkpoints(tmp_path / "hook", count=6)
    with running(*LONGER, *FUSED, cwd=tmp_path, **stopping) as sweep:
        stopped_worker(sweep, tmp_path).kill()
        _, err = sweep.communicate(timeout=MAX_SECONDS)
    assert sweep.returncode == 0 and "6/6 cells" in err.splitlines()[-1], err
    assert stack_sizes(tmp_path / "results") == {6}


@pytest.mark.parametrize("broken", ["Pipe", "Process", "send"])
def test_where_no_process_can_be_started_the_jobs_fail(broken, monkeypatch, tmp_path) -> None:
    class BrokenContext:
        """A multiprocessing context that lacks one thing."""

        def __init__(self, context):
            self.context = context

        def __getattr__(self, name):
            if name == broken:
                raise OSError(24, "Too many open files")
            return getattr(self.context, name)

    results = str(tmp_path / "results")
    planned = []
    for d in (4, 5):
        overrides = [f"target.d={d}"]
        planned.append(plan_job(overrides, {**container(*TINY, *overrides), "results": results}))
    entries = describe_jobs(planned, [False] * 2, [1.0] * 2)
    manifest = {"kind": "local", "jobs": entries, "launcher": {}}
    launch = Launch.create(Path(results), None, manifest, [job.container for job in planned])
    pool = WorkerPool(2)
    pool.context = BrokenContext(pool.context)
    if broken == "send":
        start = lambda pool: setattr(pool._worker, "pipe", object())  # noqa: E731
        monkeypatch.setattr(WorkerPool, "_start_process", start)
    for future in pool.submit(launch, [0, 1]).values():
        error = future.exception(timeout=MAX_SECONDS)
        assert isinstance(error, (OSError, UserError, AttributeError))
    pool.stop()
    assert {event["state"] for event in launch.events().values()} == {"failed"}


def test_a_kill_of_everything_changes_no_numbers(tmp_path) -> None:
    """Each job has its own checkpoint, and the jobs go on in one stack."""
    fused, apart = tmp_path / "fused", tmp_path / "apart"
    stopping = stop_at_checkpoints(tmp_path / "hook", count=6)
    with running(*LONGER, *FUSED, cwd=fused, **stopping) as sweep:
        stopped_worker(sweep, fused)
        os.killpg(sweep.pid, signal.SIGKILL)
        sweep.wait()
    saved = [torch.load(path)["state"] for path in fused.rglob("checkpoint.pt")]
    assert len(saved) == 6
    for state in saved:
        assert 0 < int(state["counters"]["step"].min()) < 400
    assert process(*LONGER, *FUSED, cwd=fused).status == 0
    assert not list(fused.rglob("checkpoint.pt"))
    assert run(*LONGER, "hydra/launcher=basic", cwd=apart).status == 0
    assert_fused(fused, apart, 6, rel=1e-5)
