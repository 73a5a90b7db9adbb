"""Sweeps: every launcher gives the same store, a failure or a kill stays with its job, an interrupt
says what to do, and workers end with the launcher. SLURM itself is not started; its launcher is
composed and its payload pickled as submitit does it."""

import io
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from commands import TINY, command, container, environment, plan, process, run, store
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import HydraContext

from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.hydra_plugins import registration as plugins
from bfc.paths import CONF
from bfc.train import task

SWEEP = (
    *TINY,
    "-m",
    "schedule=staged,joint",
    "measure.seeds=1",
    "baseline=rbf",
    "baseline.n_max=48",
    "baseline.bandwidth=1e8",
)
GOOD, BAD = "baseline.ridge=0.1", "baseline.ridge=0"
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
    return [cell.cell_id for cell in cell_specs(load_job(container(*choices)))]


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict:
    """The store of the sweep's good jobs, run one by one."""
    folder = tmp_path_factory.mktemp("expected")
    for schedule in ("staged", "joint"):
        single = [t for t in SWEEP if t != "-m" and not t.startswith("schedule=")]
        assert run(*single, f"schedule={schedule}", GOOD, cwd=folder).status == 0
    found = store(folder / "results")
    assert len(found) == 3
    return found


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_every_launcher_gives_the_same_store_and_keeps_failures_apart(
    launcher: str, expected, tmp_path
) -> None:
    """Four jobs that share two baseline cells; the two with a singular kernel fail, after their
    learner is stored."""
    done = process(*SWEEP, f"{BAD},0.1", *LAUNCHERS[launcher], cwd=tmp_path)
    assert done.status == 2, done
    lines = done.err.splitlines()
    assert (
        lines[-1]
        == "bfc: 2 of 4 jobs failed; the others are stored, and the same command runs only what is missing"
    )
    for schedule in ("staged", "joint"):
        assert any(
            line.startswith(
                f"failed: schedule={schedule} {BAD}: {BAD}: too small for this kernel at n=48"
            )
            for line in lines
        ), lines
    assert "Traceback" not in done.err and "Error executing job" not in done.err
    found = {p.name: p for p in (tmp_path / "results").iterdir() if not p.name.startswith(".")}
    assert {name for name, p in found.items() if not (p / "trainings.parquet").exists()} == set(
        found
    ) - set(expected)
    assert len(found) == 4
    assert {name: rows for name, rows in expected.items()} == {
        name: rows for name, rows in good(tmp_path / "results").items()
    }
    assert {p.name for p in tmp_path.iterdir()} == {"results"} and not list(
        tmp_path.rglob(".hydra")
    ) + list(tmp_path.rglob("multirun*"))
    if launcher.startswith("local"):
        assert re.search(
            r"^4/4 cells, .* jobs failed|^3/4 cells, \d+ trainings stored, \d jobs failed, ",
            done.err,
            re.M,
        ), done.err


def good(results: Path) -> dict:
    import commands

    return {
        p.name: commands.table(p)
        for p in sorted(results.iterdir())
        if (p / "trainings.parquet").exists()
    }


def test_a_sweep_that_succeeds_says_so_and_leaves_with_zero(expected, tmp_path) -> None:
    done = process(*SWEEP, GOOD, cwd=tmp_path)
    assert done.status == 0 and store(tmp_path / "results") == expected
    assert done.err.splitlines()[-1].startswith("3/3 cells, ") and "100 % after 0:0" in done.err, (
        done.err
    )
    assert len(done.out.splitlines()) >= 4
    again = process(*SWEEP, GOOD, cwd=tmp_path)
    assert (
        again.status == 0
        and all(", 0 new" in line for line in again.out.splitlines())
        and len(again.out.splitlines()) == 4
    )


def test_a_study_is_the_union_of_its_blocks(tmp_path) -> None:
    blocks = (
        "{target.d: '4,5', schedule: 'staged,joint'}",
        "{learner: none, baseline: polynomial, target.d: 4, measure.eps: '[0.3]'}",
        "{target.d: 5, schedule: joint}",
    )
    plain = f"study={{name: s, size: demo, sizes: {{demo: [{', '.join(blocks)}], other: []}}}}"
    jobs = plan(plain)
    shown = [
        (j["target"]["d"], j["schedule"]["name"], j["baseline"]["_target_"] is not None)
        for j in jobs
    ]
    assert shown == [
        (4, "staged", False),
        (4, "joint", False),
        (5, "staged", False),
        (5, "joint", False),
        (4, "staged", True),
    ]
    over = plan(plain, "target.d=9", "measure.seeds=3")
    assert {(j["target"]["d"], j["measure"]["seeds"]) for j in over} == {(9, 3)} and len(over) == 3


# --- interrupts and kills -----------------------------------------------------------------------

SLOW = (
    *TINY,
    "-m",
    "target.d=4,5,6,7",
    "schedule.steps=100000",
    "schedule.check_every=50",
    "measure.n=64",
    "measure.seeds=4",
    "compute.checkpoint_seconds=0",
    "hydra.launcher.processes=2",
)


def begin(arguments: tuple[str, ...], cwd: Path) -> subprocess.Popen:
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def checkpoints(folder: Path) -> int:
    return len(list(folder.rglob("checkpoint.pt")))


def workers(parent: subprocess.Popen) -> list[psutil.Process]:
    return [
        p
        for p in psutil.Process(parent.pid).children(recursive=True)
        if "spawn_main" in " ".join(p.cmdline())
    ]


def ended(processes: list[psutil.Process]) -> bool:
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("to", ["the launcher alone", "all of its processes"])
def test_an_interrupt_of_a_sweep_is_a_sentence_and_goes_on_later(to: str, tmp_path) -> None:
    """All of its processes is what Ctrl-C in a terminal sends to."""
    sweep = begin(SLOW, tmp_path)
    wait_for(lambda: checkpoints(tmp_path) == 2)
    alive = workers(sweep)
    assert len(alive) == 2
    if to == "the launcher alone":
        sweep.send_signal(signal.SIGINT)
    else:
        os.killpg(sweep.pid, signal.SIGINT)
    out, err = sweep.communicate(timeout=30)
    assert sweep.returncode == 130 and not out
    assert [line for line in err.splitlines() if " cells, " not in line] == [
        "bfc: interrupted: finished trainings are stored; the same command goes on where this one stopped"
    ]
    wait_for(lambda: ended(alive), 10)
    assert checkpoints(tmp_path) == 2
    line = [t for t in SLOW if t not in ("-m", "target.d=4,5,6,7", "hydra.launcher.processes=2")]
    cell = tmp_path / "results" / ids(*line, "target.d=4")[0]
    assert (cell / "checkpoint.pt").exists() and (cell / "claim.json").exists(), (
        "its worker was stopped at once"
    )


def test_workers_end_when_the_launcher_is_killed(tmp_path) -> None:
    sweep = begin(SLOW, tmp_path)
    wait_for(lambda: checkpoints(tmp_path) == 2)
    alive = workers(sweep)
    sweep.kill()
    sweep.communicate(timeout=30)
    wait_for(lambda: ended(alive), 10)
    assert len(alive) == 2


def test_a_killed_worker_takes_only_its_own_job_with_it(tmp_path) -> None:
    """As the kernel does where memory does not suffice."""
    line = (
        *(t for t in SLOW if not t.startswith(("target.d", "schedule.steps"))),
        "target.d=4,5,6",
        "schedule.steps=400,800000,300",
        "hydra.launcher.processes=2",
        "measure.seeds=1",
    )
    jobs = [t for t in line if t not in ("-m", "hydra.launcher.processes=2") and "," not in t] + [
        "measure.n=64"
    ]
    victim = ids(*jobs, "target.d=4", "schedule.steps=800000")[0]
    sweep = begin((*line, "target.d=4"), tmp_path)
    wait_for(lambda: (tmp_path / "results" / victim / "checkpoint.pt").exists())
    holder = int(
        re.search(
            r'"pid": (\d+)', (tmp_path / "results" / victim / "claim.json").read_text()
        ).group(1)
    )
    assert holder in [p.pid for p in workers(sweep)]
    os.kill(holder, signal.SIGKILL)
    out, err = sweep.communicate(timeout=90)
    assert sweep.returncode == 2
    assert (
        "failed: schedule.steps=800000: its process was killed (signal SIGKILL), which is what happens where memory does not"
        in err
    )
    assert "bfc: 1 of 3 jobs failed" in err and out.count(" 1 new") == 2
    assert {
        steps
        for p, rows in good(tmp_path / "results").items()
        for steps in {row["steps"] for row in rows}
    } == {600, 800}


def test_jobs_that_share_a_cell_wait_for_it(tmp_path) -> None:
    """Two learners beside one baseline, on two workers: computed once, by whoever comes first."""
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
    """A task of ``__main__`` would be pickled by value, frozen half and half with the code it
    imports on the node."""
    import cloudpickle

    plugins.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        chosen = compose(
            "config",
            [
                f"hydra/launcher={launcher}",
                "hydra.launcher.submitit_folder=results/.submitit/%j",
                *TINY,
            ],
            return_hydra_config=True,
        )
        loader = GlobalHydra.instance().config_loader()
        context = HydraContext(config_loader=loader, callbacks=Callbacks())
        made = Plugins.instance().instantiate_launcher(
            config=chosen, hydra_context=context, task_function=task
        )
        assert (
            made._EXECUTOR == launcher.removeprefix("submitit_")
            and made.params["submitit_folder"] == "results/.submitit/%j"
        )
        payload = cloudpickle.dumps((made, task))
    referred = [argument for _, argument, _ in pickletools_strings(payload)]
    assert "bfc.train" in referred and not [name for name in referred if "__main__" in name]
    again, function = pickle.load(io.BytesIO(payload))
    assert function is task and again.task_function is task


def pickletools_strings(payload: bytes):
    import pickletools

    return [
        (op.name, argument, at)
        for op, argument, at in pickletools.genops(payload)
        if isinstance(argument, str)
    ]


def test_the_module_run_as_a_script_hands_on_the_imported_task(tmp_path) -> None:
    """``python -m bfc.train`` is ``__main__``; what it launches must still be ``bfc.train.task``."""
    script = (
        "import runpy, sys, hydra\n"
        "hydra.main = lambda **_: lambda task: print(task.__module__, task.__qualname__) or (lambda: None)\n"
        "sys.argv = ['x']\nrunpy.run_module('bfc.train', run_name='__main__', alter_sys=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore::RuntimeWarning", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
    )
    assert done.stdout.split() == ["bfc.train", "task"], done


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
def test_the_slurm_launcher_composes(changes: tuple[str, ...], tmp_path) -> None:
    done = run(
        "--cfg",
        "hydra",
        "-p",
        "hydra.launcher",
        "hydra/launcher=submitit_slurm",
        *changes,
        cwd=tmp_path,
    )
    assert done.status == 0 and "SlurmLauncher" in done.out and not done.err
    for change in changes:
        key, _, value = change.removeprefix("hydra.launcher.").partition("=")
        assert f"{key}: {value}" in done.out or "requeue: true" in done.out
    wrong = run("-m", "hydra/launcher=submitit_slurm", "hydra.launcher.partitoin=x", cwd=tmp_path)
    assert wrong.sentence.startswith("hydra.launcher.partitoin: no such key")
    wrong = run(
        "-m",
        "hydra/launcher=submitit_slurm",
        "hydra.launcher.additional_parameters={requeue: true}",
        cwd=tmp_path,
    )
    assert wrong.sentence.endswith(
        "requeue: no such key; a new one must be added as +hydra.launcher.additional_parameters.requeue=<value>"
    )
    assert not list(tmp_path.iterdir())
