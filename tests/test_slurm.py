"""A real SLURM of six nodes on loopback: what a cluster does to a launch, and what is left of it.

Every scene is a generator that yields the condition it waits for, so that all of them run at the
same time: waiting is most of what a cluster does. Needs root and Debian's SLURM, which is installed
if it can be; otherwise everything here is skipped with the reason.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import slurm_cluster as box
from commands import TINY, bfc, environment, good, run, store

from bfc.errors import UserError
from bfc.launch.finalise import Finalise
from bfc.launch.manifest import Launch, find_launch
from bfc.launch.slurm import client as cluster
from bfc.launch.slurm import submission as slurm
from bfc.launch.status import cell_statuses
from bfc.launch.waiting import wait_for_launch
from bfc.paths import PACKAGE

pytestmark = pytest.mark.xdist_group("slurm")
OWN = {"preempted": "node4", "failing": "node5", "gpus": "node6"}
"""Nodes of the scenes that do something to a whole node; the others keep away from them."""
AWAY = f"'{','.join(OWN.values())}'"
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
LIMIT, MOST = 4, 400.0
Scene = Iterator[Callable[[], object]]


def launched(folder: Path, *arguments: str, on: str | None = None) -> Launch:
    """Launch in this process, on a node of one's own or on those that nothing happens to."""
    nodes = (
        f"+hydra.launcher.flags.nodelist={on}" if on else f"+hydra.launcher.flags.exclude={AWAY}"
    )
    done = run(*SLURM, *arguments, nodes, cwd=folder)
    assert done.status == 0 and "launched" in done.out, done
    return find_launch(folder / "results")


def state(launch: Launch, *wanted: str) -> Callable[[], bool]:
    """Whether every cell is in one of these states."""
    return lambda: all(row.state in wanted for row in cell_statuses(launch))


def scheduler(launch: Launch) -> dict[str, str]:
    """SLURM's own state of every task."""
    ids = [task for each in launch.submissions() for task in each["ids"]]
    return {task: each.state for task, each in cluster.query_tasks(ids).items()}


def caught(launch: Launch, by: str = "checkpoint.pt") -> Callable[[], bool]:
    """Let SLURM start what was submitted with :data:`HELD`, and stop its process as soon as its
    cell has this file; whether that has happened. A thread of its own looks, since the other scenes
    may be busy for longer than the cell takes; SLURM wakes what it ends."""
    stopped = threading.Event()

    def look() -> None:
        while not ((launch.folders(0)[0] / by).exists() and launch.events()):
            time.sleep(0.02)
        os.kill(pid(launch), signal.SIGSTOP)
        stopped.set()

    threading.Thread(target=look, daemon=True).start()
    release(launch)
    return stopped.is_set


def release(launch: Launch) -> None:
    """Let SLURM start what was submitted with :data:`HELD`, now that the scene is watching."""
    subprocess.run(["scontrol", "release", *launch.submissions()[-1]["ids"]], check=True)


def sbatch(*flags: str) -> str:
    """Submit a job that is no launch's; its id."""
    done = subprocess.run(
        ["sbatch", "--parsable", "-o", "/dev/null", *flags],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def pid(launch: Launch) -> int:
    return launch.events()[0]["pid"]


def log(launch: Launch) -> str:
    return "".join(path.read_text() for path in sorted(launch.logs.glob("*.out")))


# --- scenes -------------------------------------------------------------------------------------


def at_the_time_limit_it_writes_a_checkpoint_and_goes_on(folder: Path, whole: dict) -> Scene:
    """SLURM's own signal before a limit of a minute; limits are looked at every 30 s, so it comes
    up to so much early."""
    launch = launched(
        folder,
        *SLOW,
        "hydra.launcher.time=1",
        "hydra.launcher.signal_seconds=10",
        "compute.checkpoint_seconds=1000",
        HELD,
    )
    yield lambda: True
    yield caught(launch, by="status.json")
    yield lambda: "requeued as" in log(launch)
    assert (launch.folders(0)[0] / "checkpoint.pt").exists()
    yield state(launch, "done")
    signals = log(launch).count("SIGUSR2: stops at the next checkpoint")
    restarts = launch.events()[0]["restarts"]
    assert signals == restarts >= 1, "a slow machine may reach the limit again"
    assert store(folder / "results") == whole


def a_preempted_task_goes_on_when_there_is_room(folder: Path, whole: dict) -> Scene:
    launch = launched(folder, *SLOW, HELD, on=OWN["preempted"])
    yield lambda: True
    yield caught(launch)
    urgent = sbatch("-p", "urgent", "-w", OWN["preempted"], "--exclusive", "--wrap", "sleep 3")
    yield lambda: cluster.query_tasks([urgent])[urgent].state == "COMPLETED"
    yield state(launch, "done")
    assert launch.events()[0]["restarts"] == 1 and "SIGTERM: stops at the next checkpoint" in log(
        launch
    )
    assert store(folder / "results") == whole


def a_requeued_task_goes_on_with_the_same_numbers(folder: Path, whole: dict) -> Scene:
    launch = launched(folder, *SLOW, HELD)
    yield lambda: True
    yield caught(launch)
    subprocess.run(["scontrol", "requeue", launch.submissions()[0]["ids"][0]], check=True)
    yield state(launch, "done")
    assert launch.events()[0]["restarts"] == 1 and store(folder / "results") == whole


def a_task_whose_node_fails_goes_on_with_the_same_numbers(folder: Path, whole: dict) -> Scene:
    """Everything on the node dies at once, SLURM's daemon too; SLURM is told so, and later the node
    comes back."""
    launch, node = launched(folder, *SLOW, HELD, on=OWN["failing"]), OWN["failing"]
    yield lambda: True
    yield caught(launch)
    (task,) = scheduler(launch)
    conf = Path(os.environ["SLURM_CONF"])
    daemon = int((conf.parents[1] / "run" / f"slurmd.{node}.pid").read_text())
    steps = [
        each.pid
        for each in psutil.process_iter(["cmdline"])
        if f"slurmstepd: [{task}." in " ".join(each.info["cmdline"] or ())
    ]
    for number in (daemon, *steps, pid(launch)):
        os.kill(number, signal.SIGKILL)
    subprocess.run(
        ["scontrol", "update", f"nodename={node}", "state=down", "reason=test"], check=True
    )
    yield lambda: scheduler(launch)[task] == "PENDING"
    assert steps and [row.state for row in cell_statuses(launch)] == ["queued"]
    subprocess.run(["slurmd", "-N", node, "-f", str(conf)], check=True, capture_output=True)
    yield state(launch, "done")
    yield lambda: scheduler(launch)[task] == "COMPLETED"
    assert launch.events()[0]["restarts"] == 1 and store(folder / "results") == whole


def a_killed_task_is_lost_and_can_be_retried(folder: Path, whole: dict) -> Scene:
    launch = launched(folder, *SLOW, HELD)
    yield lambda: True
    yield caught(launch)
    os.kill(pid(launch), signal.SIGKILL)
    yield state(launch, "lost")
    assert set(scheduler(launch).values()) == {"FAILED"}
    assert bfc("wait", cwd=folder)[0] == 1 and bfc("status", cwd=folder)[0] == 1
    status, out = bfc("retry", "--failed", cwd=folder)
    assert status == 0 and "submitted 1 jobs again" in out
    release(launch)
    yield state(launch, "done")
    assert store(folder / "results") == whole and bfc("wait", cwd=folder)[0] == 0
    assert bfc("retry", cwd=folder)[0] == 2


def a_cancelled_launch_can_be_taken_up_again(folder: Path, whole: dict) -> Scene:
    launch = launched(folder, *SLOW, HELD)
    yield lambda: True
    yield caught(launch)
    status, out = bfc("cancel", cwd=folder)
    assert status == 0 and "cancelled 1 cells" in out
    yield state(launch, "cancelled")
    assert bfc("retry", "--failed", cwd=folder)[0] == 2 and bfc("retry", cwd=folder)[0] == 0
    release(launch)
    yield state(launch, "done")
    assert store(folder / "results") == whole


def a_task_started_twice_computes_nothing_twice(folder: Path, whole: dict) -> Scene:
    """The same pack as two SLURM jobs at once, and a third time when all is done."""
    launch = launched(folder, *SLOW)
    slurm.submit(launch, [0])
    yield (
        lambda: (
            state(launch, "done")()
            and not any(
                task.active for task in cluster.query_tasks(list(scheduler(launch))).values()
            )
        )
    )
    text = log(launch)
    assert set(scheduler(launch).values()) == {"COMPLETED"} and store(folder / "results") == whole
    assert text.count("4 rows stored, 4 new") == 1
    assert text.count("4 rows stored, 0 new") + text.count("everything in this task is done") == 1
    before = {p: p.read_bytes() for p in (folder / "results").rglob("*.parquet")}
    slurm.submit(launch, [0])
    yield lambda: "everything in this task is done" in log(launch)
    assert {p: p.read_bytes() for p in (folder / "results").rglob("*.parquet")} == before


def a_failure_stays_with_its_job_and_sets_the_exit_status(folder: Path, _: dict) -> Scene:
    """Five jobs over an array limit of four, one to a task; then the same in one task. Two of them
    are singular kernels."""
    ridges = "baseline.ridge=0.1,0,0.2,0.3,0.4"
    single = launched(
        folder / "single",
        *TINY,
        *KERNEL,
        ridges,
        "hydra.launcher.cells_per_task=1",
        "hydra.launcher.finalise=true",
    )
    packed = launched(folder / "packed", *TINY, *KERNEL, ridges)
    tasks = [task for each in single.submissions() for task in each["ids"]]
    assert len(tasks) == 5 and len({task.partition("_")[0] for task in tasks}) == 2, (
        "MaxArraySize is four"
    )
    assert len([task for each in packed.submissions() for task in each["ids"]]) == 1
    yield state(single, "done", "failed")
    yield state(packed, "done", "failed")
    yield (
        lambda: (
            not any(
                task.active
                for task in cluster.query_tasks(tasks + list(scheduler(packed))).values()
            )
        )
    )
    well, ill = (
        sbatch("-d", f"afterok:{task}", "--wrap", "true") for task in (tasks[0], *scheduler(packed))
    )
    yield (
        lambda: (
            cluster.query_tasks([well])[well].state == "COMPLETED"
            and cluster.query_tasks([ill])[ill].reason == "DependencyNeverSatisfied"
        )
    )
    assert [scheduler(single)[task] for task in tasks] == [
        "COMPLETED",
        "FAILED",
        "COMPLETED",
        "COMPLETED",
        "COMPLETED",
    ]
    assert list(scheduler(packed).values()) == ["FAILED"]
    for launch in (single, packed):
        assert [row.state for row in cell_statuses(launch)] == [
            "done",
            "failed",
            "done",
            "done",
            "done",
        ]
        event = launch.events()[1]
        assert event["error"] == "UserError" and "Traceback" in event["traceback"]
        assert event["message"].startswith("baseline.ridge=0: too small")
        status_file = json.loads((launch.folders(1)[0] / "status.json").read_text())
        assert status_file["state"] == "failed" and "Traceback" in status_file["traceback"]
    assert len(list((packed.path / "events").iterdir())) == 1, "one process ran all five"
    status, out = bfc("status", cwd=folder / "packed")
    assert (
        status == 1
        and "4 done, 1 failed" in out
        and "failed: " in out
        and "UserError" in out
        and ".out)" in out
    )
    assert "positive definite" in bfc("logs", "--failed", cwd=folder / "packed")[1]
    single_store = folder / "single" / "results"
    packed_store = folder / "packed" / "results"
    single_rows, packed_rows = good(single_store), good(packed_store)
    assert single_rows == packed_rows
    yield (single.path / "report" / "index.html").exists
    assert json.loads((single.path / "summary.json").read_text()) == {"done": 4, "failed": 1}
    assert f"{single.name}/report/index.html" in bfc("status", cwd=folder / "single")[1]


def a_job_gets_the_gpu_it_was_given(folder: Path, _: dict) -> Scene:
    """Two tasks that share a node see different GPUs."""
    launch = launched(
        folder,
        *SLOW,
        "target.d=4,5",
        "hydra.launcher.cells_per_task=1",
        "hydra.launcher.gpus=1",
        HELD,
        on=OWN["gpus"],
    )
    yield lambda: True
    release(launch)
    yield state(launch, "done")
    seen = [json.loads((launch.folders(n)[0] / "environment.json").read_text()) for n in (0, 1)]
    assert sorted(each["visible_gpus"] for each in seen) == ["0", "1"] and {
        each["node"] for each in seen
    } == {OWN["gpus"]}
    assert {each["slurm"]["job_partition"] for each in seen} == {"main"}


def larger_d_wait_for_smaller_ones(folder: Path, _: dict) -> Scene:
    launch = launched(folder, *ADAPTIVE, "target.d=6,4")
    assert [about["wave"] for about in launch.jobs] == [1, 0] and launch.jobs[0]["earlier"] == [1]
    yield state(launch, "done")
    assert (
        run(
            "-m", *ADAPTIVE, "target.d=6,4", "hydra/launcher=basic", "results=local", cwd=folder
        ).status
        == 0
    )
    assert store(folder / "results") == store(folder / "local")
    plans = [json.loads((launch.folders(n)[0] / "plan.json").read_text())["prior"] for n in (0, 1)]
    assert plans[1] == "auto" and len(plans[0]) == 2


def editing_code_and_configuration_after_submission_changes_nothing(
    folder: Path, whole: dict
) -> Scene:
    """Launched from a checkout of its own, which is broken before SLURM may start the job."""
    checkout = folder / "checkout"
    shutil.copytree(
        PACKAGE.parent,
        checkout,
        ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", "tests", "docs", "shared"),
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "bfc.train",
            *SLURM,
            *SLOW,
            HELD,
            f"+hydra.launcher.flags.exclude={AWAY}",
        ],
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
    yield state(launch, "done")
    assert store(folder / "results") == whole
    (cell_folder,) = launch.folders(0)
    assert json.loads((cell_folder / "environment.json").read_text()).keys() >= {"commit", "diff"}
    assert Path(launch.manifest["code"]["path"]).parent == launch.path.parent / "code"


def the_stock_launcher_still_works(folder: Path, _: dict) -> Scene:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "bfc.train",
            "-m",
            *TINY,
            "schedule=staged,joint",
            "hydra/launcher=submitit_slurm",
            f"hydra.launcher.exclude={AWAY}",
        ],
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
    launch = launched(folder, *sweep, "hydra.launcher.fuse_jobs=2", HELD)
    yield lambda: True
    assert launch.submissions()[0]["packs"] == [[0, 1]]
    yield caught(launch)
    subprocess.run(["scontrol", "requeue", launch.submissions()[0]["ids"][0]], check=True)
    yield state(launch, "done")
    assert [event["restarts"] for event in launch.events().values()] == [1, 1]
    (folder / "apart").mkdir()
    assert run("-m", *sweep, "hydra/launcher=basic", cwd=folder / "apart").status == 0
    found, want = store(folder / "results"), store(folder / "apart" / "results")
    assert found.keys() == want.keys() and len(found) == 2
    for cell, rows in want.items():
        assert [row["stack"] for row in found[cell]] == [8] * 4 and [
            row["stack"] for row in rows
        ] == [4] * 4
        assert [row["risk"] for row in found[cell]] == pytest.approx(
            [row["risk"] for row in rows], rel=1e-5
        )


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
    """A short path, as SLURM's sockets need."""
    reason = box.missing()
    if reason is not None:
        pytest.skip(f"no SLURM here: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="bfc-slurm-"))
    with (
        pytest.MonkeyPatch.context() as patch,
        box.running(folder / "box", nodes=3 + len(OWN), max_array=LIMIT) as variables,
    ):
        for name, value in variables.items():
            patch.setenv(name, value)
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def played(cluster_folder: Path) -> dict[str, BaseException | None]:
    """Every scene, all at once; what each came to."""
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
    end = time.monotonic() + MOST
    while playing and time.monotonic() < end:
        for name, (scene, ready) in list(playing.items()):
            try:
                go_on = ready()
            except BaseException as error:
                ended[name] = error
                playing.pop(name)
                continue
            if go_on:
                step(name, scene)
        time.sleep(0.1)
    return ended | {name: TimeoutError(f"after {MOST} s") for name in playing}


@pytest.mark.parametrize("scene", SCENES)
def test_on_a_real_cluster(scene: str, played: dict[str, BaseException | None]) -> None:
    if (error := played[scene]) is not None:
        raise error


def test_a_refused_submission_is_a_sentence_and_leaves_no_job(cluster_folder: Path) -> None:
    folder = cluster_folder / "refused"
    done = run(*SLURM, *TINY, "hydra.launcher.partition=nowhere", cwd=folder)
    assert (
        done.status == 2
        and "bfc: SLURM refuses the jobs: " in done.err
        and "invalid partition" in done.err
    ), done
    assert len(done.err.splitlines()) == 1 and not list(folder.iterdir())
    done = run(
        *SLURM,
        *TINY,
        "hydra.launcher.max_array=9",
        "target.d=range(4,10)",
        "hydra.launcher.cells_per_task=1",
        cwd=folder,
    )
    assert done.status == 2 and "Invalid job array specification" in done.err, done
    with pytest.raises(UserError, match="holds no launch"):
        find_launch(folder / "results")


def test_a_refused_last_job_leaves_the_others(cluster_folder: Path, monkeypatch) -> None:
    """The one that draws the report, where only jobs with a GPU are taken, say."""
    folder, submit = cluster_folder / "without", slurm._sbatch

    def picky(launch: Launch, options: Any, code: Any, tasks: Any, after: Any) -> list[str]:
        if isinstance(tasks[0], Finalise):
            raise UserError("SLURM refuses the jobs: no GPU")
        return submit(launch, options, code, tasks, after)

    monkeypatch.setattr(slurm, "_sbatch", picky)
    done = run(*SLURM, *TINY, HELD, "hydra.launcher.finalise=true", cwd=folder)
    assert (
        done.status == 0
        and "SLURM refuses the jobs: no GPU: this was the job that draws the report; `bfc collect"
        in done.err
    ), done
    assert bfc("cancel", cwd=folder)[0] == 0


def test_a_scheduler_that_does_not_answer_is_no_news_about_its_jobs(
    cluster_folder: Path, monkeypatch, capsys
) -> None:
    """Neither the end of a wait, nor a job that was lost."""
    folder = cluster_folder / "silent"
    launch = launched(folder, *TINY, HELD)
    run_command = cluster.run_command
    queries: list[str] = []

    def fail_at_first(*command: str) -> subprocess.CompletedProcess[str]:
        queries.append(command[0])
        if len(queries) < 4:
            return subprocess.CompletedProcess(
                command, 1, "", "slurm_load_jobs error: Unable to contact slurm controller"
            )
        return run_command(*command)

    monkeypatch.setattr(cluster, "run_command", fail_at_first)
    with pytest.raises(
        cluster.SlurmUnavailable, match=r"Unable to contact slurm controller.*try again later"
    ):
        cell_statuses(launch)
    release(launch)
    statuses = wait_for_launch(launch, poll_seconds=0.2)
    assert (
        [status.state for status in statuses] == ["done"]
        and capsys.readouterr().err.count("waiting") == 1
        and len(queries) >= 4
    )
    queries.clear()
    assert [row.state for row in cell_statuses(launch)] == ["done"] and not queries, (
        "what is known to be done needs no scheduler"
    )


def test_plan_says_what_would_start_and_writes_nothing(cluster_folder: Path) -> None:
    folder = cluster_folder / "planned"
    folder.mkdir()
    status, out = bfc_process("plan", "hydra/launcher=slurm", *TINY, "target.d=4,5", cwd=folder)
    assert (
        status == 0
        and "to run    2 jobs in 1 task" in out
        and "to start at" in out
        and not list(folder.iterdir())
    )


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
    """A box of its own; no daemon outlives it."""
    reason = box.missing()
    if reason is not None:
        pytest.skip(f"no SLURM here: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="bfc-slurm-"))
    with box.running(folder, nodes=2) as variables:
        assert Path(variables["SLURM_CONF"]).is_file()
        numbers = [int(path.read_text()) for path in (folder / "run").glob("*.pid")]
        assert len(numbers) == 4 and all(map(psutil.pid_exists, numbers))
        heard = {
            c.laddr.ip
            for n in numbers
            for c in psutil.Process(n).net_connections()
            if c.status == psutil.CONN_LISTEN
        }
        assert heard == {"127.0.0.1"}
    assert not any(map(psutil.pid_exists, numbers)) and not list((folder / "run").glob("*.pid"))
    shutil.rmtree(folder)
