"""A real headless browser for the tests of the page: Chromium as the system has it, installed with
apt where the tests run as root on Debian or Ubuntu, driven by playwright. Where neither is possible
the tests that need it are skipped with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

import pytest


@cache
def chromium() -> str:
    """Path of the browser; skips the test where there is none and none can be installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    if (found := next(filter(None, map(shutil.which, names)), None)) is not None:
        return found
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        pytest.skip("no Chromium on this machine, and installing one takes root and apt")
    wait = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=2"]
    for step in (
        ["update"],
        ["install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
    ):
        done = subprocess.run(
            ["apt-get", *wait, *step],
            capture_output=True,
            text=True,
            timeout=600,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        if done.returncode:
            pytest.skip(
                f"no Chromium, and apt-get {step[0]} failed: {(done.stderr.strip().splitlines() or [''])[-1]}"
            )
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("apt installed no Chromium")
    return found
