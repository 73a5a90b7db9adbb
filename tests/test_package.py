"""The wheel: built, installed into a folder of its own and run from an empty one, it finds its
configuration and studies."""

import json
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from commands import ROOT, TINY, Done, environment, store

SOURCES = ("bfc", "conf", "sweeps", "analysis", "pyproject.toml", "README.md")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that the checkout stays as it is."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, source / name)
    here = ["--no-isolation", "--skip-dependency-check"] if find_spec("setuptools") else []
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", *here, "-o", str(out), str(source)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-index",
            "--disable-pip-version-check",
            "--target",
            str(folder),
            str(wheel),
        ],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def run_installed(installed: Path, *arguments: str, cwd: Path, module: str = "bfc.train") -> Done:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(PYTHONPATH=str(installed)),
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_the_wheel_holds_every_file_that_is_needed(wheel) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in (
        ("conf", "bfc/conf"),
        ("sweeps", "bfc/sweeps"),
        ("bfc", "bfc"),
        ("analysis", "analysis"),
    ):
        wanted = [
            path
            for path in (ROOT / folder).rglob("*")
            if path.is_file()
            and "__pycache__" not in path.parts
            and path.suffix in (".yaml", ".py", ".html", ".mplstyle", ".css", ".js")
        ]
        missing = [
            str(path)
            for path in wanted
            if f"{inside}/{path.relative_to(ROOT / folder)}" not in names
        ]
        assert wanted and not missing
    assert not [
        name for name in names if name.startswith(("tests", "benchmarks", "conf/", "sweeps/"))
    ]


def test_what_runs_is_what_was_installed(installed, tmp_path) -> None:
    """And not the checkout that this environment also has."""
    code = (
        "import bfc, bfc.train, bfc.paths as f; from importlib.metadata import version; "
        "print(bfc.__file__, f.CONF, f.SWEEPS, version('bfc') == bfc.__version__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(PYTHONPATH=str(installed)),
    )
    assert done.stdout.split() == [
        f"{installed}/bfc/__init__.py",
        f"{installed}/bfc/conf",
        f"{installed}/bfc/sweeps",
        "True",
    ], done


def test_it_runs_from_an_empty_folder(installed, tmp_path) -> None:
    done = run_installed(
        installed,
        *TINY,
        "baseline=polynomial",
        "baseline.n_max=32",
        "baseline.tuning_draws=1",
        cwd=tmp_path,
    )
    assert done.status == 0 and not done.err and done.out.count(" new") == 2, done
    assert [path.name for path in tmp_path.iterdir()] == ["results"] and len(
        store(tmp_path / "results")
    ) == 2
    made = [json.loads(path.read_text()) for path in tmp_path.rglob("environment.json")]
    assert all(record["commit"] is None and record["diff"] is None for record in made), (
        "it is no checkout"
    )


def test_it_runs_a_sweep_with_workers(installed, tmp_path) -> None:
    done = run_installed(installed, "-m", *TINY, "target.d=4,5", cwd=tmp_path)
    assert done.status == 0 and len(store(tmp_path / "results")) == 2, done
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("--cfg", "job", "--resolve"), "d: 16"),
        (("--help",), "sweeps: bfc_chain"),
        (("--cfg", "job", "+sweeps=bfc_depth", "study.size=30m"), "name: bfc_depth"),
    ],
)
def test_its_configuration_and_studies_are_found(
    installed, arguments: tuple[str, ...], said: str, tmp_path
) -> None:
    done = run_installed(installed, *arguments, cwd=tmp_path)
    assert done.status == 0 and said in done.out and not done.err, done
    assert not list(tmp_path.iterdir())


def test_its_command_refuses_in_a_sentence(installed, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, str(installed / "bin" / "bfc-train"), "+sweeps=nope"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=str(installed)),
        timeout=60,
    )
    assert Done(done.returncode, done.stdout, done.stderr).sentence.startswith(
        "sweeps=nope: no such option; allowed: bfc_chain"
    )
    assert not list(tmp_path.iterdir())
