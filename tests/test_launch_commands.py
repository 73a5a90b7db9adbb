"""What a user types around a launch, without a cluster.

Commands over a sweep on this machine, the launchers' options, and the overlays of a site.
"""

import contextlib
from unittest import mock

import psutil
import pytest
from commands import KERNEL, TINY, bfc, container, good, process, run, wait_until

from bfc.application import launch_arguments
from bfc.hydra_plugins import plan_launcher, slurm_launcher
from bfc.launch import backend
from bfc.launch.job import plan_job
from bfc.launch.launch_list import find_launch
from bfc.launch.manifest import Launch
from bfc.launch.plan import make_plan
from bfc.launch.status import cell_statuses


def states_of(launch: Launch) -> list[str]:
    return [status.state for status in cell_statuses(launch)]


# --- the commands on this machine ---------------------------------------------------------------


def test_a_sweep_in_the_background_is_followed_and_retried(tmp_path) -> None:
    """A launch that outlives its command, with a failure; then its cells in the foreground."""
    line = (*TINY, *KERNEL, "baseline.ridge=0.1,0")
    detached = ("hydra.launcher.detach=true", "hydra.launcher.finalise=true")
    done = run(*line, "-m", *detached, cwd=tmp_path)
    assert done.status == 0 and "launched" in done.out and "manifest" in done.out, done
    launch = find_launch(tmp_path / "results")
    assert bfc("wait", cwd=tmp_path)[0] == 1
    assert states_of(launch) == ["done", "failed"]
    status, out = bfc("status", cwd=tmp_path)
    assert status == 1 and "1 done, 1 failed" in out
    assert "UserError" in out and "ridge=0: too small" in out
    watched = bfc("status", "--watch", cwd=tmp_path)
    assert watched == (status, out), "a file gets the table once, each failure on a line of its own"
    assert "Traceback" in bfc("logs", "--failed", cwd=tmp_path)[1]
    assert "rows stored" in bfc("logs", cwd=tmp_path)[1]
    assert launch.name in bfc("status", "--list", cwd=tmp_path)[1]
    wait_until((launch.path / "summary.json").exists)
    assert bfc("retry", "--failed", cwd=tmp_path)[0] == 0
    assert bfc("wait", cwd=tmp_path)[0] == 1
    assert launch.events()[1]["attempt"] == 1
    assert states_of(launch) == ["done", "failed"]
    for submission in launch.submissions():
        wait_until(lambda pool=submission: not backend.is_pool_alive(pool))
    assert process(*line, "-m", "results=front", cwd=tmp_path).status == 2
    front = good(tmp_path / "front")
    assert good(tmp_path / "results") == front and len(front) == 1
    foreground = find_launch(tmp_path / "front")
    assert states_of(foreground) == ["done", "failed"], "a foreground sweep is a launch too"


def test_cancel_ends_a_background_sweep(tmp_path) -> None:
    slow = (
        *TINY,
        "measure.n=64",
        "schedule.steps=1000000",
        "schedule.check_every=50",
        "compute.checkpoint_seconds=0",
    )
    assert run(*slow, "-m", "hydra.launcher.detach=true", cwd=tmp_path).status == 0
    launch = find_launch(tmp_path / "results")
    wait_until((launch.folders(0)[0] / "checkpoint.pt").exists)
    assert states_of(launch) == ["running"]
    assert bfc("cancel", cwd=tmp_path)[0] == 0
    wait_until(lambda: states_of(launch) == ["cancelled"])
    (submission,) = launch.submissions()
    with contextlib.suppress(psutil.NoSuchProcess):
        assert psutil.Process(submission["pid"]).status() == psutil.STATUS_ZOMBIE


def test_an_expensive_launch_needs_a_confirmation(tmp_path) -> None:
    long = (*TINY, "schedule.steps=100000", "measure.seeds=20000", "hydra.launcher.ask_above=0.5")
    sentence = run(*long, "-m", cwd=tmp_path).sentence
    assert (
        "core-hours are predicted for 1 jobs, which is above hydra.launcher.ask_above=0.5; "
        "hydra.launcher.confirmed=true" in sentence
    )
    assert not list(tmp_path.iterdir())


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("time=0", "hydra.launcher.time=0: must be an integer >= 1"),
        ("gpus=-1", "hydra.launcher.gpus=-1: must be an integer >= 0"),
        ("time=two", "hydra.launcher.time=two: must be an integer"),
        ("signal_seconds=9000", "at most half of the time limit, 7200 seconds"),
        ("partitoin=x", "no such key; did you mean partition?"),
        ("throttle=0", "null or an integer >= 1"),
        ("fuse_jobs=0", "must be null (32 on a GPU, 1 on a CPU) or an integer from 1 to 4096"),
        ("fuse_jobs=x", "fuse_jobs=x: must be"),
        ("task_minutes=0", "must be minutes > 0"),
        ("setup=module", "must be a list of texts"),
        ("max_submit=1", "null or an integer >= 2"),
    ],
)
def test_a_bad_option_is_refused(given: str, sentence: str, tmp_path) -> None:
    option = f"hydra.launcher.{given}"
    done = run("-m", *TINY, "hydra/launcher=slurm", option, cwd=tmp_path)
    assert sentence in done.sentence
    assert not list(tmp_path.iterdir())


def test_a_machine_without_slurm_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("-m", *TINY, "hydra/launcher=slurm", cwd=tmp_path / "here")
    assert done.status == 2 and "there is no sbatch on this machine" in done.err
    assert not list((tmp_path / "here").iterdir())


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


@pytest.mark.parametrize(
    ("overrides", "store"), [((), "shared/store"), (("results=given",), "given")]
)
def test_a_site_says_where_the_store_is(overrides, store: str, tmp_path, monkeypatch) -> None:
    """For launches that name none."""
    monkeypatch.setenv("SHARED", str(tmp_path / "shared"))
    launcher = slurm_launcher.SlurmLauncher(dry_run=True, results="$SHARED/store")
    with (
        mock.patch.object(slurm_launcher, "make_plan", side_effect=make_plan) as planning,
        contextlib.chdir(tmp_path),
    ):
        launcher.launch_plan([plan_job(overrides, container(*TINY, *overrides))])
    (planned,) = planning.call_args.args[0]
    folder = str(tmp_path / store)
    assert (planned.job.results, planned.container["results"]) == (folder, folder)


def test_a_site_says_where_the_commands_find_the_store(tmp_path, monkeypatch) -> None:
    (tmp_path / "overlay" / "site").mkdir(parents=True)
    (tmp_path / "overlay" / "site" / "slurm.yaml").write_text("results: $SHARED/store\n")
    monkeypatch.setenv("SHARED", str(tmp_path / "shared"))
    monkeypatch.setattr(launch_arguments, "SITE", tmp_path / "overlay")
    assert f"{tmp_path}/shared/store: holds no launch" in bfc("status", cwd=tmp_path)[1]
    assert "elsewhere: holds no launch" in bfc("status", "--results", "elsewhere", cwd=tmp_path)[1]


def test_a_job_for_a_gpu_must_ask_for_one(tmp_path) -> None:
    slurm = ("hydra/launcher=slurm", "hydra.launcher.dry_run=true")
    line = ("-m", *TINY, "compute.device=cuda", *slurm)
    sentence = run(*line, cwd=tmp_path).sentence
    assert "compute.device=cuda: no task would be given a GPU; must be" in sentence
    for option in ("hydra.launcher.gpus=1", "hydra.launcher.gres='gpu:a100:1'"):
        assert run(*line, option, cwd=tmp_path).status == 0
    assert not list(tmp_path.iterdir())


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
