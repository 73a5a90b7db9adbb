"""The tables of docs/frontier_features.md, at fixed settings and without tuning.

python -m benchmarks.frontier E1 E2 E4 ...    (by default all; seconds to minutes each on one core)

Medians over seeds; n* by log-log interpolation between neighbours of a grid of ratio 1.3.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from benchmarks.doc_tables import print_growth, print_row, print_tables
from benchmarks.frontier_curves import RATIO, RIDGE, TEST, curves, feature_nstar, median_nstar
from benchmarks.frontier_index import table_e5, table_e5_networks, table_e6
from benchmarks.frontier_leap import (
    table_e1,
    table_e1_kernels,
    table_e1_laplace,
    table_e1_metrics,
    table_e1_seeds,
    table_e2,
)
from benchmarks.frontier_quadratics import table_e4, table_e4_kernel, table_e7, table_e7_kernel
from benchmarks.frontier_sight import (
    table_e3,
    table_e3_kernels,
    table_e3_layers,
    table_e3_networks,
    table_e3_stages,
)
from bfc.baselines.filtered_pca import FilteredPCA
from bfc.baselines.kernels import Polynomial
from bfc.targets.parity import Parity
from bfc.targets.relu_network import ReluNetwork


def table_f1() -> None:
    """Filtered PCA: 1 − overlap at n = 1024, 4096, 16384 (d = 16); n at .1 against d; kernel."""
    once = FilteredPCA(keep=3, permutations=0, ridge=RIDGE, n_max=16384, n_ratio=2.0)
    methods = {
        "labels": replace(once, weights="labels"),
        "one round": once,
        "rounds": replace(once, permutations=8),
    }
    targets = {
        "x1x2x3": Parity(d=16, degree=3, law="gaussian"),
        "ReLU network": ReluNetwork(d=16),
    }
    for (name, target), (words, method) in product(targets.items(), methods.items()):
        results = curves(method, target, 16)
        missing = [[1 - overlap for overlap in c.overlap["subspace"][-5::2]] for c in results]
        print_row(f"{name}, {words}: 1 − overlap", list(np.median(missing, 0)), 3)
    samples = {}
    for d, n in {8: 512, 16: 2048, 32: 4096, 64: 8192}.items():
        method = replace(once, n_max=n, n_ratio=RATIO)
        results = curves(method, Parity(d=d, degree=3, law="gaussian"), 16)
        samples[d] = feature_nstar(results, "subspace", 0.9)
    print_growth("x1x2x3: n at an overlap of .9", samples)
    samples = {}
    for d, n in {8: 700, 12: 1600, 16: 3000, 24: 7000}.items():
        kernel = Polynomial(degree=3, ridge=1e-6, n_max=n)
        tuned = {"ridge": 1e-6}
        target = Parity(d=d, degree=3, law="gaussian")
        samples[d] = median_nstar([kernel.curve(target, s, TEST, tuned) for s in range(4)])
    print_growth("x1x2x3: n*(.1) of the degree-3 kernel", samples)


TABLES = {
    "E1": table_e1,
    "E1-kernels": table_e1_kernels,
    "E1-seeds": table_e1_seeds,
    "E1-metrics": table_e1_metrics,
    "E1-laplace": table_e1_laplace,
    "E2": table_e2,
    "E3": table_e3,
    "E3-stages": table_e3_stages,
    "E3-kernels": table_e3_kernels,
    "E3-networks": table_e3_networks,
    "E3-layers": table_e3_layers,
    "E4": table_e4,
    "E4-kernel": table_e4_kernel,
    "E5": table_e5,
    "E5-networks": table_e5_networks,
    "E6": table_e6,
    "E7": table_e7,
    "E7-kernel": table_e7_kernel,
    "F1": table_f1,
}

if __name__ == "__main__":
    print_tables(TABLES)
