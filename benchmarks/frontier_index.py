"""Index models (E5) and online descent (E6) of the tables of docs/frontier_features.md.

Run by ``python -m benchmarks.frontier E5 E5-networks E6``, at fixed settings and without tuning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import bfc
from benchmarks.doc_tables import print_growth, print_median
from benchmarks.frontier_curves import RATIO, TEST
from bfc.baselines.selection import crossing
from bfc.learners.mlp import MLP
from bfc.learners.two_layer_network import TwoLayerNetwork
from bfc.measure.ladder import Ladder
from bfc.measure.online import Online
from bfc.targets.index import Index
from bfc.targets.leap import Leap
from bfc.targets.overlap import subspace_overlap
from bfc.types import Target, sample

STAIR3 = ((1,), (1, 2), (1, 2, 3))
MONO3 = ((1, 2, 3),)


def first_passages(target: Target, method: bfc.Method, seeds: int, eps: float) -> list[float]:
    """Per seed the fresh samples up to the first of two evaluations in a row at or below eps."""
    measure = Online(seeds=seeds, eps=(eps,), ratio=1.05, test=TEST, confirm=0)
    rows = bfc.run(target, method, measure=measure)
    passages = []
    for _, trained in rows.groupby("seed"):
        trained = trained.sort_values("n")
        reached = (trained["risk"] <= eps).to_numpy()
        both = reached[:-1] & reached[1:]
        passages.append(float(trained["n"].iloc[both.argmax()]) if both.any() else math.inf)
    return passages


def table_e5() -> None:
    """Index models: n at which overlap² ≥ .5, by moments of transformed and of plain labels."""
    rows: Mapping[str, tuple[str, int, Callable[[Tensor, Tensor], Tensor]]] = {
        "he3, transformed labels": ("he3", 100, transformed_direction),
        "he3, partial trace": ("he3", 25, partial_trace),
        "he2, matrix": ("he2", 25, leading_direction),
    }
    for name, (link, seeds, estimate) in rows.items():
        medians = {}
        for d in (16, 32, 64, 128, 256):
            crossings = index_crossings(Index(d=d, link=link), estimate, seeds)
            print_median(f"{name}, d={d}", crossings, 3)
            medians[d] = float(np.median(crossings))
        print_growth(name, medians)


def transformed_direction(x: Tensor, y: Tensor) -> Tensor:
    return (y.sign() * (y.abs() > 1.5)) @ x


def partial_trace(x: Tensor, y: Tensor) -> Tensor:
    return (y * (x.square().sum(1) - x.shape[1] - 2)) @ x


def leading_direction(x: Tensor, y: Tensor) -> Tensor:
    moment = (x * y.unsqueeze(1)).mT @ x - y.sum() * torch.eye(x.shape[1], dtype=x.dtype)
    values, vectors = torch.linalg.eigh(moment)
    return vectors[:, values.abs().argmax()]


def index_crossings(
    target: Index, estimate: Callable[[Tensor, Tensor], Tensor], seeds: int
) -> list[float]:
    """Per seed where the squared cosine comes up to a half."""
    crossings = []
    for seed in range(seeds):
        draw = target.draw([seed], torch.float64)
        n, sizes, missing = 16, [], []
        while n < 100_000 and (not missing or missing[-1] > 0.5):
            x, y = sample(draw, "train", torch.arange(n)[None])
            learned = estimate(x[0], y[0]).unsqueeze(1)
            sizes.append(n)
            missing.append(1 - subspace_overlap(learned, draw.planted_subspace[0]))
            n = round(n * RATIO)
        crossings.append(crossing(sizes, missing, 0.5) or math.inf)
    return crossings


def table_e6() -> None:
    """Online SGD of a two-layer network on the cube: median samples to a risk of .1, 8 seeds."""
    targets: dict[str, tuple[Leap, tuple[int, ...]]] = {
        "stair3": (Leap(d=8, family=None, sets=STAIR3), (8, 16, 32, 64)),
        "leap2": (Leap(d=8, family="leap2"), (8, 16, 32)),
        "mono3": (Leap(d=8, family=None, sets=MONO3), (8, 12, 16, 24, 32)),
        "leap3": (Leap(d=8, family="leap3"), (8, 12, 16, 24)),
    }
    for name, (target, dimensions) in targets.items():
        medians = {}
        for d in dimensions:
            optimizer = bfc.SGD(lr=0.2, batch=d, decay="constant", warmup=0, clip=None)
            method = bfc.Method(TwoLayerNetwork(), "all", optimizer, steps=900)
            passages = first_passages(replace(target, d=d), method, 8, 0.1)
            medians[d] = float(np.median(passages))
        print_growth(name, medians)


def table_e5_networks() -> None:
    """He_3: samples to a risk of .25 of a two-layer network, seen once or 2000 steps of 128 long.

    Biases of the first layer have a standard deviation of .58, as those of U[−1, 1]. With a first
    layer without biases a sum of ReLUs has no odd part but a linear one, and takes twice as many.
    """
    network = MLP(widths=(256,), weight_sd=1.0, bias_sd=0.58)
    fresh, reused = {}, {}
    for d, n in ((16, (724, 1024, 1448, 2048)), (32, (1448, 2048, 2896, 4096))):
        target = Index(d=d, link="he3")
        adam = bfc.Adam(lr=0.003, batch=128, decay="constant", warmup=0, clip=None)
        once = bfc.Method(network, "all", adam, steps=800)
        passages = first_passages(target, once, 8, 0.25)
        print_median(f"He_3, fresh samples, d={d}", passages, 3)
        fresh[d] = float(np.median(passages))
        decaying = replace(adam, decay="cosine", weight_decay=0.1)
        often = bfc.Method(network, "all", decaying, steps=2000)
        ladder = Ladder(
            n=n, seeds=8, eps=(0.25,), test=TEST, validation="free", validation_size=1000, confirm=0
        )
        rows = bfc.run(target, often, measure=ladder)
        print_median(f"He_3, reused samples, d={d}", seed_crossings(rows, 0.25), 3)
        reused[d] = interpolate_median(rows, 0.25)
    print_growth("He_3, fresh samples", fresh)
    print_growth("He_3, reused samples", reused)


def seed_crossings(rows: pd.DataFrame, eps: float) -> list[float]:
    """Per seed where its risk first comes down to ``eps``."""
    crossings = []
    for _, curve in rows.sort_values("n").groupby("seed"):
        crossings.append(crossing(curve["n"].tolist(), curve["risk"].tolist(), eps) or math.inf)
    return crossings


def interpolate_median(rows: pd.DataFrame, eps: float) -> float:
    """Where the median risk over seeds comes down to ``eps``."""
    medians = rows.groupby("n")["risk"].median()
    return crossing(medians.index.tolist(), medians.tolist(), eps) or math.inf
