"""Where W&B writes, what its runs are called, and what is said when showing fails."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import TINY, container

from analysis.snapshots import snapshot_cell
from bfc.application import tracker_service
from bfc.errors import UserError
from bfc.experiment.job import load_job
from bfc.experiment.run_job import run_job
from bfc.trackers.protocol import RequestStatus, build_request
from bfc.trackers.trackio import Trackio
from bfc.trackers.wandb import Wandb


def test_a_named_folder_comes_before_wandb_dir_and_that_before_the_working_directory(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WANDB_DIR", raising=False)
    assert Wandb().folder() == tmp_path
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "there"))
    assert Wandb().folder() == tmp_path / "there"
    assert Wandb(directory="here").folder() == tmp_path / "here"
    assert Wandb(directory="~/x").folder() == tmp_path / "home" / "x"


@pytest.mark.parametrize("named_by", ["tracker.directory", "WANDB_DIR", "working directory"])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(
    named_by: str, tmp_path, monkeypatch
) -> None:
    """W&B would take a temporary one. Root may write everywhere, but not below a file."""
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "wandb"
    monkeypatch.delenv("WANDB_DIR", raising=False)
    directory = None
    if named_by == "tracker.directory":
        directory = str(place)
    elif named_by == "WANDB_DIR":
        monkeypatch.setenv("WANDB_DIR", str(place))
    else:
        place = tmp_path
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    tracker = Wandb(directory=directory, mode="offline")
    with pytest.raises(UserError, match="cannot be written") as refused:
        tracker.check()
    assert str(place) in str(refused.value) and "WANDB_DIR" in str(refused.value)
    Wandb(directory=directory, mode="disabled").check()


def test_a_place_that_trackio_cannot_write_is_refused_before_anything_runs(
    tmp_path, monkeypatch
) -> None:
    pytest.importorskip("trackio")
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "new"))
    Trackio().check()
    refused_places = {
        tmp_path / "file" / "x": "is no folder",
        "s3://x": "not an address",
        "/proc/x": "cannot be written",
    }
    for place, reason in refused_places.items():
        monkeypatch.setenv("TRACKIO_DIR", str(place))
        with pytest.raises(UserError, match=reason) as refused:
            Trackio().check()
        assert f"TRACKIO_DIR={place}" in str(refused.value)


def test_a_folder_that_is_a_file_is_refused_with_the_job(tmp_path) -> None:
    (tmp_path / "file").touch()
    node = container(*TINY, "tracker=wandb", f"tracker.directory={tmp_path / 'file'}")
    with pytest.raises(UserError, match=r"tracker\.directory="):
        load_job(node)


@pytest.mark.parametrize("size", [30, 1.5, "demo"])
def test_a_study_size_is_a_text_for_trackers(size: object, tmp_path) -> None:
    study = {"name": "mine", "size": size}
    (cell,) = run_job(load_job({**container(*TINY), "results": str(tmp_path), "study": study}))
    assert snapshot_cell(tmp_path / cell, "mine", closed=True).group == str(size)


def test_the_whole_reason_of_a_failure_is_told(tmp_path, monkeypatch) -> None:
    lines = ["1 validation error for Settings", "run_group", "  Input should be a valid string"]

    def fail(*_: object) -> None:
        raise ValueError("\n".join(lines))

    monkeypatch.setattr(tracker_service, "show", fail)
    request = build_request(Wandb(mode="offline"), tmp_path, None, ["0123"])
    answer = tracker_service._answer(request, {})
    assert answer.status is RequestStatus.FAILED
    assert answer.error == f"ValueError: {lines[0]} {lines[1]} {lines[2].strip()}"
    lines.append("x" * 10_000)
    long = tracker_service._answer(request, {}).error
    assert long.endswith("x ...") and len(long) < tracker_service.MAX_REASON + 50


def test_wandb_is_given_the_folder_that_was_checked(tmp_path, monkeypatch) -> None:
    given: dict = {}

    def start(**options: object) -> SimpleNamespace:
        given.update(options)
        return SimpleNamespace(define_metric=lambda *_, **__: None)

    settings = SimpleNamespace(Settings=lambda **options: options, setup=lambda settings: None)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(**vars(settings), init=start))
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "there"))
    snapshot = SimpleNamespace(
        project="p", key="k", name="n", group="30", job_type="learner", tags=(), config={},
        commit=None,
    )  # fmt: skip
    Wandb(mode="offline")._start_run(snapshot)
    assert given["dir"] == str(tmp_path / "there") and Path(given["dir"]).is_dir()
    assert given["group"] == "30"
