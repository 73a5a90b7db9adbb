"""``bfc doctor``: says what works, fails where this program cannot run, reads no key and leaves
nothing behind."""

import sys
from importlib import metadata

import pytest
import typer.testing

from bfc import cli
from bfc.application import doctor


def states(results):
    return {check.name: check for check in doctor.examine(str(results))}


def test_a_working_machine_has_no_failure_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789secret")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr("bfc.trackers.wandb.answers", lambda: True)
    found = states(tmp_path / "deep" / "results")
    assert {
        "Python",
        "packages",
        "source",
        "processor",
        "memory",
        "disk",
        "GPU",
        "SLURM",
        "W&B",
        "training",
    } == set(found)
    assert [check for check in found.values() if check.state == doctor.FAILS] == []
    assert "online (a key, and the server answers)" in found["W&B"].text and all(
        "secret" not in check.text for check in found.values()
    )
    assert str(tmp_path) in found["disk"].text and list(tmp_path.iterdir()) == []


def test_a_key_without_a_network_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789secret")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr("bfc.trackers.wandb.answers", lambda: False)
    [check] = doctor._wandb()
    assert check.text.endswith("would run offline (a key, but the server does not answer)")


def test_missing_and_unfit_packages_and_a_broken_check_are_failures(monkeypatch, tmp_path):
    monkeypatch.setattr(
        metadata,
        "requires",
        lambda _: ["numpy>=99", "surely-not-installed>=1", "pytest>=99; extra == 'test'"],
    )
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: 1 / 0)
    monkeypatch.setattr(doctor, "_training", lambda: iter(()))
    found = states(tmp_path)
    assert found["packages"].state == doctor.FAILS
    assert (
        "numpy" in found["packages"].text
        and "surely-not-installed is missing" in found["packages"].text
    )
    assert "pytest" not in found["packages"].text
    assert any(
        check.state == doctor.FAILS and "ZeroDivisionError" in check.text
        for check in found.values()
    )


def test_an_old_python_fails(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    assert next(doctor._python()).state == doctor.FAILS


@pytest.mark.parametrize("failing, status", [(False, 0), (True, 1)])
def test_the_exit_status_says_whether_it_works(monkeypatch, failing, status):
    checks = [
        doctor.Check("a", doctor.OK, "fine [bold]"),
        *([doctor.Check("b", doctor.FAILS, "not")] if failing else []),
    ]
    monkeypatch.setattr(doctor, "examine", lambda _: checks)
    done = typer.testing.CliRunner().invoke(cli.application(), ["doctor"])
    assert done.exit_code == status and "fine [bold]" in done.output
