"""The wheel: built, installed into a folder of its own and run from an empty one.

It finds its configuration and studies, and holds every package of the source tree.
"""

import json
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from commands import MAX_SECONDS, ROOT, TINY, Done, environment, process, store

SOURCES = ("bfc", "conf", "sweeps", "analysis", "pyproject.toml", "README.md")
PLACES = {"conf": "bfc/conf", "sweeps": "bfc/sweeps", "bfc": "bfc", "analysis": "analysis"}
"""Folder of the source tree → folder of the wheel."""
SUFFIXES = (".yaml", ".py", ".html", ".mplstyle", ".css", ".js", ".json")

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
import analysis, bfc

for package in (bfc, analysis):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
        assert sys.modules[module.name].__file__.startswith(sys.argv[1]), module
"""
DESCRIBE_INSTALLATION = """
from importlib.metadata import version
import bfc
from bfc import paths

print(bfc.__file__, paths.CONF, paths.SWEEPS, version("bfc") == bfc.__version__)
"""


def run_python(*arguments: str, cwd: Path, **variables: str) -> Done:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS,
        env=environment(**variables),
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that the checkout stays as it is."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source / name)
    offline = ["--no-isolation", "--skip-dependency-check"] if find_spec("setuptools") else []
    build = ("-m", "build", "--wheel", *offline, "-o", str(out), str(source))
    done = run_python(*build, cwd=source)
    assert done.status == 0, done
    [path] = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    options = ("-q", "--no-deps", "--no-index", "--disable-pip-version-check")
    install = ("-m", "pip", "install", *options, "--target", str(folder), str(wheel))
    done = run_python(*install, cwd=folder)
    assert done.status == 0, done
    return folder


def train(installed: Path, *arguments: str, cwd: Path) -> Done:
    """Run the entry point of the installed package."""
    return process(*arguments, cwd=cwd, PYTHONPATH=str(installed))


@pytest.mark.parametrize("folder", PLACES)
def test_the_wheel_holds_every_file_that_is_needed(folder: str, wheel) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = []
    for path in (ROOT / folder).rglob("*"):
        if path.suffix in SUFFIXES and "__pycache__" not in path.parts:
            needed.append(f"{PLACES[folder]}/{path.relative_to(ROOT / folder).as_posix()}")
    assert needed and not [name for name in needed if name not in names]


def test_the_wheel_holds_nothing_else_of_the_source_tree(wheel) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    foreign = ("tests", "benchmarks", "conf/", "sweeps/")
    assert not [name for name in names if name.startswith(foreign)]


def test_what_runs_is_what_was_installed(installed, tmp_path) -> None:
    """And not the checkout that this environment also has."""
    done = run_python("-c", DESCRIBE_INSTALLATION, cwd=tmp_path, PYTHONPATH=str(installed))
    package = f"{installed}/bfc"
    places = [f"{package}/__init__.py", f"{package}/conf", f"{package}/sweeps", "True"]
    assert done.out.split() == places, done


def test_every_module_can_be_imported(installed, tmp_path) -> None:
    done = run_python(
        "-c", IMPORT_EVERYTHING, str(installed), cwd=tmp_path, PYTHONPATH=str(installed)
    )
    assert done.status == 0, done.err


def test_it_runs_from_an_empty_folder(installed, tmp_path) -> None:
    """It is no checkout, so no commit is stored."""
    baseline = ("baseline=polynomial", "baseline.n_max=32", "baseline.tuning_draws=1")
    done = train(installed, *TINY, *baseline, cwd=tmp_path)
    assert done.status == 0 and not done.err and done.out.count(" new") == 2, done
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    assert len(store(tmp_path / "results")) == 2
    environments = [json.loads(path.read_text()) for path in tmp_path.rglob("environment.json")]
    assert all(made["commit"] is None and made["diff"] is None for made in environments)


def test_it_runs_a_sweep_with_workers(installed, tmp_path) -> None:
    done = train(installed, "-m", *TINY, "target.d=4,5", cwd=tmp_path)
    assert done.status == 0 and len(store(tmp_path / "results")) == 2, done
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--cfg", "job", "--resolve"), "d: 16"),
        (("--help",), "sweeps: bfc_chain"),
        (("--cfg", "job", "+sweeps=bfc_depth", "study.size=30m"), "name: bfc_depth"),
    ],
)
def test_its_configuration_and_studies_are_found(
    installed, arguments: tuple[str, ...], text: str, tmp_path
) -> None:
    done = train(installed, *arguments, cwd=tmp_path)
    assert done.status == 0 and text in done.out and not done.err, done
    assert not list(tmp_path.iterdir())


def test_its_command_refuses_in_a_sentence(installed, tmp_path) -> None:
    script = str(installed / "bin" / "bfc-train")
    done = run_python(script, "+sweeps=nope", cwd=tmp_path, PYTHONPATH=str(installed))
    assert done.sentence.startswith("sweeps=nope: no such option; allowed: bfc_chain")
    assert not list(tmp_path.iterdir())
