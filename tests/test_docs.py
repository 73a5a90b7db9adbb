"""README and docs do what they say: every command in a code block is run (made small), or is on the
list docs/not_run.yaml with the reason and the test that stands in; Python blocks run; the worked
example of a target is added to a copy of the program; links and names in prose exist."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.testing
import yaml
from commands import ROOT, environment, run
from synthetic import write_cell

from analysis import registry as discover
from analysis.chart import Chart
from analysis.evidence import Finding
from analysis.load import gather
from analysis.report import main as report_main
from bfc import cli

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLE = ROOT / "docs" / "add_a_target.md"
NOT_RUN = yaml.safe_load((ROOT / "docs" / "not_run.yaml").read_text())
SMALL = (
    "schedule.steps=12",
    "schedule.check_every=4",
    "optimizer.warmup=2",
    "optimizer.batch=8",
    "measure.test=64",
    "measure.confirm=0",
    "measure.seeds=2",
    "compute.device=cpu",
)
SMALL_BASELINE = (
    "measure.test=64",
    "measure.seeds=2",
    "baseline.n_max=64",
    "baseline.tuning_draws=1",
    "compute.device=cpu",
)


def blocks(page: Path, *kinds: str) -> list[str]:
    """The code blocks of a page that are marked as one of ``kinds``."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), flags=re.M | re.S)
    return [text for kind, text in found if kind in kinds]


def commands_of(page: Path) -> list[str]:
    """The commands of a page: lines of blocks without a language (or of a shell), continued lines
    joined, comments left out."""
    lines = [
        line
        for text in blocks(page, "", "sh", "bash", "console")
        for line in text.replace("\\\n", " ").splitlines()
    ]
    return [
        " ".join(shlex.split(line, comments=True))
        for line in lines
        if shlex.split(line, comments=True)
    ]


def listed(command: str) -> bool:
    return any(re.fullmatch(entry["command"], command) for entry in NOT_RUN)


def small(words: list[str]) -> list[str]:
    """Words of a training command with overrides that make it small; a sweep runs in this process."""
    kernel = any(word.startswith("baseline=") for word in words) and "learner=none" in words
    here = (
        ["hydra/launcher=basic"]
        if "-m" in words and not any(word.startswith("hydra/launcher") for word in words)
        else []
    )
    return [*words, *(SMALL_BASELINE if kernel else SMALL), *here]


def perform(command: str, cwd: Path) -> None:
    """Run one command in this process; an unknown kind of command fails."""
    words = shlex.split(command)
    if words[:3] == ["python", "-m", "bfc.train"] or words[0] == "bfc-train":
        done = run(*small(words[3:] if words[0] == "python" else words[1:]), cwd=cwd)
        assert done.status == 0, (command, done.err)
    elif words[:3] == ["python", "-m", "analysis.report"]:
        with contextlib.chdir(cwd):
            assert report_main(words[3:]) == 0, command
    elif words[0] == "bfc":
        with contextlib.chdir(cwd):
            result = typer.testing.CliRunner().invoke(cli.application(), words[1:])
        assert result.exit_code == 0, (command, result.output, result.exception)
    else:
        pytest.fail(
            f"{command}: is neither a command this test can run nor listed in docs/not_run.yaml"
        )


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    for name in ("docs", "conf", "sweeps", "bfc"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page != EXAMPLE and (commands_of(page) or blocks(page, "python"))],
    ids=lambda page: page.name,
)
def test_every_command_and_python_block_runs(page, workplace):
    for command in commands_of(page):
        if not listed(command):
            perform(command, workplace)
    names: dict = {"__name__": "a_page"}
    with contextlib.chdir(workplace):
        for text in blocks(page, "python"):
            exec(compile(text, page.name, "exec"), names)
    for text in blocks(page, "yaml"):
        assert yaml.safe_load(text)


def test_the_list_of_what_is_not_run_has_no_dead_entry_and_names_tests():
    every = [command for page in PAGES for command in commands_of(page)]
    for entry in NOT_RUN:
        assert any(re.fullmatch(entry["command"], command) for command in every), entry
        assert len(entry["why"]) > 20 and (
            entry["tested"] is None or (ROOT / entry["tested"]).is_file()
        ), entry


def test_the_worked_example_of_a_target_passes_the_tests_of_targets(tmp_path):
    for name in ("bfc", "conf", "sweeps", "analysis", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    text = EXAMPLE.read_text()
    for kind in ("python", "yaml"):
        (block,) = blocks(EXAMPLE, kind)
        (place,) = set(
            re.findall(r"`((?:bfc|conf)/target\w*/\w+\.(?:py|yaml))`", text.partition(block)[0])
        ) - {
            path
            for path in re.findall(r"`((?:bfc|conf)/target\w*/\w+\.(?:py|yaml))`", text)
            if path.endswith("py") != (kind == "python")
        }
        (tmp_path / place).write_text(block)
    surroundings = environment(PYTHONPATH=str(tmp_path), PYTHONDONTWRITEBYTECODE="1")
    for command in commands_of(EXAMPLE):
        words = shlex.split(command)
        words = ["python", "-m", "bfc.cli", *words[1:]] if words[0] == "bfc" else words
        words = (
            small(words)
            if "bfc.train" in words
            else [*words, "-n", "0", "-p", "no:cacheprovider"]
            if "pytest" in words
            else words
        )
        done = subprocess.run(
            [sys.executable, *words[1:]],
            cwd=tmp_path,
            env=surroundings,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
    assert "passed" in done.stdout or "." in done.stdout.splitlines()[0], (
        "the last command ran the tests of targets"
    )
    assert (
        len(list((tmp_path / "results").iterdir())) == 3
        and (tmp_path / "report" / "index.html").is_file()
    )


def test_the_claim_figure_and_predicate_of_the_concepts_are_what_the_program_takes(tmp_path):
    page, names = ROOT / "docs" / "concepts.md", {}
    for text in blocks(page, "python"):
        exec(compile(text, page.name, "exec"), names)
    for d in (8, 16):
        write_cell(tmp_path / "r", f"a{d}", d=d)
    (evidence,) = gather(tmp_path / "r").studies.values()
    found = names["steps_to_end"](evidence, "staged quadratic_densenet", at_most=3000)
    assert isinstance(found, Finding) and (found.measured, found.verdict) == (3000, "reproduced")
    (chart,) = names["train_risk_against_n"](evidence)
    assert isinstance(chart, Chart) and len(chart.table()) == 9
    node = {
        key: value for text in blocks(page, "yaml") for key, value in yaml.safe_load(text).items()
    }
    for claim in node["claims"]:
        assert set(claim["thresholds"]) <= set(
            discover.options(discover.part("predicates", claim["predicate"], "docs"))
        )
    for figure in node["figures"]:
        assert discover.part("plots", figure["figure"], "docs")


def spoken(page: Path) -> Iterator[str]:
    """Commands in prose."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    yield from re.findall(r"`((?:bfc|make|python -m) [^`]+)`", prose)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_the_commands_in_prose_exist(page):
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link
    known = {path.stem.replace("_", "-") for path in (ROOT / "bfc" / "commands").glob("*.py")}
    makefile = (ROOT / "Makefile").read_text()
    for command in spoken(page):
        program, *words = shlex.split(command.replace("<", "'<").replace(">", ">'"))
        if program == "bfc":
            assert words[0] in known or words[0].startswith("--"), command
        elif program == "make":
            assert re.search(rf"^{words[0]}:", makefile, flags=re.M), command
        else:
            path = ROOT / Path(*words[1].split("."))
            assert (
                path.with_suffix(".py").is_file() or path.is_dir() or words[1] in ("pip", "pytest")
            ), command


def test_the_notebook_runs_on_a_store(tmp_path):
    """With nbclient in a process of its own, so that its warnings are not ours."""
    for name in ("nbclient", "ipykernel"):
        pytest.importorskip(name, reason=f"{name} is not installed (extra: test)")
    for d in (8, 16):
        write_cell(tmp_path / "results", f"a{d}", d=d, study="bfc_sample_complexity")
    script = (
        "import nbformat, sys; from nbclient import NotebookClient; nb = nbformat.read(sys.argv[1], 4); "
        "NotebookClient(nb, timeout=240, kernel_name='python3').execute(); nbformat.write(nb, sys.argv[2])"
    )
    out = tmp_path / "done.ipynb"
    done = subprocess.run(
        [sys.executable, "-c", script, str(ROOT / "docs" / "explore.ipynb"), str(out)],
        cwd=tmp_path,
        text=True,
        env={
            **environment(BFC_RESULTS=str(tmp_path / "results")),
            "HOME": os.environ.get("HOME", str(tmp_path)),
        },
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    text = out.read_text()
    assert '"image/png"' in text and "staged quadratic_densenet" in text and "undecided" in text
