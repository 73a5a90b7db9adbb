"""Launches without a cluster: packing, manifests that are torn or foreign, copies of the code,
predicted cost, the commands over a sweep on this machine. What a cluster adds is in test_slurm.py.
"""

import contextlib
import json
import math
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest
from commands import TINY, container, environment, process, run, table
from test_slurm import KERNEL, bfc, good

from bfc.application import sweep_entry as entry
from bfc.errors import UserError
from bfc.experiment import cost
from bfc.experiment.cell_runner import run_cell
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.hydra_plugins import plan_launcher, slurm_launcher
from bfc.hydra_plugins.local_launcher import LocalLauncher
from bfc.hydra_plugins.plan_launcher import completed
from bfc.launch import code_copy as snapshot
from bfc.launch import manifest
from bfc.launch import status as watch
from bfc.launch.finalise import Finalise
from bfc.launch.job import describe, planned
from bfc.launch.job import pack as packed
from bfc.launch.manifest import Launch, find, launches
from bfc.launch.options import SlurmOptions
from bfc.launch.plan import prepare
from bfc.launch.slurm import client as cluster
from bfc.launch.slurm import task as pack
from bfc.launch.slurm.client import Task
from bfc.launch.slurm.submission import divide
from bfc.launch.status import states
from bfc.paths import PACKAGE
from bfc.store.lease import Busy

# --- packing -------------------------------------------------------------------------------------


def test_every_job_is_in_exactly_one_pack_within_the_limits() -> None:
    dice = random.Random(1)
    for _ in range(300):
        seconds = {
            n: dice.choice([0.0, 1.0, 10.0, 1000.0]) * dice.random()
            for n in dice.sample(range(99), dice.randrange(1, 60))
        }
        most, cells, packs = (
            dice.choice([1.0, 60.0, 1e6]),
            dice.choice([None, 1, 3, 100]),
            dice.choice([None, 1, 4]),
        )
        found = packed([[n] for n in seconds], seconds, most, cells, packs)
        assert sorted(n for numbers in found for n in numbers) == sorted(seconds) and all(
            numbers == sorted(numbers) for numbers in found
        )
        assert packs is None or len(found) <= packs
        if packs is None and cells is not None:
            assert max(map(len, found)) <= cells
        if packs is None and cells is None:
            loads = [sum(seconds[n] for n in numbers) for numbers in found]
            assert sum(sorted(loads)) <= most * len(found) + sum(
                s for s in seconds.values() if s >= most
            )
    assert packed([], {}, 1.0) == []


def test_short_jobs_share_a_task_and_long_ones_do_not() -> None:
    assert packed([[n] for n in range(20)], dict.fromkeys(range(20), 0.1), 900.0) == [
        list(range(20))
    ]
    seconds = {0: 5000.0, 1: 5000.0, **dict.fromkeys(range(2, 10), 1.0)}
    assert sorted(packed([[n] for n in seconds], seconds, 900.0), key=len)[:2] == [[0], [1]]


def test_waves_never_share_a_task_and_the_site_limit_holds() -> None:
    about = [{"wave": n % 3, "cells": [str(n)]} for n in range(30)]
    for limit in (4, 7, 20):
        found = list(divide(about, dict.fromkeys(range(30), 900.0), SlurmOptions(max_submit=limit)))
        assert len(found) <= limit - 1 and all(
            {about[n]["wave"] for n in numbers} == {wave} for wave, numbers in found
        )
    with pytest.raises(UserError, match="max_submit=3: must be above 3, the number of waves"):
        list(divide(about, dict.fromkeys(range(30), 1.0), SlurmOptions(max_submit=3)))


# --- manifests ----------------------------------------------------------------------------------


@pytest.fixture
def launch(tmp_path) -> Launch:
    """A launch of three tiny jobs that nobody runs."""
    jobs = [
        planned(
            [f"target.d={d}"],
            {**container(*TINY, f"target.d={d}"), "results": str(tmp_path / "results")},
        )
        for d in (4, 5, 6)
    ]
    about = describe(jobs, [False] * 3, [1.0] * 3)
    return Launch.create(
        tmp_path / "results",
        None,
        {"kind": "local", "jobs": about, "launcher": {}},
        [each.container for each in jobs],
    )


def test_done_is_final_and_torn_lines_are_passed_over(launch) -> None:
    launch.record(0, "started")
    launch.record(0, "done")
    launch.record(1, "started")
    (path,) = (launch.path / "events").iterdir()
    with open(path, "ab") as file:
        file.write(b'{"time": 99999999999, "job": 2, "sta')
    launch.record(1, "failed", message="no")
    other = launch.path / "events" / "elsewhere-1.jsonl"
    other.write_text(
        json.dumps({"time": 99999999999, "job": 0, "state": "started"})
        + "\n[1]\nnull\n{}\n\x00\n"
        + json.dumps({"time": "now", "job": 0, "state": "failed"})
        + "\n"
        + json.dumps({"time": 1, "job": "0", "state": 3})
    )
    events = launch.events()
    assert {n: event["state"] for n, event in events.items()} == {0: "done", 1: "failed"}, (
        "a host whose clock is ahead undoes nothing"
    )
    assert launch.done() == set(), "its results are not there"


def test_a_launch_is_found_by_a_part_of_its_name(launch, tmp_path) -> None:
    results = tmp_path / "results"
    assert find(results).name == launch.name and find(results, launch.name[-4:]).name == launch.name
    with pytest.raises(UserError, match=r"nothing: no such launch; .*allowed: " + launch.name):
        find(results, "nothing")
    with pytest.raises(UserError, match="holds no launch"):
        find(tmp_path / "empty")
    shutil.copytree(launch.path, launch.path.with_name(launch.name + "x"))
    (results / ".launch" / "foreign").mkdir()
    assert len(launches(results)) == 2
    with pytest.raises(UserError, match="several launches are called so"):
        find(results, launch.name[:8])


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", '{"form": 99}'])
def test_a_manifest_that_is_not_ours_is_a_sentence(text: str, launch, tmp_path) -> None:
    (launch.path / "manifest.json").write_text(text)
    status, out = bfc("status", cwd=tmp_path)
    assert status == 2 and "manifest.json: " in out and "Traceback" not in out


def test_a_submitted_job_is_a_completed_return_whose_value_is_its_cell(tmp_path) -> None:
    one = planned([], container(*TINY))
    two = planned([], container(*TINY, *[k for k in KERNEL if k != "learner=none"]))
    assert (
        completed(one).return_value == one.cells[0].cell_id
        and completed(one).status.name == "COMPLETED"
    )
    assert (
        completed(two).return_value == [spec.cell_id for spec in two.cells] and len(two.cells) == 2
    )


# --- code ---------------------------------------------------------------------------------------


def test_the_same_code_is_copied_once_and_another_beside_it(tmp_path, monkeypatch) -> None:
    first, again = (snapshot.snapshot(tmp_path) for _ in range(2))
    assert first == again and len(list(tmp_path.iterdir())) == 1
    copy = Path(first["path"])
    assert (copy / "bfc" / "train.py").read_bytes() == (PACKAGE / "train.py").read_bytes()
    assert {p.name for p in copy.iterdir()} >= {
        "bfc",
        "conf",
        "sweeps",
        "analysis",
        "origin.json",
    } and not list(copy.rglob("__pycache__"))
    monkeypatch.setattr(snapshot, "code_origin", lambda: {"commit": "another", "diff": None})
    assert snapshot.snapshot(tmp_path)["commit"] == "another" and len(list(tmp_path.iterdir())) == 2


# --- cost ---------------------------------------------------------------------------------------


def test_the_prediction_is_scaled_to_what_the_store_holds(tmp_path) -> None:
    jobs = [
        load_job(
            {**container(*TINY, f"target.d={d}", "schedule.steps=100"), "results": str(tmp_path)}
        )
        for d in (4, 5, 6)
    ]
    before = cost.fit([str(tmp_path)])
    assert before.cells == 0 and before.factor == cost.UNKNOWN
    for job in jobs:
        run_cell(cell_specs(job)[0], job)
    after = cost.fit([str(tmp_path)])
    assert after.cells == 3 and after.factor >= 1.2
    for job in jobs:
        spec = cell_specs(job)[0]
        rows = [json.loads((tmp_path / spec.cell_id / "status.json").read_text())]
        assert rows[0]["state"] == "done"
        measured = sum(row["seconds"] for row in cost.Cell(tmp_path / spec.cell_id).rows())
        assert measured / 5 < after.seconds(job, [spec]) < measured * 5
    twice = load_job(
        {**container(*TINY, "target.d=4", "schedule.steps=200"), "results": str(tmp_path)}
    )
    assert math.isclose(
        after.seconds(twice, cell_specs(twice)) / after.seconds(jobs[0], cell_specs(jobs[0])),
        2,
        rel_tol=0.2,
    )


def test_what_is_dear_is_asked_for_first(tmp_path) -> None:
    dear = (*TINY, "schedule.steps=100000", "measure.seeds=20000", "hydra.launcher.ask_above=0.5")
    sentence = run(*dear, "-m", cwd=tmp_path).err
    assert (
        "core-hours are predicted for 1 jobs, which is above hydra.launcher.ask_above=0.5; hydra.launcher.confirmed=true"
        in sentence
    )
    assert not list(tmp_path.iterdir())


# --- packs --------------------------------------------------------------------------------------


def test_a_pack_leaves_cells_that_others_hold_for_last_and_goes_on_after_failures(
    launch, monkeypatch
) -> None:
    ran, free = [], []

    def fake_run_job(job, observe, train, wait: bool):
        number = job.target.d - 4
        ran.append((number, wait))
        if number == 0 and not free:
            free.append(1)
            raise Busy("held")
        if number == 1:
            raise ValueError("broken")
        return []

    monkeypatch.setattr("bfc.launch.worker.run_job", fake_run_job)
    monkeypatch.setattr(pack.stop_signals, "install_handlers", lambda: None)
    with pytest.raises(SystemExit) as stopped:
        pack.Pack(str(launch.path), (0, 1, 2), 3)()
    assert stopped.value.code == pack.FAILED and [number for number, _ in ran] == [0, 1, 2, 0]
    ran.clear()
    free.clear()
    with mock.patch.object(manifest.Launch, "done", lambda _: {1, 2}):
        pack.Pack(str(launch.path), (0, 1, 2), 3)()
    assert ran == [(0, False), (0, True)], "alone with a busy cell it waits"


# --- the commands on this machine ---------------------------------------------------------------


def until(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_sweep_in_the_background_is_followed_and_retried(tmp_path) -> None:
    """A launch that outlives its command, with a failure; then its cells as a foreground sweep
    makes them."""
    line = (*TINY, *KERNEL, "baseline.ridge=0.1,0")
    done = run(
        *line, "-m", "hydra.launcher.detach=true", "hydra.launcher.finalise=true", cwd=tmp_path
    )
    assert done.status == 0 and "launched" in done.out and "manifest" in done.out, done
    launch = find(tmp_path / "results")
    assert bfc("wait", cwd=tmp_path)[0] == 1
    assert [row.state for row in states(launch)] == ["done", "failed"]
    status, out = bfc("status", cwd=tmp_path)
    assert (
        status == 1
        and "1 done, 1 failed" in out
        and "UserError" in out
        and "ridge=0: too small" in out
    )
    assert "Traceback" in bfc("logs", "--failed", cwd=tmp_path)[1]
    assert "rows stored" in bfc("logs", cwd=tmp_path)[1]
    assert launch.name in bfc("status", "--list", cwd=tmp_path)[1]
    until((launch.path / "summary.json").exists)
    assert bfc("retry", "--failed", cwd=tmp_path)[0] == 0 and bfc("wait", cwd=tmp_path)[0] == 1
    assert launch.events()[1]["attempt"] == 1 and [row.state for row in states(launch)] == [
        "done",
        "failed",
    ]
    assert process(*line, "-m", "results=front", cwd=tmp_path).status == 2
    front = {
        p.name: table(p)
        for p in (tmp_path / "front").iterdir()
        if (p / "trainings.parquet").exists()
    }
    assert good(tmp_path) == front and len(front) == 1
    assert [row.state for row in states(find(tmp_path / "front"))] == ["done", "failed"], (
        "a foreground sweep is a launch too"
    )


def test_cancel_ends_a_background_sweep_and_retry_goes_on(tmp_path) -> None:
    slow = (
        *TINY,
        "measure.n=64",
        "schedule.steps=100000",
        "schedule.check_every=50",
        "compute.checkpoint_seconds=0",
    )
    assert run(*slow, "-m", "hydra.launcher.detach=true", cwd=tmp_path).status == 0
    launch = find(tmp_path / "results")
    until(lambda: (launch.folders(0)[0] / "checkpoint.pt").exists())
    assert [row.state for row in states(launch)] == ["running"]
    assert bfc("cancel", cwd=tmp_path)[0] == 0
    until(lambda: states(launch)[0].state == "cancelled")
    (pool,) = launch.submissions()
    assert (
        not Path(f"/proc/{pool['pid']}").exists()
        or Path(f"/proc/{pool['pid']}/stat").read_text().split()[2] == "Z"
    )


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("time=0", "hydra.launcher.time=0: must be an integer >= 1"),
        ("gpus=-1", "hydra.launcher.gpus=-1: must be an integer >= 0"),
        ("time=two", "hydra.launcher.time=two: must be an integer"),
        ("signal_seconds=9000", "at most half of the time limit, 7200 seconds"),
        ("partitoin=x", "no such key; did you mean partition?"),
        ("throttle=0", "null or an integer >= 1"),
        ("together=0", "must be null (32 on a GPU, 1 on a CPU) or an integer from 1 to 4096"),
        ("together=x", "together=x: must be"),
        ("task_minutes=0", "must be minutes > 0"),
        ("setup=module", "must be a list of texts"),
        ("max_submit=1", "null or an integer >= 2"),
    ],
)
def test_a_bad_option_is_a_sentence(given: str, said: str, tmp_path) -> None:
    assert (
        said
        in run(
            "-m", *TINY, "hydra/launcher=slurm", f"hydra.launcher.{given}", cwd=tmp_path
        ).sentence
    )
    assert not list(tmp_path.iterdir())


def test_without_slurm_it_is_a_sentence(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("-m", *TINY, "hydra/launcher=slurm", cwd=tmp_path / "here")
    assert (
        done.status == 2
        and "there is no sbatch on this machine" in done.err
        and not list((tmp_path / "here").iterdir())
    )


def test_a_site_overlay_is_read_and_the_command_line_wins(tmp_path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "slurm.yaml").write_text(
        "partition: gpu\ntime: 99\nsetup: [module load x]\nflags: {exclude: node7}\n"
    )
    done = process(
        "--cfg",
        "hydra",
        "-p",
        "hydra.launcher",
        "hydra/launcher=slurm",
        "hydra.launcher.time=7",
        cwd=tmp_path / "here",
        BFC_SITE=str(tmp_path),
    )
    assert done.status == 0, done
    for line in ("partition: gpu", "time: 7", "- module load x", "exclude: node7", "mem: 4G"):
        assert line in done.out


def test_the_tasks_of_an_array_that_never_started_are_told_together() -> None:
    assert cluster.each_of("7_[0-2,5%4]") == ["7_0", "7_1", "7_2", "7_5"] and cluster.each_of(
        "7_[3]"
    ) == ["7_3"]
    assert (
        cluster.each_of("7") == ["7"]
        and cluster.each_of("7_3") == ["7_3"]
        and cluster.each_of("7_[1,...]") == ["7_1"]
    )


def test_what_ends_while_it_is_looked_at_is_not_lost(launch) -> None:
    """A task may finish and end after the events were read and before the scheduler is asked."""
    launch.record(0, "started")
    launch.add_submission(packs=[[0]], ids=["7"], attempt=0)

    def ask(launch: Launch, ids: set[str]) -> dict[str, Task]:
        assert ids == {"7"}
        launch.record(0, "done")
        return {"7": Task("COMPLETED")}

    assert states(launch, ask)[0].state == "done"


def test_what_a_file_system_shows_late_is_waited_for(launch, monkeypatch) -> None:
    """A task that ended well has done its jobs; another host may see that later. One that was
    killed is not looked at again."""
    looks, ended = [], "COMPLETED"
    launch.add_submission(packs=[[0, 1, 2]], ids=["7"], attempt=0)

    def late(_: float) -> None:
        looks.append(None)
        for job in range(3):
            launch.record(job, "done")

    monkeypatch.setattr(watch, "_alive", lambda launch, ids: {"7": Task(ended)})
    monkeypatch.setattr(watch.time, "sleep", late)
    ended = "FAILED"
    assert {row.state for row in watch.settled(launch)} == {"lost"} and not looks
    ended = "COMPLETED"
    assert {row.state for row in watch.settled(launch)} == {"done"} and len(looks) == 1


def test_a_scheduler_is_asked_ever_more_seldom(launch, monkeypatch) -> None:
    now, asked = [0.0], []
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(watch, "_alive", lambda launch, ids: asked.append(now[0]) or {})
    ask = watch._Asked()
    while now[0] < 1000:
        ask(launch, {"7"})
        now[0] += 2.0
    assert (
        asked[:3] == [0.0, 2.0, 4.0] and len(asked) < 75 and asked[-1] - asked[-2] == watch.RAREST
    )
    ask(launch, {"7", "8"})
    assert asked[-1] == now[0], "a task that was submitted meanwhile is asked about at once"


@pytest.mark.parametrize("report", [True, False])
def test_the_last_job_shows_the_studies(report: bool, launch, monkeypatch) -> None:
    """In their trackers, when there is something to show: not the command that submits."""
    shown, drawn = mock.Mock(), mock.Mock()
    monkeypatch.setattr("bfc.launch.finalise.show_studies", shown)
    monkeypatch.setattr("bfc.launch.finalise.collect", drawn)
    Finalise(str(launch.path), report)()
    assert [job.target.d for job in shown.call_args.args[0]] == [4, 5, 6] and drawn.called == report
    for options, later in (({}, False), ({"detach": True}, True), ({"dry_run": True}, True)):
        assert LocalLauncher(**options).shows_later == later


def test_a_site_says_where_the_store_is(tmp_path, monkeypatch) -> None:
    """For launches that name none, and for the commands about them."""
    (tmp_path / "overlay" / "site").mkdir(parents=True)
    (tmp_path / "overlay" / "site" / "slurm.yaml").write_text("results: $SHARED/store\n")
    monkeypatch.setenv("SHARED", str(tmp_path / "shared"))
    monkeypatch.setattr(entry, "SITE", tmp_path / "overlay")
    assert f"{tmp_path}/shared/store: holds no launch" in bfc("status", cwd=tmp_path)[1]
    assert "elsewhere: holds no launch" in bfc("status", "--results", "elsewhere", cwd=tmp_path)[1]
    given = {"dry_run": True, "results": "$SHARED/store"}
    for more, there in (
        ((), tmp_path / "shared" / "store"),
        (("results=mine",), tmp_path / "mine"),
    ):
        with (
            mock.patch.object(slurm_launcher, "prepare", side_effect=prepare) as looked,
            contextlib.chdir(tmp_path),
        ):
            slurm_launcher.SlurmLauncher(**given).launch_plan(
                [planned(more, {**container(*TINY, *more)})]
            )
        assert [
            (each.job.results, each.container["results"]) for each in looked.call_args.args[0]
        ] == [(str(there), str(there))]


def test_a_job_for_a_gpu_asks_for_one(tmp_path) -> None:
    line = (
        "-m",
        *TINY,
        "compute.device=cuda",
        "hydra/launcher=slurm",
        "hydra.launcher.dry_run=true",
    )
    assert (
        "compute.device=cuda: no task would be given a GPU; must be"
        in run(*line, cwd=tmp_path).sentence
    )
    assert run(*line, "hydra.launcher.gpus=1", cwd=tmp_path).status == 0
    assert run(*line, "hydra.launcher.gres='gpu:a100:1'", cwd=tmp_path).status == 0 and not list(
        tmp_path.iterdir()
    )


def test_the_plain_sweeper_of_hydra_can_use_the_launcher(tmp_path) -> None:
    with mock.patch.object(plan_launcher.PlanLauncher, "launch_plan", autospec=True):
        done = run(
            "-m",
            *TINY,
            "target.d=4,5",
            "hydra/sweeper=basic",
            "hydra.launcher.dry_run=true",
            cwd=tmp_path,
        )
    assert done.status == 0 and "jobs      2 (2 cells)" in done.out, done


def test_signals_are_noted_before_anything_heavy_is_imported() -> None:
    """What a task imports before its handlers are in place."""
    script = "import bfc.launch.slurm.task, sys; print([name for name in ('torch', 'pandas', 'hydra') if name in sys.modules])"
    light = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    assert light.stdout.strip() == "[]" and signal.SIGUSR2 in pack.stop_signals.REQUEUE
