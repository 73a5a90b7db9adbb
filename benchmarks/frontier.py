"""The tables of docs/frontier_features.md, at fixed settings and without tuning.

python -m benchmarks.frontier E1 E2 E3 E4 E5 E5-networks E6 E7 F1    (each minutes on one core)

Medians over seeds; n* by log-log interpolation between neighbours of a grid of ratio 1.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.doc_tables import print_growth, print_row, print_tables
from benchmarks.frontier_index import table_e5, table_e5_networks, table_e6
from bfc.baselines.feature_learner import FeatureLearner, measure_overlaps
from bfc.baselines.filtered_pca import FilteredPCA
from bfc.baselines.irkm import IRKM
from bfc.baselines.kernels import Polynomial
from bfc.baselines.lasso import Lasso
from bfc.baselines.projected_ridge import fit_polynomials
from bfc.baselines.rfm import RFM
from bfc.baselines.selection import crossing
from bfc.baselines.spectral_chain import SpectralChain
from bfc.targets.leap import FAMILIES, Leap
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.targets.quadratic_of_quadratics import QuadraticOfQuadratics
from bfc.targets.relu_network import ReluNetwork
from bfc.targets.sight import Sight
from bfc.types import LearningCurve, Target, sample

RATIO = 1.3
TEST = 4096
RIDGE = 1e-3


def curves(machine: FeatureLearner, target: Target, seeds: int) -> list[LearningCurve]:
    """One curve per seed at the machine's own ridge."""
    return [machine.curve(target, seed, TEST, {"ridge": machine.ridge}) for seed in range(seeds)]


def median_nstar(results: Sequence[LearningCurve], eps: float = 0.1) -> float:
    """The median over seeds of the crossings; infinite where half of them never get there."""
    crossings = [crossing(curve.n, curve.risk, eps) or math.inf for curve in results]
    return float(np.median(crossings))


def feature_nstar(results: Sequence[LearningCurve], name: str, overlap: float) -> float:
    """The same for the overlap: where 1 − overlap comes down to 1 − ``overlap``."""
    crossings = []
    for curve in results:
        missing = [1 - value for value in curve.overlap[name]]
        crossings.append(crossing(curve.n, missing, 1 - overlap) or math.inf)
    return float(np.median(crossings))


def table_e1() -> None:
    """n*(.1) on the cube at d = 8, 12, 16, 24 (the kernel at 8, 12, 16)."""
    dimensions = (8, 12, 16, 24)
    sizes = {8: 1024, 12: 1024, 16: 1024, 24: 1400}
    machines: Mapping[str, Callable[[int], FeatureLearner]] = {
        "IRKM": lambda n: IRKM(ridge=RIDGE, n_max=n, n_ratio=RATIO),
        "RFM Gauss": lambda n: RFM(ridge=RIDGE, n_max=n, n_ratio=RATIO),
        "RFM diagonal": lambda n: RFM(metric="diagonal", ridge=RIDGE, n_max=n, n_ratio=RATIO),
    }
    for family in FAMILIES:
        for name, build in machines.items():
            seeds = 3 if family == "mono4" else 5
            values = []
            for d in dimensions:
                target = Leap(d=d, family=family)
                values.append(median_nstar(curves(build(sizes[d]), target, seeds)))
            print_row(f"{family} {name}", values)
        kernel = []
        for d, n in ((8, 600), (12, 2000), (16, 4600)):
            fixed = IRKM(rounds=0, ridge=RIDGE, n_max=n, n_ratio=RATIO)
            kernel.append(median_nstar(curves(fixed, Leap(d=d, family=family), 3)))
        print_row(f"{family} kernel exp(x.z/d)", kernel)
    laplace = [
        median_nstar(
            curves(RFM(kernel="laplace", ridge=RIDGE, n_max=sizes[d], n_ratio=RATIO), Leap(d=d), 5)
        )
        for d in dimensions
    ]
    print_row("stair4 RFM Laplace", laplace)
    for family in ("stair4", "mono4"):
        lasso = Lasso(degree=4, n_max=128, n_ratio=RATIO, regularisation=0.1)
        values = []
        for d in dimensions:
            results = [
                lasso.curve(Leap(d=d, family=family), seed, TEST, {"regularisation": 0.1})
                for seed in range(3)
            ]
            values.append(median_nstar(results))
        print_row(f"{family} Lasso, degree 4", values)


def table_e2() -> None:
    """Stair4 in rotated Gaussian directions: n of the features, of RFM and of the fixed kernel."""
    for d, n in ((8, 1400), (12, 3200), (16, 4200)):
        target = Leap(d=d, law="gaussian")
        machine = RFM(ridge=RIDGE, n_max=n, n_ratio=RATIO)
        learned = curves(replace(machine, n_max=min(n, 2400)), target, 3)
        one_round = curves(replace(machine, rounds=1, n_max=min(n, 2400)), target, 3)
        fixed = curves(replace(machine, rounds=0), target, 3)
        values = [
            feature_nstar(learned, "subspace", 0.9),
            feature_nstar(one_round, "subspace", 0.9),
            median_nstar(learned),
            median_nstar(fixed),
        ]
        print_row(f"d={d} features(6), features(1), RFM, kernel", values)


def table_e3() -> None:
    """SIGHT: overlap of C_1 and of RFM against n/d^1.5, and the risks of RFM and of the chain."""
    for d in (36, 64):
        target = Sight(d=d)
        width = target.widths[0]
        for ratio in (0.5, 1.1, 1.7, 2.5, 3.8, 5.7):
            n = round(ratio * d**1.5)
            chain = SpectralChain(keep=(width,), clip=None, ridge=RIDGE, n_max=n, n_ratio=1e4)
            machine = RFM(rounds=3, ridge=0.1, n_max=n, n_ratio=1e4)
            row = []
            for method in (chain, machine):
                results = curves(method, target, 3)
                row.append(float(np.median([c.overlap["subspace"][-1] for c in results])))
                row.append(float(np.median([c.risk[-1] for c in results])))
            print_row(f"d={d} n/d^1.5={ratio} C1, chain, RFM, risk", row, 3)
    known_directions(64, 2916)


def known_directions(d: int, n: int) -> None:
    """Degree-3 ridge and all four stages on the true W."""
    target = Sight(d=d)
    risks = []
    for seed in range(3):
        draw = target.draw([seed], torch.float64)
        x, y = sample(draw, "train", torch.arange(n)[None])
        x_test, f_test = sample(draw, "test", torch.arange(TEST)[None])
        w = draw.planted_subspace[0]
        chain = SpectralChain(keep=(w.shape[1],), degree=3, n_max=n)
        stages = chain.read_out(x[0] @ w, y[0], x_test[0] @ w, RIDGE)
        ridge = fit_polynomials(x[0] @ w, y[0], x_test[0] @ w, chain.degree, RIDGE)[1]
        risks.append([relative_risk(p, f_test[0], draw.variance) for p in (ridge, stages)])
    print_row(f"d={d} n={n} true W: degree-3 ridge, four stages", list(np.median(risks, 0)), 3)


def relative_risk(predicted: Tensor, truth: Tensor, variance: Tensor) -> float:
    return float((predicted - truth).square().mean() / variance[0])


def table_e4() -> None:
    """Quadratic of quadratics, p = 2: overlap and risk at n/D_2 = 8, 16, 32; clipped and not."""
    signs: Sequence[Literal["alternating", "plus"]] = ("plus", "alternating")
    for d, clip, sign in product((16, 32, 48), (3.0, None), signs):
        target = QuadraticOfQuadratics(d=d, signs=sign)
        row = []
        for ratio in (8, 16, 32):
            n = ratio * d * (d + 1) // 2
            chain = SpectralChain(
                levels=("quadratic",), keep=(2,), degree=2, clip=clip, ridge=RIDGE, n_max=n
            )
            row += overlap_and_risk(chain, target, n)
        print_row(f"d={d} clip={clip} {sign}: overlap, risk", row, 2)


def overlap_and_risk(chain: SpectralChain, target: Target, n: int) -> list[float]:
    """Medians over 6 seeds of one fit at n."""
    values = []
    for seed in range(6):
        samples = chain.draw_samples(target, seed, TEST, "cpu")
        fit = chain.fit(samples.x[:n], samples.y[:n], samples.x_test, RIDGE)
        overlap = measure_overlaps(fit, samples)["forms"]
        values.append(
            [overlap, relative_risk(fit.predicted, samples.f_test, samples.draw.variance)]
        )
    return list(np.median(values, 0))


def table_e7() -> None:
    """RFM on the quadratic composition at L = 3: median risk at n = 256, 512, 1024, 2048.

    At the ridge that the prototype states, at the one that gives its row at d = 32, and there with
    twice the bandwidth as well.
    """
    machines = {
        "lambda = 1e-3, L = sqrt d": RFM(ridge=RIDGE),
        "lambda = 1e-5, L = sqrt d": RFM(ridge=1e-5),
        "lambda = 1e-5, L = 2 sqrt d": RFM(ridge=1e-5, bandwidth=2.0),
    }
    for (name, machine), (d, seeds) in product(machines.items(), ((16, 12), (32, 12), (64, 4))):
        values = composition_risks(machine, d, seeds, (256, 512, 1024, 2048))
        print_row(f"d={d} {name}: risk at n = 256 512 1024 2048", values, 4)


def composition_risks(machine: RFM, d: int, seeds: int, sizes: Sequence[int]) -> list[float]:
    """Median risks over seeds, size by size."""
    target = QuadraticDenseNet(d=d, L=3, widths=(4, 2), alpha=(1.0, 0.5))
    risks = []
    for n in sizes:
        results = curves(replace(machine, n_max=n, n_ratio=1e4), target, seeds)
        risks.append(float(np.median([curve.risk[-1] for curve in results])))
    return risks


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
    "E2": table_e2,
    "E3": table_e3,
    "E4": table_e4,
    "E5": table_e5,
    "E5-networks": table_e5_networks,
    "E6": table_e6,
    "E7": table_e7,
    "F1": table_f1,
}

if __name__ == "__main__":
    print_tables(TABLES)
