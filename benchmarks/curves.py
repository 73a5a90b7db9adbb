"""Whole learning curves of a kernel in float64 on one device, up to what its memory holds.

Measured are the seconds for the matrix, its factor and the curve at every n, the share of the
measured float64 product rate that the N³/3 + T N² operations reach, peak memory against the
formula, and, at the smallest size, direct solves at 12 values of n in the same run.

    python -m benchmarks.curves [--device cuda] [--n 10000 30000 60000] [--test 4096] [--d 30]
    [--json FOLDER]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.record import RESULTS, Aim, finish
from benchmarks.walls import clock, product_rate
from bfc.baselines.kernels import NTK
from bfc.baselines.learning_curve import BLOCK, CurveLabels, learning_curve
from bfc.baselines.memory import memory_bytes
from bfc.baselines.panels import cholesky, gram_matrix, kernel_panels
from bfc.targets.parity import Parity
from bfc.types import sample

RIDGE = 1e-3


def timed(work: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    """Seconds of a call, and its result."""
    start = clock(device)
    result = work()
    return clock(device) - start, result


def direct(
    kernel: torch.Tensor, cross: torch.Tensor, y: torch.Tensor, f: torch.Tensor, sizes: list[int]
) -> list[float]:
    """Relative risks by one factorisation and solve per n."""
    risks = []
    for n in sizes:
        factor = torch.linalg.cholesky(
            kernel[:n, :n] + RIDGE * torch.eye(n, dtype=kernel.dtype, device=kernel.device)
        )
        predicted = cross[:, :n] @ torch.cholesky_solve(y[:n, None], factor).squeeze(1)
        risks.append(float((predicted - f).square().mean()))
    return risks


@dataclass(frozen=True)
class Problem:
    """Training and test rows of one draw, with labels."""

    x: torch.Tensor
    y: torch.Tensor
    x_test: torch.Tensor
    f: torch.Tensor


def make_problem(n: int, d: int, test: int, device: torch.device) -> Problem:
    draw = Parity(d=d).draw([0], torch.float64, device)

    def rows(role: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = sample(draw, role, torch.arange(count, device=device).unsqueeze(0))
        return x[0], y[0]

    return Problem(*rows("train", n), *rows("test", test))


def compare_with_direct(
    problem: Problem, risks: torch.Tensor, device: torch.device
) -> dict[str, float]:
    """Seconds of direct solves at 12 n, and their largest relative difference from the curve."""
    n = len(problem.x)
    kernel = gram_matrix(NTK().gram, problem.x)
    cross = gram_matrix(NTK().gram, problem.x_test, problem.x)
    sizes = [int(m) for m in np.linspace(n / 12, n, 12)]
    direct(kernel, cross, problem.y, problem.f, sizes[:1])
    seconds, solved = timed(lambda: direct(kernel, cross, problem.y, problem.f, sizes), device)
    ours = risks[[m - 1 for m in sizes]].tolist()
    difference = max(abs(a / b - 1) for a, b in zip(ours, solved, strict=True))
    return {"direct_s": seconds, "difference": difference}


def measure(
    n: int, d: int, test: int, device: torch.device, peak: float, with_direct: bool
) -> dict[str, Any]:
    """One curve of ``n`` points in parts; the factor alone is timed on a second matrix."""
    problem = make_problem(n, d, test, device)
    gram = NTK().gram
    before = 0
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    matrix_s, panels = timed(lambda: kernel_panels(gram, problem.x), device)
    blocks = (gram_matrix(gram, rows, problem.x) for rows in problem.x_test.split(BLOCK))
    curve_s, risks = timed(
        lambda: learning_curve(
            panels, blocks, CurveLabels(problem.y, problem.f, 1.0), RIDGE, overwrite=True
        ),
        device,
    )
    row: dict[str, Any] = {"n": n, "d": d, "test": test}
    row |= {"matrix_s": matrix_s, "curve_s": curve_s, "risk": float(risks[-1])}
    if device.type == "cuda":
        row["memory_share"] = (torch.cuda.max_memory_allocated(device) - before) / memory_bytes(n)
    panels.clear()
    panels = kernel_panels(gram, problem.x)
    row["factor_s"], _ = timed(lambda: cholesky(panels, RIDGE, overwrite=True), device)
    panels.clear()
    row["factor_of_peak"] = n**3 / 3 / row["factor_s"] / peak
    row["of_peak"] = (n**3 / 3 + test * n**2) / curve_s / peak
    if with_direct:
        row |= compare_with_direct(problem, risks, device)
    return row


def print_row(row: dict[str, Any], peak: float) -> None:
    memory = ""
    if "memory_share" in row:
        memory = f", memory {row['memory_share']:.2f} of the formula"
    print(
        f"n = {row['n']}: matrix {row['matrix_s']:.2f} s, factor {row['factor_s']:.2f} s "
        f"({row['factor_of_peak']:.0%} of the float64 product rate, {peak / 1e12:.2g} TFLOP/s), "
        f"the curve at every n with {row['test']} test rows {row['curve_s']:.2f} s "
        f"({row['of_peak']:.0%}){memory}",
        flush=True,
    )


def make_aims(rows: list[dict[str, Any]]) -> list[Aim]:
    first = rows[0]
    ratio = first["direct_s"] / first["curve_s"]
    aims = [
        Aim(f"direct solves at 12 n / one curve at every n <= {first['n']}", ratio, 1.0),
        Aim("largest relative difference between them", first["difference"], 1e-6, at_most=True),
    ]
    for row in rows:
        if "memory_share" in row:
            name = f"memory at n = {row['n']} / its formula"
            aims.append(Aim(name, row["memory_share"], 1.0, at_most=True))
    return aims


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--n", type=int, nargs="+", default=[1000, 2000])
    parser.add_argument("--test", type=int, default=4096)
    parser.add_argument("--d", type=int, default=30)
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    peak = product_rate(options.device, torch.float64)
    # a small curve first, which loads the libraries
    measure(min(options.n) // 4, options.d, options.test, options.device, peak, False)
    rows: list[dict[str, Any]] = []
    for n in sorted(options.n):
        rows.append(measure(n, options.d, options.test, options.device, peak, not rows))
        print_row(rows[-1], peak)
    figures = {"product_rate": peak, "rows": rows}
    finish("curves", figures, make_aims(rows), options.json, str(options.device))


if __name__ == "__main__":
    main()
