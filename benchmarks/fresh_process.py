"""Figures of a process that has only just started.

What a first step costs, or how much memory a program takes, shows only in a process that has
computed nothing before. Such benchmarks start themselves once per figure and print it last.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def number_of_process(module: str, options: Sequence[str], cache: str) -> float:
    """The number that a module of ``benchmarks`` prints last in a fresh process.

    ``cache``: the folder in which that process keeps generated code.
    """
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *options],
        cwd=Path(__file__).parents[1],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "BFC_CACHE": cache, "TRITON_CACHE_DIR": f"{cache}/triton"},
    )
    return float(done.stdout.splitlines()[-1])
