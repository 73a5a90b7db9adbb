"""Shapes of paths against commands, and stores and launches that are no longer where they were."""

import json
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commands import TINY, bfc, container, run

import bfc as library
from analysis.load import load_results
from analysis.report import write_report
from bfc.errors import UserError
from bfc.experiment import cost
from bfc.experiment.job import load_job
from bfc.experiment.run_job import run_job
from bfc.launch.job import plan_job
from bfc.launch.launch_list import find_launch, list_launches
from bfc.launch.local import summarise_local_plan
from bfc.launch.log_lines import read_last_line
from bfc.launch.manifest import JobEvent, Launch
from bfc.launch.options import LocalOptions
from bfc.launch.plan import Plan, create_launch, make_plan
from bfc.launch.slurm.client import TaskInfo
from bfc.launch.status import CellState, ReasonKind, cell_statuses
from bfc.paths import local_path
from bfc.store.cells import FILES, Store
from bfc.trackers.sync import list_runs

VALID = (
    "exp:1",
    "exp:1/sub",
    "file:x",
    "a b",
    "a#b?c=d&e",
    "[bold]x",
    "*",
    "%41",
    "$HOME",
    "ünï",
    "two\nlines",
    "./-x",
    "./~x",
    "~/x",
    "x" * 200,
)
REFUSED = {
    "s3://bucket/x": "must be a folder or file of this machine, not an address",
    "file:///tmp/x": "not an address",
    "~nobody-of-this-name/x": "~nobody-of-this-name is no user of this machine",
    "x" * 201: "at most 200 bytes",
    "ü" * 101: "at most 200 bytes",
}


def tiny(results: Path | str, *overrides: str) -> dict:
    return {**container(*TINY, "measure.n=16", *overrides), "results": str(results)}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """The working directory, and another folder as home."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


@pytest.mark.parametrize("path", VALID)
def test_what_is_trained_under_any_name_is_read_under_the_same(path: str, home) -> None:
    (cell_id,) = run_job(load_job(tiny(path)))
    assert set(load_results(local_path(path, "results")).nstar["cell_id"]) == {cell_id}
    assert len(library.load(path)) == 2
    assert bfc("sync", path, "--dry-run", cwd=Path.cwd())[1].startswith(f"no study, {cell_id}")
    plan = make_plan([plan_job((), tiny(path))])
    assert plan.stored == [True]
    launch = create_launch(plan, "local", LocalOptions(), frozen=False)
    status, out = bfc("status", "--results", path, cwd=Path.cwd())
    assert (status, launch.name in out, "1 done" in out) == (0, True, True)
    place = home if path.startswith("~") else Path.cwd()
    assert (place / path.removeprefix("~/") / cell_id / "trainings.parquet").is_file()


def test_the_report_of_a_store_whose_name_looks_like_an_address(home) -> None:
    run_job(load_job(tiny("exp:1")))
    report = write_report("exp:1", "out:1")
    assert report.page.is_file() and (Path("out:1") / "trainings.parquet").is_file()


@pytest.mark.parametrize("path", REFUSED)
def test_a_place_that_nothing_can_open_is_refused_before_anything_trains(path: str, home) -> None:
    with pytest.raises(UserError, match="results=") as refused:
        load_job(tiny(path))
    assert REFUSED[path] in str(refused.value)
    for command in ("report", "sync"):
        status, out = bfc(command, path, cwd=Path.cwd())
        assert status == 2 and REFUSED[path] in out, command
    for command in ("status", "logs", "wait", "retry", "cancel", "collect"):
        status, out = bfc(command, "--results", path, cwd=Path.cwd())
        assert status == 2 and REFUSED[path] in out, command
    with pytest.raises(UserError, match="results="):
        library.load(path)
    assert not list(Path.cwd().iterdir())


def test_a_folder_that_has_no_effect_or_cannot_be_opened_is_refused(tmp_path) -> None:
    status, out = bfc("plan", "--results", "here", *TINY, cwd=tmp_path)
    assert status == 2 and "--results here: goes with --claims only" in out
    for line in (("plan", "--claims", "--results"), ("reproduce", "--plan", "--folder")):
        status, out = bfc(*line, "s3://x", cwd=tmp_path)
        assert status == 2 and "s3://x: must be a folder or file of this machine" in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["report", "sync"])
def test_a_folder_that_is_not_there_is_called_so(command: str, tmp_path) -> None:
    assert bfc(command, "nowhere", cwd=tmp_path) == (2, "nowhere: there is no such folder")


@pytest.mark.parametrize("name", FILES)
def test_a_folder_where_a_file_is_written_is_refused_before_training(name: str, tmp_path) -> None:
    job = load_job(tiny(tmp_path))
    planned = plan_job((), tiny(tmp_path))
    cell = Store(tmp_path).cell(planned.cells[0].cell_id)
    (cell.path / name).mkdir(parents=True)
    with pytest.raises(UserError, match=name):
        run_job(job)
    assert sorted(path.name for path in cell.path.iterdir()) == [name]


# --- what is there decides ----------------------------------------------------------------------


@pytest.fixture
def launched(tmp_path) -> Launch:
    """A launch of two jobs that were run; its processes have ended."""
    results = tmp_path / "old"
    jobs = [plan_job((f"target.d={d}",), tiny(results, f"target.d={d}")) for d in (4, 5)]
    launch = create_launch(make_plan(jobs), "local", LocalOptions(), frozen=False)
    launch.add_submission(kind="local", packs=[[0, 1]], ids=["pool"], attempt=0, processes=1)
    for number, job in enumerate(jobs):
        run_job(job.job)
        launch.record(number, JobEvent.DONE)
    return launch


def states(launch: Launch, task: str = "ENDED") -> list[CellState]:
    statuses = cell_statuses(launch, lambda *_: {"pool": TaskInfo("ENDED"), "new": TaskInfo(task)})
    return [status.state for status in statuses]


@pytest.mark.parametrize("move", [shutil.move, shutil.copytree])
def test_a_store_is_followed_to_where_it_is(move, launched, tmp_path) -> None:
    move(tmp_path / "old", tmp_path / "new")
    shutil.rmtree(tmp_path / "old", ignore_errors=True)
    launch = find_launch(tmp_path / "new")
    assert states(launch) == [CellState.DONE] * 2
    assert {entry["results"] for entry in launch.containers} == {str(tmp_path / "new")}
    assert all(tmp_path / "new" in folder.parents for folder in launch.folders(0))


def test_removed_results_are_lost_until_they_are_measured_again(launched) -> None:
    folder = launched.folders(0)[0]
    shutil.rmtree(folder)
    assert states(launched) == [CellState.LOST, CellState.DONE]
    lost = cell_statuses(launched, lambda *_: {"pool": TaskInfo("ENDED")})[0]
    assert lost.reason.kind is ReasonKind.RESULTS_GONE
    launched.add_submission(kind="local", packs=[[0]], ids=["new"], attempt=1, processes=1)
    assert states(launched, "RUNNING") == [CellState.QUEUED, CellState.DONE]
    again = Launch(launched.path, attempt=1)
    again.record(0, JobEvent.STARTED)
    assert states(launched, "RUNNING") == [CellState.RUNNING, CellState.DONE]
    run_job(load_job(launched.containers[0]))
    again.record(0, JobEvent.DONE)
    assert states(launched) == [CellState.DONE] * 2


def test_a_table_that_was_removed_from_a_finished_cell_is_lost(launched) -> None:
    (launched.folders(1)[0] / "trainings.parquet").unlink()
    assert states(launched) == [CellState.DONE, CellState.LOST]


def test_a_last_line_is_that_of_its_job(launched) -> None:
    """Three jobs of one worker, one after the other, in one log."""
    log = launched.logs / "worker.log"
    first, second = (entry["cells"][0] for entry in launched.jobs)
    log.write_text(f"{first}  2 rows stored\n")
    end = log.stat().st_size
    log.write_text(f"{log.read_text()}{second}  a checkpoint was damaged\nTraceback of another\n")
    status = cell_statuses(launched, lambda *_: {})[0]
    cells = {first, second}
    done = replace(status, log=log, log_part=(0, end))
    assert read_last_line(done, cells) == f"{first}  2 rows stored"
    running = replace(status, cell=second, log=log, log_part=(end, None))
    assert read_last_line(running, cells) == f"{second}  a checkpoint was damaged"
    just_begun = replace(running, log_part=(log.stat().st_size, None))
    assert read_last_line(just_begun, cells) == ""
    shared = replace(status, cell="0123", log=log, log_part=(0, end))
    assert read_last_line(shared, cells) == "", "the only line is about another cell"


# --- plans --------------------------------------------------------------------------------------


def test_the_predicted_wall_time_has_the_start_of_processes(tmp_path) -> None:
    plan = make_plan([plan_job((), tiny(tmp_path))])
    assert sum(plan.seconds.values()) < 1
    here = summarise_local_plan(plan, LocalOptions(), 2)
    behind = summarise_local_plan(plan, LocalOptions(detach=True), 2)
    assert f"wall      {cost.START:.0f} s" in here and f"wall      {2 * cost.START:.0f} s" in behind
    assert "cost      under 1 s of core time" in here
    nothing = Plan(plan.jobs, [True], [{**plan.entries[0], "seconds": 0.0}], plan.cost)
    assert "wall      0 s" in summarise_local_plan(nothing, LocalOptions(), 2)


def test_a_cell_that_two_jobs_ask_for_costs_once(tmp_path) -> None:
    job = plan_job((), tiny(tmp_path))
    other = plan_job((), {**tiny(tmp_path), "study": {"name": "another"}})
    once, twice = make_plan([job]), make_plan([job, other])
    assert sum(twice.seconds.values()) == pytest.approx(sum(once.seconds.values()))


def test_the_command_of_a_manifest_can_be_run_again(tmp_path, monkeypatch) -> None:
    arguments = ["-m", *TINY, "measure.n=16", "results=a b", "hydra.launcher.processes=1"]
    planned = plan_job((), tiny(tmp_path / "a b"))
    monkeypatch.setattr("sys.argv", ["bfc", *arguments])
    launch = create_launch(make_plan([planned]), "local", LocalOptions(), frozen=False)
    python, *command = shlex.split(launch.manifest["command"])
    assert Path(python).samefile(sys.executable)
    assert command == ["-m", "bfc.train", *arguments]
    done = run(*command[2:], "hydra.launcher.dry_run=true", cwd=tmp_path)
    assert done.status == 0 and "1 (1 cells)" in done.out
    (listed,) = list_launches(tmp_path / "a b").launches
    assert (
        json.loads((listed.path / "manifest.json").read_text())["command"]
        == (launch.manifest["command"])
    )


def test_the_runs_of_a_store_are_listed_beside_what_cannot_be_read(tmp_path) -> None:
    run_job(load_job(tiny(tmp_path)))
    run_job(load_job(tiny(tmp_path, "target.d=5")))
    damaged, whole = sorted(path for path in tmp_path.iterdir())
    (damaged / "requests.json").write_text("{")
    listed = list_runs(tmp_path)
    assert [run.cells for run in listed.runs] == [(whole.name,)] * 2
    (problem,) = listed.problems
    assert f"{damaged.name}/requests.json: cannot be read" in problem
