"""Kernels and learning curves against their peers, on one thread, in one run.

curve   the risk at every n <= 3000 from one factorisation, against scikit-learn's KernelRidge
        refitted at 12 values of n and against direct Cholesky solves at the same 12, on the same
        kernel matrices
gram    the matrix of the depth-3 NTK on 3000 points, by tiles, against one pass over the whole
        matrix and against ``neural-tangents`` under jit, which needs an old jax and numpy and
        therefore an environment of its own (``make bench`` builds .venv-peers)
memory  peak memory of one curve against its formula

    python -m benchmarks.kernels [--n 3000] [--test 1000] [--d 16] [--repeats 3] [--json FOLDER]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.kernel_ridge import KernelRidge
from threadpoolctl import threadpool_limits

from benchmarks.record import RESULTS, Aim, finish
from bfc.baselines.kernels import NTK
from bfc.baselines.learning_curve import CurveLabels, learning_curve
from bfc.baselines.memory import memory_bytes
from bfc.baselines.panels import gram_matrix

RIDGE = 1e-3
SPACINGS = ("even", "geometric")
ROOT = Path(__file__).parents[1]
PEER = ROOT / ".venv-peers" / "bin" / "python"


def in_turns(
    ways: Mapping[str, Callable[[], Any]], repeats: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """Median CPU seconds of every way, which take turns, and what each returned last."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, Any] = {}
    for _ in range(repeats + 1):
        for name, way in ways.items():
            start = time.process_time()
            results[name] = way()
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}, results


def points(n: int, d: int) -> torch.Tensor:
    """Standard normal points, (n, d)."""
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Problem:
    """Kernel matrices and labels of ``n`` training and some test points."""

    kernel: torch.Tensor
    cross: torch.Tensor
    y: torch.Tensor
    f: torch.Tensor

    def curve(self) -> np.ndarray:
        """Risk at every n from one factorisation."""
        return learning_curve(
            self.kernel, self.cross, CurveLabels(self.y, self.f, 1.0), RIDGE
        ).numpy()

    def refit_sklearn(self, sizes: np.ndarray) -> np.ndarray:
        """Risk at some n by scikit-learn."""
        model = KernelRidge(alpha=RIDGE, kernel="precomputed")
        kernel, cross, y, f = (a.numpy() for a in (self.kernel, self.cross, self.y, self.f))
        risks = []
        for m in sizes:
            predicted = model.fit(kernel[:m, :m], y[:m]).predict(cross[:, :m])
            risks.append(np.mean((predicted - f) ** 2))
        return np.array(risks)

    def solve_directly(self, sizes: np.ndarray) -> np.ndarray:
        """Risk at some n by one Cholesky factorisation each."""
        risks = []
        for m in sizes.tolist():
            shifted = self.kernel[:m, :m] + RIDGE * torch.eye(m, dtype=torch.float64)
            weights = torch.cholesky_solve(self.y[:m, None], torch.linalg.cholesky(shifted))
            errors = self.cross[:, :m] @ weights - self.f[:, None]
            risks.append(float(errors.square().mean()))
        return np.array(risks)


def curves(n: int, test: int, d: int, repeats: int, spacing: str) -> dict[str, Any]:
    """One curve of ours against refits at 12 n."""
    x = points(n + test, d)
    labels = x[:, 0] * x[:, 1]
    kernel, cross = gram_matrix(NTK().gram, x[:n]), gram_matrix(NTK().gram, x[n:], x[:n])
    problem = Problem(kernel, cross, labels[:n], labels[n:])
    if spacing == "even":
        sizes = np.linspace(n / 12, n, 12)
    else:
        sizes = np.geomspace(max(8, n / 100), n, 12)
    sizes = np.unique(sizes.round().astype(int))
    ways = {
        "curve": problem.curve,
        "sklearn": lambda: problem.refit_sklearn(sizes),
        "direct": lambda: problem.solve_directly(sizes),
    }
    seconds, risks = in_turns(ways, repeats)
    differences = []
    for name in ("sklearn", "direct"):
        differences.append(np.abs(risks["curve"][sizes - 1] / risks[name] - 1).max())
    return {
        "n": n,
        "test": test,
        "d": d,
        "spacing": spacing,
        "refits": len(sizes),
        "seconds": seconds,
        "sklearn_over_curve": seconds["sklearn"] / seconds["curve"],
        "direct_over_curve": seconds["direct"] / seconds["curve"],
        "largest_relative_difference": float(max(differences)),
    }


def gram(n: int, d: int, repeats: int) -> dict[str, Any]:
    """The depth-3 NTK: tiles, one pass, and the peer where its environment is installed."""
    x, ntk = points(n, d), NTK(bias=0.0)
    ways = {"tiles": lambda: gram_matrix(ntk.gram, x), "whole": lambda: ntk.gram(x, x)}
    seconds, matrices = in_turns(ways, repeats)
    figures: dict[str, Any] = {
        "n": n,
        "d": d,
        "seconds": seconds,
        "whole_over_tiles": seconds["whole"] / seconds["tiles"],
        "difference": float((matrices["tiles"] - matrices["whole"]).abs().max()),
    }
    if PEER.exists():
        peer = run_peer(x, repeats, matrices["tiles"])
        figures |= {"peer": peer, "peer_over_tiles": peer["seconds"] / seconds["tiles"]}
    return figures


def run_peer(x: torch.Tensor, repeats: int, matrix: torch.Tensor) -> dict[str, Any]:
    """Figures of neural-tangents, whose kernel must be ours up to a factor."""
    script = Path(__file__).with_name("neural_tangents_peer.py")
    n, d = x.shape
    done = subprocess.run(
        [str(PEER), str(script), str(n), str(d), str(repeats)],
        input=x.numpy().tobytes(),
        capture_output=True,
        check=True,
    )
    peer: dict[str, Any] = json.loads(done.stdout)
    ratio = torch.tensor(peer.pop("corner"), dtype=torch.float64) / matrix[:8, :8]
    assert float(ratio.std() / ratio.mean()) < 1e-3, "the kernels differ by more than a factor"
    return peer


MEMORY_SCRIPT = """
import resource
import sys
import psutil
import torch
from bfc.baselines.kernels import Polynomial
from bfc.targets.parity import Parity

def peak():
    # on Linux getrusage would count what the parent process held when it forked, so the kernel's
    # own mark of the new process is read
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return 1024 * int(line.split()[1])

n, d = map(int, sys.argv[1:])
torch.set_num_threads(1)
target = Parity(d=d)
Polynomial(ridge=1e-3, n_max=64).curve(target, 0, 64, {"ridge": 1e-3})
before = psutil.Process().memory_info().rss
Polynomial(ridge=1e-3, n_max=n).curve(target, 0, 1024, {"ridge": 1e-3})
print(peak() - before)
"""


def memory(n: int, d: int) -> dict[str, float]:
    """Peak resident memory that one curve adds in a fresh process, against the formula (bytes)."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_SCRIPT, str(n), str(d)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    used = float(done.stdout)
    return {"n": n, "measured": used, "formula": memory_bytes(n), "share": used / memory_bytes(n)}


def print_figures(figures: Mapping[str, Any]) -> None:
    for spacing in SPACINGS:
        row = figures[spacing]
        print(
            f"risk at every n <= {row['n']} from one factorisation "
            f"{row['seconds']['curve']:.2f} s; {row['refits']} refits at {spacing} n: "
            f"scikit-learn {row['sklearn_over_curve']:.1f} times, "
            f"direct solves {row['direct_over_curve']:.1f} times as long; "
            f"largest relative difference {row['largest_relative_difference']:.0e}"
        )
    matrix = figures["gram"]
    peer = ""
    if "peer" in matrix:
        peer = f", {matrix['peer_over_tiles']:.2f} times as long by neural-tangents"
    print(
        f"depth-3 NTK of {matrix['n']} points: {matrix['seconds']['tiles']:.2f} s by tiles, "
        f"{matrix['whole_over_tiles']:.1f} times as long in one pass{peer}"
    )
    print(f"memory of one curve: {figures['memory']['share']:.2f} of the formula")


def make_aims(figures: Mapping[str, Any]) -> list[Aim]:
    ratio, share = figures["even"]["sklearn_over_curve"], figures["memory"]["share"]
    aims = [
        Aim("12 refits of scikit-learn / one curve at every n", ratio, 1.0),
        Aim("memory of a curve / its formula", share, 1.0, at_most=True),
    ]
    if "peer" in figures["gram"]:
        ratio = figures["gram"]["peer_over_tiles"]
        aims.append(Aim("neural-tangents jitted / NTK matrix by tiles", ratio, 1.0))
    return aims


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--n", type=int, default=3000, help="training points (the curve has every n up to it)"
    )
    parser.add_argument("--test", type=int, default=1000, help="test rows")
    parser.add_argument("--d", type=int, default=16, help="input dimension")
    parser.add_argument(
        "--repeats", type=int, default=3, help="alternating repetitions; medians are reported"
    )
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    options = parser.parse_args(arguments)
    n, d, repeats = options.n, options.d, options.repeats
    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    with threadpool_limits(1):
        for spacing in SPACINGS:
            figures[spacing] = curves(n, options.test, d, repeats, spacing)
        figures["gram"] = gram(n, d, repeats)
        figures["memory"] = memory(n, d)
    print_figures(figures)
    finish("kernels", figures, make_aims(figures), options.json)


if __name__ == "__main__":
    main()
