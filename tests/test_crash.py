"""``kill -9`` at any moment, then the same command again: the results are those of one whole run.

They are equal bit for bit in every column but the time it took. A process that has everything
imported forks one child per run, which kills itself at a chosen event on the file system. A few
runs are killed from outside as real commands.
"""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import (
    MAX_SECONDS,
    TINY,
    command,
    container,
    environment,
    files,
    heed_interrupts,
    run,
    store,
    table,
    wait_until,
)

from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.store.cells import Cell

NURSERY = """
import json, os, signal, sys
from pathlib import Path
import pandas, psutil, pyarrow.parquet, pydantic, torch, yaml
import bfc.experiment.cell_runner, bfc.experiment.cell_spec, bfc.baselines.kernels
import bfc.engine.trainer, bfc.measure.ladder, bfc.measure.online, bfc.measure.single
import bfc.experiment.cell_progress
# The display follows the clock; without it every life has the same events.
bfc.experiment.cell_progress.SHORTEST_INTERVAL = 1e9
import bfc.targets.quadratic_densenet, bfc.learners.quadratic_densenet, bfc.probes.feature_error
from bfc.environment import environment
from bfc.experiment.run_job import run_job
from bfc.experiment.job import load_job
from bfc.experiment.cell_spec import cell_specs

environment(torch.device("cpu"))  # what is cached is asked for once, not in every life

def event(name, at):
    count[0] += 1
    if count[0] == at:
        os.kill(os.getpid(), signal.SIGKILL)

def watch(name, at, cut):
    plain = getattr(os, name)
    def watched(*arguments, **named):
        if cut and count[0] + 1 == at:
            os.ftruncate(os.open(f"/proc/self/fd/{arguments[0]}", os.O_RDWR), 10)
        event(f"before {name}", at)
        result = plain(*arguments, **named)
        event(f"after {name}", at)
        return result
    setattr(os, name, watched)

for line in sys.stdin:
    task = json.loads(line)
    cell_specs(load_job(task["job"]))
    child = os.fork()
    if not child:
        count = [0]
        for name in ("fsync", "replace", "link", "unlink"):
            watch(name, task["at"], name == "fsync")
        torch.set_num_threads(1)
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            run_job(load_job(task["job"]))
            Path(task["count"]).write_text(str(count[0]))
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Nursery:
    """Lives of a job: each runs to its end, or until it kills itself at event number ``at``."""

    def __init__(self, scratch: Path) -> None:
        self.count = scratch / "count"
        self.process = subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def live(self, job: dict, results: Path, at: int = 0) -> bool:
        """Whether it came to its end."""
        self.process.stdin.write(
            json.dumps(
                {"job": {**job, "results": str(results)}, "at": at, "count": str(self.count)}
            )
            + "\n"
        )
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        assert status in (0, -signal.SIGKILL), status
        return status == 0

    def events(self) -> int:
        """Of the last life that came to its end."""
        return int(self.count.read_text())


@pytest.fixture(scope="module")
def nursery(tmp_path_factory):
    nursery = Nursery(tmp_path_factory.mktemp("nursery"))
    yield nursery
    nursery.process.stdin.close()
    nursery.process.wait(MAX_SECONDS)
    nursery.process.stdout.close()


TINY = (*TINY, "schedule.steps=8", "schedule.check_every=4", "optimizer.warmup=1")
STACKS = (
    *TINY,
    "measure.seeds=3",
    "compute.stack=4",
    "compute.checkpoint_seconds=0",
    "measure.eps=[0.0001]",
    "measure.confirm=3",
    "probe=feature_error",
    "probe.rows=64",
)
CASES = {
    "stacks and confirming runs": (*STACKS, "compute.stack=2", "measure.n=[16,32,48]"),
    "early stops": (*STACKS, "schedule.patience=1", "schedule.steps=20", "measure.confirm=0"),
    "first passage": (
        *(t for t in TINY if "measure.n=" not in t),
        "measure=online",
        "optimizer.decay=constant",
        "measure.seeds=3",
        "compute.stack=2",
        "compute.checkpoint_seconds=0",
    ),
    "fresh samples": (
        *(t for t in TINY if "measure.n=" not in t),
        "measure=single",
        "measure.seeds=3",
        "compute.stack=2",
        "compute.checkpoint_seconds=0",
        "optimizer=sgd",
        "optimizer.momentum=0.9",
    ),
    "adaptive rounds": (
        *(t for t in TINY if "measure.n=" not in t),
        "measure=adaptive",
        "measure.rounds=3",
        "measure.replicas=4",
        "measure.n_max=64",
        "measure.stop=0",
        "compute.stack=2",
        "compute.checkpoint_seconds=0",
    ),
    "tuned rate": (
        *STACKS,
        "compute.stack=2",
        "measure.confirm=0",
        "measure.tune={lr: [0.003, 0.01, 0.03], n: 32, draws: 1}",
    ),
    "baseline": (
        *TINY,
        "learner=none",
        "baseline=polynomial",
        "baseline.n_max=48",
        "baseline.tuning_draws=1",
        "measure.seeds=3",
    ),
    "both": (
        *STACKS,
        "measure.seeds=1",
        "baseline=rbf",
        "baseline.n_max=48",
        "baseline.tuning_draws=1",
    ),
}


@pytest.fixture(scope="module")
def undisturbed(nursery, tmp_path_factory):
    """Case → (its job, its store, its number of events), each run once without a kill."""
    known = {}

    def find(case: str) -> tuple[dict, dict, int]:
        if case not in known:
            results = tmp_path_factory.mktemp("undisturbed") / "results"
            job = container(*CASES[case])
            assert nursery.live(job, results)
            known[case] = (job, store(results), nursery.events())
        return known[case]

    return find


def test_the_cases_hold_what_they_are_meant_to(undisturbed) -> None:
    """The case has several stacks, confirming runs in more than one of them, and early stops.

    Otherwise the kills below would prove little.
    """
    rows = next(iter(undisturbed("stacks and confirming runs")[1].values()))
    assert [row["kind"] for row in rows] == ["training"] * 9 + ["confirmation"] * 3 and {
        row["stack"] for row in rows
    } == {1, 2}
    assert any("gram" in name for name in rows[0])
    rows = next(iter(undisturbed("early stops")[1].values()))
    assert min(row["steps"] for row in rows) < 40
    assert {row["kind"] for row in next(iter(undisturbed("first passage")[1].values()))} == {
        "curve"
    }
    assert len(undisturbed("both")[1]) == 2


@pytest.mark.parametrize("case", CASES)
def test_a_kill_at_any_moment_changes_nothing(
    case: str, nursery, undisturbed, tmp_path, is_exhaustive: bool
) -> None:
    """Every killed run ends at another event, and the next run completes it.

    The events are spread over the whole run and differ from test to test.
    """
    job, whole, events = undisturbed(case)
    assert events > 30
    moments = random.Random(case).sample(range(1, events - 5), 8 if is_exhaustive else 2)
    moments = [*sorted(moments), events - 5, events - 1]
    for at in moments:
        results = tmp_path / str(at)
        assert not nursery.live(job, results, at), "it was to be killed"
        assert nursery.live(job, results)
        assert store(results) == whole, at
        assert not list(results.rglob("checkpoint.pt")), at
        for claim in results.rglob(
            "claim.json"
        ):  # killed as it let go: the claim of the dead binds nobody
            with Cell(claim.parent).claim():
                pass
        status = [json.loads(path.read_text())["state"] for path in results.rglob("status.json")]
        assert set(status) == {"done"} and len(status) == len(whole)


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_killed_again_and_again_comes_to_its_end(
    case: str, nursery, undisturbed, tmp_path
) -> None:
    job, whole, events = undisturbed(case)
    lives, step = 1, max(45, events // 8)
    while not nursery.live(job, tmp_path / "results", step):
        lives += 1
        assert lives < 60, "no progress from life to life"
    assert lives > 2 and store(tmp_path / "results") == whole


def test_what_is_stored_is_never_lost_by_a_kill(nursery, undisturbed, tmp_path) -> None:
    """Rows seen at one death are there at every later one."""
    job, whole, _ = undisturbed("stacks and confirming runs")
    cell = tmp_path / "results" / next(iter(whole))
    seen: list[dict] = []
    for at in (20, 35, 50, 65, 80, 0):
        nursery.live(job, tmp_path / "results", at)
        now = table(cell, drop=("outcome",)) if (cell / "trainings.parquet").exists() else []
        assert now[: len(seen)] == seen
        seen = now
    assert len(seen) == 12


def test_a_checkpoint_saves_the_work_before_it(nursery, tmp_path) -> None:
    """After a kill near the end, the second life does a fraction of the steps."""
    job = container(*STACKS, "measure.confirm=0", "schedule.steps=80", "compute.stack=6")
    assert nursery.live(job, tmp_path / "whole")
    all_events = nursery.events()
    assert not nursery.live(job, tmp_path / "killed", all_events - 40)
    assert (next((tmp_path / "killed").iterdir()) / "checkpoint.pt").exists()
    assert nursery.live(job, tmp_path / "killed")
    assert nursery.events() < all_events / 2, "it began anew"
    assert store(tmp_path / "killed") == store(tmp_path / "whole")


# --- real processes -----------------------------------------------------------------------------


def killed_after(sign, arguments: tuple[str, ...], cwd: Path, number: int = signal.SIGKILL) -> int:
    """Start the command, kill it once ``sign`` says so; its exit status."""
    started = subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    try:
        wait_until(sign, started)
        started.send_signal(number)
        return started.wait(MAX_SECONDS)
    finally:
        started.kill()
        started.wait()


LONG = (
    *TINY,
    "schedule.steps=200",
    "schedule.check_every=10",
    "measure.seeds=6",
    "compute.stack=4",
    "compute.checkpoint_seconds=0",
    "measure.eps=[0.0001]",
    "measure.confirm=2",
    "optimizer.batch=16",
)


def test_a_real_run_killed_in_training_and_in_confirming_goes_on(tmp_path) -> None:
    cell = tmp_path / "results" / cell_specs(load_job(container(*LONG)))[0].cell_id
    checkpoint, rows = cell / "checkpoint.pt", cell / "trainings.parquet"
    assert killed_after(checkpoint.exists, LONG, tmp_path) == -signal.SIGKILL
    assert (cell / "claim.json").exists() and (not rows.exists() or len(table(cell)) < 12)
    assert (
        killed_after(
            lambda: rows.exists() and len(table(cell)) == 12 and checkpoint.exists(), LONG, tmp_path
        )
        == -signal.SIGKILL
    )
    assert json.loads((cell / "status.json").read_text())["state"] == "running"
    done = run(*LONG, cwd=tmp_path)
    assert "14 rows stored, 2 new" in done.out, done
    run(*LONG, "results=whole", cwd=tmp_path)
    assert store(tmp_path / "results") == store(tmp_path / "whole")
    before = files(tmp_path)
    assert ", 0 new" in run(*LONG, cwd=tmp_path).out and files(tmp_path) == before


def test_a_real_baseline_killed_between_seeds_goes_on(tmp_path) -> None:
    line = (
        *TINY,
        "learner=none",
        "baseline=ntk",
        "baseline.n_max=400",
        "measure.test=2000",
        "baseline.tuning_draws=1",
        "measure.seeds=12",
    )
    cell = tmp_path / "results" / cell_specs(load_job(container(*line)))[0].cell_id
    assert killed_after((cell / "trainings.parquet").exists, line, tmp_path) == -signal.SIGKILL
    tuned, some = (cell / "tuned.json").read_bytes(), {row["seed"] for row in table(cell)}
    assert some < set(range(12))
    assert run(*line, cwd=tmp_path).status == 0
    run(*line, "results=whole", cwd=tmp_path)
    assert (
        store(tmp_path / "results") == store(tmp_path / "whole")
        and (cell / "tuned.json").read_bytes() == tuned
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_softer_signal_loses_nothing_either(number: int, tmp_path) -> None:
    cell = tmp_path / "results" / cell_specs(load_job(container(*LONG)))[0].cell_id
    status = killed_after((cell / "checkpoint.pt").exists, LONG, tmp_path, number)
    assert status == (130 if number == signal.SIGINT else -signal.SIGTERM)
    assert (cell / "claim.json").exists() == (number == signal.SIGTERM), (
        "an interrupted run gives its claim back"
    )
    assert (cell / "checkpoint.pt").exists() and os.listdir(tmp_path) == ["results"]
