"""A real headless browser for the tests of pages, as a plugin of pytest.

It is the system's Chromium, driven by playwright, and is installed with apt where the tests run as
root on Debian or Ubuntu. Where neither is possible, the tests that need it are skipped with the
reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from commands import MAX_SECONDS

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PACKAGES = ("chromium", "fonts-dejavu-core")
APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=2")
APT_SECONDS = 600


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser; skips the test where playwright or the browser is missing.

    It is closed after each file of tests, since a process can have no second one beside it.
    """
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (extra: test)"
    )
    with playwright.sync_playwright() as started:
        driver = started.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox"], timeout=1000 * MAX_SECONDS
        )
        yield driver
        driver.close()


@cache
def chromium() -> str:
    """Path of the browser; skips the test where there is none and none can be installed."""
    path = _installed_browser()
    if path is not None:
        return path
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        pytest.skip("no Chromium on this machine, and installing one takes root and apt")
    _run_apt("update")
    _run_apt("install", "-y", "--no-install-recommends", *PACKAGES)
    path = _installed_browser()
    if path is None:
        pytest.skip("apt installed no Chromium")
    return path


def _installed_browser() -> str | None:
    paths = [shutil.which(name) for name in NAMES]
    return next((path for path in paths if path is not None), None)


def _run_apt(action: str, *arguments: str) -> None:
    """Run apt-get; skips the test where it fails."""
    done = subprocess.run(
        [*APT, action, *arguments],
        capture_output=True,
        text=True,
        timeout=APT_SECONDS,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )
    if done.returncode:
        *_, last_line = done.stderr.strip().splitlines() or [""]
        pytest.skip(f"no Chromium, and apt-get {action} failed: {last_line}")
