"""README and docs do what they say.

Every command in a code block is run (made small), or is on the list docs/not_run.yaml with the
reason and the test that stands in. Python blocks run; the worked examples are followed in a copy of
the program; links, and the names that prose sets in backticks, exist.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from commands import ROOT, environment, process_of
from doc_commands import PAGES, blocks, commands_of, perform
from synthetic import write_cell

from analysis.chart import Chart
from analysis.load import load_results
from analysis.registry import list_options, load_part
from analysis.verdicts import Measurement, judge
from bfc.experiment.components import GROUPS, class_paths

WORKED_EXAMPLES = [page for page in PAGES if page.name.startswith(("add_", "change_"))]
NOT_RUN = yaml.safe_load((ROOT / "docs" / "not_run.yaml").read_text())


def is_listed(command: str) -> bool:
    return any(re.fullmatch(entry["command"], command) for entry in NOT_RUN)


def python_blocks(page: Path) -> list[str]:
    """The Python of a page, but where tests/test_printed_output.py runs it."""
    return [] if blocks(page, "output") else blocks(page, "python")


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    for name in ("docs", "conf", "sweeps", "bfc"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.mark.parametrize(
    "page",
    [
        page
        for page in PAGES
        if page not in WORKED_EXAMPLES and (commands_of(page) or python_blocks(page))
    ],
    ids=lambda page: page.name,
)
def test_every_command_and_python_block_runs(page, workplace, monkeypatch):
    for command in commands_of(page):
        if not is_listed(command):
            perform(command, workplace)
    module = ModuleType("a_page")  # in which classes look up their annotations
    monkeypatch.setitem(sys.modules, "a_page", module)
    with contextlib.chdir(workplace):
        for text in python_blocks(page):
            exec(compile(text, page.name, "exec", dont_inherit=True), vars(module))
    for text in blocks(page, "yaml"):
        assert yaml.safe_load(text)


def test_the_list_of_what_is_not_run_has_no_dead_entry_and_names_tests():
    commands = [command for page in PAGES for command in commands_of(page)]
    for entry in NOT_RUN:
        assert any(re.fullmatch(entry["command"], command) for command in commands), entry
        assert len(entry["why"]) > 20, entry
        assert entry["tested"] is None or (ROOT / entry["tested"]).is_file(), entry


def test_studies_in_commands_exist():
    for page in PAGES:
        if page in WORKED_EXAMPLES:  # which add theirs
            continue
        for command in commands_of(page):
            for study in re.findall(r"\+sweeps=(\w+)", command):
                assert (ROOT / "sweeps" / f"{study}.yaml").is_file(), (page.name, command)


PROGRAM = ("bfc", "conf", "sweeps", "analysis", "tests")
FILES = "|".join(PROGRAM)


def blocks_of_example(page: Path) -> Iterator[tuple[str, str]]:
    """The python, yaml and diff blocks of a worked example, with where they go.

    A python or yaml block goes into the file that the text before it named last, in backticks; a
    diff names its files itself, which is the empty string here.
    """
    text = page.read_text()
    for match in re.finditer(r"^```(python|yaml|diff)\n(.*?)^```", text, flags=re.M | re.S):
        kind, block = match.groups()
        if kind == "diff":
            yield "", block
            continue
        ending = "py" if kind == "python" else "yaml"
        paths = re.findall(rf"`((?:{FILES})/[\w/]+\.{ending})`", text[: match.start()])
        assert paths, f"{page.name}: no file is named before this block:\n{block}"
        yield paths[-1], block


def write_worked_example(page: Path, program: Path) -> None:
    """Write a page's code into a copy of the program."""
    for path, block in blocks_of_example(page):
        if path:
            (program / path).write_text(block)
        else:
            apply = ["git", "apply", "--unsafe-paths", f"--directory={program}", "-"]
            subprocess.run(apply, input=block, text=True, check=True, cwd=program)


def run_in_copy(commands: list[str], program: Path) -> None:
    """Run the commands of a worked example with the copied program, made small.

    They share one process, since starting one costs more than most commands.
    """
    paths = os.pathsep.join([str(program / "tests"), str(program)])
    done = process_of("doc_commands", *commands, cwd=program, PYTHONPATH=paths)
    assert done.status == 0, (done.out[-3000:], done.err[-3000:])


@pytest.mark.parametrize("page", WORKED_EXAMPLES, ids=lambda page: page.stem)
def test_a_worked_example_can_be_followed_step_by_step(page, tmp_path):
    """Its files are added to a copy of the program, and its commands, tests among them, pass."""
    for name in PROGRAM:  # with compiled files, but for those that are being written
        ignored = shutil.ignore_patterns("*.pyc.*")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    write_worked_example(page, tmp_path)
    commands = commands_of(page)
    assert any("pytest" in command for command in commands), "a page ends with the tests it passes"
    run_in_copy(commands, tmp_path)


def test_the_claim_figure_and_predicate_of_the_concepts_are_what_the_program_takes(tmp_path):
    page, names = ROOT / "docs" / "concepts.md", {}
    for text in blocks(page, "python"):
        exec(compile(text, page.name, "exec"), names)
    for d in (8, 16):
        write_cell(tmp_path / "r", f"a{d}", d=d)
    (evidence,) = load_results(tmp_path / "r").studies.values()
    measurement = names["steps_to_end"](evidence, "staged quadratic_densenet", at_most=3000)
    assert isinstance(measurement, Measurement)
    finding = judge(measurement)
    assert (finding.measured, finding.verdict) == (3000, "reproduced")
    (chart,) = names["train_risk_against_n"](evidence)
    assert isinstance(chart, Chart) and len(chart.to_table()) == 9
    node = {}
    for text in blocks(page, "yaml"):
        node |= yaml.safe_load(text)
    for claim in node["claims"]:
        options = list_options(load_part("predicates", claim["predicate"], "docs"))
        assert set(claim["thresholds"]) <= set(options)
    for figure in node["figures"]:
        assert load_part("plots", figure["figure"], "docs")


def quoted(page: Path) -> list[str]:
    """What the prose of a page sets in backticks."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return [" ".join(text.split()) for text in re.findall(r"`([^`]+)`", prose)]


def commands_in_prose(page: Path) -> list[str]:
    return [text for text in quoted(page) if re.match(r"(bfc|make|python -m) ", text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_the_commands_in_prose_exist(page):
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link
    known = {path.stem.replace("_", "-") for path in (ROOT / "bfc" / "commands").glob("*.py")}
    makefile = (ROOT / "Makefile").read_text()
    for command in commands_in_prose(page):
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


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module of the program, or a name in one."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for name in parts[length:]:
            value = getattr(value, name, None)
        return value is not None
    return False


def keys_of(group: str) -> set[str]:
    """The keys of all options of a config group."""
    keys = set()
    for path in class_paths(group).values():
        module, _, name = path.rpartition(".")
        cls = getattr(importlib.import_module(module), name)
        keys |= {field.name for field in dataclasses.fields(cls)}
    return keys


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_modules_keys_and_options_in_prose_exist(page):
    example = dict(blocks_of_example(page)) if page in WORKED_EXAMPLES else {}
    classes = re.findall(r"^class (\w+)", "\n".join(example.values()), flags=re.M)
    groups = "|".join(GROUPS)
    folders = "bfc|analysis|tests|conf|sweeps|benchmarks|docs"
    for text in quoted(page):
        for path in re.findall(rf"(?<![\w/.~])((?:{folders})/[\w/.-]*\w)", text):
            assert path in example or (ROOT / path).exists(), path
        for name in re.findall(r"(?<![\w./])((?:bfc|analysis|benchmarks)\.\w[\w.]*)", text):
            assert name.rpartition(".")[2] in classes or exists(name), name
        for group, key in re.findall(rf"(?<![\w./])({groups})\.(\w+)(?!\w*\()", text):
            assert key in keys_of(group), f"{group}.{key}"
        for group, option in re.findall(rf"(?<![\w./])({groups})=([a-z]\w*)(?![\w.])", text):
            assert (ROOT / "conf" / group / f"{option}.yaml").is_file(), f"{group}={option}"


RUN_NOTEBOOK = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=None, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def run_notebook(name: str, tmp_path: Path) -> str:
    """The notebook after its cells were run, by nbclient in a process of its own."""
    for package in ("nbclient", "ipykernel"):
        pytest.importorskip(package, reason=f"{package} is not installed (extra: test)")
    out = tmp_path / "done.ipynb"
    done = subprocess.run(
        [sys.executable, "-c", RUN_NOTEBOOK, str(ROOT / "docs" / name), str(out)],
        cwd=tmp_path,
        text=True,
        env={
            **environment(BFC_RESULTS=str(tmp_path / "results")),
            "HOME": os.environ.get("HOME", str(tmp_path)),
        },
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out.read_text()


def test_the_notebook_of_the_library_runs(tmp_path):
    text = run_notebook("as_a_library.ipynb", tmp_path)
    assert '"image/png"' in text and "n* grows as d^" in text


def test_the_notebook_runs_on_a_store(tmp_path):
    for d in (8, 16, 32):
        write_cell(tmp_path / "results", f"a{d}", d=d, study="bfc_sample_complexity")
    text = run_notebook("explore.ipynb", tmp_path)
    assert '"image/png"' in text and "staged quadratic_densenet" in text and "reproduced" in text
