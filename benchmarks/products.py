"""Products of a stack by oneDNN, one replica at a time and stacked again, against torch.bmm, from
small to large: where a call of its own pays on this machine (:mod:`bfc.matmul`).

    python -m benchmarks.products [--seconds 0.5] [--json FOLDER]
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch

from benchmarks.record import RESULTS, Aim, finish
from benchmarks.training import CPU
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


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="CPU time per shape and side")
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = []
    for replicas, m, k, n in SHAPES:
        a, b = torch.randn(replicas, m, k), torch.randn(replicas, k, n)
        apart, bmm = (
            rate(partial(way, a, b), 2 * replicas * m * k * n, CPU, options.seconds)
            for way in (matmul._onednn_bmm, torch.bmm)
        )
        rows.append(
            {
                "shape": [replicas, m, k, n],
                "apart": apart,
                "bmm": bmm,
                "ratio": apart / bmm,
                "large": m * k * n >= matmul.MIN_ONEDNN_MULTIPLICATIONS,
            }
        )
        library = "oneDNN" if rows[-1]["large"] and matmul.prefers_onednn() else "torch.bmm"
        print(
            f"{replicas} x ({m}, {k}) by ({k}, {n}): oneDNN {apart / 1e9:.0f}, "
            f"torch.bmm {bmm / 1e9:.0f} GFLOP/s, {apart / bmm:.2f} times; {library} is used"
        )
    used = [row["ratio"] for row in rows if row["large"] and matmul.prefers_onednn()]
    aims = (
        [Aim("products by oneDNN / by torch.bmm, worst shape that goes there", min(used), 1.0)]
        if used
        else []
    )
    finish("products", {"rows": rows}, aims, options.json)


if __name__ == "__main__":
    main()
