"""A forked process is, to whoever starts it, one that Python started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import MAX_SECONDS, environment, fork_server

PROGRAM = """
import atexit, os, signal, sys
import multiprocessing

def double(x):
    return 2 * x

if __name__ == "__main__":
    atexit.register(print, "last words")
    print(sys.argv[1:], os.getcwd(), sys.path[:2], os.environ["GREETING"], sys.stdin.read() == "")
    print(__spec__.name, file=sys.stderr)
    if "spawn" in sys.argv:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.map(double, [1, 2]))
    if "signal" in sys.argv:
        os.kill(os.getpid(), signal.SIGTERM)
    if "error" in sys.argv:
        raise ValueError("a fault")
    sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize("arguments", [["0"], ["3", "spawn"], ["0", "signal"], ["0", "error"]])
def test_it_is_as_if_python_had_started_it(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "program.py").write_text(PROGRAM)
    variables = environment(PYTHONPATH=str(tmp_path / "library"), GREETING="hello")
    real = subprocess.run(
        [sys.executable, "-m", "program", *arguments],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    status, out, err = fork_server().run("program", arguments, tmp_path, variables, MAX_SECONDS)
    assert (status, out) == (real.returncode, real.stdout)
    assert err.splitlines()[:1] == real.stderr.splitlines()[:1] == ["program"]
    assert err.splitlines()[-1] == real.stderr.splitlines()[-1]


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import time\ntime.sleep(10**6)\n")
    with pytest.raises(subprocess.TimeoutExpired):
        fork_server().run("program", [], tmp_path, environment(), timeout=1.0)
    (tmp_path / "program.py").write_text("print('the next one')\n")
    done = fork_server().run("program", [], tmp_path, environment(), MAX_SECONDS)
    assert done == (0, "the next one\n", "")
