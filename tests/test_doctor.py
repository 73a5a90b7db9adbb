"""``bfc doctor`` says what works, and fails where this program cannot run.

It reads no key and leaves nothing behind.
"""

import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest
import typer.testing

from bfc import cli, paths
from bfc.application import doctor
from bfc.application.doctor import Check, CheckState
from bfc.trackers import wandb_login

SECRET = "0123456789secret"
NAMES = {
    "Python",
    "packages",
    "source",
    "processor",
    "compiled steps",
    "memory",
    "disk",
    "GPU",
    "SLURM",
    "W&B",
    "training",
}


@pytest.fixture
def logged_in(monkeypatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.delenv("WANDB_MODE", raising=False)


@pytest.fixture
def no_training(monkeypatch) -> None:
    check = Check("training", CheckState.OK, "not run")
    monkeypatch.setattr(doctor, "_check_training", lambda: check)


def examine(results: Path) -> dict[str, Check]:
    return {check.name: check for check in doctor.examine(str(results))}


def test_a_working_machine_has_no_failure_and_nothing_is_left(
    logged_in, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(wandb_login, "is_server_reachable", lambda: True)
    checks = examine(tmp_path / "deep" / "results")
    assert set(checks) == NAMES
    assert [check for check in checks.values() if check.state is CheckState.FAILS] == []
    assert "online (a key, and the server answers)" in checks["W&B"].text
    assert all(SECRET not in check.text for check in checks.values())
    assert str(tmp_path) in checks["disk"].text and list(tmp_path.iterdir()) == []


def test_a_key_without_a_network_is_reported(logged_in, monkeypatch) -> None:
    monkeypatch.setattr(wandb_login, "is_server_reachable", lambda: False)
    check = doctor._check_wandb()
    assert check.text.endswith("would run offline (a key, but the server does not answer)")


def test_steps_that_are_not_compiled_or_not_kept_are_noted(monkeypatch, tmp_path) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    check = doctor._check_compiled_steps()
    assert check.state is CheckState.OK
    assert check.text.endswith(f" replicas at a time, kept in {tmp_path / 'cache'}")
    monkeypatch.setattr(paths, "CACHE", file / "cache")
    check = doctor._check_compiled_steps()
    assert check.state is CheckState.NOTE
    assert f"anew in every process, since {file} is no folder; set BFC_CACHE" in check.text
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    monkeypatch.delitem(sys.modules, "bfc.engine.compiled.machine")
    check = doctor._check_compiled_steps()
    assert check.state is CheckState.NOTE
    assert check.text.startswith("none, since a package is missing (")
    assert list(tmp_path.iterdir()) == [file]


def test_missing_and_unfit_packages_are_failures(monkeypatch) -> None:
    requirements = ["numpy>=99", "surely-not-installed>=1", "pytest>=99; extra == 'test'"]
    monkeypatch.setattr(metadata, "requires", lambda _: requirements)
    check = doctor._check_packages()
    assert check.state is CheckState.FAILS
    assert f"numpy {metadata.version('numpy')} does not satisfy >=99" in check.text
    assert "surely-not-installed is missing" in check.text
    assert "pytest" not in check.text


def test_a_check_that_raises_is_a_failure(no_training, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: 1 / 0)
    checks = examine(tmp_path)
    assert checks["disk"] == Check("disk", CheckState.FAILS, "ZeroDivisionError: division by zero")
    assert set(checks) == NAMES


def test_without_torch_the_other_checks_still_run(no_training, monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    checks = examine(tmp_path)
    assert set(checks) == NAMES
    assert checks["GPU"].state is CheckState.FAILS and "torch" in checks["GPU"].text
    assert checks["disk"].state is not CheckState.FAILS


def test_an_old_python_fails(monkeypatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    check = doctor._check_python()
    assert check.state is CheckState.FAILS and check.text.endswith("3.11 or newer is needed")


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ((CheckState.OK,), 0),
        ((CheckState.OK, CheckState.NOTE), 0),
        ((CheckState.OK, CheckState.FAILS), 1),
    ],
)
def test_the_exit_status_says_whether_it_works(monkeypatch, states, status) -> None:
    checks = [Check(state.value, state, "text [bold]") for state in states]
    monkeypatch.setattr(doctor, "examine", lambda _: checks)
    done = typer.testing.CliRunner().invoke(cli.application(), ["doctor"])
    assert done.exit_code == status
    assert done.output.count("text [bold]") == len(states)
