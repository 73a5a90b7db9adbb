"""All claims within a budget: which size of which study is chosen, and a whole run.

The choice follows from cost alone. The run starts from an empty store, is cut short, goes on, and
is refused where an option is wrong.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import typer.testing
from commands import ROOT, wait_until

from bfc import cli
from bfc.application import reproduce as module
from bfc.application.budget import (
    MARGIN,
    Pace,
    SizeOption,
    budget_seconds,
    choose_next,
    choose_sizes,
    largest_size_index,
)
from bfc.errors import UserError
from bfc.studies import SIZES

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
CLAIM_COLUMNS = {
    "claim",
    "paper",
    "study",
    "predicted",
    "measured",
    "lo",
    "hi",
    "verdict",
    "command",
}


def make_options(**seconds: Sequence[float]) -> dict[str, list[SizeOption]]:
    """Study → its sizes with these predicted seconds."""
    options: dict[str, list[SizeOption]] = {}
    for study, costs in seconds.items():
        sizes = zip(SIZES, costs, strict=False)
        options[study] = [SizeOption(study, size, 4, 4, float(cost)) for size, cost in sizes]
    return options


def chosen_sizes(options: dict[str, list[SizeOption]], seconds: float) -> dict[str, str]:
    return {study: option.size for study, option in choose_sizes(options, seconds).items()}


# --- the choice ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("4h", 14400), ("1.5h", 5400), ("full", float("inf"))]
)
def test_a_budget_is_minutes_or_hours(text: str, seconds: float) -> None:
    assert budget_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "-3m", "0m", "fulll", "4 h", "nan"])
def test_other_budgets_are_refused(text: str) -> None:
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
def test_sizes_beyond_the_budget_are_not_considered(budget: str, size: str) -> None:
    assert SIZES[largest_size_index(budget)] == size


@pytest.mark.parametrize(
    ("seconds", "sizes"),
    [
        (101, {"a": "demo", "b": "demo", "c": "demo"}),
        (111, {"a": "30m", "b": "demo", "c": "demo"}),
        (141, {"a": "30m", "b": "demo", "c": "30m"}),
        (1e9, {"a": "30m", "b": "30m", "c": "30m"}),
    ],
)
def test_every_study_gets_its_smallest_size_before_any_is_raised(seconds, sizes) -> None:
    options = make_options(a=(10, 20), b=(30, 300), c=(60, 90))
    assert chosen_sizes(options, seconds / MARGIN) == sizes


def test_what_does_not_fit_is_left_out_the_most_expensive_first() -> None:
    options = make_options(a=(10,), b=(30,), c=(60,))
    assert chosen_sizes(options, 50 / MARGIN) == {"a": "demo", "b": "demo"}
    assert chosen_sizes(make_options(a=(10,)), 5) == {}
    assert chosen_sizes({}, 100) == {}


@pytest.mark.parametrize("budget", [30, 100, 1000, 5000])
def test_the_chosen_sizes_never_cost_more_than_the_margin_leaves(budget: float) -> None:
    options = make_options(a=(10, 40, 400), b=(20, 25, 2000), c=(5, 500, 501))
    chosen = choose_sizes(options, budget)
    assert sum(option.seconds for option in chosen.values()) <= MARGIN * budget


def test_smallest_sizes_run_first_then_those_aimed_for_the_cheapest_first() -> None:
    options = make_options(a=(10, 200), b=(20, 40), c=(5, 5000))
    reached: dict[str, str] = {}
    steps = []
    step = choose_next(options, reached, 1000)
    while step is not None:
        steps.append((step.study, step.size))
        reached[step.study] = step.size
        place = SIZES.index(step.size)
        larger = [option for option in options[step.study] if SIZES.index(option.size) > place]
        options[step.study] = [replace(step, seconds=0.0), *larger]
        step = choose_next(options, reached, 1000)
    assert steps == [("c", "demo"), ("a", "demo"), ("b", "demo"), ("b", "30m"), ("a", "30m")]


def test_nothing_runs_where_nothing_fits() -> None:
    assert choose_next(make_options(a=(10,)), {}, 1) is None


def test_predictions_follow_what_was_measured() -> None:
    pace = Pace()
    assert pace.ratio("a") == 1
    pace.record("a", predicted=10, measured=40)
    assert pace.ratio("a") == 4 == pace.ratio("b")
    pace.record("b", predicted=10, measured=20)
    assert pace.ratio("b") == 2 and pace.ratio("c") == 3
    assert pace.correct(SizeOption("c", "demo", 1, 1, 10.0)).seconds == 30


# --- plans --------------------------------------------------------------------------------------


def test_every_study_with_claims_is_planned_up_to_the_size_of_the_budget(tmp_path) -> None:
    composed = module.compose_studies(None, "demo", [f"results={tmp_path}"])
    files = (ROOT / "sweeps").glob("*.yaml")
    assert set(composed) == {path.stem for path in files if "claims:" in path.read_text()}
    assert all(len(sizes) == 1 for sizes in composed.values())


def test_the_full_budget_plans_the_largest_size_alone(tmp_path) -> None:
    composed = module.compose_studies(["bfc_chain"], "full", [f"results={tmp_path}"])
    assert list(composed["bfc_chain"]) == ["full"]
    assert all(job.job.results == str(tmp_path) for job in composed["bfc_chain"]["full"])


def test_a_plan_runs_nothing(tmp_path) -> None:
    done = typer.testing.CliRunner().invoke(
        cli.application(),
        ["reproduce", "--study", "bfc_chain", "--plan", "-f", str(tmp_path / "x")],
    )
    assert done.exit_code == 0 and "aimed for" in done.output, done.output
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("budget", "study", "cores", "sentence"),
    [
        ("30m", "bfc_chian", 1, "no such study; did you mean bfc_chain"),
        ("demo", "bfc_chain", 1, "must be full, or minutes"),
        ("30m", "bfc_chain", 0, "--cores=0: must be an integer >= 1"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_nothing_is_written(
    tmp_path, budget, study, cores, sentence
) -> None:
    with pytest.raises(UserError, match=sentence):
        module.reproduce(budget, str(tmp_path / "x"), [study], cores, False)
    assert not (tmp_path / "x").exists()


# --- whole runs ---------------------------------------------------------------------------------


def reproduce_chain(folder: Path) -> int:
    return module.reproduce("30m", str(folder), ["bfc_chain"], 1, False, TINY)


def test_from_an_empty_store_to_a_page_and_again_without_training(tmp_path, capfd) -> None:
    assert reproduce_chain(tmp_path / "all") == 0
    first = capfd.readouterr().out
    assert "bfc_chain, size demo: 4 of 4 jobs" in first and "bfc_chain, size 30m" in first
    assert (tmp_path / "all" / "report" / "index.html").is_file()
    claims = pd.read_csv(tmp_path / "all" / "report" / "claims.csv")
    assert len(claims) == 6 and set(claims) >= CLAIM_COLUMNS
    assert set(claims["verdict"]) <= {"reproduced", "contradicted", "undecided", "not run"}
    assert (claims["measured"].notna() == (claims["verdict"] != "not run")).all()
    assert reproduce_chain(tmp_path / "all") == 0
    assert "size demo: 0 of 4 jobs" in capfd.readouterr().out


def test_a_study_that_fails_is_not_tried_again(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(module, "run_study", lambda *_: 3)
    monkeypatch.setattr(module, "write_page", lambda _: None)
    assert reproduce_chain(tmp_path / "all") == 1
    assert capsys.readouterr().out.count("jobs to run") == 1


def test_at_the_end_of_the_budget_the_study_is_interrupted_and_its_work_kept(
    tmp_path, monkeypatch
) -> None:
    """The study is asked for far more than fits; time is up as soon as a cell trains."""
    results = tmp_path / "r"

    class ImpatientPopen(subprocess.Popen):
        """Times out at the first wait, once a checkpoint is written."""

        has_waited = False

        def wait(self, timeout=None):
            if self.has_waited:
                return super().wait(timeout)
            self.has_waited = True
            wait_until(lambda: list(results.glob("*/checkpoint.pt")), self)
            raise subprocess.TimeoutExpired(self.args, timeout)

    monkeypatch.setattr(module.subprocess, "Popen", ImpatientPopen)
    slow = [
        *TINY,
        "schedule.steps=200000",
        "schedule.check_every=100",
        "compute.checkpoint_seconds=0",
        f"results={results}",
    ]
    step = SizeOption("bfc_chain", "demo", 4, 4, 1.0)
    assert module.run_study(step, slow, 1, time.monotonic() + 1e6) == 0
    states = [json.loads(path.read_text())["state"] for path in results.glob("*/status.json")]
    assert states and "done" not in states and list(results.glob("*/checkpoint.pt"))
