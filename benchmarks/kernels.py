"""Kernels and learning curves against their peers, on one thread, in one run:

curve   the risk at every n <= 3000 from one factorisation, against scikit-learn's KernelRidge refitted at 12 values of n and against
        direct Cholesky solves at the same 12, on the same kernel matrices
gram    the matrix of the depth-3 NTK on 3000 points, by tiles, against one pass over the whole matrix and against ``neural-tangents``
        under jit, which needs an old jax and numpy and therefore an environment of its own (``make bench`` builds .venv-peers)
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
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.kernel_ridge import KernelRidge
from threadpoolctl import threadpool_limits

from benchmarks.record import RESULTS, Aim, finish
from bfc.baselines.kernels import NTK
from bfc.baselines.learning_curve import learning_curve
from bfc.baselines.memory import memory_bytes
from bfc.baselines.panels import gram_matrix

RIDGE = 1e-3
ROOT = Path(__file__).parents[1]
PEER = ROOT / ".venv-peers" / "bin" / "python"


def in_turns(
    ways: Mapping[str, Callable[[], Any]], repeats: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """Median CPU seconds of every way, which take turns, and what each returned last."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, Any] = {}
    for _ in range(repeats + 1):
        for name, way in ways.items():
            began = time.process_time()
            found[name] = way()
            taken[name].append(time.process_time() - began)
    return {name: statistics.median(values[1:]) for name, values in taken.items()}, found


def points(n: int, d: int) -> torch.Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def curves(n: int, test: int, d: int, repeats: int, spacing: str) -> dict[str, Any]:
    """One curve of ours against refits at 12 n."""
    x = points(n + test, d)
    f = x[:, 0] * x[:, 1]
    kernel, cross = gram_matrix(NTK().gram, x[:n]), gram_matrix(NTK().gram, x[n:], x[:n])
    values = (
        np.linspace(n / 12, n, 12) if spacing == "even" else np.geomspace(max(8, n / 100), n, 12)
    )
    values = np.unique(values.round().astype(int))

    def sklearn() -> np.ndarray:
        model, k, k_test, y = (
            KernelRidge(alpha=RIDGE, kernel="precomputed"),
            kernel.numpy(),
            cross.numpy(),
            f.numpy(),
        )
        fits = [model.fit(k[:m, :m], y[:m]).predict(k_test[:, :m]) for m in values]
        return np.array([np.mean((fit - y[n:]) ** 2) for fit in fits])

    def direct() -> np.ndarray:
        risks = []
        for m in values.tolist():
            shifted = kernel[:m, :m] + RIDGE * torch.eye(m, dtype=torch.float64)
            weights = torch.cholesky_solve(f[:m, None], torch.linalg.cholesky(shifted))
            risks.append(float((cross[:, :m] @ weights - f[n:, None]).square().mean()))
        return np.array(risks)

    seconds, risks = in_turns(
        {
            "curve": lambda: learning_curve(kernel, cross, f[:n], f[n:], 1.0, RIDGE).numpy(),
            "sklearn": sklearn,
            "direct": direct,
        },
        repeats,
    )
    difference = max(
        float(np.abs(risks["curve"][values - 1] / risks[name] - 1).max())
        for name in ("sklearn", "direct")
    )
    return {
        "n": n,
        "test": test,
        "d": d,
        "spacing": spacing,
        "refits": len(values),
        "seconds": seconds,
        "sklearn_over_curve": seconds["sklearn"] / seconds["curve"],
        "direct_over_curve": seconds["direct"] / seconds["curve"],
        "largest_relative_difference": difference,
    }


def gram(n: int, d: int, repeats: int) -> dict[str, Any]:
    """The depth-3 NTK: tiles, one pass, and the peer where its environment is there."""
    x, ntk = points(n, d), NTK(bias=0.0)
    seconds, found = in_turns(
        {"tiles": lambda: gram_matrix(ntk.gram, x), "whole": lambda: ntk.gram(x, x)}, repeats
    )
    figures: dict[str, Any] = {
        "n": n,
        "d": d,
        "seconds": seconds,
        "whole_over_tiles": seconds["whole"] / seconds["tiles"],
        "difference": float((found["tiles"] - found["whole"]).abs().max()),
    }
    if PEER.exists():
        done = subprocess.run(
            [
                str(PEER),
                str(Path(__file__).with_name("neural_tangents_peer.py")),
                str(n),
                str(d),
                str(repeats),
            ],
            input=x.numpy().tobytes(),
            capture_output=True,
            check=True,
        )
        peer = json.loads(done.stdout)
        corner = torch.tensor(peer.pop("corner"), dtype=torch.float64)
        ours = found["tiles"][:8, :8]
        ratio = corner / ours
        assert float(ratio.std() / ratio.mean()) < 1e-3, (
            "the two kernels differ by more than a factor"
        )
        figures |= {"peer": peer, "peer_over_tiles": peer["seconds"] / seconds["tiles"]}
    return figures


def memory(n: int, d: int) -> dict[str, float]:
    """Peak resident memory that one curve adds in a fresh process, against the formula (bytes)."""
    # on Linux getrusage would count what this process held when it forked, so the kernel's own mark
    # of the new process is read
    peak = (
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss"
        if sys.platform == "darwin"
        else "1024 * next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))"
    )
    code = (
        "import resource, psutil, torch\nfrom bfc.baselines.kernels import Polynomial\nfrom bfc.targets.parity import Parity\n"
        f"torch.set_num_threads(1)\nbaseline, target = Polynomial(ridge=1e-3, n_max={n}), Parity(d={d})\n"
        "small = Polynomial(ridge=1e-3, n_max=64)\nsmall.curve(target, 0, 64, {'ridge': 1e-3})\n"
        f"before = psutil.Process().memory_info().rss\nbaseline.curve(target, 0, 1024, {{'ridge': 1e-3}})\nprint({peak} - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    used = float(done.stdout)
    return {"n": n, "measured": used, "formula": memory_bytes(n), "share": used / memory_bytes(n)}


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
    torch.set_num_threads(1)
    with threadpool_limits(1):
        figures: dict[str, Any] = {
            spacing: curves(options.n, options.test, options.d, options.repeats, spacing)
            for spacing in ("even", "geometric")
        }
        figures |= {
            "gram": gram(options.n, options.d, options.repeats),
            "memory": memory(options.n, options.d),
        }
    for spacing in ("even", "geometric"):
        row = figures[spacing]
        print(
            f"risk at every n <= {row['n']} from one factorisation {row['seconds']['curve']:.2f} s; {row['refits']} refits at {spacing} "
            f"n: scikit-learn {row['sklearn_over_curve']:.1f} times, direct solves {row['direct_over_curve']:.1f} times as long; largest "
            f"relative difference {row['largest_relative_difference']:.0e}"
        )
    found = figures["gram"]
    print(
        f"depth-3 NTK of {found['n']} points: {found['seconds']['tiles']:.2f} s by tiles, {found['whole_over_tiles']:.1f} times as long "
        f"in one pass"
        + (
            f", {found['peer_over_tiles']:.2f} times as long by neural-tangents"
            if "peer" in found
            else ""
        )
    )
    print(f"memory of one curve: {figures['memory']['share']:.2f} of the formula")
    aims = [
        Aim(
            "12 refits of scikit-learn / one curve at every n",
            figures["even"]["sklearn_over_curve"],
            1.0,
        ),
        Aim("memory of a curve / its formula", figures["memory"]["share"], 1.0, at_most=True),
    ]
    if "peer" in found:
        aims.append(
            Aim("neural-tangents jitted / NTK matrix by tiles", found["peer_over_tiles"], 1.0)
        )
    finish("kernels", figures, aims, options.json)


if __name__ == "__main__":
    main()
