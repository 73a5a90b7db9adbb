"""Sweeps in processes of their own.

Every launcher gives the same store, a failure or a kill stays with its job, an interrupt says what
to do, and workers end with the launcher. SLURM itself is not started; its stock launcher is
composed and its payload pickled as submitit does it.
"""

import io
import itertools
import os
import pickle
import pickletools
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from commands import (
    MAX_SECONDS,
    TINY,
    container,
    environment,
    good,
    plan,
    process,
    run,
    running,
    store,
    wait_until,
    workers,
)
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import HydraContext

from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.hydra_plugins.registration import register
from bfc.paths import CONF
from bfc.train import run_composed_job

SWEEP = (
    *TINY,
    "-m",
    "schedule=staged,joint",
    "measure.seeds=1",
    "baseline=rbf",
    "baseline.n_max=48",
    "baseline.bandwidth=1e8",
)
GOOD = "baseline.ridge=0.1"
BAD = "baseline.ridge=0"
"""So wide a kernel is singular without a ridge: a failure that only shows when the job runs."""
LAUNCHERS = {
    "local": (),
    "basic, in batches": ("hydra/launcher=basic", "hydra.sweeper.max_batch_size=1"),
    "submitit_local": (
        "hydra/launcher=submitit_local",
        "hydra.launcher.submitit_folder=results/.submitit/%j",
    ),
}


def ids(*choices: str) -> list[str]:
    return [spec.cell_id for spec in cell_specs(load_job(container(*choices)))]


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict:
    """The store of the sweep's good jobs, run one by one."""
    folder = tmp_path_factory.mktemp("expected")
    single = [text for text in SWEEP if text != "-m" and not text.startswith("schedule=")]
    for schedule in ("staged", "joint"):
        assert run(*single, f"schedule={schedule}", GOOD, cwd=folder).status == 0
    cells = store(folder / "results")
    assert len(cells) == 3
    return cells


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_every_launcher_gives_the_same_store_and_keeps_failures_apart(
    launcher: str, expected, tmp_path
) -> None:
    """Jobs share two baseline cells; half of them fail with a singular kernel, after their learner.

    With submitit, where every job is a process, there are two of them, else four.
    """
    schedules = ("staged",) if launcher == "submitit_local" else ("staged", "joint")
    jobs = (f"schedule={','.join(schedules)}", f"{BAD},0.1")
    done = process(*SWEEP, *jobs, *LAUNCHERS[launcher], cwd=tmp_path)
    assert done.status == 2, done
    lines = done.err.splitlines()
    assert lines[-1] == (
        f"bfc: {len(schedules)} of {2 * len(schedules)} jobs failed; the others are stored, and "
        "the same command runs only what is missing"
    )
    for schedule in schedules:
        job = f"schedule={schedule} {BAD}" if len(schedules) > 1 else BAD
        failure = f"failed: {job}: {BAD}: too small for this kernel at n=48"
        assert any(line.startswith(failure) for line in lines), lines
    assert "Traceback" not in done.err and "Error executing job" not in done.err
    folders = [path for path in (tmp_path / "results").iterdir() if path.name[0] != "."]
    single = [text for text in SWEEP if text != "-m" and not text.startswith("schedule=")]
    cell_ids = [ids(*single, f"schedule={name}", GOOD) for name in schedules]
    wanted = set(itertools.chain(*cell_ids))
    assert len(folders) == len(schedules) + 2
    assert good(tmp_path / "results") == {cell: expected[cell] for cell in wanted}
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    assert not [*tmp_path.rglob(".hydra"), *tmp_path.rglob("multirun*")]
    if launcher == "local":
        last = r"^4/4 cells, .* jobs failed|^3/4 cells, \d+ trainings stored, \d jobs failed, "
        assert re.search(last, done.err, re.M), done.err


def test_a_sweep_that_succeeds_reports_it_and_exits_with_zero(expected, tmp_path) -> None:
    done = process(*SWEEP, GOOD, cwd=tmp_path)
    assert done.status == 0 and store(tmp_path / "results") == expected
    last = done.err.splitlines()[-1]
    assert re.fullmatch(r"3/3 cells, \d+ trainings stored, 100 % after \d+:\d\d min", last), done
    assert len(done.out.splitlines()) >= 4
    again = run(*SWEEP, GOOD, cwd=tmp_path)
    lines = again.out.splitlines()
    assert again.status == 0 and len(lines) == 4
    assert all(", 0 new" in line for line in lines)


def test_a_study_is_the_union_of_its_blocks() -> None:
    blocks = (
        "{target.d: '4,5', schedule: 'staged,joint'}",
        "{learner: none, baseline: polynomial, target.d: 4, measure.eps: '[0.3]'}",
        "{target.d: 5, schedule: joint}",
    )
    study = f"study={{name: s, size: demo, sizes: {{demo: [{', '.join(blocks)}], other: []}}}}"
    assert [describe(job) for job in plan(study)] == [
        (4, "staged", False),
        (4, "joint", False),
        (5, "staged", False),
        (5, "joint", False),
        (4, "staged", True),
    ]
    changed = plan(study, "target.d=9", "measure.seeds=3")
    assert [(job["target"]["d"], job["measure"]["seeds"]) for job in changed] == [(9, 3)] * 3


def describe(job: dict) -> tuple[int, str, bool]:
    """d, the schedule, and whether there is a baseline."""
    has_baseline = job["baseline"]["_target_"] is not None
    return job["target"]["d"], job["schedule"]["name"], has_baseline


# --- interrupts and kills -----------------------------------------------------------------------

LONG = (
    *TINY,
    "schedule.steps=1000000",
    "schedule.check_every=50",
    "measure.n=64",
    "measure.seeds=4",
    "compute.checkpoint_seconds=0",
)
"""A cell that would take many minutes, with a checkpoint after every chunk."""
LONG_SWEEP = (*LONG, "-m", "target.d=4,5,6,7", "hydra.launcher.processes=2")


def checkpoints(folder: Path) -> int:
    return len(list(folder.rglob("checkpoint.pt")))


def wait_until_ended(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=MAX_SECONDS)
    assert not alive


@pytest.mark.parametrize(
    "receiver", [pytest.param("launcher", marks=pytest.mark.exhaustive), "process group"]
)
def test_an_interrupted_sweep_says_so_and_goes_on_later(receiver: str, tmp_path) -> None:
    """Ctrl-C in a terminal sends the signal to the process group."""
    with running(*LONG_SWEEP, cwd=tmp_path) as sweep:
        wait_until(lambda: checkpoints(tmp_path) == 2, sweep)
        alive = workers(sweep)
        assert len(alive) == 2
        if receiver == "launcher":
            sweep.send_signal(signal.SIGINT)
        else:
            os.killpg(sweep.pid, signal.SIGINT)
        out, err = sweep.communicate(timeout=MAX_SECONDS)
    assert sweep.returncode == 130 and not out
    assert [line for line in err.splitlines() if " cells, " not in line] == [
        "bfc: interrupted: finished trainings are stored; the same command goes on where this one "
        "stopped"
    ]
    wait_until_ended(alive)
    assert checkpoints(tmp_path) == 2
    cell = tmp_path / "results" / ids(*LONG, "target.d=4")[0]
    assert (cell / "checkpoint.pt").exists()
    assert (cell / "claim.json").exists(), "its worker was stopped at once"


def test_workers_end_when_the_launcher_is_killed(tmp_path) -> None:
    with running(*LONG_SWEEP, cwd=tmp_path) as sweep:
        wait_until(lambda: checkpoints(tmp_path) == 2, sweep)
        alive = workers(sweep)
        sweep.kill()
        wait_until_ended(alive)
    assert len(alive) == 2


def test_a_killed_worker_takes_only_its_own_job_with_it(tmp_path) -> None:
    """As the kernel kills one where memory does not suffice."""
    job = [text for text in LONG if not text.startswith(("schedule.steps", "measure.seeds"))]
    job += ["measure.seeds=1", "target.d=4"]
    sweep_arguments = (*job, "-m", "schedule.steps=400,1000000,300", "hydra.launcher.processes=2")
    victim = tmp_path / "results" / ids(*job, "schedule.steps=1000000")[0]
    with running(*sweep_arguments, cwd=tmp_path) as sweep:
        wait_until((victim / "checkpoint.pt").exists, sweep)
        claim = (victim / "claim.json").read_text()
        holder = int(re.search(r'"pid": (\d+)', claim).group(1))
        assert holder in [worker.pid for worker in workers(sweep)]
        os.kill(holder, signal.SIGKILL)
        out, err = sweep.communicate(timeout=MAX_SECONDS)
    assert sweep.returncode == 2
    assert (
        "failed: schedule.steps=1000000: its process was killed (signal SIGKILL), which is what "
        "happens where memory does not" in err
    )
    assert "bfc: 1 of 3 jobs failed" in err and out.count(" 1 new") == 2
    rows = itertools.chain(*good(tmp_path / "results").values())
    assert {row["steps"] for row in rows} == {600, 800}


def test_jobs_that_share_a_cell_wait_for_it(tmp_path) -> None:
    """Two learners with the same baseline, on two workers: it is computed once."""
    slow = (
        "baseline.n_max=900",
        "measure.test=2000",
        "baseline.bandwidth=1",
        "hydra.launcher.processes=2",
    )
    done = process(*SWEEP, GOOD, *slow, cwd=tmp_path)
    assert done.status == 0, done
    lines = [line for line in done.out.splitlines() if "RBF" in line]
    assert sorted(", 0 new" in line for line in lines) == [False, True]


# --- SLURM --------------------------------------------------------------------------------------


@pytest.mark.parametrize("launcher", ["submitit_slurm", "submitit_local"])
def test_what_submitit_ships_is_made_of_references(launcher: str) -> None:
    """A task of ``__main__`` would be pickled by value, half of its code frozen and half not."""
    import cloudpickle

    folder = "results/.submitit/%j"
    overrides = [f"hydra/launcher={launcher}", f"hydra.launcher.submitit_folder={folder}", *TINY]
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides, return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        context = HydraContext(config_loader=loader, callbacks=Callbacks())
        made = Plugins.instance().instantiate_launcher(
            config=config, hydra_context=context, task_function=run_composed_job
        )
        assert made._EXECUTOR == launcher.removeprefix("submitit_")
        assert made.params["submitit_folder"] == folder
        payload = cloudpickle.dumps((made, run_composed_job))
    names = [argument for _, argument, _ in pickletools.genops(payload)]
    texts = [name for name in names if isinstance(name, str)]
    assert "bfc.train" in texts and not [text for text in texts if "__main__" in text]
    again, function = pickle.load(io.BytesIO(payload))
    assert function is run_composed_job and again.task_function is run_composed_job


def test_the_module_run_as_a_script_hands_on_the_imported_task(tmp_path) -> None:
    """``python -m bfc.train`` is ``__main__``; it must launch ``bfc.train.run_composed_job``."""
    script = (
        "import runpy, sys, hydra\n"
        "def show(task):\n"
        "    print(task.__module__, task.__qualname__)\n"
        "    return lambda: None\n"
        "hydra.main = lambda **_: show\n"
        "sys.argv = ['x']\n"
        "runpy.run_module('bfc.train', run_name='__main__', alter_sys=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore::RuntimeWarning", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=MAX_SECONDS,
    )
    assert done.stdout.split() == ["bfc.train", "run_composed_job"], done


@pytest.mark.parametrize(
    "changes",
    [
        (),
        (
            "hydra.launcher.partition=gpu",
            "hydra.launcher.gpus_per_node=1",
            "hydra.launcher.timeout_min=240",
        ),
        (
            "+hydra.launcher.additional_parameters={requeue: true}",
            "hydra.launcher.array_parallelism=16",
            "hydra.launcher.max_num_timeout=20",
        ),
    ],
)
def test_the_stock_slurm_launcher_composes(changes: tuple[str, ...], tmp_path) -> None:
    stock = "hydra/launcher=submitit_slurm"
    done = run("--cfg", "hydra", "-p", "hydra.launcher", stock, *changes, cwd=tmp_path)
    assert done.status == 0 and "SlurmLauncher" in done.out and not done.err
    for change in changes:
        key, _, value = change.removeprefix("hydra.launcher.").partition("=")
        assert f"{key}: {value}" in done.out or "requeue: true" in done.out
    wrong = run("-m", stock, "hydra.launcher.partitoin=x", cwd=tmp_path)
    assert wrong.sentence.startswith("hydra.launcher.partitoin: no such key")
    new_key = "hydra.launcher.additional_parameters={requeue: true}"
    wrong = run("-m", stock, new_key, cwd=tmp_path)
    assert wrong.sentence.endswith(
        "requeue: no such key; a new one must be added as "
        "+hydra.launcher.additional_parameters.requeue=<value>"
    )
    assert not list(tmp_path.iterdir())
