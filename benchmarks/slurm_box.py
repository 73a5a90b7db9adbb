"""The SLURM of virtual nodes of the tests (tests/slurm_cluster.py), for benchmarks and the demo."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from slurm_cluster import running as running_slurm

__all__ = ["running_slurm"]
