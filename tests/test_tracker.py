"""Weights & Biases as a view: written offline without a key or a network.

It equals the store record by record, with one run per cell, is resumed after a kill, and no file
holds a key.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
import yaml
from commands import (
    TINY,
    command,
    environment,
    has_stopped,
    process,
    run,
    stop_at_checkpoints,
    store,
    table,
    wait_until,
)
from tracker_cases import BOTH, KEY, is_probed, log_out, risk_points
from wandb_records import (
    exit_codes,
    history,
    offline_runs,
    records_of_kind,
    summary,
    tables,
    to_values,
)

from analysis.snapshots import snapshot_cell
from bfc.environment import scrub
from bfc.errors import UserError
from bfc.experiment.components import component
from bfc.experiment.learner_run import LearnerRun
from bfc.trackers import wandb_login
from bfc.trackers.upload_log import fingerprint_cells
from bfc.trackers.wandb import Wandb

TABLES = {"trainings", "learning_curves", "risk_per_n", "nstar"}
NSTAR_METRICS = ("nstar", "nstar_lo", "nstar_hi")


def read_config(folder: Path) -> dict:
    return yaml.safe_load((folder / "config.yaml").read_text())


@pytest.fixture(scope="module")
def tracked(tmp_path_factory) -> Path:
    """A sweep of two learners and one baseline without a key, with and without the tracker."""
    folder = tmp_path_factory.mktemp("tracked")
    study = "+study={name: try, size: small, sizes: {small: [{target.d: 4}]}}"
    line = ("-m", *BOTH, "schedule=staged,joint", "hydra/launcher=basic", study)
    done = process(*line, "tracker=wandb", cwd=folder)
    assert done.status == 0 and "tracker" not in done.out, done
    assert run(*line, "results=untracked", cwd=folder).status == 0
    return folder


@pytest.fixture(scope="module")
def cells(tracked) -> dict[str, tuple[Path, Path, list[dict]]]:
    """Cell → its folder, its only run, and its stored rows."""
    runs = offline_runs(tracked)
    contents = {}
    for cell, rows in store(tracked / "results").items():
        [path] = runs[cell]
        contents[cell] = (tracked / "results" / cell, path, rows)
    return contents


# --- one sweep, read back -----------------------------------------------------------------------


def test_the_store_is_the_same_with_and_without_the_tracker(tracked) -> None:
    stored = store(tracked / "results")
    assert stored == store(tracked / "untracked") and len(stored) == 3
    for name in ("config.yaml", "requests.json"):
        for path in (tracked / "results").glob(f"*/{name}"):
            untracked = tracked / "untracked" / path.parent.name / name
            assert path.read_bytes() == untracked.read_bytes()
    assert {path.name for path in tracked.iterdir()} == {"results", "untracked", "wandb"}


def test_a_sweep_has_one_run_per_cell_and_one_for_the_study(tracked) -> None:
    runs = offline_runs(tracked)
    assert set(runs) == {*store(tracked / "results"), "study"}
    assert all(len(paths) == 1 for paths in runs.values())


def test_a_run_says_what_it_is(cells) -> None:
    for cell, (folder, path, _) in cells.items():
        start = records_of_kind(path, "run")[0]
        config = read_config(folder)
        commit = json.loads((folder / "environment.json").read_text())["commit"] or ""
        shown_config = to_values(start.config.update)
        shown_config.pop("_wandb", None)
        assert shown_config == {**config, "study": "try"}
        assert (start.run_id, start.job_type) == (cell, config["kind"])
        assert (start.project, start.run_group) == ("try", "small")
        assert start.display_name == f"{config['method']} d=4 L=3"
        assert start.git.commit == commit
        schedule = config["schedule"]["name"] if config["schedule"] else config["method"]
        assert set(start.tags) == {"quadratic_densenet", schedule, commit[:10]} - {""}
        assert exit_codes(path) == [0]


def test_a_run_holds_what_the_store_holds_in_the_order_of_storing(cells) -> None:
    for _, path, rows in cells.values():
        logged = history(path)
        assert risk_points(logged) == risk_points(rows) and len(rows) >= 4
        assert [record["_step"] for record in logged] == list(range(1, len(rows) + 1))
        trainings = [record["trainings"] for record in logged]
        distinct = {(row["kind"] == "curve" or row["n"], row["seed"]) for row in rows}
        assert trainings == sorted(trainings) and trainings[-1] == len(distinct)
        probes = [column for column in rows[0] if is_probed(column, rows[0])]
        assert bool(probes) == (rows[0]["kind"] == "training")
        assert all(logged[0][column] == rows[0][column] for column in probes)


def test_every_metric_is_drawn_against_trainings(tracked) -> None:
    for [path] in offline_runs(tracked).values():
        metrics = records_of_kind(path, "metric")
        step_metrics = {metric.name or metric.glob_name: metric.step_metric for metric in metrics}
        assert step_metrics["*"] == "trainings" and "trainings" in step_metrics


def test_tables_of_a_run_are_those_of_the_store(cells) -> None:
    for folder, path, rows in cells.values():
        shown_tables = tables(path)
        is_learner = read_config(folder)["kind"] == "learner"
        assert set(shown_tables) == TABLES | ({"probes"} if is_learner else set())
        columns = shown_tables["trainings"]["columns"]
        lines = [
            dict(zip(columns, line, strict=True)) for line in shown_tables["trainings"]["data"]
        ]
        assert risk_points(lines) == risk_points(rows)
        assert [line["outcome"] for line in lines] == [row["outcome"] for row in rows]
        n_column = shown_tables["risk_per_n"]["columns"].index("n")
        sizes = [line[n_column] for line in shown_tables["risk_per_n"]["data"]]
        assert sizes == sorted({row["n"] for row in rows})


def test_figures_and_files_of_a_run(cells) -> None:
    for folder, path, _ in cells.values():
        is_learner = read_config(folder)["kind"] == "learner"
        images = path.parent.glob("files/media/images/figures/*.png")
        names = {image.name.rsplit("_", 2)[0] for image in images}
        assert names == ({"risk", "correction"} if is_learner else {"risk"})
        files = {file.name for file in path.parent.glob("files/cell/*")}
        assert files >= {"config.yaml", "environment.json"}


def test_the_summary_of_a_run(cells) -> None:
    for _, path, rows in cells.values():
        values = summary(path)
        for metric in NSTAR_METRICS:
            assert {f"{metric}/eps_0_9", f"{metric}/eps_0_5"} <= set(values)
        assert values["state"] == "done"
        assert values["trainings"] == history(path)[-1]["trainings"]
        outcomes = Counter(f"outcome/{row['outcome']}" for row in rows)
        assert {key: values[key] for key in values if key.startswith("outcome/")} == outcomes


def test_the_risk_per_n_is_the_median_over_seeds(cells) -> None:
    for folder, _, rows in cells.values():
        shown = snapshot_cell(folder, "try").tables["risk_per_n"]
        for line in shown.to_dict("records"):
            risks = sorted(row["risk"] for row in rows if row["n"] == line["n"])
            assert line["seeds"] == len(risks) and line["median"] in risks
            assert line["share<=0.9"] == sum(risk <= 0.9 for risk in risks) / len(risks)


def test_the_study_has_exponents_claims_and_figures(tracked) -> None:
    [path] = offline_runs(tracked)["study"]
    nstar = tables(path)["nstar"]
    assert set(nstar["columns"]) >= {"cell_id", "nstar", "lo", "hi"}
    place = nstar["columns"].index("cell_id")
    assert {line[place] for line in nstar["data"]} == set(store(tracked / "results"))
    start = records_of_kind(path, "run")[0]
    assert (start.project, start.job_type, start.run_id) == ("try", "study", "study")
    assert list(path.parent.glob("files/media/images/figures/*.png"))


def test_the_reader_of_these_tests_agrees_with_the_one_of_wandb(tracked) -> None:
    [path] = next(iter(offline_runs(tracked).values()))
    tool = [str(Path(sys.executable).parent / "wandb")]
    if not Path(tool[0]).exists():
        tool = [sys.executable, "-m", "wandb"]
    done = subprocess.run(
        [*tool, "leet", "inspect", "--json", str(path)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
    )
    if done.returncode:
        pytest.skip("this version of wandb has no `leet inspect`")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    logged = [line for line in lines if line["type"] == "history"]
    assert len(logged) == len(history(path)) > 0
    assert all('"risk"' in json.dumps(line) for line in logged)


def test_running_again_makes_no_new_run_until_there_is_something_new(tracked, tmp_path) -> None:
    """Offline runs never resume: a cell that grew is written whole."""
    shutil.copytree(tracked / "results", tmp_path / "results")
    line = [*BOTH, "+study={name: try, size: small}", "tracker=wandb"]
    done = run(*line, cwd=tmp_path)
    assert done.status == 0 and done.out.count(", 0 new") == 2, done
    assert {path.name for path in tmp_path.iterdir()} == {"results"}
    done = run(*line, "measure.seeds=3", cwd=tmp_path)
    assert done.status == 0 and ", 2 new" in done.out, done
    for cell, [path] in offline_runs(tmp_path).items():
        assert risk_points(history(path)) == risk_points(table(tmp_path / "results" / cell))


def test_a_changed_snapshot_has_another_fingerprint(tracked, tmp_path) -> None:
    shutil.copytree(tracked / "results", tmp_path / "results")
    cell = tmp_path / "results" / next(iter(store(tracked / "results")))
    before = fingerprint_cells([cell])
    (cell / "checkpoint.pt").write_text("no part of the snapshot")
    assert fingerprint_cells([cell]) == before
    requests = json.loads((cell / "requests.json").read_text())
    requests.append({"study": "another", "eps": [0.1]})
    (cell / "requests.json").write_text(json.dumps(requests))
    assert fingerprint_cells([cell]) != before


# --- keys and modes -----------------------------------------------------------------------------


def test_a_key_is_in_no_file(tmp_path) -> None:
    """Neither in the store, nor in what is written for W&B."""
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
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh")
    monkeypatch.setenv("EMPTY_TOKEN", "")
    scrubbed = scrub(f"+key = '{KEY}'\n+token: hf_abcdefgh")
    assert scrubbed == "+key = '<WANDB_API_KEY>'\n+token: <HF_TOKEN>"


@pytest.mark.parametrize("name", ["api_key", "key"])
def test_a_key_in_a_configuration_is_refused_and_not_repeated(name: str, node) -> None:
    with pytest.raises(UserError, match="no such key") as refusal:
        component("tracker", {**node("tracker", "wandb"), name: KEY})
    assert KEY not in str(refusal.value)


@pytest.mark.parametrize(
    ("mode", "variables", "reachable", "expected"),
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
    log_out(monkeypatch, tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(wandb_login, "is_server_reachable", lambda: reachable)
    assert Wandb(mode=mode).resolve_mode() == expected
    assert (Wandb(mode=mode).destination("s") is None) == (expected == "disabled")


def test_a_login_of_wandb_counts_as_a_key(monkeypatch, tmp_path) -> None:
    log_out(monkeypatch, tmp_path)
    assert not wandb_login.has_key()
    (tmp_path / "netrc").write_text(f"machine api.wandb.ai login user password {KEY}\n")
    (tmp_path / "netrc").chmod(0o600)
    assert wandb_login.has_key()


TRAIN_AND_CHECK_IMPORTS = """
import sys
from bfc.train import main

main()
assert not {"wandb", "matplotlib"} & set(sys.modules)
"""


def test_training_never_imports_wandb(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAIN_AND_CHECK_IMPORTS, *TINY, "tracker=wandb"],
        cwd=tmp_path,
        env=environment(),
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and list(tmp_path.glob("wandb/offline-run-*")), done.stderr


# --- failures, several folders, a kill ----------------------------------------------------------


def test_a_failed_cell_is_shown_as_failed_and_its_end_as_done(tmp_path, monkeypatch) -> None:
    """What failed must be seen where people look, and mended there when the cell is."""

    def fail(self) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(LearnerRun, "_judge", fail)
    with pytest.raises(ZeroDivisionError):
        run(*TINY, "tracker=wandb", cwd=tmp_path)
    monkeypatch.undo()
    assert run(*TINY, "tracker=wandb", cwd=tmp_path).status == 0
    [(cell, [first, second])] = offline_runs(tmp_path).items()
    assert exit_codes(first) == [1] and exit_codes(second) == [0]
    assert summary(first)["error"] == "ZeroDivisionError: a fault"
    points = risk_points(table(tmp_path / "results" / cell))
    assert risk_points(history(first)) == points == risk_points(history(second))


def test_one_process_shows_the_cells_of_several_folders_each_in_its_own(tmp_path) -> None:
    """W&B's own process keeps the working directory in which it was started, ours may change it."""
    for name in ("first", "second"):
        assert run(*TINY, "tracker=wandb", "tracker.figures=false", cwd=tmp_path / name).status == 0
    for name in ("first", "second"):
        assert list(offline_runs(tmp_path / name)) == list(store(tmp_path / name / "results"))


def test_a_killed_and_resumed_cell_is_shown_whole(tmp_path) -> None:
    """kill -9 in the middle of a cell that is shown while it runs.

    The last run holds every training once, in order.
    """
    slow = [*TINY, "schedule.steps=500", "measure.seeds=3", "compute.stack=1"]
    live = ["tracker=wandb", "tracker.live=true"]
    worker = subprocess.Popen(
        command(*slow, *live),
        cwd=tmp_path,
        env=environment(**stop_at_checkpoints(tmp_path / "hook", 1, "trainings.parquet")),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: has_stopped(psutil.Process(worker.pid)), worker)
    wait_until(lambda: offline_runs(tmp_path))
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    [cell] = [path for path in (tmp_path / "results").iterdir() if not path.name.startswith(".")]
    assert len(table(cell)) == 1
    done = run(*slow, *live, cwd=tmp_path)
    assert done.status == 0 and "tracker" not in done.out, done
    rows = table(cell)
    logged = history(offline_runs(tmp_path)[cell.name][-1])
    assert risk_points(logged) == risk_points(rows) and len(rows) == 6
    assert [record["_step"] for record in logged] == list(range(1, 7))
    assert run(*slow, "results=untracked", cwd=tmp_path).status == 0
    assert store(tmp_path / "untracked") == store(tmp_path / "results")
