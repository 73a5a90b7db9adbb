"""All claims within a budget: which size of which study is chosen, that the choice follows from
cost alone, and a whole run from an empty store, cut short, gone on with and refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest
import typer.testing
from commands import ROOT, environment

from bfc import cli
from bfc.application import reproduce as module
from bfc.application.budget import (
    MARGIN,
    SIZES,
    Option,
    Pace,
    budget_seconds,
    choose,
    largest_size,
    next_step,
)
from bfc.errors import UserError

TINY = (
    "target.d=8",
    "schedule.steps=12",
    "schedule.check_every=4",
    "optimizer.warmup=2",
    "optimizer.batch=8",
    "measure.seeds=3",
    "measure.test=64",
    "compute.device=cpu",
)


def options(**seconds):
    """Study → its sizes with these predicted seconds."""
    return {
        study: [
            Option(study, size, 4, 4, float(each)) for size, each in zip(SIZES, costs, strict=False)
        ]
        for study, costs in seconds.items()
    }


def sizes(chosen):
    return {study: option.size for study, option in chosen.items()}


@pytest.mark.parametrize(
    "text, want", [("30m", 1800), ("4h", 14400), ("1.5h", 5400), ("full", float("inf"))]
)
def test_a_budget_is_minutes_or_hours(text, want):
    assert budget_seconds(text) == want


@pytest.mark.parametrize("text", ["", "30", "m", "-3m", "0m", "fulll", "4 h", "nan"])
def test_other_budgets_are_refused(text):
    with pytest.raises(UserError, match="must be full, or minutes or hours"):
        budget_seconds(text)


@pytest.mark.parametrize(
    ("budget", "size"),
    [
        ("demo", "demo"),
        ("5m", "30m"),
        ("15m", "30m"),
        ("30m", "30m"),
        ("31m", "4h"),
        ("4h", "4h"),
        ("5h", "full"),
        ("full", "full"),
    ],
)
def test_sizes_beyond_the_budget_are_not_looked_at(budget, size):
    assert SIZES[largest_size(budget)] == size


def test_every_study_gets_its_smallest_size_before_any_is_raised():
    known = options(a=(10, 20), b=(30, 300), c=(60, 90))
    assert sizes(choose(known, 101 / MARGIN)) == {"a": "demo", "b": "demo", "c": "demo"}
    assert sizes(choose(known, 111 / MARGIN)) == {"a": "30m", "b": "demo", "c": "demo"}
    assert sizes(choose(known, 141 / MARGIN)) == {"a": "30m", "b": "demo", "c": "30m"}
    assert sizes(choose(known, 1e9)) == {"a": "30m", "b": "30m", "c": "30m"}


def test_what_does_not_fit_is_left_out_the_dearest_first():
    assert sizes(choose(options(a=(10,), b=(30,), c=(60,)), 50 / MARGIN)) == {
        "a": "demo",
        "b": "demo",
    }
    assert choose(options(a=(10,)), 5) == {} and choose({}, 100) == {}


def test_the_chosen_sizes_never_cost_more_than_the_margin_leaves():
    for budget in (30, 100, 1000, 5000):
        chosen = choose(options(a=(10, 40, 400), b=(20, 25, 2000), c=(5, 500, 501)), budget)
        assert sum(option.seconds for option in chosen.values()) <= MARGIN * budget


def test_smallest_sizes_run_first_then_those_aimed_for_the_cheapest_first():
    known, reached, ran = options(a=(10, 200), b=(20, 40), c=(5, 5000)), {}, []
    while (step := next_step(known, reached, 1000)) is not None:
        ran.append((step.study, step.size))
        reached[step.study] = step.size
        known[step.study] = [
            replace(option, seconds=0.0) if option == step else option
            for option in known[step.study]
            if SIZES.index(option.size) >= SIZES.index(step.size)
        ]
    assert ran == [("c", "demo"), ("a", "demo"), ("b", "demo"), ("b", "30m"), ("a", "30m")]
    assert next_step(options(a=(10,)), {}, 1) is None


def test_predictions_follow_what_was_measured():
    pace = Pace()
    assert pace.of("a") == 1
    pace.note("a", predicted=10, measured=40)
    assert pace.of("a") == 4 == pace.of("b")
    pace.note("b", predicted=10, measured=20)
    assert pace.of("b") == 2 and pace.of("c") == 3


def test_every_study_with_claims_is_planned_up_to_the_size_of_the_budget(tmp_path):
    found = module.compose(None, "demo", [f"results={tmp_path}"])
    with_claims = {
        path.stem for path in (ROOT / "sweeps").glob("*.yaml") if "claims:" in path.read_text()
    }
    assert set(found) == with_claims and all(len(own) == 1 for own in found.values())
    full = module.compose(["bfc_chain"], "full", [f"results={tmp_path}"])
    assert list(full["bfc_chain"]) == ["full"] and all(
        each.job.results == str(tmp_path) for each in full["bfc_chain"]["full"]
    )


def command(folder, *more):
    return [
        sys.executable,
        "-m",
        "bfc.cli",
        "reproduce",
        "--study",
        "bfc_chain",
        "--cores",
        "1",
        "--folder",
        str(folder),
        *more,
        *TINY,
    ]


def test_from_an_empty_store_to_a_page_and_again_without_training(tmp_path):
    runs = [
        subprocess.run(
            command(tmp_path / "all", "--budget", "30m"),
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
        )
        for _ in range(2)
    ]
    assert [done.returncode for done in runs] == [0, 0], runs[0].stderr
    assert (
        "bfc_chain, size demo: 4 of 4 jobs" in runs[0].stdout
        and "bfc_chain, size 30m" in runs[0].stdout
    )
    assert "size demo: 0 of 4 jobs" in runs[1].stdout
    claims = pd.read_csv(tmp_path / "all" / "report" / "claims.csv")
    assert len(claims) == 6 and set(claims["verdict"]) <= {
        "reproduced",
        "contradicted",
        "undecided",
    }
    assert {
        "claim",
        "paper",
        "study",
        "predicted",
        "measured",
        "lo",
        "hi",
        "verdict",
        "command",
    } <= set(claims)
    assert (
        claims["measured"].notna().all() and (tmp_path / "all" / "report" / "index.html").is_file()
    )


def test_a_plan_runs_nothing(tmp_path):
    done = typer.testing.CliRunner().invoke(
        cli.application(),
        ["reproduce", "--study", "bfc_chain", "--plan", "-f", str(tmp_path / "x")],
    )
    assert done.exit_code == 0 and "aimed for" in done.output and not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "budget, study, cores, sentence",
    [
        ("30m", "bfc_chian", 1, "no such study; did you mean bfc_chain"),
        ("demo", "bfc_chain", 1, "must be full, or minutes"),
        ("30m", "bfc_chain", 0, "--cores=0: must be an integer >= 1"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_nothing_is_written(
    tmp_path, budget, study, cores, sentence
):
    with pytest.raises(UserError, match=sentence):
        module.reproduce(budget, str(tmp_path / "x"), [study], cores, False)
    assert not (tmp_path / "x").exists()


def test_at_the_end_of_the_budget_the_study_is_interrupted_and_its_work_kept(tmp_path, monkeypatch):
    """The study is asked for far more than fits; time is up as soon as a cell trains."""
    results = tmp_path / "r"

    class Impatient(subprocess.Popen):
        waited = False

        def wait(self, timeout=None):
            if self.waited:
                return super().wait(timeout)
            self.waited = True
            while self.poll() is None and not list(results.glob("*/checkpoint.pt")):
                time.sleep(0.1)
            raise subprocess.TimeoutExpired(self.args, timeout)

    monkeypatch.setattr(module.subprocess, "Popen", Impatient)
    slow = [
        *TINY,
        "schedule.steps=200000",
        "schedule.check_every=100",
        "compute.checkpoint_seconds=0",
        f"results={results}",
    ]
    assert module.run(Option("bfc_chain", "demo", 4, 4, 1.0), slow, 1, time.monotonic() + 1e6) == 0
    states = [json.loads(path.read_text())["state"] for path in results.glob("*/status.json")]
    assert states and "done" not in states and list(results.glob("*/checkpoint.pt"))
