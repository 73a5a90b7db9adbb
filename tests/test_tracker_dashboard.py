"""Dashboards as code: built from a store, checked and serialised offline, saved once when logged
in, and saved over when saved again."""

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
from commands import container, environment, run, store, table
from test_tracker import BOTH, KEY, points
from test_tracker_service import bfc
from wandb_server import serving

from analysis.snapshots import cell_view
from bfc.errors import UserError
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.snapshot import level
from bfc.stats.outcomes import judge
from bfc.trackers.dashboard import OUTCOMES, sections, shown_of

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


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dashboard")
    assert run(*BOTH, "+study={name: boarded, size: demo}", cwd=folder).status == 0
    return folder / "results"


def keys(node) -> set[str]:
    """Every metric, configuration key, table and figure that a serialised dashboard reads, with the
    kind before it."""
    text = json.dumps(node)
    found = set(re.findall(r'"(?:summary:|summary_metrics\.)([^"]+)"', text))
    return found | {f"config {name}" for name in re.findall(r'"config:(\w+)\.value"', text)}


def test_it_reads_only_what_a_cell_shows(results, tmp_path) -> None:
    """Every name in the workspace is one that some view has; a panel of a misspelt name would stay
    empty for ever."""
    done = bfc("dashboard", "boarded", "results", "-o", "board.json", cwd=results.parent)
    assert (done.status, done.out) == (0, "board.json\n")
    board = json.loads((results.parent / "board.json").read_text())
    views = [
        cell_view(folder, "boarded")
        for folder in results.iterdir()
        if (folder / "config.yaml").is_file()
    ]
    known = {
        name
        for view in views
        for name in (*view.summary, *(f"config {key}" for key in view.config))
    }
    for name in ("workspace", "report"):
        read = keys(board[name])
        assert {"config d", "nstar/eps_0_9", "nstar/eps_0_5", "seconds"} <= read
        assert read - {f"outcome/{outcome}" for outcome in OUTCOMES} <= known
        media = {f"figures/{image}" for view in views for image in view.images}
        assert {
            key
            for panel in re.findall(r'"mediaKeys": (\[[^]]*\])', json.dumps(board[name]))
            for key in json.loads(panel)
        } == media
    titles = [
        section["name"]
        for section in board["workspace"]["spec"]["section"]["panelBankConfig"]["sections"]
    ]
    assert titles == [
        "Sample complexity",
        "Risk against n",
        "Feature correction",
        "Failures",
        "Cost",
        "Tables",
    ]


def test_every_probe_and_level_has_its_panel(results) -> None:
    shown = shown_of("boarded", results)
    assert shown.eps == (0.9, 0.5)
    rows = [
        row
        for folder in results.iterdir()
        if (folder / "config.yaml").is_file()
        for row in table(folder)
    ]
    assert set(shown.probes) == {
        key for row in rows for key in row if "/" in key and row[key] not in (None, "nan")
    }
    panels = dict((title, own) for title, _, own in sections(shown))
    assert len(panels["Sample complexity"]) == 4
    shown_probes = {
        metric.name
        for panel in panels["Feature correction"]
        for metric in getattr(panel, "metrics", [])
    }
    assert shown_probes == {f"probe/{name}" for name in shown.probes}


def test_outcomes_are_those_of_the_judge() -> None:
    rows = [
        {"diverged": True, "risk": float("nan"), "n": 1},
        {"diverged": False, "risk": 0.0, "n": 1},
    ]
    rows += [
        {"diverged": False, "risk": 1.0, "train_risk": train, "n": 1, "fresh": False}
        for train in (0.0, 1.0)
    ]
    found = {judge(row, 0.1, confirming) for row in rows for confirming in ([], [1.0])}
    assert found == set(OUTCOMES)


@pytest.mark.parametrize(
    "eps, name",
    [
        (0.1, "eps_0_1"),
        (0.05, "eps_0_05"),
        (1e-5, "eps_0_00001"),
        (1.0, "eps_1"),
        (0.25, "eps_0_25"),
    ],
)
def test_levels_have_no_point_in_their_names(eps: float, name: str) -> None:
    assert level(eps) == name


def test_saving_needs_a_login(results, monkeypatch, tmp_path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert (
        "not logged in to W&B; run `wandb login`"
        in bfc("dashboard", "boarded", "results", cwd=results.parent).out
    )
    with pytest.raises(UserError, match="study bored: has no cell"):
        shown_of("bored", results)


def test_it_is_saved_and_saved_over(results, monkeypatch, tmp_path) -> None:
    shutil.copytree(results, tmp_path / "results")
    with serving() as server:
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        first = bfc("dashboard", "boarded", "results", cwd=tmp_path)
        assert first.status == 0, first.out
        saved = {view["type"]: (view["id"], view["spec"]) for view in server.views.values()}
        assert set(saved) == {"project-view", "runs"}
        again = bfc("dashboard", "boarded", "results", cwd=tmp_path)
        assert again.status == 0 and len(server.views) == 2, "no second view"
        assert re.findall(r"^(\w+): http", again.out, re.MULTILINE) == ["workspace", "report"]
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]


def trial(name: str, **changes: object) -> dict:
    """What W&B's server hands to an agent: the example's parameters, one value each."""
    values = {
        key: node.get("value", (node.get("values") or [node.get("min")])[0])
        for key, node in EXAMPLE["parameters"].items()
    }
    return {
        "type": "run",
        "run_id": name,
        "program": EXAMPLE["program"],
        "args": {key: {"value": value} for key, value in {**values, **changes}.items()},
    }


def test_the_examples_trials_are_jobs_of_one_cell() -> None:
    job = load_job(
        container(*(f"{key}={value['value']}" for key, value in trial("t")["args"].items()))
    )
    assert len(cell_specs(job)) == 1 and job.tracker is not None
    assert EXAMPLE["metric"]["name"] in (
        "risk/median",
        *(f"nstar/{level(eps)}" for eps in job.measure.eps),
    )


def test_an_agent_drives_the_entry_point(tmp_path) -> None:
    """W&B's own agent with the example: a trial is its run, also where its cell was stored before,
    and of one cell only."""
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
        logged_in = environment(WANDB_BASE_URL=server.address, WANDB_API_KEY=KEY, PATH=path)
        done = subprocess.run(
            [sys.executable, "-m", "wandb", "agent", "me/search/abc"],
            cwd=tmp_path,
            env=logged_in,
            timeout=240,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert "2 rows stored, 2 new" in done.stdout and "2 rows stored, 0 new" in done.stdout
    assert done.stdout.count("a trial of a W&B agent shows one cell") == 1
    rows = store(tmp_path / "results")
    learner = next(own for own in rows.values() if len(own) == 2)
    for name in ("first", "again"):
        told = server.runs["search", name]
        assert points([told["history"][i] for i in sorted(told["history"])]) == points(learner)
        assert told["exit"] == 0 and EXAMPLE["metric"]["name"] in told["summary"]
