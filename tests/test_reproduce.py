"""All claims within a budget, on the command line and with real trainings.

The run starts from an empty store, is cut short, goes on, and is refused where an option is wrong.
What is chosen is the subject of tests/test_moves.py and tests/test_spending.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest
import typer.testing
from commands import MAX_SECONDS, ROOT, wait_until

from bfc import cli
from bfc.application import claim_states
from bfc.application import reproduce as module
from bfc.application.budget import budget_seconds, considered_sizes
from bfc.application.claim_reads import select_jobs, select_required
from bfc.application.study_jobs import StudyJobs, extend_job, is_finished
from bfc.application.study_list import list_studies
from bfc.errors import UserError
from bfc.experiment.run_job import run_job
from bfc.studies import SIZES

TINY = (
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


# --- budgets ------------------------------------------------------------------------------------


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
    ("budget", "largest"),
    [
        ("demo", "demo"),
        ("5m", "30m"),
        ("30m", "30m"),
        ("31m", "4h"),
        ("4h", "4h"),
        ("5h", "full"),
        ("full", "full"),
    ],
)
def test_sizes_beyond_the_budget_are_not_considered(budget: str, largest: str) -> None:
    assert considered_sizes(SIZES, budget)[-1] == largest
    assert considered_sizes(SIZES, budget)[0] == "demo"
    assert considered_sizes(["full", "notes"], budget) == ["full"], "the smallest in any case"


def test_a_budget_that_the_page_takes_is_refused_before_anything_is_composed(tmp_path) -> None:
    with mock.patch.object(StudyJobs, "of_size") as compose:
        with pytest.raises(UserError, match=r"--budget 0.5m: must be more than \d+ s.* --study"):
            module.reproduce("0.5m", str(tmp_path / "new"), None, 1, False)
    assert not compose.called and not (tmp_path / "new").exists()


def test_a_budget_in_which_nothing_can_run_says_so(tmp_path) -> None:
    with mock.patch.object(module.time, "monotonic", side_effect=[0.0, *[59.0] * 99]):
        with pytest.raises(UserError, match=r"--budget 1m: does not suffice for a first look at"):
            module.reproduce("1m", str(tmp_path / "new"), ["bfc_chain"], 1, False)
    assert not (tmp_path / "new").exists()


# --- what claims read ---------------------------------------------------------------------------


def test_every_study_with_claims_takes_part(tmp_path) -> None:
    files = (ROOT / "sweeps").glob("*.yaml")
    studies = list_studies(None, "30m", tmp_path, board="all")
    assert {study.name for study in studies} == {
        path.stem for path in files if "claims:" in path.read_text()
    }


def test_the_board_of_the_papers_holds_their_claims_and_later_studies_have_boards(tmp_path) -> None:
    papers = list_studies(None, "30m", tmp_path)
    assert sum(len(study.claims) for study in papers) == 153
    frontier = list_studies(None, "30m", tmp_path, board="frontier")
    assert frontier and not {study.name for study in frontier} & {study.name for study in papers}
    chosen = list_studies([frontier[0].name], "30m", tmp_path)
    assert [study.name for study in chosen] == [frontier[0].name], "--study takes from any board"
    with pytest.raises(UserError, match="--board paper: no such board; did you mean papers"):
        list_studies(None, "30m", tmp_path, board="paper")


def test_the_cells_of_a_claim_follow_from_its_thresholds(tmp_path) -> None:
    (study,) = list_studies(["bfc_chain"], "30m", tmp_path)
    jobs = study.jobs.of_size("demo")
    schedules = []
    for claim in study.claims:
        required = select_required(claim.claim, jobs)
        assert required is not None
        schedules.append(" ".join(job.job.schedule.name for job in required))
    assert schedules == [
        "staged",
        "staged",
        "staged level2_only",
        "staged",
        "staged layerwise",
        "staged refit",
    ]
    elsewhere = StudyJobs("bfc_chain", ["demo"], tmp_path, ["target.d=8"]).of_size("demo")
    assert all(select_required(claim.claim, elsewhere) is None for claim in study.claims)


def test_a_part_of_a_law_selects_no_target_whose_law_is_a_name(tmp_path) -> None:
    """The claim about a mixture reads the cells of that mixture, not those of every law."""
    (study,) = list_studies(["bfc_robust"], "30m", tmp_path)
    (claim,) = [claim.claim for claim in study.claims if "mixture" in claim.claim["statement"]]
    read = select_jobs(claim, study.jobs.of_size("30m"))
    laws = [job.cells[0].config["target"]["law"] for job in read]
    assert len(laws) == 2 and all(law["components"] == 3 for law in laws)


def test_more_seeds_are_asked_of_the_same_cell(tmp_path) -> None:
    """Stored trainings are used again, and the request of the largest size is the one extended."""
    jobs = StudyJobs("bfc_chain", ["demo", "30m"], tmp_path / "r", TINY[:-3])
    (job, *_) = jobs.of_size("demo")
    tiny = extend_job(StudyJobs("bfc_chain", ["demo"], tmp_path / "r", TINY).of_size("demo")[0], 3)
    run_job(tiny.job)
    assert is_finished(tiny)
    (spec,) = tiny.cells
    more = extend_job(tiny, 5)
    assert not is_finished(more) and more.cells[0].cell_id == spec.cell_id
    assert more.job.measure.seeds == tuple(range(5))
    assert more.overrides[-1] == "measure.seeds=5"
    assert sum(text.startswith("measure.seeds=") for text in more.overrides) == 1
    assert [t.seed for t in more.job.measure.next_round(rows_of(tmp_path, spec.cell_id))] == [3, 4]
    assert job.job.measure.seeds == tuple(range(16))


def rows_of(tmp_path: Path, cell_id: str) -> list[dict]:
    table = pd.read_parquet(tmp_path / "r" / cell_id / "trainings.parquet")
    return table.to_dict("records")


# --- plans --------------------------------------------------------------------------------------


def invoke(*arguments: str) -> typer.testing.Result:
    return typer.testing.CliRunner().invoke(cli.application(), arguments)


def test_a_plan_runs_nothing_and_says_what_is_unknown(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("bfc.application.claim_plan.load_pilots", dict)
    done = invoke("reproduce", "--study", "bfc_chain", "--plan", "-f", str(tmp_path / "x"))
    assert done.exit_code == 0, done.output
    text = " ".join(done.output.replace("│", " ").split())
    assert "unknown before the first" in text and "level2_only" in text
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


def test_without_plotly_the_extra_is_named_before_anything_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    done = invoke("reproduce", "--study", "bfc_chain", "-f", str(tmp_path / "x"))
    assert str(done.exception) == (
        "bfc reproduce: the package plotly is not installed; pip install 'bfc[page]'"
    )
    assert not list(tmp_path.iterdir())


# --- whole runs ---------------------------------------------------------------------------------


def test_from_an_empty_store_to_a_page_and_again_without_training(
    tmp_path, capfd, monkeypatch
) -> None:
    """The tiny trainings of the claims are extended until their looks are used up, of which two are
    enough here; a second call finds nothing to do. Then the plan names what is decided."""
    monkeypatch.setattr(claim_states, "MAX_LOOKS", 2)
    folder = tmp_path / "all"
    assert reproduce_chain(folder) == 0
    first = capfd.readouterr().out
    assert "bfc_chain, first look: 4 jobs" in first
    assert (folder / "report" / "index.html").is_file()
    claims = pd.read_csv(folder / "report" / "claims.csv")
    assert len(claims) == 6 and set(claims) >= CLAIM_COLUMNS
    assert set(claims["verdict"]) <= {"reproduced", "contradicted", "undecided", "not run"}
    assert (claims["measured"].notna() == (claims["verdict"] != "not run")).all()
    seeds = claims["source"].str.extract(r"(\d+) seeds")[0].astype(float)
    assert seeds.max() > 3, "no claim was given more seeds"
    assert claims["look"].max() == 2
    assert claims["command"].str.contains("study.size=demo measure.seeds=").any()
    monkeypatch.setattr(module, "write_page", lambda root, unfinished: None)
    assert reproduce_chain(folder) == 0
    again = capfd.readouterr().out
    assert "decided" in again and " job" not in again, again
    done = invoke("plan", "--claims", "+sweeps=bfc_chain", "-r", str(folder / "results"))
    assert done.exit_code == 0 and "it is decided" in " ".join(done.output.split()), done.output


def reproduce_chain(folder: Path) -> int:
    return module.reproduce("30m", str(folder), ["bfc_chain"], 1, False, TINY)


SLOW = (
    *(text for text in TINY if not text.startswith("schedule.")),
    "schedule.steps=200000",
    "schedule.check_every=100",
    "compute.checkpoint_seconds=0",
)
"""Far more than any test waits for."""


def test_an_interrupt_keeps_the_work_and_writes_the_page(tmp_path) -> None:
    """It comes once one cell is stored and another has a checkpoint."""
    folder = tmp_path / "all"
    (job, *_) = StudyJobs("bfc_chain", ["demo"], folder / "results", TINY).of_size("demo")
    run_job(job.job)
    command = [sys.executable, "-m", "bfc.cli", "reproduce", "--cores", "1", "-s", "bfc_chain"]
    process = subprocess.Popen(
        [*command, "-b", "full", "-f", str(folder), *SLOW],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=restore_interrupts,
    )
    wait_until(lambda: list(folder.glob("results/*/checkpoint.pt")), process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=MAX_SECONDS)
    assert process.returncode == 130 and "goes on where this one stopped" in out
    assert (folder / "report" / "index.html").is_file()
    states = [
        json.loads(path.read_text())["state"] for path in folder.glob("results/*/status.json")
    ]
    assert sorted(states)[0] == "done" and "running" in states
    assert list(folder.glob("results/*/checkpoint.pt"))


def restore_interrupts() -> None:
    """Processes that a shell put in the background ignore interrupts, and so do all they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_a_second_one_ends_the_process(number) -> None:
    earlier = signal.getsignal(number)
    with module.StopRequest.listening() as stop:
        assert not stop.is_set
        signal.raise_signal(number)
        assert stop.is_set and signal.getsignal(number) is signal.SIG_DFL
    assert signal.getsignal(number) == earlier
