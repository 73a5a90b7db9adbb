"""How much cheaper one exact learning curve is than refitting: the risk at every n from one factorisation against
scikit-learn's KernelRidge refitted at 12 values of n (evenly or geometrically spaced), on the same precomputed kernel
matrices, one thread each, in one run. It prints seconds and their ratio and asserts nothing.

    python -m benchmarks.ridge [--n 3000] [--test 1000] [--d 16] [--repeats 3] [--json]"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np
import sklearn
import torch
from sklearn.kernel_ridge import KernelRidge
from threadpoolctl import threadpool_limits

from bfc.baselines.kernels import NTK
from bfc.baselines.ridge import learning_curve

RIDGE = 1e-3


def measure(n: int, test: int, d: int, repeats: int, spacing: str) -> dict[str, float | int | str]:
    """Median seconds of both ways over ``repeats`` alternating runs, and the largest relative difference of risks."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n + test, d, dtype=torch.float64, generator=generator)
    f = x[:, 0] * x[:, 1]
    kernel, cross = NTK().gram(x[:n], x[:n]), NTK().gram(x[n:], x[:n])
    values = np.linspace(n / 12, n, 12) if spacing == "even" else np.geomspace(max(8, n / 100), n, 12)
    values = np.unique(values.round().astype(int))

    def ours() -> np.ndarray:
        return learning_curve(kernel, cross, f[:n], f[n:], 1.0, RIDGE).numpy()

    def peer() -> np.ndarray:
        model, k, k_test, y = KernelRidge(alpha=RIDGE, kernel="precomputed"), kernel.numpy(), cross.numpy(), f.numpy()
        fits = [model.fit(k[:m, :m], y[:m]).predict(k_test[:, :m]) for m in values]
        return np.array([np.mean((fit - y[n:]) ** 2) for fit in fits])

    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    risks = {}
    for _ in range(repeats):
        for name, way in (("ours", ours), ("peer", peer)):
            start = time.perf_counter()
            risks[name] = way()
            seconds[name].append(time.perf_counter() - start)
    curve, refits = (statistics.median(seconds[name]) for name in ("ours", "peer"))
    difference = np.abs(risks["ours"][values - 1] / risks["peer"] - 1).max()
    return {
        "n": n, "test": test, "d": d, "spacing": spacing, "curve_s": curve, "refits": len(values), "refits_s": refits,
        "ratio": refits / curve, "ratio_per_point": refits / len(values) / (curve / n),
        "largest_relative_difference": float(difference), "threads": 1, "torch": torch.__version__,
        "sklearn": sklearn.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="One exact learning curve against scikit-learn refits.")
    parser.add_argument("--n", type=int, default=3000, help="training points (the curve has every n up to it)")
    parser.add_argument("--test", type=int, default=1000, help="test rows")
    parser.add_argument("--d", type=int, default=16, help="input dimension")
    parser.add_argument("--repeats", type=int, default=3, help="alternating repetitions; medians are reported")
    parser.add_argument("--json", action="store_true", help="print one JSON line per spacing instead of text")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for spacing in ("even", "geometric"):
        with threadpool_limits(1):
            result = measure(options.n, options.test, options.d, options.repeats, spacing)
        if options.json:
            print(json.dumps(result))
            continue
        print(f"risk at every n <= {result['n']} from one factorisation: {result['curve_s']:.2f} s; scikit-learn, "
              f"{result['refits']} refits at {spacing} n: {result['refits_s']:.2f} s, {result['ratio']:.1f} times as "
              f"long ({result['ratio_per_point']:.0f} times per point of the curve); largest relative difference "
              f"{result['largest_relative_difference']:.0e}")


if __name__ == "__main__":
    main()
