"""Run pytest with the given arguments beside four busy loops (``make test-busy``)."""

from __future__ import annotations

import subprocess
import sys

LOOPS = 4
LOOP = [sys.executable, "-c", "while True: pass"]


def main(arguments: list[str]) -> int:
    """The exit status of pytest."""
    loops = [subprocess.Popen(LOOP) for _ in range(LOOPS)]
    try:
        return subprocess.run([sys.executable, "-m", "pytest", *arguments]).returncode
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
