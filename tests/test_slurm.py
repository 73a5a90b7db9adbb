"""A real SLURM of six nodes on loopback: what a cluster does to a launch, and what is left of it.

All scenes of ``slurm_scenes`` run at the same time. Needs root and Debian's SLURM, which is
installed if that is possible; otherwise everything here is skipped with the reason.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pytest
import slurm_cluster
from commands import TINY, bfc, environment, run, store
from slurm_launches import HELD, RESERVED, SLOW, SLURM, launch_sweep, release
from slurm_scenes import SCENES, Scene

from bfc.errors import UserError
from bfc.launch.finalise import Finalise
from bfc.launch.launch_list import find_launch
from bfc.launch.manifest import Launch
from bfc.launch.slurm import client, submission
from bfc.launch.status import cell_statuses
from bfc.launch.waiting import wait_for_launch

pytestmark = pytest.mark.xdist_group("slurm")
MAX_ARRAY = 4
MAX_SECONDS = 1800.0
"""A safety net: all scenes together end within a minute or two where nothing else runs."""


@pytest.fixture(scope="module")
def cluster_folder() -> Iterator[Path]:
    """A running SLURM, in a folder with a short path, as its sockets need."""
    reason = slurm_cluster.missing()
    if reason is not None:
        pytest.skip(f"no SLURM here: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="bfc-slurm-"))
    nodes = 3 + len(RESERVED)
    with (
        slurm_cluster.running(folder / "box", nodes=nodes, max_array=MAX_ARRAY) as variables,
        mock.patch.dict(os.environ, variables),
    ):
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def played(cluster_folder: Path) -> dict[str, BaseException | None]:
    """All scenes, at the same time: the error of every scene, or None."""
    assert run(*SLOW, cwd=cluster_folder / "whole").status == 0
    whole = store(cluster_folder / "whole" / "results")
    ended: dict[str, BaseException | None] = {}
    playing: dict[str, tuple[Scene, Callable[[], object]]] = {}

    def step(name: str, scene: Scene) -> None:
        try:
            playing[name] = (scene, next(scene))
        except BaseException as error:
            playing.pop(name, None)
            ended[name] = None if isinstance(error, StopIteration) else error

    for name, scene in SCENES.items():
        (cluster_folder / name[:24]).mkdir()
        step(name, scene(cluster_folder / name[:24], whole))
    end = time.monotonic() + MAX_SECONDS
    while playing and time.monotonic() < end:
        for name, (scene, ready) in list(playing.items()):
            try:
                is_ready = ready()
            except BaseException as error:
                ended[name] = error
                playing.pop(name)
                continue
            if is_ready:
                step(name, scene)
        time.sleep(0.1)
    return ended | {name: TimeoutError(f"after {MAX_SECONDS} s") for name in playing}


@pytest.mark.parametrize("scene", SCENES)
def test_on_a_real_cluster(scene: str, played: dict[str, BaseException | None]) -> None:
    error = played[scene]
    if error is not None:
        raise error


def test_a_refused_submission_is_a_sentence_and_leaves_no_job(cluster_folder: Path) -> None:
    folder = cluster_folder / "refused"
    done = run(*SLURM, *TINY, "hydra.launcher.partition=nowhere", cwd=folder)
    assert done.status == 2 and "bfc: SLURM refuses the jobs: " in done.err, done
    assert "invalid partition" in done.err, done
    assert len(done.err.splitlines()) == 1 and not list(folder.iterdir())
    options = ("hydra.launcher.max_array=9", "hydra.launcher.cells_per_task=1")
    done = run(*SLURM, *TINY, *options, "target.d=range(4,10)", cwd=folder)
    assert done.status == 2 and "Invalid job array specification" in done.err, done
    with pytest.raises(UserError, match="holds no launch"):
        find_launch(folder / "results")


def test_a_refused_last_job_leaves_the_others(cluster_folder: Path, monkeypatch) -> None:
    """For instance the job that draws the report, where only jobs with a GPU are accepted."""
    folder = cluster_folder / "without"
    submit = submission._sbatch

    def refuse_last(launch: Launch, options: Any, code: Any, tasks: Any, after: Any) -> list[str]:
        if isinstance(tasks[0], Finalise):
            raise UserError("SLURM refuses the jobs: no GPU")
        return submit(launch, options, code, tasks, after)

    monkeypatch.setattr(submission, "_sbatch", refuse_last)
    done = run(*SLURM, *TINY, HELD, "hydra.launcher.finalise=true", cwd=folder)
    sentence = (
        "SLURM refuses the jobs: no GPU: this was the job that draws the report; `bfc collect"
    )
    assert done.status == 0 and sentence in done.err, done
    assert bfc("cancel", cwd=folder)[0] == 0


def test_a_scheduler_that_does_not_answer_is_no_news_about_its_jobs(
    cluster_folder: Path, monkeypatch, capsys
) -> None:
    """Neither the end of a wait, nor a job that was lost."""
    folder = cluster_folder / "silent"
    launch = launch_sweep(folder, *TINY, HELD)
    run_command = client.run_command
    queries: list[str] = []

    def fail_at_first(*command: str) -> subprocess.CompletedProcess[str]:
        queries.append(command[0])
        if len(queries) < 4:
            error = "slurm_load_jobs error: Unable to contact slurm controller"
            return subprocess.CompletedProcess(command, 1, "", error)
        return run_command(*command)

    monkeypatch.setattr(client, "run_command", fail_at_first)
    sentence = r"Unable to contact slurm controller.*try again later"
    with pytest.raises(client.SlurmUnavailable, match=sentence):
        cell_statuses(launch)
    release(launch)
    statuses = wait_for_launch(launch, poll_seconds=0.2)
    assert [status.state for status in statuses] == ["done"]
    assert capsys.readouterr().err.count("waiting") == 1 and len(queries) >= 4
    queries.clear()
    assert [row.state for row in cell_statuses(launch)] == ["done"]
    assert not queries, "what is known to be done needs no scheduler"


def test_plan_says_what_would_start_and_writes_nothing(cluster_folder: Path) -> None:
    folder = cluster_folder / "planned"
    folder.mkdir()
    status, out = bfc_process("plan", "hydra/launcher=slurm", *TINY, "target.d=4,5", cwd=folder)
    assert status == 0 and "to run    2 jobs in 1 task" in out and "to start at" in out
    assert not list(folder.iterdir())


def bfc_process(*arguments: str, cwd: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "bfc.cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=environment(SLURM_CONF=os.environ["SLURM_CONF"]),
    )
    return done.returncode, done.stdout + done.stderr


def test_everything_is_torn_down_by_number() -> None:
    """A second SLURM; none of its daemons is left."""
    reason = slurm_cluster.missing()
    if reason is not None:
        pytest.skip(f"no SLURM here: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="bfc-slurm-"))
    with slurm_cluster.running(folder, nodes=2) as variables:
        assert Path(variables["SLURM_CONF"]).is_file()
        pids = [int(path.read_text()) for path in (folder / "run").glob("*.pid")]
        assert len(pids) == 4 and all(map(psutil.pid_exists, pids))
        addresses = set()
        for pid in pids:
            addresses |= listening_addresses(pid)
        assert addresses == {"127.0.0.1"}
    assert not any(map(psutil.pid_exists, pids)) and not list((folder / "run").glob("*.pid"))
    shutil.rmtree(folder)


def listening_addresses(pid: int) -> set[str]:
    connections = psutil.Process(pid).net_connections()
    return {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
