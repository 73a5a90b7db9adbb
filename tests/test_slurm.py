"""A real SLURM of six nodes on loopback: what a cluster does to a launch, and what is left of it.

Every scene is a generator that yields the condition it waits for, so that all of them run at the
same time, since a cluster mostly waits. Needs root and Debian's SLURM, which is installed if that
is possible; otherwise everything here is skipped with the reason.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pytest
import slurm_cluster
from commands import (
    TINY,
    bfc,
    command,
    environment,
    good,
    has_stopped,
    run,
    stop_at_checkpoints,
    store,
)

from bfc.errors import UserError
from bfc.launch.finalise import Finalise
from bfc.launch.manifest import Launch, find_launch
from bfc.launch.slurm import client, submission
from bfc.launch.status import cell_statuses
from bfc.launch.waiting import wait_for_launch
from bfc.paths import PACKAGE

pytestmark = pytest.mark.xdist_group("slurm")
RESERVED = {"preempted": "node4", "failing": "node5", "gpus": "node6"}
"""Nodes of the scenes that do something to a whole node; the others keep away from them."""
EXCLUDED = f"'{','.join(RESERVED.values())}'"
SLURM = ("-m", "hydra/launcher=slurm", "hydra.launcher.finalise=false", "hydra.launcher.mem=200M")
SLOW = (
    *TINY,
    "measure.n=64",
    "measure.seeds=4",
    "schedule.steps=1000",
    "compute.checkpoint_seconds=0",
)
"""Seconds of training with a checkpoint after every chunk."""
HELD = "+hydra.launcher.flags.hold=true"
KERNEL = ("learner=none", "baseline=rbf", "baseline.n_max=48", "baseline.bandwidth=1e8")
ADAPTIVE = (
    *(t for t in TINY if not t.startswith(("measure.seeds", "measure.n="))),
    "target.L=2",
    "target.widths=[1]",
    "target.alpha=[1.0]",
    "learner.widths=[1]",
    "schedule.steps=300",
    "optimizer.lr=0.02",
    "measure=adaptive",
    "measure.rounds=1",
    "measure.replicas=8",
    "measure.n_min=4",
    "measure.n_max=512",
    "measure.eps=[0.1]",
)
"""At d = 4, n = 4 and 5 fail and n >= 27 succeed, both by a factor above 5: n* lies between, so the
next d has something to start from."""
MAX_ARRAY = 4
MAX_SECONDS = 1800.0
"""A safety net: all scenes together end within a minute or two where nothing else runs."""
Scene = Iterator[Callable[[], object]]


def launch_sweep(
    folder: Path,
    *arguments: str,
    node: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Launch:
    """Launch in this process, on this node or on those that are not reserved."""
    nodes = f"+hydra.launcher.flags.exclude={EXCLUDED}"
    if node is not None:
        nodes = f"+hydra.launcher.flags.nodelist={node}"
    with mock.patch.dict(os.environ, variables or {}):
        done = run(*SLURM, *arguments, nodes, cwd=folder)
    assert done.status == 0 and "launched" in done.out, done
    return find_launch(folder / "results")


def launch_stopping(
    folder: Path, *arguments: str, checkpoints: int = 1, node: str | None = None
) -> Launch:
    """A launch whose process stops itself after so many checkpoints; SLURM wakes what it ends.

    It waits for :func:`release`.
    """
    stopping = stop_at_checkpoints(folder / "hook", checkpoints)
    return launch_sweep(folder, *arguments, HELD, node=node, variables=stopping)


def process_stopped(launch: Launch) -> Callable[[], bool]:
    """Whether the process of the launch's first job has stopped itself."""
    return lambda: 0 in launch.events() and has_stopped(psutil.Process(pid_of(launch)))


def all_in_state(launch: Launch, *states: str) -> Callable[[], bool]:
    """Whether every cell is in one of these states."""
    return lambda: all(row.state in states for row in cell_statuses(launch))


def task_ids(launch: Launch) -> list[str]:
    ids = []
    for submitted in launch.submissions():
        ids += submitted["ids"]
    return ids


def task_states(launch: Launch) -> dict[str, str]:
    """SLURM's state of every task."""
    return {name: task.state for name, task in client.query_tasks(task_ids(launch)).items()}


def no_task_active(*launches: Launch) -> bool:
    ids = []
    for launch in launches:
        ids += task_ids(launch)
    return not any(task.active for task in client.query_tasks(ids).values())


def has_completed(job: str) -> bool:
    return client.query_tasks([job])[job].state == "COMPLETED"


def release(launch: Launch) -> None:
    """Let SLURM start what was submitted with :data:`HELD`."""
    subprocess.run(["scontrol", "release", *launch.submissions()[-1]["ids"]], check=True)


def requeue(launch: Launch) -> None:
    subprocess.run(["scontrol", "requeue", launch.submissions()[0]["ids"][0]], check=True)


def sbatch(*flags: str) -> str:
    """Submit a job that belongs to no launch; returns its id."""
    done = subprocess.run(
        ["sbatch", "--parsable", "-o", "/dev/null", *flags],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def pid_of(launch: Launch) -> int:
    """Process id of the launch's first job."""
    return launch.events()[0]["pid"]


def log_of(launch: Launch) -> str:
    return "".join(path.read_text() for path in sorted(launch.logs.glob("*.out")))


# --- scenes -------------------------------------------------------------------------------------


def at_the_time_limit_it_writes_a_checkpoint_and_goes_on(folder: Path, whole: dict) -> Scene:
    """SLURM's signal before a limit of a minute.

    SLURM checks limits every 30 s, so the signal comes up to 30 s early.
    """
    options = (
        "hydra.launcher.time=1",
        "hydra.launcher.signal_seconds=10",
        "compute.checkpoint_seconds=1000",
    )
    stopping = stop_at_checkpoints(folder / "hook", 0, name="status.json")
    launch = launch_sweep(folder, *SLOW, *options, HELD, variables=stopping)
    yield lambda: True
    release(launch)
    yield process_stopped(launch)
    yield lambda: "requeued as" in log_of(launch)
    assert (launch.folders(0)[0] / "checkpoint.pt").exists()
    yield all_in_state(launch, "done")
    signals = log_of(launch).count("SIGUSR2: stops at the next checkpoint")
    restarts = launch.events()[0]["restarts"]
    assert signals == restarts >= 1, "a slow machine may reach the limit again"
    assert store(folder / "results") == whole


def a_preempted_task_goes_on_when_there_is_room(folder: Path, whole: dict) -> Scene:
    node = RESERVED["preempted"]
    launch = launch_stopping(folder, *SLOW, node=node)
    yield lambda: True
    release(launch)
    yield process_stopped(launch)
    urgent = sbatch("-p", "urgent", "-w", node, "--exclusive", "--wrap", "sleep 3")
    yield lambda: has_completed(urgent)
    yield all_in_state(launch, "done")
    assert launch.events()[0]["restarts"] == 1
    assert "SIGTERM: stops at the next checkpoint" in log_of(launch)
    assert store(folder / "results") == whole


def a_requeued_task_goes_on_with_the_same_numbers(folder: Path, whole: dict) -> Scene:
    launch = launch_stopping(folder, *SLOW)
    yield lambda: True
    release(launch)
    yield process_stopped(launch)
    requeue(launch)
    yield all_in_state(launch, "done")
    assert launch.events()[0]["restarts"] == 1 and store(folder / "results") == whole


def a_task_whose_node_fails_goes_on_with_the_same_numbers(folder: Path, whole: dict) -> Scene:
    """Everything on the node dies at once, SLURM's daemon included; later the node comes back.

    An administrator reports the node to SLURM as down.
    """
    node = RESERVED["failing"]
    launch = launch_stopping(folder, *SLOW, node=node)
    yield lambda: True
    release(launch)
    yield process_stopped(launch)
    (task,) = task_ids(launch)
    conf = Path(os.environ["SLURM_CONF"])
    daemon = int((conf.parents[1] / "run" / f"slurmd.{node}.pid").read_text())
    step_daemons = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if f"slurmstepd: [{task}." in " ".join(process.info["cmdline"] or ())
    ]
    for number in (daemon, *step_daemons, pid_of(launch)):
        os.kill(number, signal.SIGKILL)
    subprocess.run(
        ["scontrol", "update", f"nodename={node}", "state=down", "reason=test"], check=True
    )
    yield lambda: task_states(launch)[task] == "PENDING"
    assert step_daemons and [row.state for row in cell_statuses(launch)] == ["queued"]
    subprocess.run(["slurmd", "-N", node, "-f", str(conf)], check=True, capture_output=True)
    yield all_in_state(launch, "done")
    yield lambda: task_states(launch)[task] == "COMPLETED"
    assert launch.events()[0]["restarts"] == 1 and store(folder / "results") == whole


def a_killed_task_is_lost_and_can_be_retried(folder: Path, whole: dict) -> Scene:
    launch = launch_stopping(folder, *SLOW)
    yield lambda: True
    release(launch)
    yield process_stopped(launch)
    os.kill(pid_of(launch), signal.SIGKILL)
    yield all_in_state(launch, "lost")
    assert set(task_states(launch).values()) == {"FAILED"}
    assert bfc("wait", cwd=folder)[0] == 1 and bfc("status", cwd=folder)[0] == 1
    status, out = bfc("retry", "--failed", cwd=folder)
    assert status == 0 and "submitted 1 jobs again" in out
    release(launch)
    yield all_in_state(launch, "done")
    assert store(folder / "results") == whole and bfc("wait", cwd=folder)[0] == 0
    assert bfc("retry", cwd=folder)[0] == 2


def a_cancelled_launch_can_be_taken_up_again(folder: Path, whole: dict) -> Scene:
    launch = launch_stopping(folder, *SLOW)
    yield lambda: True
    release(launch)
    yield process_stopped(launch)
    status, out = bfc("cancel", cwd=folder)
    assert status == 0 and "cancelled 1 cells" in out
    yield all_in_state(launch, "cancelled")
    assert bfc("retry", "--failed", cwd=folder)[0] == 2 and bfc("retry", cwd=folder)[0] == 0
    release(launch)
    yield all_in_state(launch, "done")
    assert store(folder / "results") == whole


def a_task_started_twice_computes_nothing_twice(folder: Path, whole: dict) -> Scene:
    """The same job as two SLURM tasks at once, and a third time when all is done."""
    launch = launch_sweep(folder, *SLOW)
    submission.submit(launch, [0])
    yield all_in_state(launch, "done")
    yield lambda: no_task_active(launch)
    text = log_of(launch)
    assert set(task_states(launch).values()) == {"COMPLETED"} and store(folder / "results") == whole
    assert text.count("4 rows stored, 4 new") == 1
    assert text.count("4 rows stored, 0 new") + text.count("everything in this task is done") == 1
    before = tables_below(folder)
    submission.submit(launch, [0])
    yield lambda: "everything in this task is done" in log_of(launch)
    assert tables_below(folder) == before


def tables_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.parquet")}


def a_failure_stays_with_its_job_and_sets_the_exit_status(folder: Path, _: dict) -> Scene:
    """Five jobs over an array limit of four, one to a task; then the same in one task.

    The second one is a singular kernel.
    """
    line = (*TINY, *KERNEL, "baseline.ridge=0.1,0,0.2,0.3,0.4")
    options = ("hydra.launcher.cells_per_task=1", "hydra.launcher.finalise=true")
    single = launch_sweep(folder / "single", *line, *options)
    packed = launch_sweep(folder / "packed", *line)
    tasks = task_ids(single)
    arrays = {task.partition("_")[0] for task in tasks}
    assert len(tasks) == 5 and len(arrays) == 2, "MaxArraySize is four"
    (packed_task,) = task_ids(packed)
    yield all_in_state(single, "done", "failed")
    yield all_in_state(packed, "done", "failed")
    yield lambda: no_task_active(single, packed)
    after_success = sbatch("-d", f"afterok:{tasks[0]}", "--wrap", "true")
    after_failure = sbatch("-d", f"afterok:{packed_task}", "--wrap", "true")
    yield lambda: has_completed(after_success)
    yield lambda: never_starts(after_failure)
    states = task_states(single)
    assert states.pop(tasks[1]) == "FAILED" and set(states.values()) == {"COMPLETED"}
    assert task_states(packed) == {packed_task: "FAILED"}
    for launch in (single, packed):
        assert_second_job_failed(launch)
    assert len(list((packed.path / "events").iterdir())) == 1, "one process ran all five"
    status, out = bfc("status", cwd=folder / "packed")
    assert status == 1 and "4 done, 1 failed" in out
    assert "failed: " in out and "UserError" in out and ".out)" in out
    assert "positive definite" in bfc("logs", "--failed", cwd=folder / "packed")[1]
    assert good(folder / "single" / "results") == good(folder / "packed" / "results")
    yield (single.path / "report" / "index.html").exists
    assert json.loads((single.path / "summary.json").read_text()) == {"done": 4, "failed": 1}
    assert f"{single.name}/report/index.html" in bfc("status", cwd=folder / "single")[1]


def never_starts(job: str) -> bool:
    return client.query_tasks([job])[job].reason == "DependencyNeverSatisfied"


def assert_second_job_failed(launch: Launch) -> None:
    states = [row.state for row in cell_statuses(launch)]
    assert states == ["done", "failed", "done", "done", "done"]
    event = launch.events()[1]
    assert event["error"] == "UserError" and "Traceback" in event["traceback"]
    assert event["message"].startswith("baseline.ridge=0: too small")
    status = json.loads((launch.folders(1)[0] / "status.json").read_text())
    assert status["state"] == "failed" and "Traceback" in status["traceback"]


def a_job_gets_the_gpu_it_was_given(folder: Path, _: dict) -> Scene:
    """Two tasks that share a node see different GPUs."""
    options = ("hydra.launcher.cells_per_task=1", "hydra.launcher.gpus=1")
    node = RESERVED["gpus"]
    launch = launch_sweep(folder, *SLOW, "target.d=4,5", *options, HELD, node=node)
    yield lambda: True
    release(launch)
    yield all_in_state(launch, "done")
    paths = [launch.folders(job)[0] / "environment.json" for job in (0, 1)]
    records = [json.loads(path.read_text()) for path in paths]
    assert sorted(record["visible_gpus"] for record in records) == ["0", "1"]
    assert {record["node"] for record in records} == {node}
    assert {record["slurm"]["job_partition"] for record in records} == {"main"}


def larger_d_wait_for_smaller_ones(folder: Path, _: dict) -> Scene:
    launch = launch_sweep(folder, *ADAPTIVE, "target.d=6,4")
    assert [entry["wave"] for entry in launch.jobs] == [1, 0]
    assert launch.jobs[0]["earlier"] == [1]
    yield all_in_state(launch, "done")
    local = ("-m", *ADAPTIVE, "target.d=6,4", "hydra/launcher=basic", "results=local")
    assert run(*local, cwd=folder).status == 0
    assert store(folder / "results") == store(folder / "local")
    paths = [launch.folders(job)[0] / "plan.json" for job in (0, 1)]
    priors = [json.loads(path.read_text())["prior"] for path in paths]
    assert priors[1] == "auto" and len(priors[0]) == 2


def editing_code_and_configuration_after_submission_changes_nothing(
    folder: Path, whole: dict
) -> Scene:
    """Launched from a copy of the checkout, which is broken before SLURM may start the job."""
    checkout = folder / "checkout"
    shutil.copytree(
        PACKAGE.parent,
        checkout,
        ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", "tests", "docs", "shared"),
    )
    exclude = f"+hydra.launcher.flags.exclude={EXCLUDED}"
    done = subprocess.run(
        command(*SLURM, *SLOW, HELD, exclude),
        cwd=folder,
        env=environment(
            PYTHONPATH=str(checkout), PYTHONSAFEPATH="1", SLURM_CONF=os.environ["SLURM_CONF"]
        ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done
    launch = find_launch(folder / "results")
    (checkout / "bfc" / "train.py").write_text("raise SystemExit('drifted')")
    (checkout / "conf" / "schedule" / "staged.yaml").write_text("drifted")
    shutil.rmtree(checkout / "analysis")
    release(launch)
    yield all_in_state(launch, "done")
    assert store(folder / "results") == whole
    (cell_folder,) = launch.folders(0)
    assert json.loads((cell_folder / "environment.json").read_text()).keys() >= {"commit", "diff"}
    assert Path(launch.manifest["code"]["path"]).parent == launch.path.parent / "code"


def the_stock_launcher_still_works(folder: Path, _: dict) -> Scene:
    options = ("hydra/launcher=submitit_slurm", f"hydra.launcher.exclude={EXCLUDED}")
    process = subprocess.Popen(
        command("-m", *TINY, "schedule=staged,joint", *options),
        cwd=folder,
        env=environment(SLURM_CONF=os.environ["SLURM_CONF"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield lambda: process.poll() is not None
    out, err = process.communicate()
    assert process.returncode == 0, (out, err)
    assert len(store(folder / "results")) == 2


def fused_jobs_are_stopped_at_the_same_time_and_go_on(folder: Path, _: dict) -> Scene:
    """Two fused jobs in one task; each has its own checkpoint when the task is requeued."""
    sweep = (*SLOW, "compute.dtype=float64", "target.alpha=[1.0,0.5],[1.0,2.0]")
    launch = launch_stopping(folder, *sweep, "hydra.launcher.fuse_jobs=2", checkpoints=2)
    yield lambda: True
    assert launch.submissions()[0]["packs"] == [[0, 1]]
    release(launch)
    yield process_stopped(launch)
    requeue(launch)
    yield all_in_state(launch, "done")
    assert [event["restarts"] for event in launch.events().values()] == [1, 1]
    (folder / "apart").mkdir()
    assert run("-m", *sweep, "hydra/launcher=basic", cwd=folder / "apart").status == 0
    fused, apart = store(folder / "results"), store(folder / "apart" / "results")
    assert fused.keys() == apart.keys() and len(fused) == 2
    for cell, rows in apart.items():
        assert [row["stack"] for row in fused[cell]] == [8] * 4
        assert [row["stack"] for row in rows] == [4] * 4
        risks = [row["risk"] for row in fused[cell]]
        assert risks == pytest.approx([row["risk"] for row in rows], rel=1e-5)


SCENES = {
    scene.__name__: scene
    for scene in (
        at_the_time_limit_it_writes_a_checkpoint_and_goes_on,
        a_preempted_task_goes_on_when_there_is_room,
        a_task_whose_node_fails_goes_on_with_the_same_numbers,
        editing_code_and_configuration_after_submission_changes_nothing,
        a_failure_stays_with_its_job_and_sets_the_exit_status,
        a_killed_task_is_lost_and_can_be_retried,
        a_requeued_task_goes_on_with_the_same_numbers,
        a_cancelled_launch_can_be_taken_up_again,
        a_task_started_twice_computes_nothing_twice,
        larger_d_wait_for_smaller_ones,
        the_stock_launcher_still_works,
        a_job_gets_the_gpu_it_was_given,
        fused_jobs_are_stopped_at_the_same_time_and_go_on,
    )
}
"""The slowest first."""


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
