"""Products of a stack by oneDNN, replica by replica, against torch.bmm, from small to large.

They show from which size a call of its own pays on this machine (:mod:`bfc.matmul`).

    python -m benchmarks.products [--seconds 0.5] [--json FOLDER]
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.cases import CPU
from benchmarks.record import RESULTS, Aim, finish
from benchmarks.walls import rate
from bfc import matmul

SHAPES = (
    (32, 64, 64, 64),
    (16, 128, 128, 128),
    (16, 256, 128, 128),
    (4, 256, 32, 512),
    (8, 512, 100, 512),
    (4, 256, 512, 512),
)
"""(R, M, K, N)."""


def measure(shape: tuple[int, int, int, int], seconds: float) -> dict[str, Any]:
    """Rates of both libraries, in operations per second."""
    replicas, m, k, n = shape
    a, b = torch.randn(replicas, m, k), torch.randn(replicas, k, n)
    operations = 2 * replicas * m * k * n
    onednn = rate(partial(matmul.onednn_bmm, a, b), operations, CPU, seconds)
    bmm = rate(partial(torch.bmm, a, b), operations, CPU, seconds)
    return {
        "shape": list(shape),
        "apart": onednn,
        "bmm": bmm,
        "ratio": onednn / bmm,
        "large": m * k * n >= matmul.MIN_ONEDNN_MULTIPLICATIONS,
    }


def print_row(row: dict[str, Any]) -> None:
    replicas, m, k, n = row["shape"]
    library = "oneDNN" if row["large"] and matmul.prefers_onednn() else "torch.bmm"
    print(
        f"{replicas} x ({m}, {k}) by ({k}, {n}): oneDNN {row['apart'] / 1e9:.0f}, "
        f"torch.bmm {row['bmm'] / 1e9:.0f} GFLOP/s, {row['ratio']:.2f} times; {library} is used"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="CPU time per shape and side")
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = []
    for shape in SHAPES:
        rows.append(measure(shape, options.seconds))
        print_row(rows[-1])
    aims = []
    if matmul.prefers_onednn():
        worst = min(row["ratio"] for row in rows if row["large"])
        aims.append(
            Aim("products by oneDNN / by torch.bmm, worst shape that goes there", worst, 1.0)
        )
    finish("products", {"rows": rows}, aims, options.json)


if __name__ == "__main__":
    main()
