"""An installation without W&B, Trackio and Submitit trains, sweeps and reports.

What needs one of them says which extra to install. The environment has every other package that is
installed here: a folder of links to them, with Python's own ``site-packages`` switched off.
"""

from __future__ import annotations

import site
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, TINY, Done, environment

ABSENT = ("wandb", "wandb_workspaces", "trackio", "submitit", "hydra_submitit_launcher")


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> Path:
    """A folder of links to all installed packages but those that are absent."""
    folder = tmp_path_factory.mktemp("packages")
    for source in map(Path, site.getsitepackages()):
        for path in source.iterdir():
            name = path.name.partition("-")[0]
            if name not in ABSENT and name not in ("hydra_plugins", "bfc"):
                (folder / path.name).symlink_to(path)
    return folder


def run_python(packages: Path, *arguments: str, cwd: Path) -> Done:
    done = subprocess.run(
        [sys.executable, "-S", *arguments],
        cwd=cwd,
        env=environment(PYTHONPATH=f"{ROOT}:{packages}"),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_what_is_absent_cannot_be_imported(packages, tmp_path):
    lines = "import importlib.util, torch, hydra\n"
    lines += f"print([importlib.util.find_spec(name) for name in {ABSENT!r}])"
    done = run_python(packages, "-c", lines, cwd=tmp_path)
    assert done.out.split() == "[None, None, None, None, None]".split(), done


def test_it_trains_sweeps_and_reports(packages, tmp_path):
    done = run_python(packages, "-m", "bfc.train", *TINY, cwd=tmp_path)
    assert done.status == 0 and not done.err and done.out.count(" new") == 1, done
    sweep = ("-m", *TINY, "target.d=4,5")
    done = run_python(packages, "-m", "bfc.train", *sweep, cwd=tmp_path)
    assert done.status == 0 and "Traceback" not in done.err, done
    done = run_python(packages, "-m", "bfc.cli", "report", "results", cwd=tmp_path)
    assert done.status == 0 and (tmp_path / "report" / "index.html").is_file(), done


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("-m", "bfc.train", *TINY, "tracker=wandb"),
            "tracker=wandb: the package wandb is not installed; pip install 'bfc[wandb]' or set "
            "tracker=none",
        ),
        (
            ("-m", "bfc.cli", "dashboard", "bfc_chain"),
            "bfc dashboard: the package wandb-workspaces is not installed; "
            "pip install 'bfc[dashboard]'",
        ),
    ],
    ids=["wandb", "dashboard"],
)
def test_what_needs_one_names_the_extra(packages, arguments, sentence, tmp_path):
    done = run_python(packages, *arguments, cwd=tmp_path)
    assert done.sentence == sentence
    assert not list(tmp_path.iterdir())


def test_a_launch_on_slurm_names_the_extra(packages, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sbatch").write_text("#!/bin/sh\nexit 1\n")
    (tools / "sbatch").chmod(0o755)
    lines = f"import os; os.environ['PATH'] = '{tools}:' + os.environ['PATH']\n"
    words = ["bfc-train", "-m", *TINY, "hydra/launcher=slurm"]
    lines += f"import sys; sys.argv = {words!r}\nfrom bfc.train import main; main()"
    done = run_python(packages, "-c", lines, cwd=tmp_path)
    message = (
        "hydra/launcher=slurm: the package submitit is not installed; pip install 'bfc[slurm]'"
    )
    assert done.status != 0 and message in done.err, done
