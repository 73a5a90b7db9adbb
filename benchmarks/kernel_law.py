"""The tables of docs/kernel_law.md: what kernels need on random hierarchies, law and measurement.

python -m benchmarks.kernel_law predicted measured measured_deep    (the last two take minutes)
"""

from __future__ import annotations

import statistics

import numpy as np

from benchmarks.doc_tables import print_tables
from bfc.baselines.kernels import NTK
from bfc.bounds.kernel_law import KernelLaw, predict_risks
from bfc.targets.hierarchy import Hierarchy
from bfc.targets.order_spectrum import samples_of_the_best_kernel, variance_shares
from bfc.targets.rule_tables import Grammar
from bfc.targets.tuple_signal import signal_samples

RIDGE = 1e-8
EPS = 0.1
CELLS = ((3, 2), (3, 3), (3, 4), (4, 2), (4, 3), (4, 4), (6, 2), (8, 2))
"""(v, L) of grammars with m = n_c = v and s = 2."""
FIRST_SIZE = 700


def print_predicted() -> None:
    """Mean spectrum, n* of the ReLU NTK and of the best kernel, P_c; medians of 8 and 20 draws."""
    mean = variance_shares(Grammar(4, 4, 4, 2, 3).draw(range(400))).mean(0)
    print("mean S_1 ... S_8, v=4, L=3:", *[f"{share:.3f}" for share in mean])
    print(f"{'v':>3} {'L':>3} {'n* NTK':>10} {'best':>10} {'v^d':>12} {'P_c/law':>9} {'max':>7}")
    for v, levels in CELLS:
        grammar = Grammar(v, v, v, 2, levels)
        shares = variance_shares(grammar.draw(range(8)))
        law = KernelLaw.of(NTK(), v, 2**levels, RIDGE)
        ntk = statistics.median(law.samples(EPS, row) for row in shares)
        best = statistics.median(samples_of_the_best_kernel(row, v, EPS) for row in shares)
        signal = signal_samples(grammar.draw(range(20))) / v ** (levels + 1)
        print(
            f"{v:3d} {levels:3d} {ntk:10.4g} {best:10.4g} {v**2**levels:12.4g} "
            f"{signal.median():9.2f} {signal.max():7.1f}"
        )


def print_measured() -> None:
    """L = 3: risk of the ReLU NTK over the predicted one, mean and standard error over seeds."""
    print_ratios(3, 3, 2000, 12)
    print_ratios(4, 3, 8192, 4)


def print_measured_deep() -> None:
    """The same at L = 4."""
    print_ratios(3, 4, 8192, 4)


def print_ratios(v: int, L: int, test: int, seeds: int) -> None:
    target = Hierarchy(v=v, m=v, classes=v, L=L, judged="squared")
    kernel = NTK(n_max=4096, n_ratio=1.6)
    ratios = []
    for seed in range(seeds):
        curve = kernel.curve(target, seed, test, {"ridge": RIDGE})
        predicted = predict_risks(target, kernel, RIDGE, seed, curve.n)
        ratios.append(np.divide(curve.risk, predicted))
    print(f"v={v} L={L}, {seeds} seeds: n, measured over predicted, standard error")
    for column, n in enumerate(curve.n):
        if n >= FIRST_SIZE:
            values = np.array(ratios)[:, column]
            error = values.std(ddof=1) / seeds**0.5
            print(f"{n:6d} {values.mean():8.3f} {error:8.3f}", flush=True)


TABLES = {
    "predicted": print_predicted,
    "measured": print_measured,
    "measured_deep": print_measured_deep,
}


if __name__ == "__main__":
    print_tables(TABLES)
