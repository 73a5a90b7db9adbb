"""Weights & Biases as a view: written offline without key or network, equal to the store record by
record, one run per cell, resumed after a kill, and with no key in any file."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from commands import TINY, command, environment, process, run, store, table
from wandb_records import history, plain, records, runs, written

from analysis.snapshots import cell_view
from bfc.errors import UserError
from bfc.experiment.components import component
from bfc.experiment.learner_run import LearnerRun
from bfc.trackers import wandb as ours
from bfc.trackers.upload_log import fingerprint
from bfc.trackers.wandb import Wandb

BOTH = (
    *(t for t in TINY if t != "probe=none"),
    "baseline=rbf",
    "baseline.n_max=24",
    "baseline.ridge=0.1",
    "measure.eps=[0.9,0.5]",
)
KEY = "0123456789abcdef" * 2 + "01234567"
"""Not a key of anyone, but of the form of one."""
TABLES = {"trainings", "learning_curves", "risk_per_n", "nstar"}


def points(rows: list[dict]) -> list[tuple]:
    return [
        (row["n"], row["seed"], float(row["risk"])) for row in rows if row.get("risk") is not None
    ]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory) -> Path:
    """A sweep of two learners beside one baseline under the tracker, without a key, and the same
    without the tracker."""
    folder = tmp_path_factory.mktemp("tracked")
    study = "+study={name: try, size: small, sizes: {small: [{target.d: 4}]}}"
    line = ("-m", *BOTH, "schedule=staged,joint", "hydra/launcher=basic", study)
    done = process(*line, "tracker=wandb", cwd=folder)
    assert done.status == 0 and "tracker" not in done.out, done
    assert process(*line, "results=untracked", cwd=folder).status == 0
    return folder


def test_the_store_is_the_same_with_and_without_the_tracker(tracked) -> None:
    assert (
        store(tracked / "results") == store(tracked / "untracked")
        and len(store(tracked / "results")) == 3
    )
    for name in ("config.yaml", "requests.json"):
        for path in (tracked / "results").glob(f"*/{name}"):
            assert (
                path.read_bytes() == (tracked / "untracked" / path.parent.name / name).read_bytes()
            )
    assert {path.name for path in tracked.iterdir()} == {"results", "untracked", "wandb"}


def test_a_sweep_has_one_run_per_cell_and_one_for_the_study(tracked) -> None:
    found = runs(tracked)
    assert set(found) == {*store(tracked / "results"), "study"} and all(
        len(paths) == 1 for paths in found.values()
    )


def test_a_run_says_what_it_is(tracked) -> None:
    for cell in store(tracked / "results"):
        [path] = runs(tracked)[cell]
        start = next(record.run for record in records(path) if record.HasField("run"))
        config = yaml.safe_load((tracked / "results" / cell / "config.yaml").read_text())
        made = json.loads((tracked / "results" / cell / "environment.json").read_text())
        told = {key: value for key, value in plain(start.config.update).items() if key != "_wandb"}
        assert told == {**config, "study": "try"}
        assert (
            start.run_id == cell
            and start.job_type == config["kind"]
            and start.project == "try"
            and start.run_group == "small"
        )
        assert start.display_name == f"{config['method']} d=4 L=3" and start.git.commit == (
            made["commit"] or ""
        )
        how = config["schedule"]["name"] if config["schedule"] else config["method"]
        assert set(start.tags) == {
            "quadratic_densenet",
            how,
            *([made["commit"][:10]] if made["commit"] else []),
        }
        assert [record.exit.exit_code for record in records(path) if record.HasField("exit")] == [0]


def test_a_run_holds_what_the_store_holds_in_the_order_of_storing(tracked) -> None:
    for cell, rows in store(tracked / "results").items():
        [path] = runs(tracked)[cell]
        told = history(path)
        assert points(told) == points(rows) and len(rows) >= 4
        assert [row["_step"] for row in told] == list(range(1, len(rows) + 1))
        trainings = [row["trainings"] for row in told]
        assert trainings == sorted(trainings) and trainings[-1] == len(
            {(r["kind"] == "curve" or r["n"], r["seed"]) for r in rows}
        )
        probes = [key for key in rows[0] if "/" in key and rows[0][key] not in (None, "nan")]
        assert all(told[0][key] == rows[0][key] for key in probes) and bool(probes) == (
            rows[0]["kind"] == "training"
        )


def test_every_metric_is_drawn_against_trainings(tracked) -> None:
    for [path] in runs(tracked).values():
        metrics = {
            m.metric.name or m.metric.glob_name: m.metric.step_metric
            for m in records(path)
            if m.HasField("metric")
        }
        assert metrics["*"] == "trainings" and "trainings" in metrics


def test_tables_and_figures_of_a_run_are_those_of_the_store(tracked) -> None:
    for cell, rows in store(tracked / "results").items():
        [path] = runs(tracked)[cell]
        kind = yaml.safe_load((tracked / "results" / cell / "config.yaml").read_text())["kind"]
        tables = written(path, "table")
        assert set(tables) == TABLES | ({"probes"} if kind == "learner" else set())
        lines = [
            dict(zip(tables["trainings"]["columns"], line, strict=True))
            for line in tables["trainings"]["data"]
        ]
        assert points(lines) == points(rows) and [line["outcome"] for line in lines] == [
            row["outcome"] for row in rows
        ]
        assert [line[2] for line in tables["risk_per_n"]["data"]] == sorted(
            line[2] for line in tables["risk_per_n"]["data"]
        ) or len(tables["risk_per_n"]["data"]) >= 2
        images = {
            p.name.rsplit("_", 2)[0] for p in path.parent.glob("files/media/images/figures/*.png")
        }
        assert images == ({"risk", "correction"} if kind == "learner" else {"risk"})
        summary = {}
        for record in records(path):
            if record.HasField("summary"):
                summary |= plain(record.summary.update)
        assert {
            f"{name}/eps_{eps}"
            for eps in ("0_9", "0_5")
            for name in ("nstar", "nstar_lo", "nstar_hi")
        } <= set(summary)
        assert summary["state"] == "done" and summary["trainings"] == history(path)[-1]["trainings"]
        outcomes = Counter(row["outcome"] for row in rows)
        assert {
            key.removeprefix("outcome/"): value
            for key, value in summary.items()
            if key.startswith("outcome/")
        } == outcomes
        assert {p.name for p in path.parent.glob("files/cell/*")} >= {
            "config.yaml",
            "environment.json",
        }


def test_the_risk_per_n_is_the_median_over_seeds(tracked) -> None:
    for cell, rows in store(tracked / "results").items():
        shown = cell_view(tracked / "results" / cell, "try").tables["risk_per_n"]
        for line in shown.to_dict("records"):
            risks = sorted(row["risk"] for row in rows if row["n"] == line["n"])
            assert line["seeds"] == len(risks) and line["median"] in risks
            assert line["share<=0.9"] == sum(risk <= 0.9 for risk in risks) / len(risks)


def test_the_study_has_exponents_claims_and_figures(tracked) -> None:
    [path] = runs(tracked)["study"]
    tables = written(path, "table")
    assert set(tables["nstar"]["columns"]) >= {"cell_id", "nstar", "lo", "hi"}
    assert {
        line[tables["nstar"]["columns"].index("cell_id")] for line in tables["nstar"]["data"]
    } == set(store(tracked / "results"))
    start = next(record.run for record in records(path) if record.HasField("run"))
    assert (start.project, start.job_type, start.run_id) == ("try", "study", "study")
    assert list(path.parent.glob("files/media/images/figures/*.png"))


def test_the_reader_of_these_tests_agrees_with_the_one_of_wandb(tracked) -> None:
    [path] = next(iter(runs(tracked).values()))
    tool = [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", "--json", str(path)]
    if not Path(tool[0]).exists():
        tool[:1] = [sys.executable, "-m", "wandb"]
    done = subprocess.run(tool, capture_output=True, text=True, env=environment(), timeout=60)
    if done.returncode:
        pytest.skip("this version of wandb has no `leet inspect`")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    theirs = [line for line in lines if line["type"] == "history"]
    assert len(theirs) == len(history(path)) > 0
    assert sum('"risk"' in json.dumps(line) for line in theirs) == len(
        [row for row in history(path) if "risk" in row]
    )


def test_running_again_makes_no_new_run_until_there_is_something_new(tracked, tmp_path) -> None:
    shutil.copytree(tracked / "results", tmp_path / "results")
    line = [*BOTH, "+study={name: try, size: small}", "tracker=wandb"]
    done = process(*line, cwd=tmp_path)
    assert (
        done.status == 0
        and done.out.count(", 0 new") == 2
        and {p.name for p in tmp_path.iterdir()} == {"results"}
    )
    done = process(*line, "measure.seeds=3", cwd=tmp_path)
    assert done.status == 0 and ", 2 new" in done.out, done
    for cell, [path] in runs(tmp_path).items():
        assert points(history(path)) == points(table(tmp_path / "results" / cell)), (
            "the whole cell again: offline runs never resume"
        )


def test_a_changed_view_has_another_fingerprint(tracked, tmp_path) -> None:
    shutil.copytree(tracked / "results", tmp_path / "results")
    cell = tmp_path / "results" / next(iter(store(tracked / "results")))
    before = fingerprint([cell])
    (cell / "checkpoint.pt").write_text("no part of the view")
    assert fingerprint([cell]) == before
    requests = json.loads((cell / "requests.json").read_text())
    (cell / "requests.json").write_text(json.dumps([*requests, {"study": "another", "eps": [0.1]}]))
    assert fingerprint([cell]) != before


def test_a_key_is_in_no_file(tmp_path) -> None:
    """Neither the one W&B was given nor another secret of the environment that stands in an
    uncommitted change or an error."""
    done = process(
        *BOTH,
        "tracker=wandb",
        "tracker.directory=elsewhere",
        cwd=tmp_path,
        WANDB_API_KEY=KEY,
        WANDB_MODE="offline",
    )
    assert done.status == 0 and KEY not in done.out + done.err
    paths = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in paths) and len(paths) > 15
    assert not [path for path in paths if KEY.encode() in path.read_bytes()]
    assert {path.name for path in tmp_path.iterdir()} == {"results", "elsewhere"}


def test_secrets_of_the_environment_are_taken_out_of_what_is_stored(monkeypatch) -> None:
    from bfc.environment import scrub

    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh")
    monkeypatch.setenv("EMPTY_TOKEN", "")
    assert (
        scrub(f"+key = '{KEY}'\n+token: hf_abcdefgh")
        == "+key = '<WANDB_API_KEY>'\n+token: <HF_TOKEN>"
    )


@pytest.mark.parametrize("change", [{"api_key": KEY}, {"key": KEY}])
def test_a_key_in_a_configuration_is_refused_and_not_repeated(change: dict, node) -> None:
    with pytest.raises(UserError, match="no such key") as refusal:
        component("tracker", {**node("tracker", "wandb"), **change})
    assert KEY not in str(refusal.value)


@pytest.mark.parametrize(
    "mode, variables, reachable, expected",
    [
        ("auto", {}, True, "offline"),
        ("auto", {"WANDB_API_KEY": KEY}, True, "online"),
        ("auto", {"WANDB_API_KEY": KEY}, False, "offline"),
        ("auto", {"WANDB_API_KEY": KEY, "WANDB_MODE": "offline"}, True, "offline"),
        ("auto", {"WANDB_MODE": "disabled"}, True, "disabled"),
        ("offline", {"WANDB_API_KEY": KEY}, True, "offline"),
        ("online", {}, False, "online"),
        ("disabled", {"WANDB_API_KEY": KEY, "WANDB_MODE": "online"}, True, "disabled"),
    ],
)
def test_it_is_offline_unless_there_is_a_key_and_a_network(
    mode, variables, reachable, expected, monkeypatch, tmp_path
) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ours, "answers", lambda: reachable)
    assert Wandb(mode=mode).resolved() == expected
    assert (Wandb(mode=mode).destination("s") is None) == (expected == "disabled")


def test_a_login_of_wandb_counts_as_a_key(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert not ours.has_key()
    (tmp_path / "netrc").write_text(f"machine api.wandb.ai login user password {KEY}\n")
    (tmp_path / "netrc").chmod(0o600)
    assert ours.has_key()


def test_training_never_imports_wandb(tmp_path) -> None:
    code = (
        "import sys; sys.argv = ['bfc-train', *sys.argv[1:]]; from bfc.train import main; main(); "
        "assert not {'wandb', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *TINY, "tracker=wandb"],
        cwd=tmp_path,
        env=environment(),
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and list(tmp_path.glob("wandb/offline-run-*")), done.stderr


def test_a_failed_cell_is_shown_as_failed_and_its_end_as_done(tmp_path, monkeypatch) -> None:
    """What failed must be seen where people look, and mended there when the cell is."""

    def broken(self) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(LearnerRun, "_judge", broken)
    with pytest.raises(ZeroDivisionError):
        run(*TINY, "tracker=wandb", cwd=tmp_path)
    monkeypatch.undo()
    assert run(*TINY, "tracker=wandb", cwd=tmp_path).status == 0
    [(cell, paths)] = runs(tmp_path).items()
    assert [
        record.exit.exit_code
        for path in paths
        for record in records(path)
        if record.HasField("exit")
    ] == [1, 0]
    told = [
        plain(record.summary.update) for record in records(paths[0]) if record.HasField("summary")
    ]
    assert any(part.get("error") == "ZeroDivisionError: a fault" for part in told)
    assert all(
        points(history(path)) == points(table(tmp_path / "results" / cell)) for path in paths
    )


def test_one_process_shows_the_cells_of_several_folders_each_in_its_own(tmp_path) -> None:
    """W&B's own process keeps the working directory in which it was started, ours may change it."""
    for name in ("first", "second"):
        assert run(*TINY, "tracker=wandb", "tracker.figures=false", cwd=tmp_path / name).status == 0
    for name in ("first", "second"):
        assert list(runs(tmp_path / name)) == list(store(tmp_path / name / "results"))


def test_a_killed_and_resumed_cell_is_shown_whole(tmp_path) -> None:
    """kill -9 in the middle of a cell that is shown while it runs: the last run holds every
    training once, in order."""
    slow, live = (
        [*TINY, "schedule.steps=500", "measure.seeds=3", "compute.stack=1"],
        ["tracker=wandb", "tracker.live=true"],
    )
    worker = subprocess.Popen(
        command(*slow, *live),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while time.monotonic() < until and not runs(tmp_path):
        assert worker.poll() is None, "it must be killed before it ends"
        time.sleep(0.02)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    [cell] = [
        path.name for path in (tmp_path / "results").iterdir() if not path.name.startswith(".")
    ]
    stored = table(tmp_path / "results" / cell)
    assert 0 < len(stored) < 6
    done = process(*slow, *live, cwd=tmp_path)
    assert done.status == 0 and "tracker" not in done.out, done
    rows = table(tmp_path / "results" / cell)
    *_, last = runs(tmp_path)[cell]
    assert points(history(last)) == points(rows) and len(rows) == 6
    assert [row["_step"] for row in history(last)] == list(range(1, 7))
    untracked = process(*slow, "results=untracked", cwd=tmp_path)
    assert untracked.status == 0 and store(tmp_path / "untracked") == store(tmp_path / "results")
