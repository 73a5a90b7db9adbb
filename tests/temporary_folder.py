"""One folder for what a run of the tests leaves behind outside pytest's own folders.

Servers, browsers and trackers write below the system's folder for temporary files. During the tests
that is a folder of the run, which is removed when the run ends. Its path is short, since sockets
lie in it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

FOLDER_VARIABLE = "BFC_TESTS_TMPDIR"
"""The environment variable that holds the folder, for all processes of a run."""


def use_temporary_folder(config: pytest.Config) -> None:
    """Point ``TMPDIR`` to a new folder until pytest ends.

    Workers of pytest-xdist, and a pytest that a test runs, use that of the process above them.
    """
    if FOLDER_VARIABLE in os.environ:
        return
    system_folder = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="bfc-tests-")
    Path(folder).chmod(0o755)
    patch = pytest.MonkeyPatch()
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    config.add_cleanup(patch.undo)
    patch.setenv(FOLDER_VARIABLE, folder)
    patch.setenv("TMPDIR", folder)
    patch.setattr(tempfile, "tempdir", folder)
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ:  # tmp_path stays where failures can be looked at
        patch.setenv("PYTEST_DEBUG_TEMPROOT", system_folder)
