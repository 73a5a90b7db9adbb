"""Staircases and monomials (E1, E2) of the tables of docs/frontier_features.md.

Run by ``python -m benchmarks.frontier E1 E1-kernels E1-seeds E1-metrics E1-laplace E2``, at fixed
settings and without tuning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from torch import Tensor

from benchmarks.doc_tables import print_median, print_row
from benchmarks.frontier_curves import (
    RATIO,
    RIDGE,
    TEST,
    crossings,
    curves,
    feature_crossings,
    median_nstar,
    relative_risk,
)
from bfc import random
from bfc.baselines.feature_learner import FeatureLearner
from bfc.baselines.irkm import IRKM
from bfc.baselines.lasso import Lasso
from bfc.baselines.recursive_kernel import columns_of
from bfc.baselines.rfm import RFM
from bfc.baselines.selection import crossing, geometric_grid
from bfc.targets.leap import FAMILIES, Leap
from bfc.types import sample

MACHINES: Mapping[str, FeatureLearner] = {
    "IRKM": IRKM(ridge=RIDGE, n_ratio=RATIO),
    "RFM Gauss": RFM(ridge=RIDGE, n_ratio=RATIO),
    "RFM diagonal": RFM(metric="diagonal", ridge=RIDGE, n_ratio=RATIO),
    "RFM Laplace": RFM(kernel="laplace", ridge=RIDGE, n_ratio=RATIO),
}
SIZES = {8: 1024, 12: 1024, 16: 1024, 24: 1400}
"""Largest n at every d."""


def leap_crossings(name: str, family: str, d: int, seeds: int) -> list[float]:
    machine = replace(MACHINES[name], n_max=SIZES[d])
    return crossings(curves(machine, Leap(d=d, family=family), seeds))


def table_e1() -> None:
    """n*(.1) on the cube at d = 8, 12, 16, 24: machines that learn, and the Lasso."""
    for family in FAMILIES:
        seeds = 3 if family == "mono4" else 5
        for name in MACHINES if family == "stair4" else list(MACHINES)[:3]:
            values = [float(np.median(leap_crossings(name, family, d, seeds))) for d in SIZES]
            print_row(f"{family} {name}", values)
    for family in ("stair4", "mono4"):
        lasso = Lasso(degree=4, n_max=128, n_ratio=RATIO, regularisation=0.1)
        values = []
        for d in SIZES:
            results = [
                lasso.curve(Leap(d=d, family=family), seed, TEST, {"regularisation": 0.1})
                for seed in range(3)
            ]
            values.append(median_nstar(results))
        print_row(f"{family} Lasso, degree 4", values)


def table_e1_kernels() -> None:
    """n*(.1) of the fixed kernel exp(x·z/d) at d = 8, 12, 16, on the staircase at d = 20, too."""
    for family in FAMILIES:
        sizes = {8: 600, 12: 2000, 16: 4600}
        if family == "stair4":
            sizes[20] = 6500
        values = []
        for d, n in sizes.items():
            fixed = IRKM(rounds=0, ridge=RIDGE, n_max=n, n_ratio=RATIO)
            values.append(median_nstar(curves(fixed, Leap(d=d, family=family), 3)))
        print_row(f"{family} kernel exp(x.z/d)", values)


def table_e1_seeds() -> None:
    """Cells of E1 in which few seeds differ from the prototype, with 20 seeds."""
    cells: tuple[tuple[str, str, tuple[int, ...]], ...] = (
        ("IRKM", "leap3", (12, 16, 24)),
        ("IRKM", "mono4", (12,)),
        ("RFM Gauss", "leap3", (12,)),
        ("RFM Gauss", "mono4", (12,)),
        ("RFM diagonal", "leap3", (12, 16, 24)),
        ("RFM diagonal", "mono4", (16,)),
    )
    for name, family, dimensions in cells:
        few = 3 if family == "mono4" else 5
        for d in dimensions:
            print_median(f"{family} {name} d={d}", leap_crossings(name, family, d, 20), few)


@dataclass(frozen=True)
class InnerProductMachine(RFM):
    """K = exp(x'Mz/d − 1) and other rules for M, each of them scaled to trace d.

    ``power`` of the gradient outer product or of FACT's (FF')^(1/2) (``metric: fact``); or the
    ``geometric`` mean of F and M, by the singular values of FM: (FM(FM)')^(1/4).
    """

    power: float = 1.0
    geometric: bool = False

    def gram(self, x: Tensor, z: Tensor, metric: Tensor) -> Tensor:
        return (x @ metric @ z.mT).div_(x.shape[1]).sub_(1).exp_()

    def gradients(self, x: Tensor, alpha: Tensor, metric: Tensor) -> Tensor:
        kernel, scaled = self.gram(x, x, metric), x @ metric / x.shape[1]
        return torch.cat([(kernel * column) @ scaled for column in columns_of(alpha)])

    def next_metric(self, x: Tensor, alpha: Tensor, metric: Tensor) -> Tensor:
        if self.geometric:
            moment = self.gradients(x, alpha, metric).mT @ (alpha.unsqueeze(1) * x) @ metric
            vectors, values, _ = torch.linalg.svd(moment)
            values = values.sqrt()
        else:
            values, vectors = torch.linalg.eigh(super().next_metric(x, alpha, metric))
            values = values.clamp(min=0) ** self.power
        updated = (vectors * values) @ vectors.mT
        return updated * (x.shape[1] / updated.trace())


def table_e1_metrics() -> None:
    """n*(.1) at d = 8, 12, 16 of other rules for M with exp(x'Mz/d), 3 seeds."""
    settings = {"ridge": RIDGE, "n_max": 1024, "n_ratio": RATIO}
    machines = {
        "AGOP": InnerProductMachine(**settings),
        "root of AGOP": InnerProductMachine(power=0.5, **settings),
        "FACT": InnerProductMachine(metric="fact", **settings),
        "FACT, geometric mean": InnerProductMachine(geometric=True, **settings),
    }
    families: tuple[str, ...] = ("stair4", "mono4")
    for family in families:
        for name, machine in machines.items():
            values = []
            for d in (8, 12, 16):
                values.append(median_nstar(curves(machine, Leap(d=d, family=family), 3)))
            print_row(f"{family} {name}", values)


def table_e1_laplace() -> None:
    """x1 + x2 + x3 + x1x2x3 + noise on the cube, IRKM, Laplace kernel, L = .5, 1, 2 sqrt d."""
    for bandwidth, d in product((0.5, 1.0, 2.0), (50, 100)):
        print_median(f"L = {bandwidth} sqrt d, d={d}", laplace_crossings(d, bandwidth, 10), 3)


def laplace_crossings(d: int, bandwidth: float, seeds: int) -> list[float]:
    """n*(.1) of a Laplace kernel with learned weights, the best of 0 to 5 rounds by validation.

    Noise has a standard deviation of .1 where the four monomials have coefficients of 1. The 1000
    validation labels are not counted.
    """
    target = Leap(d=d, family=None, sets=((1,), (2,), (3,), (1, 2, 3)))
    grid = geometric_grid(128, RATIO)
    machine = RFM("laplace", "diagonal", bandwidth=bandwidth, ridge=RIDGE)
    machines = [replace(machine, rounds=rounds) for rounds in range(6)]
    crossings = []
    for seed in range(seeds):
        draw = target.draw([seed], torch.float64)
        x, y = sample(draw, "train", torch.arange(1000 + grid[-1])[None])
        x_test, f_test = sample(draw, "test", torch.arange(TEST)[None])
        noise = random.normal([seed], "benchmark/noise", y.shape[1:], y.dtype, y.device)
        noisy = (y + noise * (0.1 / len(target.sets) ** 0.5))[0]
        chosen = torch.cat([x[0, :1000], x_test[0]])
        risks = []
        for n in grid:
            rows = slice(1000, 1000 + n)
            answers = [m.fit(x[0, rows], noisy[rows], chosen, RIDGE).predicted for m in machines]
            best = min(answers, key=lambda a: float((a[:1000] - noisy[:1000]).square().mean()))
            risks.append(relative_risk(best[1000:], f_test[0], draw.variance))
        crossings.append(crossing(grid, risks, 0.1) or math.inf)
    return crossings


def table_e2() -> None:
    """Stair4 in rotated Gaussian directions: n of the features, of RFM and of the fixed kernel."""
    for d, n, n_kernel in ((8, 1400, 1400), (12, 1400, 3200), (16, 1800, 4200)):
        target = Leap(d=d, law="gaussian")
        machine = RFM(ridge=RIDGE, n_max=n, n_ratio=RATIO)
        learned = curves(machine, target, 20)
        one_round = curves(replace(machine, rounds=1), target, 20)
        fixed = curves(replace(machine, rounds=0, n_max=n_kernel), target, 6)
        columns = {
            "features, 6 rounds": feature_crossings(learned, "subspace", 0.9),
            "features, 1 round": feature_crossings(one_round, "subspace", 0.9),
            "risk of RFM": crossings(learned),
            "risk of the kernel": crossings(fixed),
        }
        for name, values in columns.items():
            print_median(f"d={d} {name}", values, 3)
