"""What a cluster does to a launch, one scene each, and what is left of the launch.

A scene is a generator that yields the condition it waits for, so that all of them run at the same
time, since a cluster mostly waits. It receives a folder of its own and the rows of :data:`SLOW`,
run without interruption.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from commands import (
    KERNEL,
    TINY,
    bfc,
    command,
    environment,
    good,
    run,
    stop_at_checkpoints,
    store,
)
from slurm_launches import (
    EXCLUDED,
    HELD,
    RESERVED,
    SLOW,
    SLURM,
    all_in_state,
    has_completed,
    kill_at_once,
    launch_stopping,
    launch_sweep,
    log_of,
    no_task_active,
    pid_of,
    process_stopped,
    processes_of_task,
    release,
    requeue,
    sbatch,
    task_ids,
    task_states,
)

from bfc.launch.launch_list import find_launch
from bfc.launch.manifest import Launch
from bfc.launch.slurm import client, submission
from bfc.launch.status import cell_statuses
from bfc.paths import PACKAGE

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
"""A sequential measure whose first d informs the next one.

At d = 4, n = 4 and 5 fail and n >= 27 succeed, both by a factor above 5, so n* lies between.
"""
Scene = Iterator[Callable[[], object]]


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
    log = log_of(launch)
    requeued = log.count("requeued as")
    assert launch.events()[0]["restarts"] == requeued >= 1, "slow machines reach the limit again"
    assert log.count("SIGUSR2: stops at the next checkpoint") >= requeued, "the last may finish"
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

    An administrator reports the node to SLURM as down. A survivor among the processes, such as the
    srun of the dead step, would cancel the step that is started when the node is back.
    """
    node = RESERVED["failing"]
    launch = launch_stopping(folder, *SLOW, node=node)
    yield lambda: True
    release(launch)
    yield process_stopped(launch)
    (task,) = task_ids(launch)
    conf = Path(os.environ["SLURM_CONF"])
    daemon = int((conf.parents[1] / "run" / f"slurmd.{node}.pid").read_text())
    of_task = processes_of_task(task)
    assert pid_of(launch) in {process.pid for process in of_task}
    kill_at_once([psutil.Process(daemon), *of_task])
    subprocess.run(
        ["scontrol", "update", f"nodename={node}", "state=down", "reason=test"], check=True
    )
    yield lambda: task_states(launch)[task] == "PENDING"
    assert [row.state for row in cell_statuses(launch)] == ["queued"]
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
