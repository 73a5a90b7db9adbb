"""The tables of docs/neighbours.md on clustering, synonyms, capacity and laziness.

python -m benchmarks.neighbours clustering latent synonyms capacity lazy widths kernels match

Medians over seeds; n* is where the median risk comes down to .1, by log-log interpolation on a grid
of ratio 1.15.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from benchmarks.doc_tables import print_row, print_tables
from bfc.baselines.clustering import Clustering
from bfc.baselines.kernels import NNGP, NTK
from bfc.baselines.latent_clustering import LatentClustering
from bfc.baselines.selection import crossing
from bfc.baselines.tuple_clusters import TupleClustering
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.learners.mlp import MLP
from bfc.learners.tree import Tree
from bfc.learners.twin import Twin
from bfc.optimizers.adam import Adam
from bfc.optimizers.sgd import SGD
from bfc.probes.capacity import Capacity
from bfc.probes.lazy import Lazy
from bfc.probes.match import Match
from bfc.probes.synonyms import Synonyms
from bfc.schedules import load_schedule
from bfc.targets.hierarchy import Hierarchy
from bfc.targets.index import Index
from bfc.targets.relu_network import ReluNetwork
from bfc.tasks.classification import Classification
from bfc.types import Training

RATIO = 1.15
TEST = 1024
CLUSTERING_SEEDS = 64
LATENT_SEEDS = 32
FEW_SEEDS = 8
"""As many as medians of the prototype are of, or more."""
REDRAWS = 2000
SYNONYM_SEEDS = {128: 4, 512: 16, 1024: 4, 4096: 4}
"""n → seeds; at 512, near n*, they differ most."""
SMALLEST_RISK = 1e-3
"""Below it a risk on a thousand strings is zero, and a logarithm says nothing."""


def print_nstar(baseline: TupleClustering, v: int, m: int, L: int, num_seeds: int) -> None:
    """n* of the median risk, its 95 % interval, and that of n* with as few seeds as a prototype.

    Both by drawing seeds anew with replacement. Then the per cent of the latter within 10 %
    of n*, and the quartiles of n* over seeds.
    """
    target = Hierarchy(v=v, classes=v, m=m, L=L)
    curves = [baseline.curve(target, seed, TEST, {}) for seed in range(num_seeds)]
    risks = np.maximum([curve.risk for curve in curves], SMALLEST_RISK)

    def find_nstar(seeds: np.ndarray) -> float:
        return crossing(baseline.grid, np.median(risks[seeds], 0).tolist(), 0.1) or np.inf

    generator, nstar = np.random.default_rng(0), find_nstar(np.arange(num_seeds))
    values, redrawn = [nstar], np.zeros(0)
    for count in (num_seeds, FEW_SEEDS):
        draws = generator.integers(0, num_seeds, (REDRAWS, count))
        redrawn = np.array([find_nstar(seeds) for seeds in draws])
        values += np.quantile(redrawn, [0.025, 0.975], method="nearest").tolist()
    values.append(100 * float(np.mean(np.abs(redrawn / nstar - 1) < 0.1)))
    by_seed = [find_nstar(np.array([seed])) for seed in range(num_seeds)]
    values += np.quantile(by_seed, [0.25, 0.75]).tolist()
    name = f"v = {v}, m = {m}, L = {L}: n*, 95 %, 95 % of {FEW_SEEDS} seeds, % near, quartiles"
    print_row(name, values, 0)


def table_clustering() -> None:
    """Clustering by classes: n*(.1) of several cells."""
    cells = {(4, 4, 2): 600, (4, 4, 3): 2500, (4, 4, 4): 6000, (6, 6, 2): 2000}
    cells |= {(8, 8, 2): 2500, (8, 3, 3): 1200, (8, 3, 4): 3500}
    for (v, m, L), n_max in cells.items():
        print_nstar(Clustering(n_max=n_max, n_ratio=RATIO), v, m, L, CLUSTERING_SEEDS)


def table_latent() -> None:
    """Latent clustering at v = 8, m = 3: n*(.1) against L."""
    for L in (2, 3, 4, 5, 6):
        print_nstar(LatentClustering(n_max=400, n_ratio=RATIO), 8, 3, L, LATENT_SEEDS)


def table_synonyms() -> None:
    """Tree network, v = m = 4, L = 3: risk, then S(k; 1) at levels 2, 3, 4, by n."""
    for n, num_seeds in SYNONYM_SEEDS.items():
        recipe = Recipe(
            Hierarchy(),
            Tree(),
            load_schedule("all", steps=1000, patience=None),
            Adam(lr=0.02, batch=128, warmup=50),
            test=TEST,
            probe=Synonyms(num_evals=1),
        )
        records = train(recipe, [Training(n, seed) for seed in range(num_seeds)])
        names = [f"synonyms1/{level}" for level in (2, 3, 4)]
        row = [median(records, name) for name in ("risk", *[f"all/{name}" for name in names])]
        start = [float(np.median([r["trace"][0][name] for r in records])) for name in names]
        print_row(f"n = {n}, {num_seeds} seeds: risk, S, S at the start", [*row, *start], 2)
        redraws = np.random.default_rng(0).integers(0, num_seeds, (REDRAWS, num_seeds))
        values = np.array([[r[f"all/{name}"] for name in names] for r in records])
        limits = np.quantile(np.median(values[redraws], 1), [0.025, 0.975], axis=0)
        print_row("    95 % of the medians, level by level", limits.T.ravel().tolist(), 2)


def table_capacity() -> None:
    """Label of a 4-unit ReLU network, d = 16, n = 1000: what the probe says by width H; 3 seeds."""
    target = Classification(margin=0.0).wrap(ReluNetwork(d=16, directions=4, widths=(4,)))
    widths, betas = (8, 32, 128, 512), []
    for width in widths:
        recipe = Recipe(
            target,
            MLP(widths=(width,), weight_sd=3**-0.5, bias_sd=0.144, readout_sd=3**-0.5),
            load_schedule("all", steps=6000, patience=None),
            SGD(lr=0.05, batch=64, momentum=0.9, decay="constant", warmup=0, clip=None),
            test=4096,
            probe=Capacity(),
        )
        records = train(recipe, [Training(1000, seed) for seed in range(3)])
        names = ("beta", "alpha", "margin", "measure", "frobenius", "bound")
        row = [median(records, f"all/capacity/{name}") for name in names]
        betas.append(row[0])
        risk = [median(records, "risk"), median(records, "train_risk")]
        print_row(f"H = {width}: risk, train, {', '.join(names)}", [*risk, *row], 3)
    print_row("exponent of beta in H", [float(np.polyfit(np.log(widths), np.log(betas), 1)[0])])


def table_lazy() -> None:
    """He_2, d = 8, n = 256, 2000 steps of SGD at lr .64/width: laziness by width; 3 seeds."""
    for width in (32, 128, 512):
        recipe = Recipe(
            Index(d=8),
            MLP(widths=(width,)),
            load_schedule("all", steps=2000, patience=None),
            SGD(lr=0.64 / width, batch=64, decay="constant", warmup=0, clip=None),
            test=4096,
            probe=Lazy(rows=512, kernel_rows=32),
        )
        records = train(recipe, [Training(256, seed) for seed in range(3)])
        names = ("lazy/rate", "movement/2", "flips/2", "lazy/kernel")
        row = [median(records, f"all/{name}") for name in names]
        print_row(f"width {width}: risk, {', '.join(names)}", [median(records, "risk"), *row], 4)


def table_widths() -> None:
    """He_2, d = 8, SGD at lr .64/width: n*(.1) by width; 3 seeds."""
    sizes = (64, 96, 128, 192, 256, 384, 512)
    trainings = [Training(n, seed) for n, seed in product(sizes, range(3))]
    for width in (16, 64, 256, 1024):
        recipe = Recipe(
            Index(d=8),
            MLP(widths=(width,)),
            load_schedule("all", steps=8000, patience=None),
            SGD(lr=0.64 / width, batch=64, decay="constant", warmup=0, clip=None),
            test=2048,
            compile="auto",
        )
        risks = [record["risk"] for record in train(recipe, trainings)]
        medians = np.median(np.reshape(risks, (len(sizes), 3)), 1).tolist()
        print_row(f"width {width}: n*", [crossing(sizes, medians, 0.1) or np.inf], 0)


def table_kernels() -> None:
    """He_2, d = 8: n*(.1) of the kernels by the variance of the biases; 3 seeds."""
    for kernel, bias in product((NNGP, NTK), (0.0, 0.1, 1.0)):
        method = kernel(depth=2, bias=bias, ridge=0.01, n_max=1200, n_ratio=1.2)
        curves = [method.curve(Index(d=8), seed, 4096, {"ridge": 0.01}) for seed in range(3)]
        medians = np.median([curve.risk for curve in curves], 0).tolist()
        nstar = crossing(method.grid, medians, 0.1) or np.inf
        name = f"{kernel.__name__}, biases of variance {bias}: n*, risk at 1200"
        print_row(name, [nstar, medians[-1]], 3)


def table_match() -> None:
    """Fully connected twins, v = m = 4, L = 3: risk, CKA at levels 2, 3, 4, match at 4; 2 seeds."""
    names = ["twin_cka/2", "twin_cka/3", "twin_cka/4", "twin_match/4"]
    names += ["untrained_cka/2", "untrained_cka/3", "untrained_cka/4"]
    for n in (512, 2048, 8192):
        recipe = Recipe(
            Hierarchy(),
            Twin(widths=(128, 128, 128)),
            load_schedule("all", steps=2000, patience=None),
            Adam(lr=0.003, batch=256),
            test=TEST,
            probe=Match(rows=2048),
            compile="auto",
        )
        records = train(recipe, [Training(n, seed) for seed in range(2)])
        row = [median(records, f"all/{name}") for name in names]
        print_row(f"n = {n}", [median(records, "risk"), *row], 2)


def median(records: Sequence[dict[str, float]], name: str) -> float:
    return float(np.median([record[name] for record in records]))


TABLES = {
    "clustering": table_clustering,
    "latent": table_latent,
    "synonyms": table_synonyms,
    "capacity": table_capacity,
    "lazy": table_lazy,
    "widths": table_widths,
    "kernels": table_kernels,
    "match": table_match,
}

if __name__ == "__main__":
    print_tables(TABLES)
