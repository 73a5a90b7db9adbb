"""Dashboards as code: built from a store, checked and serialised offline.

They are saved when logged in, and saved over when saved again. W&B's own agent drives the entry
point with the example of the docs.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from commands import MAX_SECONDS, container, environment, run, store, table
from synthetic import write_cell
from tracker_cases import BOTH, KEY, bfc, is_probed, log_in, log_out, risk_points
from wandb_server import serving

from analysis.snapshots import list_study_images, snapshot_cell, snapshot_study
from bfc.errors import UserError
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.snapshot import metric_level
from bfc.stats.outcomes import Outcome
from bfc.trackers.dashboard import read_contents
from bfc.trackers.dashboard_panels import DashboardContents, build_sections

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of pydantic, in wandb-workspaces
    pytest.mark.skipif(
        importlib.util.find_spec("wandb_workspaces") is None,
        reason="wandb-workspaces is not installed",
    ),
]

EXAMPLE = yaml.safe_load(
    (Path(__file__).parents[1] / "docs" / "examples" / "wandb_agent.yaml").read_text()
)
TITLES = [
    "Sample complexity",
    "Risk against n",
    "Feature correction",
    "Figures of the study",
    "Failures",
    "Cost",
    "Tables",
]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dashboard")
    assert run(*BOTH, "+study={name: boarded, size: demo}", cwd=folder).status == 0
    return folder / "results"


def cell_folders(results: Path) -> list[Path]:
    return [folder for folder in results.iterdir() if (folder / "config.yaml").is_file()]


def metrics_read(view: dict) -> set[str]:
    """The metrics and configuration keys that a serialised dashboard reads.

    Configuration keys have ``config`` before them.
    """
    text = json.dumps(view)
    metrics = set(re.findall(r'"(?:summary:|summary_metrics\.)([^"]+)"', text))
    return metrics | {f"config {name}" for name in re.findall(r'"config:(\w+)\.value"', text)}


def media_read(view: dict) -> set[str]:
    """The figures that a serialised dashboard shows."""
    media: set[str] = set()
    for keys in re.findall(r'"mediaKeys": (\[[^]]*\])', json.dumps(view)):
        media |= set(json.loads(keys))
    return media


def test_it_reads_only_what_a_cell_shows(results) -> None:
    """A panel with a misspelt name would stay empty for ever."""
    done = bfc("dashboard", "boarded", "results", "-o", "board.json", cwd=results.parent)
    assert (done.status, done.out) == (0, "board.json\n")
    board = json.loads((results.parent / "board.json").read_text())
    known = {f"outcome/{outcome}" for outcome in Outcome}
    figures: set[str] = set()
    for folder in cell_folders(results):
        snapshot = snapshot_cell(folder, "boarded")
        known |= set(snapshot.summary) | {f"config {key}" for key in snapshot.config}
        figures |= {f"figures/{name}" for name in snapshot.images}
    whole = snapshot_study(results, "boarded")
    known |= set(whole.summary)
    figures |= {f"figures/{name}" for name in whole.images}
    for view in (board["workspace"], board["report"]):
        metrics = metrics_read(view)
        assert {"config d", "nstar/eps_0_9", "nstar/eps_0_5", "seconds"} <= metrics <= known
        assert media_read(view) == figures
    sections = board["workspace"]["spec"]["section"]["panelBankConfig"]["sections"]
    assert [section["name"] for section in sections] == TITLES


def test_every_probe_and_level_has_its_panel(results) -> None:
    contents = read_contents("boarded", results)
    assert contents.eps == (0.9, 0.5)
    probes: set[str] = set()
    for folder in cell_folders(results):
        for row in table(folder):
            probes |= {column for column in row if is_probed(column, row)}
    assert set(contents.probes) == probes
    panels = {section.title: section.panels for section in build_sections(contents)}
    assert len(panels["Sample complexity"]) == 4
    metrics: set[str] = set()
    for panel in panels["Feature correction"]:
        metrics |= {metric.name for metric in getattr(panel, "metrics", [])}
    assert metrics == {f"probe/{name}" for name in contents.probes}


def test_the_claims_of_a_study_are_its_first_section(tmp_path) -> None:
    """Its board, figures and verdicts are those that the run of the whole study has."""
    for d in (8, 16):
        write_cell(tmp_path, f"cell{d}", study="bfc_chain", d=d, grid=(150, 300), seeds=2)
    whole = snapshot_study(tmp_path, "bfc_chain")
    images = list_study_images(tmp_path, "bfc_chain")
    assert images[0] == "board" and set(images) == set(whole.images) and len(images) > 1
    contents = DashboardContents("bfc_chain", (0.1,), (), tuple(images))
    claims, *others = build_sections(contents)
    board, verdicts = claims.panels
    assert (claims.title, board.media_keys) == ("Claims", ["figures/board"])
    known = {name for name in whole.summary if name.startswith("claims/")}
    assert known <= {metric.name for metric in verdicts.metrics}
    panels = {section.title: section.panels for section in others}["Figures of the study"]
    assert [panel.media_keys for panel in panels] == [[f"figures/{name}"] for name in images[1:]]


@pytest.mark.parametrize(
    ("eps", "name"),
    [
        (0.1, "eps_0_1"),
        (0.05, "eps_0_05"),
        (1e-5, "eps_0_00001"),
        (1.0, "eps_1"),
        (0.25, "eps_0_25"),
    ],
)
def test_levels_have_no_point_in_their_names(eps: float, name: str) -> None:
    assert metric_level(eps) == name


def test_saving_needs_a_login(results, monkeypatch, tmp_path) -> None:
    log_out(monkeypatch, tmp_path)
    refusal = bfc("dashboard", "boarded", "results", cwd=results.parent).out
    assert "not logged in to W&B; run `wandb login`" in refusal
    with pytest.raises(UserError, match="study bored: has no cell"):
        read_contents("bored", results)


def test_the_package_is_named_where_it_is_missing(results, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    refusal = bfc("dashboard", "boarded", "results", cwd=results.parent).out
    assert refusal == (
        "bfc dashboard: the package wandb-workspaces is not installed; "
        "pip install 'bfc[dashboard]'\n"
    )


def test_it_is_saved_and_saved_over(results, monkeypatch, tmp_path) -> None:
    shutil.copytree(results, tmp_path / "results")
    with serving() as server:
        log_in(monkeypatch, server.address)
        first = bfc("dashboard", "boarded", "results", cwd=tmp_path)
        assert first.status == 0, first.out
        assert {view["type"] for view in server.views.values()} == {"project-view", "runs"}
        again = bfc("dashboard", "boarded", "results", cwd=tmp_path)
        assert again.status == 0 and len(server.views) == 2, again.out
        assert re.findall(r"^(\w+): http", again.out, re.MULTILINE) == ["workspace", "report"]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


# --- W&B's agents -------------------------------------------------------------------------------


def example_value(node: dict) -> object:
    """One value of a parameter of the example."""
    if "value" in node:
        return node["value"]
    return node["values"][0] if "values" in node else node["min"]


def trial(name: str, **changes: object) -> dict:
    """What W&B's server hands to an agent: the example's parameters, one value each."""
    values = {key: example_value(node) for key, node in EXAMPLE["parameters"].items()}
    values |= changes
    return {
        "type": "run",
        "run_id": name,
        "program": EXAMPLE["program"],
        "args": {key: {"value": value} for key, value in values.items()},
    }


def test_the_examples_trials_are_jobs_of_one_cell() -> None:
    arguments = trial("t")["args"]
    job = load_job(container(*(f"{key}={node['value']}" for key, node in arguments.items())))
    assert len(cell_specs(job)) == 1 and job.tracker is not None
    metrics = {"risk/median", *(f"nstar/{metric_level(eps)}" for eps in job.measure.eps)}
    assert EXAMPLE["metric"]["name"] in metrics


def test_an_agent_drives_the_entry_point(tmp_path) -> None:
    """W&B's own agent with the example: a trial is its run, also where its cell was stored before.

    A trial shows one cell only.
    """
    small = {
        "target.d": 4,
        "schedule.steps": 20,
        "optimizer.warmup": 2,
        "optimizer.batch": 8,
        "measure.n": "[16]",
        "measure.seeds": 2,
        "probe": "none",
        "measure.test": 64,
        "compute.device": "cpu",
        "tracker.figures": "false",
    }
    kernel = {"baseline": "rbf", "baseline.n_max": 24, "baseline.ridge": 0.1}
    with serving() as server:
        server.sweep = yaml.safe_dump(EXAMPLE)
        server.trials = [trial("first", **small), trial("again", **small, **kernel)]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [sys.executable, "-m", "wandb", "agent", "me/search/abc"],
            cwd=tmp_path,
            env=environment(WANDB_BASE_URL=server.address, WANDB_API_KEY=KEY, PATH=path),
            timeout=MAX_SECONDS,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert "2 rows stored, 2 new" in done.stdout and "2 rows stored, 0 new" in done.stdout
    assert done.stdout.count("a trial of a W&B agent shows one cell") == 1
    [learner] = [rows for rows in store(tmp_path / "results").values() if len(rows) == 2]
    for name in ("first", "again"):
        tracked = server.runs["search", name]
        history = [tracked["history"][place] for place in sorted(tracked["history"])]
        assert risk_points(history) == risk_points(learner)
        assert tracked["exit"] == 0 and EXAMPLE["metric"]["name"] in tracked["summary"]
