"""Keys and launches of earlier versions: old keys are refused by name, old launches go on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from commands import TINY, bfc, process, run, store

from bfc.errors import UserError
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.launch import local
from bfc.launch.launch_list import find_launch
from bfc.launch.manifest import JobEvent, Launch
from bfc.launch.slurm import submission
from bfc.launch.status import CellState, cell_statuses

OLD = Path(__file__).parent / "data" / "old_launch"
"""The files of a launch by the version before `together` and `looks` were renamed.

Two jobs, which it fused."""
RENAMED = "hydra.launcher.together: is now called hydra.launcher.fuse_jobs"


@pytest.mark.parametrize("launcher", ["local", "slurm"])
@pytest.mark.parametrize("prefix", ["", "+"])
def test_the_old_option_of_a_launcher_is_refused(launcher: str, prefix: str, tmp_path) -> None:
    option = f"{prefix}hydra.launcher.together=2"
    done = run("-m", *TINY, f"hydra/launcher={launcher}", option, cwd=tmp_path)
    assert done.sentence == RENAMED
    assert not list(tmp_path.iterdir())


def test_the_old_option_of_a_launcher_is_refused_in_a_site_overlay(tmp_path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "slurm.yaml").write_text("together: 2\n")
    done = process(
        "-m", *TINY, "hydra/launcher=slurm", cwd=tmp_path / "here", BFC_SITE=str(tmp_path)
    )
    assert done.sentence == RENAMED


@pytest.mark.parametrize("sweep", [(), ("-m",)])
@pytest.mark.parametrize("prefix", ["", "+"])
def test_the_old_key_of_a_probe_is_refused(sweep, prefix: str, tmp_path) -> None:
    """Hydra refuses the key itself, or lets it be added."""
    line = [text for text in TINY if text != "probe=none"]
    done = run(*sweep, *line, "probe=feature_error", f"{prefix}probe.looks=3", cwd=tmp_path)
    assert done.sentence == "probe.looks: is now called probe.num_evals"


@pytest.fixture
def old_launch(tmp_path) -> Launch:
    """A launch by an earlier version, with a copy of its code, whose second job failed."""
    results = tmp_path / "results"
    folder = results / ".launch" / "20261127-112504-sweep-d488"
    for name in ("logs", "events"):
        (folder / name).mkdir(parents=True)
    code = results / ".launch" / "code" / "c4f85d666253ba58"
    (code / "bfc" / "launch").mkdir(parents=True)
    manifest = json.loads((OLD / "manifest.json").read_text())
    manifest |= {"results": str(results), "folder": str(tmp_path), "python": sys.executable}
    manifest["code"]["path"] = str(code)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    jobs = json.loads((OLD / "jobs.json").read_text())
    (folder / "jobs.json").write_text(
        json.dumps([{**container, "results": str(results)} for container in jobs])
    )
    launch = Launch(folder)
    launch.add_submission(
        kind="local",
        packs=[[0, 1]],
        ids=["pool-0"],
        attempt=0,
        processes=1,
        **{**local.identify_process(1 << 30), "started": "an earlier time"},
    )
    for job in (0, 1):
        launch.record(job, JobEvent.FAILED, error="ValueError", message="broken", traceback="T\n")
    return launch


def test_an_old_launch_is_read_by_the_present_names(old_launch) -> None:
    assert old_launch.options["fuse_jobs"] == 2 and "together" not in old_launch.options
    assert [entry["shape"] for entry in old_launch.jobs] == [0, 0]
    for container, entry in zip(old_launch.containers, old_launch.jobs, strict=True):
        assert container["probe"]["num_evals"] == 3 and "looks" not in container["probe"]
        specs = cell_specs(load_job(container))
        assert [spec.cell_id for spec in specs] == entry["cells"]


def test_an_old_launch_is_followed_and_retried_with_new_code(old_launch, tmp_path) -> None:
    assert {status.state for status in cell_statuses(old_launch)} == {CellState.FAILED}
    status, out = bfc("status", cwd=tmp_path)
    assert status == 1 and "2 failed" in out and "broken" in out
    assert "T\n" in bfc("logs", "--failed", cwd=tmp_path)[1]
    assert bfc("wait", cwd=tmp_path)[0] == 1 and bfc("cancel", cwd=tmp_path)[0] == 0
    status, sentence = bfc("retry", cwd=tmp_path)
    assert status == 2 and "add --new-code" in sentence and "\n" not in sentence
    status, out = bfc("retry", "--new-code", cwd=tmp_path)
    assert status == 0 and "submitted 2 jobs again" in out
    assert bfc("wait", cwd=tmp_path)[0] == 0
    launch = find_launch(tmp_path / "results")
    assert {status.state for status in cell_statuses(launch)} == {CellState.DONE}
    rows = [row for table in store(tmp_path / "results").values() for row in table]
    assert {row["stack"] for row in rows} == {8}, "its two jobs were fused"


def test_neither_scheduler_starts_an_old_copy_of_the_code(old_launch) -> None:
    for scheduler in (local, submission):
        with pytest.raises(UserError, match=r"earlier version.*add --new-code"):
            scheduler.submit(old_launch, [0, 1])
