"""Weights & Biases as a view: written offline without key or network, equal to the store record by record, one run per cell, and never the
cause of a lost result."""

import json
import shutil
import struct
import subprocess
import sys
import types
from collections import Counter
from pathlib import Path

import pytest
import yaml
from commands import TINY, environment, process, run, store, table

from bfc.trackers.guarded import Guarded
from bfc.trackers.wandb import Wandb

BOTH = (*TINY, "baseline=rbf", "baseline.n_max=24", "baseline.ridge=0.1", "measure.eps=[0.9,0.5]")
KEY = "0123456789abcdef" * 2 + "01234567"
"""Not a key of anyone, but of the form of one."""
BLOCK, HEADER = 32768, 7


def records(path: Path) -> list:
    """The records of an offline run: a LevelDB log (blocks of 32 KiB; chunks of crc, length, type) of protocol buffers."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole, found = path.read_bytes(), HEADER, b"", []
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        if kind == 0:
            break
        whole += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):
            found.append(Record.FromString(whole))
            whole = b""
    return found


def plain(items) -> dict:
    """Items of a record: (nested) key → value."""
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def runs(folder: Path) -> dict[str, list[Path]]:
    """Cell id → the offline runs written for it."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        found.setdefault(path.stem.removeprefix("run-"), []).append(path)
    return found


def history(path: Path) -> list[dict]:
    return [plain(record.history.item) for record in records(path) if record.HasField("history")]


def points(rows: list[dict]) -> Counter:
    return Counter((row["n"], row["seed"], float(row["risk"])) for row in rows if "risk" in row and row.get("risk") is not None)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory) -> Path:
    """A sweep of two learners beside one baseline under the tracker, without a key, and the same without the tracker."""
    folder = tmp_path_factory.mktemp("tracked")
    done = process("-m", *BOTH, "schedule=staged,joint", "tracker=wandb", cwd=folder)
    assert done.status == 0 and "tracker failed" not in done.out, done
    assert process("-m", *BOTH, "schedule=staged,joint", "results=untracked", "hydra/launcher=basic", cwd=folder).status == 0
    return folder


def test_the_store_is_the_same_with_and_without_the_tracker(tracked) -> None:
    assert store(tracked / "results") == store(tracked / "untracked") and len(store(tracked / "results")) == 3
    for name in ("config.yaml", "requests.json"):
        for path in (tracked / "results").glob(f"*/{name}"):
            assert path.read_bytes() == (tracked / "untracked" / path.parent.name / name).read_bytes()


def test_a_sweep_has_one_run_per_cell(tracked) -> None:
    found = runs(tracked)
    assert set(found) == set(store(tracked / "results")) and all(len(paths) == 1 for paths in found.values())
    assert {path.name for path in tracked.iterdir()} == {"results", "untracked", "wandb"}


def test_a_run_says_what_it_is(tracked) -> None:
    for cell, [path] in runs(tracked).items():
        start = next(record.run for record in records(path) if record.HasField("run"))
        config = yaml.safe_load((tracked / "results" / cell / "config.yaml").read_text())
        told = {key: value for key, value in plain(start.config.update).items() if key != "_wandb"}
        assert told == {**config, "study": None}
        assert start.run_id == cell and start.job_type == config["kind"] and start.project == "bfc"
        assert start.display_name == f"{config['method']} d=4 L=3" and list(start.tags) == ["quadratic_densenet"]
        assert [record.exit.exit_code for record in records(path) if record.HasField("exit")] == [0]


def test_a_run_holds_what_the_store_holds(tracked) -> None:
    for cell, [path] in runs(tracked).items():
        rows = table(tracked / "results" / cell)
        assert points(history(path)) == points(rows) and len(rows) >= 4
        logged = [row for row in history(path) if "risk" in row]
        assert all("seconds" in row and "steps" in row for row in logged)


def test_a_run_ends_with_every_training_and_the_sample_complexity(tracked) -> None:
    for cell, [path] in runs(tracked).items():
        rows = table(tracked / "results" / cell)
        [kept] = (path.parent / "files" / "media" / "table").glob("*.json")
        written = json.loads(kept.read_text())
        assert written["columns"] == ["kind", "n", "seed", "risk", "outcome"]
        assert [tuple(line) for line in written["data"]] == [tuple(row[c] for c in written["columns"]) for row in rows]
        summary = {}
        for record in records(path):
            if record.HasField("summary"):
                summary |= plain(record.summary.update)
        assert {f"{name}@{eps:g}" for eps in (0.9, 0.5) for name in ("nstar", "lo", "hi")} <= set(summary)


def test_the_reader_of_these_tests_agrees_with_the_one_of_wandb(tracked) -> None:
    [path] = next(iter(runs(tracked).values()))
    tool = [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", "--json", str(path)]
    done = subprocess.run(tool, capture_output=True, text=True, env=environment(), timeout=60)
    if done.returncode:
        pytest.skip("this version of wandb has no `leet inspect`")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    theirs = [line for line in lines if line["type"] == "history"]
    assert len(theirs) == len(history(path)) > 0
    assert sum('"risk"' in json.dumps(line) for line in theirs) == len([row for row in history(path) if "risk" in row])


def test_running_again_makes_no_new_run(tracked, tmp_path) -> None:
    shutil.copytree(tracked / "results", tmp_path / "results")
    done = process("-m", *BOTH, "schedule=staged,joint", "tracker=wandb", "hydra/launcher=basic", cwd=tmp_path)
    assert done.status == 0 and done.out.count(", 0 new") == 4 and {p.name for p in tmp_path.iterdir()} == {"results"}


def test_a_key_is_in_no_file(tmp_path) -> None:
    done = process(*BOTH, "tracker=wandb", "tracker.directory=elsewhere", cwd=tmp_path, WANDB_API_KEY=KEY, WANDB_MODE="offline")
    assert done.status == 0 and KEY not in done.out + done.err
    paths = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in paths) and len(paths) > 15
    assert not [path for path in paths if KEY.encode() in path.read_bytes()]
    assert {path.name for path in tmp_path.iterdir()} == {"results", "elsewhere"}


@pytest.mark.parametrize("mode, variables, expected", [
    ("auto", {}, "offline"), ("auto", {"WANDB_API_KEY": KEY}, "online"),
    ("auto", {"WANDB_API_KEY": KEY, "WANDB_MODE": "offline"}, "offline"),
    ("auto", {"WANDB_MODE": "disabled"}, "disabled"), ("offline", {"WANDB_API_KEY": KEY}, "offline"), ("online", {}, "online"),
    ("disabled", {"WANDB_API_KEY": KEY, "WANDB_MODE": "online"}, "disabled"),
])
def test_it_is_offline_unless_there_is_a_key(mode: str, variables: dict, expected: str, monkeypatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Wandb(mode=mode)._mode() == expected


# --- a tracker that fails ------------------------------------------------------------------------------------------------------------

class Fake(types.ModuleType):
    """A wandb that fails at a chosen place and remembers what it was told."""

    def __init__(self, fails: str) -> None:
        super().__init__("wandb")
        self.fails, self.told, self.summary = fails, [], {}

    def _call(self, name: str, value=None):
        if name == self.fails:
            raise ConnectionError(f"no {name} today\nand more lines")
        self.told.append((name, value))
        return self

    def init(self, **named):
        return self._call("init", named["id"])

    def define_metric(self, *_, **__):
        self._call("define_metric")

    def log(self, values):
        self._call("table" if "trainings" in values else "log", values)

    def finish(self):
        self._call("finish")

    def Settings(self, **named):
        return named

    def Table(self, columns, data):
        return columns, data


@pytest.fixture(scope="module")
def untracked(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("untracked")
    assert run(*BOTH, cwd=folder).status == 0
    return store(folder / "results")


@pytest.mark.parametrize("fails, called", [
    ("init", "open"), ("define_metric", "open"), ("log", "log"), ("table", "close"), ("finish", "close")])
def test_a_tracker_that_fails_loses_no_result(fails: str, called: str, untracked, tmp_path, monkeypatch) -> None:
    fake = Fake(fails)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    done = run(*BOTH, "tracker=wandb", cwd=tmp_path)
    assert done.status == 0 and not done.err, done
    line = f"tracker failed in {called} (ConnectionError: no {fails} today); this cell goes on without it, results are stored as always"
    assert done.out.splitlines().count(line) == 2, "once for each of the two cells"
    assert store(tmp_path / "results") == untracked
    assert {json.loads(p.read_text())["state"] for p in tmp_path.rglob("status.json")} == {"done"}
    assert not list(tmp_path.rglob("claim.json"))


def test_a_tracker_that_is_not_installed_loses_no_result(untracked, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    done = run(*BOTH, "tracker=wandb", cwd=tmp_path)
    assert done.status == 0 and "tracker=wandb: the package wandb cannot be imported" in done.out and "set tracker=none" in done.out
    assert store(tmp_path / "results") == untracked


def test_an_estimate_that_fails_costs_only_the_end_of_the_view(untracked, tmp_path, monkeypatch) -> None:
    def broken(*_):
        raise ValueError("no estimate")

    monkeypatch.setitem(sys.modules, "wandb", Fake(""))
    monkeypatch.setattr("bfc.run.crossings", broken)
    done = run(*BOTH, "tracker=wandb", cwd=tmp_path)
    assert done.status == 0 and "tracker failed in close (ValueError: no estimate)" in done.out
    assert store(tmp_path / "results") == untracked


def test_a_tracker_that_works_is_told_everything_once(untracked, tmp_path, monkeypatch) -> None:
    fake = Fake("")
    monkeypatch.setitem(sys.modules, "wandb", fake)
    assert run(*BOTH, "tracker=wandb", cwd=tmp_path).status == 0
    names = [name for name, _ in fake.told]
    assert names.count("init") == names.count("finish") == names.count("table") == 2
    assert {value for name, value in fake.told if name == "init"} == set(untracked)
    assert points([value for name, value in fake.told if name == "log"]) == points([row for rows in untracked.values() for row in rows])


def test_the_guard_stops_at_the_first_failure_and_lets_an_interrupt_through(capsys) -> None:
    class Broken:
        calls = 0

        def log(self, values) -> None:
            Broken.calls += 1
            raise KeyboardInterrupt if "stop" in values else RuntimeError

    guard = Guarded(Broken())
    with pytest.raises(KeyboardInterrupt):
        guard.log({"stop": 1})
    for _ in range(3):
        guard.log({"n": 1})
    assert Broken.calls == 2 and capsys.readouterr().out.count("tracker failed in log (RuntimeError: )") == 1
    Guarded(None).log({"n": 1})
