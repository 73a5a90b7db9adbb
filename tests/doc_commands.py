"""The commands of README and docs, and how the tests run them: in one process, made small.

As a script it runs the commands that its arguments are in the current folder.
"""

from __future__ import annotations

import contextlib
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.testing
from commands import ROOT, environment, process_of, run

from analysis.report import main as report_main
from bfc import cli
from bfc.engine.compiled.__main__ import main as show_compiled_step

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
SHELL = ("", "sh", "bash", "console")
"""Languages of blocks that hold commands."""
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
IN_THIS_PROCESS = (
    *("-n", "0", "-p", "no:cacheprovider"),
    *("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"),
)
"""Options of a pytest that is run where Hydra, itself a plugin of pytest, has been imported."""


def marked_blocks(page: Path) -> list[tuple[str, str]]:
    """The code of a page in its order: the language of a block with its text.

    Blocks without a language, or of a shell, hold commands; each is one entry of kind ``command``,
    without comments, with continued lines as one.
    """
    pieces = []
    for kind, text in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), flags=re.M | re.S):
        if kind in SHELL:
            pieces += [("command", command) for command in split_commands(text)]
        else:
            pieces.append((kind, text))
    return pieces


def split_commands(text: str) -> list[str]:
    lines = text.replace("\\\n", " ").splitlines()
    words_of_lines = [shlex.split(line, comments=True) for line in lines]
    return [shlex.join(words) for words in words_of_lines if words]


def blocks(page: Path, kind: str) -> list[str]:
    """The code blocks of a page in one language."""
    return [text for marked_kind, text in marked_blocks(page) if marked_kind == kind]


def commands_of(page: Path) -> list[str]:
    """The commands of a page."""
    return blocks(page, "command")


def small(words: list[str]) -> list[str]:
    """Words of a training command made small by overrides; a sweep runs in this process."""
    has_baseline = any(word.startswith("baseline=") for word in words)
    has_launcher = any(word.startswith("hydra/launcher") for word in words)
    overrides = SMALL_BASELINE if has_baseline and "learner=none" in words else SMALL
    launcher = ["hydra/launcher=basic"] if "-m" in words and not has_launcher else []
    return [*words, *overrides, *launcher]


def perform(command: str, cwd: Path) -> None:
    """Run one command in this process; an unknown kind of command fails."""
    words = shlex.split(command)
    if words[0] == "bfc-train":
        words = ["python", "-m", "bfc.train", *words[1:]]
    if words[:3] == ["python", "-m", "bfc.train"]:
        done = run(*small(words[3:]), cwd=cwd)
        assert done.status == 0, (command, done.err)
    elif words[:3] == ["python", "-m", "analysis.report"]:
        with contextlib.chdir(cwd):
            assert report_main(words[3:]) == 0, command
    elif words[0] == "bfc":
        if words[1] == "reproduce":
            words = [*words, "--study", "bfc_chain"]
        if words[1] == "launch":
            words = [*words, *SMALL]
        with contextlib.chdir(cwd):
            result = typer.testing.CliRunner().invoke(cli.application(), words[1:])
        assert result.exit_code == 0, (command, result.output, result.exception)
    elif words[:3] == ["python", "-m", "pytest"]:
        with contextlib.chdir(cwd):
            assert pytest.main([*words[3:], *IN_THIS_PROCESS]) == 0, command
    elif words[:3] == ["python", "-m", "bfc.engine.compiled"]:
        if "--blocks" in words:
            _show_blocks(words[1:], cwd)
        else:
            show_compiled_step(words[3:])
    elif words == ["python", "-m", "bfc.schedules"]:
        runpy.run_module("bfc.schedules")["main"]([])
    else:
        pytest.fail(
            f"{command}: is neither a command this test can run nor listed in docs/not_run.yaml"
        )


def output_of(command: str, cwd: Path) -> str:
    """What a command of this program prints, run as it stands in a process."""
    words = shlex.split(command)
    module, arguments = ("bfc.cli", words[1:]) if words[0] == "bfc" else (words[2], words[3:])
    done = process_of(module, *arguments, cwd=cwd)
    assert done.status == 0, (command, done.err)
    return done.out


def _show_blocks(words: list[str], cwd: Path) -> None:
    """In a process of its own: tests of blocks may have set up Triton's interpreter in this one."""
    variables = environment(PYTHONPATH=str(Path(__file__).parents[1]))
    variables.pop("TRITON_INTERPRET", None)
    subprocess.run([sys.executable, *words], cwd=cwd, env=variables, check=True)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        perform(argument, Path.cwd())
