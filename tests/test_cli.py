"""The command line as a person uses it: looking without running, running, running again, asking for
more."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from commands import TINY, command, environment, files, process, run, store, table

from bfc.errors import UserError
from bfc.store.cells import Cell


def cell_of(results, kind: str):
    """The folder of the one cell of a kind."""
    found = [
        p
        for p in results.iterdir()
        if yaml.safe_load((p / "config.yaml").read_text())["kind"] == kind
    ]
    assert len(found) == 1
    return found[0]


# --- looking ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, said",
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
def test_looking_works_and_writes_nothing(line: str, said: str, tmp_path) -> None:
    done = run(*shlex.split(line), cwd=tmp_path)
    assert done.status == 0 and said in done.out and not done.err, done
    assert not list(tmp_path.iterdir())


def test_a_composed_job_is_yaml_that_says_everything(tmp_path) -> None:
    shown = yaml.safe_load(run("--cfg", "job", "--resolve", *TINY, cwd=tmp_path).out)
    assert (
        shown["target"]["d"] == 4
        and shown["measure"]["n"] == [16, 32]
        and shown["results"] == "results"
        and shown["study"] is None
    )


def test_a_shell_completes_groups_options_and_keys(tmp_path) -> None:
    """As the installed completion asks: the line so far in an environment variable."""
    for line, wanted in (
        ("schedule=st", "schedule=staged"),
        ("target.qua", "target.quadrature="),
        ("+sweeps=bfc_ch", "+sweeps=bfc_chain"),
    ):
        done = subprocess.run(
            command("-sc", "query=bash"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(
                COMP_LINE=f"bfc-train {line}", COMP_POINT=str(len(f"bfc-train {line}"))
            ),
        )
        assert wanted in done.stdout.split(), done
    assert not list(tmp_path.iterdir())


# --- running ------------------------------------------------------------------------------------


def test_a_run_leaves_the_store_and_nothing_else(tmp_path) -> None:
    done = run(
        *TINY, "baseline=polynomial", "baseline.n_max=64", "baseline.tuning_draws=1", cwd=tmp_path
    )
    assert done.status == 0 and not done.err
    assert {p.name for p in tmp_path.iterdir()} == {"results"}
    lines = done.out.splitlines()
    assert (
        len(lines) == 2
        and "staged quadratic_densenet  d=4 L=3  4 rows stored, 4 new" in lines[0]
        and "polynomial kernel" in lines[1]
    )
    assert [line.split()[0] for line in lines] == [
        cell_of(tmp_path / "results", kind).name for kind in ("learner", "baseline")
    ]
    common = {
        "config.yaml",
        "environment.json",
        "requests.json",
        "status.json",
        "trainings.parquet",
    }
    assert {p.name for p in cell_of(tmp_path / "results", "learner").iterdir()} == common
    assert {p.name for p in cell_of(tmp_path / "results", "baseline").iterdir()} == {
        *common,
        "tuned.json",
    }


def test_a_sweep_leaves_the_store_and_nothing_else(tmp_path) -> None:
    done = run(*TINY, "target.d=4,5", "-m", "hydra/launcher=basic", cwd=tmp_path)
    assert done.status == 0 and len(done.out.splitlines()) == 2, done
    assert {p.name for p in tmp_path.iterdir()} == {"results"} and len(
        store(tmp_path / "results")
    ) == 2


def test_what_is_stored_tells_how_it_was_made(tmp_path) -> None:
    run(*TINY, "measure.seeds=[0,7]", cwd=tmp_path)
    cell = cell_of(tmp_path / "results", "learner")
    config = yaml.safe_load((cell / "config.yaml").read_text())
    assert (
        config["target"]["d"] == 4
        and config["optimizer"]["warmup"] == 2
        and "tracker" not in config
        and "results" not in config
    )
    made = json.loads((cell / "environment.json").read_text())
    assert (
        made["packages"]["torch"]
        and made["python"]
        and made["hardware"]
        and set(made) >= {"commit", "diff", "cores", "platform"}
    )
    assert json.loads((cell / "status.json").read_text())["state"] == "done"
    rows = table(cell)
    assert {(row["n"], row["seed"]) for row in rows} == {
        (n, seed) for n in (16, 32) for seed in (0, 7)
    }
    assert all(
        row["kind"] == "training"
        and row["outcome"]
        and row["dtype"] == "float32"
        and row["steps"] == 40
        for row in rows
    )
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


# --- running again ------------------------------------------------------------------------------

BOTH = (*TINY, "baseline=polynomial", "baseline.n_max=64", "baseline.tuning_draws=1")


def test_the_same_command_again_does_nothing(tmp_path, monkeypatch) -> None:
    first = run(*BOTH, cwd=tmp_path)
    before = files(tmp_path)
    monkeypatch.setattr(
        "bfc.engine.stack_request.train", lambda *_, **__: pytest.fail("trained again")
    )
    monkeypatch.setattr(
        "bfc.baselines.ridge.KernelRidge.tune", lambda *_, **__: pytest.fail("tuned again")
    )
    monkeypatch.setattr(
        "bfc.baselines.ridge.KernelRidge.curve", lambda *_, **__: pytest.fail("computed again")
    )
    for again in (
        BOTH,
        ("-m", *BOTH, "hydra/launcher=basic"),
        (*BOTH, "measure.seeds=[1,0]"),
        (*BOTH, "compute.stack=1"),
    ):
        done = run(*again, cwd=tmp_path)
        assert done.status == 0 and ", 0 new" in done.out and ", 4 new" not in done.out, done
        now = files(tmp_path)
        changed = {
            name.split("/")[-1] for name in {**before, **now} if before.get(name) != now.get(name)
        }
        assert changed == ({"requests.json"} if "measure.seeds=[1,0]" in again else set())
        before = now
    assert ", 4 new" in first.out


def test_the_same_command_again_touches_no_file_at_all(tmp_path) -> None:
    run(*TINY, cwd=tmp_path)
    before = files(tmp_path)
    run(*TINY, cwd=tmp_path)
    assert files(tmp_path) == before


def test_part_of_what_is_stored_is_only_noted(tmp_path) -> None:
    run(*TINY, cwd=tmp_path)
    before = files(tmp_path)
    done = run(*TINY, "measure.n=16", "measure.seeds=[1]", cwd=tmp_path)
    after = files(tmp_path)
    assert ", 0 new" in done.out and {
        name.split("/")[-1] for name in after if after[name] != before[name]
    } == {"requests.json"}
    requests = json.loads((cell_of(tmp_path / "results", "learner") / "requests.json").read_text())
    assert [(request["n"], request["seeds"]) for request in requests] == [
        ([16, 32], [0, 1]),
        ([16], [1]),
    ]


def test_more_seeds_and_more_n_extend_the_same_cell(tmp_path) -> None:
    run(*BOTH, cwd=tmp_path)
    learner, baseline = (cell_of(tmp_path / "results", kind) for kind in ("learner", "baseline"))
    before, curve, config = (
        table(learner, drop=()),
        table(baseline, drop=()),
        (learner / "config.yaml").read_bytes(),
    )
    done = run(*BOTH, "measure.seeds=3", "measure.n=[16,24,32]", cwd=tmp_path)
    assert "9 rows stored, 5 new" in done.out, done
    after = table(learner, drop=())
    assert after[:4] == before and {(row["n"], row["seed"]) for row in after} == {
        (n, seed) for n in (16, 24, 32) for seed in range(3)
    }
    assert len(after) == 9 and (learner / "config.yaml").read_bytes() == config
    longer = table(baseline, drop=())
    assert longer[: len(curve)] == curve and {row["seed"] for row in longer} == {0, 1, 2}
    assert {p.name for p in (tmp_path / "results").iterdir()} == {learner.name, baseline.name}


def test_what_is_added_later_is_what_would_have_been_measured_at_once(tmp_path) -> None:
    """Each training alone in its stack here, so that only the order of asking differs."""
    for seeds in ("[2]", "[0,2]", "[0,1,2]"):
        run(*TINY, "results=grown", f"measure.seeds={seeds}", "compute.stack=1", cwd=tmp_path)
    run(*TINY, "results=once", "measure.seeds=3", "compute.stack=1", cwd=tmp_path)
    order = lambda rows: sorted(rows, key=lambda row: (row["seed"], row["n"]))  # noqa: E731
    grown, once = (order(next(iter(store(tmp_path / name).values()))) for name in ("grown", "once"))
    assert grown == once


def test_a_ladder_and_a_single_n_share_what_is_stored(tmp_path) -> None:
    run(*TINY, "measure.n=[16]", cwd=tmp_path)
    done = run(
        *(t for t in TINY if "measure.n=" not in t), "measure=single", "measure.n=16", cwd=tmp_path
    )
    assert "2 rows stored, 0 new" in done.out
    done = run(
        *(t for t in TINY if "measure.n=" not in t),
        "measure=single",
        "measure.n=fresh",
        cwd=tmp_path,
    )
    assert "2 rows stored, 2 new" in done.out and len(list((tmp_path / "results").iterdir())) == 2


def test_a_learner_and_a_baseline_are_measured_on_the_same_draws(tmp_path, monkeypatch) -> None:
    drawn: dict[tuple[str, int], list] = {}
    from bfc.targets.quadratic_densenet import QuadraticDraw

    plain = QuadraticDraw.inputs

    def inputs(self, role, rows):
        x = plain(self, role, rows)
        if role == "test":
            for seed, mine in zip(self.seeds, x, strict=True):
                drawn.setdefault((str(x.dtype), seed), []).append(
                    (self.labels(x)[0][:8].double(), mine[:8].double())
                )
        return x

    monkeypatch.setattr(QuadraticDraw, "inputs", inputs)
    run(*BOTH, "measure.seeds=[3]", cwd=tmp_path)
    (y32, x32), (y64, x64) = drawn["torch.float32", 3][0], drawn["torch.float64", 3][0]
    assert (x32 - x64).abs().max() < 1e-5 and (y32 - y64).abs().max() < 1e-3 * y64.abs().max()


def test_a_stricter_question_is_judged_anew_and_never_back(tmp_path) -> None:
    """Outcomes are those of the smallest eps that anyone asked for; the risks themselves stay as
    they are."""
    easy, hard = "measure.eps=[0.999]", "measure.eps=[0.0001]"
    run(*TINY, easy, cwd=tmp_path)
    cell = cell_of(tmp_path / "results", "learner")
    first = table(cell)
    run(*TINY, hard, cwd=tmp_path)
    second = table(cell)
    assert [row["outcome"] for row in first] != [row["outcome"] for row in second]
    assert [row | {"outcome": None} for row in first] == [row | {"outcome": None} for row in second]
    before = files(tmp_path)
    run(*TINY, easy, cwd=tmp_path)
    assert files(tmp_path) == before


def test_confirming_runs_are_made_when_they_are_asked_for_later(tmp_path) -> None:
    run(*TINY, "measure.eps=[0.0001]", cwd=tmp_path)
    cell = cell_of(tmp_path / "results", "learner")
    assert {row["kind"] for row in table(cell)} == {"training"}
    done = run(*TINY, "measure.eps=[0.0001]", "measure.confirm=1", cwd=tmp_path)
    assert "5 rows stored, 1 new" in done.out
    assert [row["kind"] for row in table(cell)] == ["training"] * 4 + ["confirmation"]
    assert (
        "5 rows stored, 0 new"
        in run(*TINY, "measure.eps=[0.0001]", "measure.confirm=1", cwd=tmp_path).out
    )


ADAPTIVE = (
    *(t for t in TINY if "measure.n=" not in t),
    "measure=adaptive",
    "measure.rounds=2",
    "measure.replicas=4",
    "measure.n_max=64",
    "measure.stop=0",
)


def test_an_adaptive_cell_keeps_the_prior_it_began_with(tmp_path) -> None:
    """What a later sweep knows must not make a finished cell begin again, nor be written into it."""
    assert "8 rows stored, 8 new" in run(*ADAPTIVE, cwd=tmp_path).out
    before = files(tmp_path)
    for later in ("measure.prior=[3.5,0.2]", "measure.prior=null", "measure.prior=auto"):
        done = run(*ADAPTIVE, later, cwd=tmp_path)
        assert done.status == 0 and "8 rows stored, 0 new" in done.out, done
        assert files(tmp_path) == before
    done = run(*ADAPTIVE, "measure.prior=[3.5,0.2]", "measure.rounds=3", cwd=tmp_path)
    assert "12 rows stored, 4 new" in done.out
    run(*ADAPTIVE, "measure.rounds=3", "results=at_once", cwd=tmp_path)
    assert store(tmp_path / "results") == store(tmp_path / "at_once")


@pytest.mark.parametrize("more", ["measure.n_max=4096", "measure.eps=[0.1,0.001]"])
def test_a_finished_adaptive_cell_goes_on_when_asked_for_more(more: str, tmp_path) -> None:
    """It had used its two rounds; the baseline of the same jobs is left alone, and the same
    question again is none."""
    beside = (
        "measure.eps=[0.99]",
        "measure.confirm=0",
        "baseline=polynomial",
        "baseline.n_max=32",
        "baseline.tuning_draws=1",
    )
    assert "8 rows stored, 8 new" in run(*ADAPTIVE, *beside, cwd=tmp_path).out
    assert run(*ADAPTIVE, *beside, cwd=tmp_path).out.count(", 0 new") == 2
    done = run(*ADAPTIVE, *beside, more, "measure.seconds=1000", cwd=tmp_path)
    assert "16 rows stored, 8 new" in done.out and done.out.count(", 0 new") == 1, done
    for again in ((more,), ()):
        assert run(*ADAPTIVE, *beside, *again, cwd=tmp_path).out.count(", 0 new") == 2


def test_an_adaptive_sweep_again_does_nothing(tmp_path) -> None:
    """Larger d wait for smaller ones and start from what those show; what they then were told is
    found again."""
    line = ("-m", *ADAPTIVE, "target.d=6,4", "measure.eps=[0.9]", "hydra/launcher=basic")
    done = run(*line, cwd=tmp_path)
    assert done.status == 0 and re.findall(r" d=(\d+) ", done.out) == ["4", "6"], done
    before = files(tmp_path)
    again = run(*line, cwd=tmp_path)
    assert again.out.count(", 0 new") == 2 and files(tmp_path) == before


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


def test_an_error_of_the_program_is_not_dressed_up(tmp_path, monkeypatch) -> None:
    """A fault must show where it is: only what the reader can change becomes a sentence."""

    def broken(*_, **__):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("bfc.engine.stack_request.train", broken)
    with pytest.raises(ZeroDivisionError, match="a fault"):
        run(*TINY, cwd=tmp_path)
    cell = next((tmp_path / "results").iterdir())
    status = json.loads((cell / "status.json").read_text())
    assert (
        status["state"] == "failed"
        and status["error"] == "ZeroDivisionError: a fault"
        and not (cell / "claim.json").exists()
    )
    assert issubclass(UserError, ValueError) and not issubclass(ZeroDivisionError, UserError)


def test_an_interrupt_of_a_run_says_what_to_do(tmp_path, monkeypatch) -> None:
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bfc.engine.stack_request.train", interrupted)
    done = run(*TINY, cwd=tmp_path)
    assert (
        done.status == 130
        and done.err
        == "bfc: interrupted: finished trainings are stored; the same command goes on where this one stopped\n"
    )
    monkeypatch.undo()
    assert "4 rows stored, 4 new" in run(*TINY, cwd=tmp_path).out


def test_the_installed_command_and_the_module_are_the_same(tmp_path) -> None:
    """``bfc-train`` is the entry point named in pyproject.toml."""
    import tomllib
    from importlib import import_module
    from pathlib import Path

    scripts = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"][
        "scripts"
    ]
    module, _, name = scripts["bfc-train"].partition(":")
    assert getattr(import_module(module), name) is import_module("bfc.train").main
    done = process(*TINY, "schedule.steps=4", "measure.n=16", cwd=tmp_path, PYTHONWARNINGS="error")
    assert done.status == 0 and not done.err and "2 rows stored, 2 new" in done.out, done
    assert os.listdir(tmp_path) == ["results"]


def test_looks_on_the_way_are_kept_in_the_cells_trace_once(tmp_path: Path) -> None:
    looking = (*TINY, "probe=feature_error", "probe.rows=64", "probe.num_evals=4")
    for line in (looking, (*looking, "measure.seeds=3"), looking):
        assert run(*line, cwd=tmp_path).status == 0
    (folder,) = (tmp_path / "results").iterdir()
    trace = Cell(folder).rows("trace")
    assert sorted({(row["n"], row["seed"]) for row in trace}) == sorted(
        (n, seed) for n in (16, 32) for seed in range(3)
    )
    assert len(trace) == 6 * 4 and {row["step"] for row in trace} == {0, 1, 6, 40}
    assert all(row["risk"] > 0 and "gram/2" in row for row in trace)
