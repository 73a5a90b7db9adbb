"""The command line as a person uses it: looking without running, running, and what is refused."""

import json
import shlex
import subprocess
import tomllib
from importlib import import_module
from itertools import product

import pytest
import yaml
from commands import (
    MAX_SECONDS,
    ROOT,
    TINY,
    cell_folder,
    command,
    environment,
    real_process,
    run,
    store,
    table,
)

from bfc.train import INTERRUPTED

CELL_FILES = {
    "config.yaml",
    "environment.json",
    "requests.json",
    "status.json",
    "trainings.parquet",
}


# --- looking ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("--cfg job --resolve", "_target_: bfc.targets.quadratic_densenet.QuadraticDenseNet"),
        ("--cfg job --resolve baseline=ntk target.d=9", "d: 9"),
        ("--cfg job --resolve -p target", "quadrature:"),
        ("--cfg job --resolve +sweeps=bfc_chain", "name: bfc_chain"),
        ("--cfg hydra -p hydra.launcher", "hydra_plugins.bfc.LocalLauncher"),
        (
            "--cfg hydra -p hydra.launcher hydra/launcher=submitit_slurm",
            "submitit_launcher.SlurmLauncher",
        ),
        ("--info defaults", "target/quadratic_densenet"),
        ("--info searchpath", "bfc"),
        ("--info plugins", "StudySweeper"),
        ("--help", "schedule: algorithm1, all, "),
        ("--help", "sweeps: bfc_chain"),
        ("--version", "Hydra"),
        ("-sc install=bash", "complete"),
    ],
)
def test_looking_works_and_writes_nothing(line: str, text: str, tmp_path) -> None:
    done = run(*shlex.split(line), cwd=tmp_path)
    assert done.status == 0 and text in done.out and not done.err, done
    assert not list(tmp_path.iterdir())


def test_a_composed_job_is_yaml_that_says_everything(tmp_path) -> None:
    shown = yaml.safe_load(run("--cfg", "job", "--resolve", *TINY, cwd=tmp_path).out)
    assert shown["target"]["d"] == 4 and shown["measure"]["n"] == [16, 32]
    assert shown["results"] == "results" and shown["study"] is None


def test_a_shell_completes_groups_options_and_keys(tmp_path) -> None:
    """As the installed completion asks: the line so far in an environment variable."""
    for line, completion in (
        ("schedule=st", "schedule=staged"),
        ("target.qua", "target.quadrature="),
        ("+sweeps=bfc_ch", "+sweeps=bfc_chain"),
    ):
        done = subprocess.run(
            command("-sc", "query=bash"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=MAX_SECONDS,
            env=environment(
                COMP_LINE=f"bfc-train {line}", COMP_POINT=str(len(f"bfc-train {line}"))
            ),
        )
        assert completion in done.stdout.split(), done
    assert not list(tmp_path.iterdir())


# --- running ------------------------------------------------------------------------------------


def test_a_run_leaves_the_store_and_nothing_else(tmp_path) -> None:
    done = run(
        *TINY, "baseline=polynomial", "baseline.n_max=64", "baseline.tuning_draws=1", cwd=tmp_path
    )
    assert done.status == 0 and not done.err
    assert {p.name for p in tmp_path.iterdir()} == {"results"}
    learner_line, baseline_line = done.out.splitlines()
    assert "staged quadratic_densenet  d=4 L=3  4 rows stored, 4 new" in learner_line
    assert "polynomial kernel" in baseline_line
    learner = cell_folder(tmp_path / "results", "learner")
    baseline = cell_folder(tmp_path / "results", "baseline")
    assert learner_line.startswith(learner.name) and baseline_line.startswith(baseline.name)
    assert {path.name for path in learner.iterdir()} == CELL_FILES
    assert {path.name for path in baseline.iterdir()} == CELL_FILES | {"tuned.json"}


def test_a_sweep_leaves_the_store_and_nothing_else(tmp_path) -> None:
    done = run(*TINY, "target.d=4,5", "-m", "hydra/launcher=basic", cwd=tmp_path)
    assert done.status == 0 and len(done.out.splitlines()) == 2, done
    assert {p.name for p in tmp_path.iterdir()} == {"results"} and len(
        store(tmp_path / "results")
    ) == 2


def test_what_is_stored_tells_how_it_was_made(tmp_path) -> None:
    run(*TINY, "measure.seeds=[0,7]", cwd=tmp_path)
    cell = cell_folder(tmp_path / "results", "learner")
    config = yaml.safe_load((cell / "config.yaml").read_text())
    assert config["target"]["d"] == 4 and config["optimizer"]["warmup"] == 2
    assert not {"tracker", "results"} & set(config)
    made = json.loads((cell / "environment.json").read_text())
    assert made["packages"]["torch"] and made["python"] and made["hardware"]
    assert set(made) >= {"commit", "diff", "cores", "platform"}
    assert json.loads((cell / "status.json").read_text())["state"] == "done"
    rows = table(cell)
    assert {(row["n"], row["seed"]) for row in rows} == set(product((16, 32), (0, 7)))
    for row in rows:
        assert (row["kind"], row["dtype"], row["steps"]) == ("training", "float32", 40)
        assert row["outcome"]
    assert json.loads((cell / "requests.json").read_text()) == [
        {
            "confirm": 0,
            "eps": [0.1, 0.01],
            "n": [16, 32],
            "seeds": [0, 7],
            "size": None,
            "study": None,
        }
    ]


def test_the_seed_decides_the_numbers_and_seed_zero_is_one(tmp_path) -> None:
    run(*TINY, "measure.seeds=[0]", "results=a", cwd=tmp_path)
    run(*TINY, "measure.seeds=[0]", "results=b", cwd=tmp_path)
    run(*TINY, "measure.seeds=[1]", "results=c", cwd=tmp_path)
    a, b, c = (next(iter(store(tmp_path / name).values())) for name in "abc")
    assert a == b and [row["seed"] for row in a] == [0, 0]
    assert not {row["risk"] for row in a} & {row["risk"] for row in c}


# --- refusals and faults ------------------------------------------------------------------------


def test_a_study_is_run_as_a_sweep_or_refused(tmp_path) -> None:
    assert (
        "+sweeps=bfc_chain: is a study of many cells; must be run as a sweep, with -m"
        in run("+sweeps=bfc_chain", cwd=tmp_path).sentence
    )


def test_the_flag_for_a_sweep_may_stand_anywhere(tmp_path) -> None:
    for line in (
        "-m target.d=abc schedule=joint",
        "target.d=abc --multirun schedule=joint",
        "schedule=joint target.d=abc -m",
    ):
        assert run(*line.split(), cwd=tmp_path).sentence == "target.d=abc: must be an integer"


def test_a_fault_of_the_program_is_raised_as_it_is(tmp_path, monkeypatch) -> None:
    """A fault must show where it is: only what the reader can change becomes a sentence."""

    def fail(*_, **__):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("bfc.engine.stack_request.train", fail)
    with pytest.raises(ZeroDivisionError, match="a fault"):
        run(*TINY, cwd=tmp_path)
    cell = next((tmp_path / "results").iterdir())
    status = json.loads((cell / "status.json").read_text())
    assert (status["state"], status["error"]) == ("failed", "ZeroDivisionError: a fault")
    assert not (cell / "claim.json").exists()


def test_an_interrupt_of_a_run_says_what_to_do(tmp_path, monkeypatch) -> None:
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bfc.engine.stack_request.train", interrupt)
    done = run(*TINY, cwd=tmp_path)
    assert done.status == 130 and done.err == f"bfc: {INTERRUPTED}\n"
    monkeypatch.undo()
    assert "4 rows stored, 4 new" in run(*TINY, cwd=tmp_path).out


def test_the_installed_command_and_the_module_are_the_same(tmp_path) -> None:
    """``bfc-train`` is the entry point named in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["bfc-train"].partition(":")
    assert getattr(import_module(module), name) is import_module("bfc.train").main
    done = real_process(
        *TINY, "schedule.steps=4", "measure.n=16", cwd=tmp_path, PYTHONWARNINGS="error"
    )
    assert done.status == 0 and not done.err and "2 rows stored, 2 new" in done.out, done
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
