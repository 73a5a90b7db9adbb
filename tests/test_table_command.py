"""``bfc table`` from end to end on a table of a user's own, with cells that take a second."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from bfc import cli
from bfc.application.table.build import build_table
from bfc.application.table.launching import make_launcher, split_launcher
from bfc.application.table.options import TableOptions
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
SNAPSHOT = Path(__file__).parents[1] / "docs" / "table"
TINY = ("measure.seeds=2", "measure.test=64", "baseline.tuning_draws=1", "compute.device=cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with one entry that was run, built once."""
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


def read_entries(folder: Path) -> dict[tuple[str, str], dict]:
    content = json.loads((folder / "demo" / "table.json").read_text(encoding="utf-8"))
    return {(entry["row"], entry["column"]): entry for entry in content["entries"]}


def test_it_measures_and_writes_everything(folder: Path) -> None:
    written = {path.name for path in (folder / "demo").iterdir()}
    assert written == {
        "index.html",
        "table.csv",
        "table.json",
        "table.png",
        "table.tex",
        "table_features.csv",
        "table_features.tex",
    }
    entry = read_entries(folder)["tiny", "tiny"]
    assert entry["sizes"] == 2 and entry["theory"] == 2.0 and entry["seconds_left"] == 0
    assert entry["status"] in ("exponent", "no exponent") and entry["nstar"] > 0


def test_the_table_shows_what_was_not_run_too(folder: Path) -> None:
    entries = read_entries(folder)
    assert len(entries) == 5 * 5
    assert entries["stair4", "rbf"]["status"] == "not run"
    assert entries["stair4", "rbf"]["seconds_left"] > 0


def test_a_second_run_computes_nothing_and_nothing_has_moved(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.glob("results/*/*.parquet")}
    assert before and build_table(make_options(folder, compare=str(folder / "demo"))) == 0
    after = {path: path.stat().st_mtime_ns for path in folder.glob("results/*/*.parquet")}
    assert after == before
    assert "0 entries moved" in capsys.readouterr().out


def test_the_plan_runs_nothing(folder: Path, tmp_path: Path, capsys) -> None:
    options = make_options(tmp_path / "new", rows=("stair4",), columns=("rbf", "staged"), plan=True)
    assert build_table(options) == 0
    lines = capsys.readouterr().out
    assert "stair4 × rbf: 6 cells, 0 stored, runs: " in lines
    assert "stair4 × staged: cannot run: no learner is built like this target" in lines
    assert not (tmp_path / "new").exists()


def test_the_plan_says_what_fits_into_the_budget(tmp_path: Path, capsys) -> None:
    options = make_options(
        tmp_path / "new", rows=("bfc_3",), columns=(), plan=True, budget="0.5m", overrides=()
    )
    assert build_table(options) == 0
    lines = capsys.readouterr().out
    assert lines.count("6 cells, 0 stored, runs: ") >= 1
    assert lines.count("6 cells, 0 stored, not run: needs") >= 1
    assert "of the 4 entries that are not complete fit into 30 s, the cheapest first" in lines
    assert "known to a factor of" in lines


def test_a_row_outside_of_the_size_stays_in_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    for row in ("quadratic_feature", "stair4"):
        options = make_options(folder, rows=(row,), columns=("rfm",), budget="0.001m", overrides=())
        assert build_table(options) == 0
    assert ("quadratic_feature", "rfm") in read_entries(folder)


def test_what_is_added_is_added_once_and_planned_without_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    words = ("target=parity", "target.degree=2", "target.law=gaussian")
    name = "parity_degree-2_law-gaussian"
    for plan in (True, False, False):
        options = make_options(
            folder,
            rows=(name,),
            columns=("rbf",),
            budget="0.001m",
            add=words,
            overrides=(),
            plan=plan,
        )
        assert build_table(options) == 0
        assert (folder / "rows" / f"{name}.yaml").is_file() is not plan
    assert (name, "rbf") in read_entries(folder)


def test_a_budget_that_does_not_suffice_says_what_is_missing(tmp_path: Path, capsys) -> None:
    options = make_options(
        tmp_path / "new", rows=("stair4",), columns=("rfm",), budget="0.001m", overrides=()
    )
    assert build_table(options) == 0
    entry = read_entries(tmp_path / "new")["stair4", "rfm"]
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
        (["--compare", str(SNAPSHOT), "--size", "4h"], "must be of size 4h, not demo"),
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


def test_without_plotly_the_extra_is_named_before_anything_runs_and_a_plan_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "plotly", None)
    done = CliRunner().invoke(cli.application(), ["table", "--row", "bfc_3"])
    assert str(done.exception) == (
        "bfc table: the package plotly is not installed; pip install 'bfc[page]'"
    )
    planned = CliRunner().invoke(cli.application(), ["table", "--row", "bfc_3", "--plan"])
    assert planned.exit_code == 0 and "bfc_3" in planned.output, planned
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
