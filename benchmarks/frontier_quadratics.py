"""Quadratic features (E4) and the composition of quadratics (E7) of docs/frontier_features.md.

Run by ``python -m benchmarks.frontier E4 E4-kernel E7 E7-kernel``, at fixed settings and without
tuning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Literal

import numpy as np

from benchmarks.doc_tables import print_median
from benchmarks.frontier_curves import RATIO, RIDGE, TEST, crossings, curves, relative_risk
from bfc.baselines.feature_learner import measure_overlaps
from bfc.baselines.kernels import Polynomial
from bfc.baselines.rfm import RFM
from bfc.baselines.spectral_chain import SpectralChain
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.targets.quadratic_of_quadratics import QuadraticOfQuadratics
from bfc.types import Target


def table_e4() -> None:
    """Quadratic of quadratics, p = 2: overlap and risk at n/D_2 = 8, 16, 32; clipped and not."""
    signs: Sequence[Literal["alternating", "plus"]] = ("plus", "alternating")
    for clip, sign, d in product((3.0, None), signs, (16, 32, 48)):
        target = QuadraticOfQuadratics(d=d, signs=sign)
        seeds = 12 if clip and sign == "plus" else 6
        for ratio in (8, 16, 32):
            n = ratio * d * (d + 1) // 2
            chain = SpectralChain(
                levels=("quadratic",), keep=(2,), degree=2, clip=clip, ridge=RIDGE, n_max=n
            )
            overlaps, risks = np.transpose(
                [overlap_and_risk(chain, target, n, seed) for seed in range(seeds)]
            )
            name = f"{sign} clip={clip} d={d} n/D_2={ratio}"
            print_median(f"{name}: overlap", overlaps, 2, 3)
            print_median(f"{name}: risk", risks, 2, 3)


def overlap_and_risk(
    chain: SpectralChain, target: Target, n: int, seed: int
) -> tuple[float, float]:
    """Of one fit at n."""
    samples = chain.draw_samples(target, seed, TEST, "cpu")
    fit = chain.fit(samples.x[:n], samples.y[:n], samples.x_test, RIDGE)
    risk = relative_risk(fit.predicted, samples.f_test, samples.draw.variance)
    return measure_overlaps(fit, samples)["forms"], risk


def table_e4_kernel() -> None:
    """Quadratic of quadratics: n*(.1) of the degree-4 kernel."""
    for d, n in ((8, 1024), (12, 3072)):
        kernel = Polynomial(degree=4, ridge=1e-6, n_max=n, n_ratio=RATIO)
        target = QuadraticOfQuadratics(d=d, signs="plus")
        results = [kernel.curve(target, seed, TEST, {"ridge": 1e-6}) for seed in range(8)]
        print_median(f"d={d} degree-4 kernel", crossings(results), 2)


SIZES = (256, 512, 1024, 2048)


def table_e7() -> None:
    """RFM on the quadratic composition at L = 3: risk at n = 256, 512, 1024, 2048.

    At the ridge that the prototype states, at the one that gives its row at d = 32, and there with
    twice the bandwidth as well.
    """
    rows: Sequence[tuple[str, RFM, dict[int, int]]] = (
        ("lambda = 1e-3, L = sqrt d", RFM(ridge=RIDGE), {16: 24, 32: 12, 64: 4}),
        ("lambda = 1e-5, L = sqrt d", RFM(ridge=1e-5), {16: 6, 32: 6, 64: 4}),
        ("lambda = 1e-5, L = 2 sqrt d", RFM(ridge=1e-5, bandwidth=2.0), {32: 6}),
    )
    for name, machine, seeds in rows:
        for (d, count), n in product(seeds.items(), SIZES):
            fitted = replace(machine, n_max=n, n_ratio=1e4)
            results = curves(fitted, composition(d), count)
            print_median(f"{name} d={d} n={n}", [curve.risk[-1] for curve in results], 3, 4)


def table_e7_kernel() -> None:
    """The degree-4 kernel on the same target at the same n."""
    for ridge, d in product((1e-3, 1e-6), (16, 32, 64)):
        kernel = Polynomial(degree=4, ridge=ridge, n_max=SIZES[-1], n_ratio=2.0)
        results = [kernel.curve(composition(d), seed, TEST, {"ridge": ridge}) for seed in range(6)]
        for n in SIZES:
            risks = [curve.risk[curve.n.index(n)] for curve in results]
            print_median(f"lambda = {ridge:g} d={d} n={n}", risks, 3, 3)


def composition(d: int) -> QuadraticDenseNet:
    return QuadraticDenseNet(d=d, L=3, widths=(4, 2), alpha=(1.0, 0.5))
