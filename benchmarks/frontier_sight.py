"""SIGHT (E3) of the tables of docs/frontier_features.md.

Run by ``python -m benchmarks.frontier E3 E3-stages E3-kernels E3-networks E3-layers``, at fixed
settings and without tuning.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

import bfc
from benchmarks.doc_tables import print_row
from benchmarks.frontier_curves import RIDGE, TEST, curves, relative_risk
from bfc.baselines.kernels import Polynomial
from bfc.baselines.projected_ridge import fit_polynomials
from bfc.baselines.rfm import RFM
from bfc.baselines.spectral_chain import SpectralChain
from bfc.learners.mlp import MLP
from bfc.learners.three_layer_network import ThreeLayerNetwork
from bfc.measure.ladder import Ladder
from bfc.targets.sight import Sight
from bfc.types import sample


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


def table_e3_stages() -> None:
    """Degree-3 ridge and all four stages on directions that are true, of C_1 and of RFM."""
    for d, n in ((36, 1842), (64, 2916)):
        risks = np.median([stage_risks(d, n, seed) for seed in range(3)], 0)
        for name, row in zip(("true W", "C1", "RFM"), risks, strict=True):
            print_row(f"d={d} n={n} {name}: degree-3 ridge, four stages", list(row), 3)


def stage_risks(d: int, n: int, seed: int) -> list[list[float]]:
    """Per kind of directions the risks of the ridge regression and of all stages."""
    draw = Sight(d=d).draw([seed], torch.float64)
    x, y = sample(draw, "train", torch.arange(n)[None])
    x_test, f_test = sample(draw, "test", torch.arange(TEST)[None])
    width = draw.target.widths[0]
    chain = SpectralChain(keep=(width,), clip=None, degree=3, n_max=n)
    learned = [chain.fit(x[0], y[0], x_test[0], RIDGE).directions]
    learned.append(RFM(rounds=3).fit(x[0], y[0], x_test[0], 0.1).directions)
    risks = []
    for directions in (draw.planted_subspace[0], *learned):
        assert directions is not None
        z, z_test = x[0] @ directions[:, :width], x_test[0] @ directions[:, :width]
        ridge: Tensor = fit_polynomials(z, y[0], z_test, chain.degree, RIDGE)[1]
        stages = chain.read_out(z, y[0], z_test, RIDGE)
        risks.append([relative_risk(p, f_test[0], draw.variance) for p in (ridge, stages)])
    return risks


SIZES = (2000, 4000)


def table_e3_kernels() -> None:
    """d = 64: risks at n = 2000, 4000 of RFM and of the degree-3 kernel at several ridges."""
    target = Sight(d=64)
    row = []
    for n in SIZES:
        machine = RFM(rounds=3, ridge=0.1, n_max=n, n_ratio=1e4)
        row.append(float(np.median([curve.risk[-1] for curve in curves(machine, target, 3)])))
    print_row("RFM, risk", row, 3)
    for ridge in (1e-4, 1e-3, 1e-2, 1e-1):
        kernel = Polynomial(degree=3, ridge=ridge, n_max=4000, n_ratio=2.0)
        tuned = {"ridge": ridge}
        results = [kernel.curve(target, seed, TEST, tuned) for seed in range(3)]
        row = [float(np.median([c.risk[c.n.index(n)] for c in results])) for n in SIZES]
        print_row(f"degree-3 kernel, lambda {ridge:g}, risk", row, 3)


def table_e3_networks() -> None:
    """d = 64: risks at n = 2000, 4000 of networks trained jointly, best on 1000 labels, 3 seeds."""
    for widths, decay in (((512,), 1.0), ((512, 64), 1.0), ((256,), 0.1), ((256, 64), 0.1)):
        network = MLP(widths=widths, weight_sd=1.0, bias_sd=0.58)
        adam = bfc.Adam(lr=0.003, weight_decay=decay, decay="cosine")
        method = bfc.Method(network, "all", adam, steps=4000)
        ladder = Ladder(
            n=SIZES, seeds=3, test=TEST, validation="free", validation_size=1000, confirm=0
        )
        rows = bfc.run(Sight(d=64), method, measure=ladder)
        medians = rows.groupby("n")["risk"].median()
        print_row(f"widths {widths}, weight decay {decay}, risk", medians.tolist(), 3)


def table_e3_layers() -> None:
    """d = 64: risk after every phase of the layer-wise network at n = 2000, 4000, 2 seeds."""
    method = bfc.Method(
        ThreeLayerNetwork(width=512, upper_width=64),
        "sight",
        bfc.SGD(lr=0.1, batch=512, decay="constant", warmup=0, clip=None),
    )
    ladder = Ladder(n=SIZES, seeds=2, test=TEST, validation="free", validation_size=1000, confirm=0)
    rows = bfc.run(Sight(d=64), method, measure=ladder)
    phases = [name for name in rows if str(name).endswith("/risk")]
    print(rows.groupby("n")[["risk", *phases]].median().to_string(), flush=True)
