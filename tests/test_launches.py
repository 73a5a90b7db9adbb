"""Launches without a cluster.

Manifests that are torn or foreign, copies of the code, predicted cost, tasks and their states. The
commands and options are in test_launch_commands.py, what a cluster adds in test_slurm.py.
"""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest
from commands import (
    KERNEL,
    TINY,
    bfc,
    container,
    environment,
)

from bfc.errors import UserError
from bfc.experiment import cost
from bfc.experiment.cell_runner import run_cell
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.hydra_plugins.local_launcher import LocalLauncher
from bfc.hydra_plugins.plan_launcher import completed_return
from bfc.launch import backend, code_copy, waiting
from bfc.launch.backend import CachedScheduler
from bfc.launch.finalise import Finalise
from bfc.launch.job import PlannedJob, describe_jobs, plan_job
from bfc.launch.launch_list import find_launch, list_launches
from bfc.launch.manifest import JobEvent, Launch
from bfc.launch.slurm import task as slurm_task
from bfc.launch.slurm.client import TaskInfo, expand_array
from bfc.launch.slurm.task import SlurmTask
from bfc.launch.status import CellState, cell_statuses
from bfc.paths import PACKAGE
from bfc.store.lease import Busy


def plan_tiny(results: Path, *overrides: str) -> PlannedJob:
    return plan_job(overrides, {**container(*TINY, *overrides), "results": str(results)})


# --- manifests ----------------------------------------------------------------------------------


@pytest.fixture
def launch(tmp_path) -> Launch:
    """A launch of three tiny jobs that nobody runs."""
    results = tmp_path / "results"
    jobs = [plan_tiny(results, f"target.d={d}") for d in (4, 5, 6)]
    entries = describe_jobs(jobs, [False] * 3, [1.0] * 3)
    manifest = {"kind": "local", "jobs": entries, "launcher": {}}
    return Launch.create(results, None, manifest, [job.container for job in jobs])


def finish(launch: Launch, job: int) -> None:
    """A job ends as far as can be seen from outside: its files are there, its event is written."""
    for folder in launch.folders(job):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("status.json", "trainings.parquet"):
            (folder / name).touch()
    launch.record(job, JobEvent.DONE)


def test_done_is_final_and_torn_lines_are_passed_over(launch) -> None:
    launch.record(0, JobEvent.STARTED)
    launch.record(0, JobEvent.DONE)
    launch.record(1, JobEvent.STARTED)
    (path,) = (launch.path / "events").iterdir()
    with open(path, "ab") as file:
        file.write(b'{"time": 99999999999, "job": 2, "sta')
    launch.record(1, JobEvent.FAILED, message="no")
    lines = [
        json.dumps({"time": 99999999999, "job": 0, "state": "started"}),
        "[1]",
        "null",
        "{}",
        "\x00",
        json.dumps({"time": "now", "job": 0, "state": "failed"}),
        json.dumps({"time": 1, "job": "0", "state": 3}),
    ]
    (launch.path / "events" / "elsewhere-1.jsonl").write_text("\n".join(lines))
    last = {number: event["state"] for number, event in launch.events().items()}
    assert last == {0: "done", 1: "failed"}, "a host whose clock is ahead undoes nothing"
    assert launch.done() == set(), "its results are not there"


def test_a_launch_is_found_by_a_part_of_its_name(launch, tmp_path) -> None:
    results = tmp_path / "results"
    assert find_launch(results).name == launch.name
    assert find_launch(results, launch.name[-4:]).name == launch.name
    with pytest.raises(UserError, match=r"nothing: no such launch; .*allowed: " + launch.name):
        find_launch(results, "nothing")
    with pytest.raises(UserError, match="holds no launch"):
        find_launch(tmp_path / "empty")
    shutil.copytree(launch.path, launch.path.with_name(launch.name + "x"))
    (results / ".launch" / "foreign").mkdir()
    listed = list_launches(results)
    assert len(listed.launches) == 2
    (problem,) = listed.problems
    assert "foreign/manifest.json: cannot be read" in problem
    with pytest.raises(UserError, match="several launches match this name"):
        find_launch(results, launch.name[:8])


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", '{"form": 99}'])
def test_a_foreign_manifest_is_refused_in_one_sentence(text: str, launch, tmp_path) -> None:
    (launch.path / "manifest.json").write_text(text)
    status, out = bfc("status", cwd=tmp_path)
    assert status == 2 and "manifest.json: " in out and "Traceback" not in out


def test_a_submitted_job_is_a_completed_return_whose_value_is_its_cell(tmp_path) -> None:
    one = plan_tiny(tmp_path)
    two = plan_tiny(tmp_path, *(text for text in KERNEL if text != "learner=none"))
    assert completed_return(one).return_value == one.cells[0].cell_id
    assert completed_return(one).status.name == "COMPLETED"
    assert len(two.cells) == 2
    assert completed_return(two).return_value == [spec.cell_id for spec in two.cells]


# --- code ---------------------------------------------------------------------------------------


def test_the_same_code_is_copied_once_and_other_code_beside_it(tmp_path, monkeypatch) -> None:
    first = code_copy.copy_code(tmp_path)
    assert code_copy.copy_code(tmp_path) == first and len(list(tmp_path.iterdir())) == 1
    folder = Path(first["path"])
    assert (folder / "bfc" / "train.py").read_bytes() == (PACKAGE / "train.py").read_bytes()
    names = {path.name for path in folder.iterdir()}
    assert names >= {"bfc", "conf", "sweeps", "analysis", "origin.json"}
    assert not list(folder.rglob("__pycache__"))
    monkeypatch.setattr(code_copy, "code_origin", lambda: {"commit": "another", "diff": None})
    assert code_copy.copy_code(tmp_path)["commit"] == "another"
    assert len(list(tmp_path.iterdir())) == 2


# --- cost ---------------------------------------------------------------------------------------


def test_the_prediction_is_scaled_to_what_the_store_holds(tmp_path) -> None:
    jobs = [
        load_job(
            {**container(*TINY, f"target.d={d}", "schedule.steps=100"), "results": str(tmp_path)}
        )
        for d in (4, 5, 6)
    ]
    before = cost.fit_cost_model([str(tmp_path)])
    assert before.cells == 0 and before.factor == cost.UNKNOWN
    for job in jobs:
        (spec,) = cell_specs(job)
        run_cell(spec, job)
        set_seconds(tmp_path / spec.cell_id, seconds_per_step=0.001 * job.target.d)
    after = cost.fit_cost_model([str(tmp_path)])
    assert after.cells == 3 and after.factor >= 1.2
    for job in jobs:
        (spec,) = cell_specs(job)
        status = json.loads((tmp_path / spec.cell_id / "status.json").read_text())
        assert status["state"] == "done"
        measured = sum(row["seconds"] for row in cost.Cell(tmp_path / spec.cell_id).rows())
        assert measured / 1.5 < after.seconds(job, [spec]) < measured * 1.5
    twice = load_job(
        {**container(*TINY, "target.d=4", "schedule.steps=200"), "results": str(tmp_path)}
    )
    ratio = after.seconds(twice, cell_specs(twice)) / after.seconds(jobs[0], cell_specs(jobs[0]))
    assert ratio == pytest.approx(2, rel=0.2)


def test_the_prediction_counts_the_tuning_of_a_baseline(tmp_path) -> None:
    """14 curves, of two draws with seven ridges each, besides those of the two seeds."""
    seconds = []
    for ridge in ("auto", "0.01"):
        job = load_job(container(*TINY, *KERNEL, f"baseline.ridge={ridge}"))
        seconds.append(cost.Cost().seconds(job, cell_specs(job)))
    assert seconds[0] == pytest.approx(seconds[1] * (14 + 2) / 2)


def set_seconds(cell: Path, seconds_per_step: float) -> None:
    """Store these times instead of those of a machine that may be busy."""
    path = cell / "trainings.parquet"
    rows = pd.read_parquet(path)
    rows.assign(seconds=rows["steps"] * seconds_per_step).to_parquet(path)


# --- tasks --------------------------------------------------------------------------------------


def test_a_task_postpones_cells_that_others_hold_and_goes_on_after_failures(
    launch, monkeypatch
) -> None:
    runs: list[tuple[int, bool]] = []
    held = [True]

    def fake_run_job(job, observe, train, wait: bool):
        number = job.target.d - 4
        runs.append((number, wait))
        if number == 0 and held:
            held.clear()
            raise Busy("held")
        if number == 1:
            raise ValueError("broken")
        return []

    monkeypatch.setattr("bfc.launch.worker.run_job", fake_run_job)
    monkeypatch.setattr(slurm_task.stop_signals, "install_handlers", lambda: None)
    payload = SlurmTask(str(launch.path), (0, 1, 2), max_requeues=3)
    with pytest.raises(SystemExit) as stopped:
        payload()
    assert stopped.value.code == slurm_task.EXIT_FAILED
    assert [number for number, _ in runs] == [0, 1, 2, 0]
    runs.clear()
    held.append(True)
    with mock.patch.object(Launch, "done", lambda _: {1, 2}):
        payload()
    assert runs == [(0, False), (0, True)], "with nothing else left it waits"


# --- states of tasks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tasks"),
    [
        ("7_[0-2,5%4]", ["7_0", "7_1", "7_2", "7_5"]),
        ("7_[3]", ["7_3"]),
        ("7", ["7"]),
        ("7_3", ["7_3"]),
        ("7_[1,...]", ["7_1"]),
    ],
)
def test_the_tasks_of_an_array_that_never_started_have_one_name(name: str, tasks) -> None:
    assert expand_array(name) == tasks


def test_a_task_that_ends_during_the_query_is_not_lost(launch) -> None:
    """A task may finish after the events were read and before the scheduler is queried."""
    launch.record(0, JobEvent.STARTED)
    launch.add_submission(packs=[[0]], ids=["7"], attempt=0)

    def query(launch: Launch, task_ids: set[str]) -> dict[str, TaskInfo]:
        assert task_ids == {"7"}
        finish(launch, 0)
        return {"7": TaskInfo("COMPLETED")}

    assert cell_statuses(launch, query)[0].state == CellState.DONE


@pytest.mark.parametrize(("task_state", "state"), [("FAILED", "lost"), ("COMPLETED", "done")])
def test_what_a_file_system_shows_late_is_waited_for(
    task_state: str, state: str, launch, monkeypatch
) -> None:
    """A task that succeeded has done its jobs, which another host may see later.

    One that was killed is not queried again.
    """
    naps = []
    launch.add_submission(packs=[[0, 1, 2]], ids=["7"], attempt=0)

    def arrive_late(seconds: float) -> None:
        naps.append(seconds)
        for job in range(3):
            finish(launch, job)

    tasks = {"7": TaskInfo(task_state)}
    monkeypatch.setattr("bfc.launch.status.query_scheduler", lambda launch, task_ids: tasks)
    monkeypatch.setattr(waiting.time, "sleep", arrive_late)
    assert {status.state for status in waiting.wait_until_settled(launch)} == {state}
    assert len(naps) == (state == "done")


def test_a_scheduler_is_queried_ever_more_rarely(launch, monkeypatch) -> None:
    now = [0.0]
    queries: list[float] = []

    def query(launch: Launch, task_ids: set[str]) -> dict[str, TaskInfo]:
        queries.append(now[0])
        return {}

    monkeypatch.setattr(backend.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(backend, "query_scheduler", query)
    cached = CachedScheduler()
    while now[0] < 1000:
        cached(launch, {"7"})
        now[0] += 2.0
    assert queries[:3] == [0.0, 2.0, 4.0] and len(queries) < 75
    assert queries[-1] - queries[-2] == backend.MAX_QUERY_SECONDS
    cached(launch, {"7", "8"})
    assert queries[-1] == now[0], "a task that was submitted meanwhile is queried at once"


@pytest.mark.parametrize("report", [True, False])
def test_the_last_job_shows_the_studies(report: bool, launch, monkeypatch) -> None:
    """In their trackers, when there is something to show: not the command that submits."""
    show_studies, draw_report = mock.Mock(), mock.Mock()
    monkeypatch.setattr("bfc.launch.finalise.show_studies", show_studies)
    monkeypatch.setattr("bfc.launch.finalise.draw_report", draw_report)
    Finalise(str(launch.path), report)()
    assert [job.target.d for job in show_studies.call_args.args[0]] == [4, 5, 6]
    assert draw_report.called == report
    for options, later in (({}, False), ({"detach": True}, True), ({"dry_run": True}, True)):
        assert LocalLauncher(**options).shows_later == later


def test_a_task_installs_its_signal_handlers_before_anything_heavy_is_imported() -> None:
    script = (
        "import bfc.launch.slurm.task, sys\n"
        "heavy = ('torch', 'numpy', 'pandas', 'scipy', 'hydra', 'omegaconf', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    assert done.stdout.strip() == "[]"
    assert signal.SIGUSR2 in slurm_task.stop_signals.REQUEUE
