"""The ``bfc`` command finds every file of bfc/commands, explains it, and refuses mistakes."""

import json
import subprocess
import sys

import pytest
import typer.testing
from commands import ROOT, environment

from bfc import cli
from bfc.errors import UserError

NAMES = sorted(
    path.stem.replace("_", "-")
    for path in (ROOT / "bfc" / "commands").glob("*.py")
    if path.stem != "__init__"
)
RUNNER = typer.testing.CliRunner()
LIST_HEAVY_PACKAGES = """
import sys
from bfc import cli

cli.application()
heavy = {"torch", "pandas", "numpy", "matplotlib", "hydra", "omegaconf", "wandb", "trackio"}
print(*heavy & set(sys.modules))
"""


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself(name: str) -> None:
    done = RUNNER.invoke(cli.application(), [name, "--help"])
    assert done.exit_code == 0 and "Usage" in done.output and len(done.output.split()) > 10


def test_the_list_of_commands_stands_under_headings_in_the_order_of_their_use() -> None:
    text = RUNNER.invoke(cli.application(), ["--help"]).output
    places = [text.index(f"─ {panel} ─") for panel in cli.PANELS]
    assert places == sorted(places) and all(f"│ {name} " in text for name in NAMES)


def test_version_prints_what_results_are_stamped_with() -> None:
    done = RUNNER.invoke(cli.application(), ["version"])
    assert set(json.loads(done.output)) >= {"python", "packages", "commit", "hardware"}


def test_a_mistake_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> typer.Typer:
        raise UserError("x=1: must be 2")

    monkeypatch.setattr(cli, "application", refuse)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2 and capsys.readouterr().err == "bfc: x=1: must be 2\n"


def test_help_does_not_load_the_heavy_packages() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIST_HEAVY_PACKAGES],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=ROOT,
        check=True,
    )
    assert done.stdout.strip() == ""
