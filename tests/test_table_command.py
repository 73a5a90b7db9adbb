"""``bfc table`` from end to end on a table of a user's own, with cells that take a second."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from bfc import cli
from bfc.application.table.build import TableOptions, build_table
from bfc.application.table.launching import make_launcher, split_launcher
from bfc.errors import UserError
from bfc.hydra_plugins.local_launcher import LocalLauncher
from bfc.hydra_plugins.slurm_launcher import SlurmLauncher

ROW = {
    "title": "tiny parity",
    "target": ["target=parity", "target.degree=2", "target.law=gaussian"],
    "values": {"demo": [6, 8]},
    "n": {"demo": [8, 128]},
    "reference": 6,
}
COLUMN = {
    "title": "tiny kernel",
    "method": ["learner=none", "baseline=polynomial", "baseline.degree=2"],
    "theory": ["kernel"],
}
TINY = ("measure.seeds=2", "measure.test=64", "baseline.tuning_draws=1", "compute.device=cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of one entry, built once."""
    folder = tmp_path_factory.mktemp("tables") / "mine"
    for kind, content in (("rows", ROW), ("columns", COLUMN)):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "tiny.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert build_table(make_options(folder)) == 0
    return folder


def make_options(folder: Path, **changes) -> TableOptions:
    options = {
        "size": "demo",
        "budget": "full",
        "folder": str(folder),
        "rows": ("tiny",),
        "columns": ("tiny",),
        "cores": 1,
        "overrides": TINY,
    }
    return TableOptions(**{**options, **changes})


def test_it_measures_and_writes_everything(folder: Path) -> None:
    written = {path.name for path in folder.iterdir() if path.is_file()}
    assert written == {"index.html", "table.csv", "table.json", "table.tex", "table.png"}
    (entry,) = json.loads((folder / "table.json").read_text(encoding="utf-8"))["entries"]
    assert entry["sizes"] == 2 and entry["theory"] == 2.0 and entry["seconds_left"] == 0
    assert entry["status"] in ("exponent", "no exponent") and entry["nstar"] > 0


def test_a_second_run_computes_nothing_and_nothing_has_moved(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.glob("results/*/*.parquet")}
    assert before and build_table(make_options(folder, compare=str(folder))) == 0
    after = {path: path.stat().st_mtime_ns for path in folder.glob("results/*/*.parquet")}
    assert after == before
    assert "0 entries moved" in capsys.readouterr().out


def test_the_plan_runs_nothing(folder: Path, tmp_path: Path, capsys) -> None:
    options = make_options(tmp_path / "new", rows=("stair4",), columns=("rbf", "staged"), plan=True)
    assert build_table(options) == 0
    lines = capsys.readouterr().out
    assert "stair4 × rbf: 6 cells, 0 stored" in lines
    assert "stair4 × staged: cannot run: no learner is built like this target" in lines
    assert not (tmp_path / "new").exists()


def test_a_budget_that_does_not_suffice_says_what_is_missing(tmp_path: Path, capsys) -> None:
    options = make_options(
        tmp_path / "new", rows=("stair4",), columns=("rfm",), budget="0.001m", overrides=()
    )
    assert build_table(options) == 0
    content = json.loads((tmp_path / "new" / "table.json").read_text(encoding="utf-8"))
    (entry,) = content["entries"]
    assert entry["status"] == "not run" and entry["seconds_left"] > 1
    assert "not run yet: about" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "dmeo"], "--size dmeo: no such size"),
        (["--row", "star4"], "did you mean stair4"),
        (["--column", "rmf"], "no such column"),
        (["--budget", "5"], "--budget 5: must be"),
        (["--cores", "0"], "--cores=0: must be"),
        (["--compare", "nothing"], "--compare nothing"),
        (["--add"], "must begin with target="),
    ],
)
def test_mistakes_are_one_sentence_before_anything_runs(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.application(), ["table", *arguments])
    assert isinstance(done.exception, UserError) and message in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_launchers_are_those_of_a_sweep() -> None:
    words = ["hydra/launcher=slurm", "hydra.launcher.partition=long", "compute.device=cuda"]
    launcher, others = split_launcher(words)
    assert others == ["compute.device=cuda"]
    slurm = make_launcher(launcher)
    assert isinstance(slurm, SlurmLauncher) and slurm.options.partition == "long"
    assert isinstance(make_launcher(["hydra/launcher=local"]), LocalLauncher)
    with pytest.raises(UserError, match="hydra/launcher"):
        make_launcher(["hydra/launcher=basic"])


def test_missing_jobs_are_handed_to_a_launcher(folder: Path, capsys) -> None:
    options = make_options(
        folder,
        launcher=("hydra/launcher=local", "hydra.launcher.dry_run=true"),
        overrides=("measure.seeds=3", *TINY[1:]),
    )
    assert build_table(options) == 0
    assert "jobs      2 (2 cells)" in capsys.readouterr().out
