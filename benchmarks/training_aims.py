"""What the benchmark of training aims at.

All are ratios within one run, of rates each side at its best stack size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from benchmarks.record import Aim

Figures = Mapping[str, Any]
NAMES = {
    "tiny": "tiny perceptron",
    "quadratic": "quadratic network",
    "mean_field": "mean-field network",
    "wide": "width 512",
}
"""Case → how its aims are called."""
CPU_AIMS = {
    "tiny": {"jax": 1.4, "loop": 4.5, "products": 0.85},
    "quadratic": {"jax": 4.0},
    "mean_field": {"jax": 1.2},
    "wide": {"jax": 0.95},
}
"""Case → side → least ratio of the stack's rate to the rate of that side, on a CPU."""
GPU_AIMS = {
    "tiny": {"jax": 2.0, "eager": 1.0},
    "quadratic": {"jax": 2.0},
    "mean_field": {"jax": 1.0},
    "wide": {"jax": 1.0},
}
TITLES = {
    "jax": "stack / jax vmap+jit+scan",
    "loop": "stack / plain loop",
    "products": "share of its products alone",
    "eager": "CUDA graph / eager",
}
LEAST_SHARE_OF_PEAK = 0.7
LEAST_GPU_RATE = 1e7
CPU_NEW_SHAPE_SECONDS = 1.5
GPU_NEW_SHAPE_SECONDS = 5.0
LEAST_STUDY_RATIO = 3.0


def best(figures: Figures, case: str, column: str) -> float:
    """The largest value of a column; of a ratio ``a_over_b``, each side at its best R."""
    rows = figures[case]["rows"]
    side, _, peer = column.partition("_over_")
    largest: float = max(row[side] for row in rows)
    return largest / max(row[peer] for row in rows) if peer else largest


def rate_aims(figures: Figures, device: torch.device) -> list[Aim]:
    """The aims for the cases whose rates were measured."""
    is_cpu = device.type == "cpu"
    chosen: list[Aim] = []
    for case, ratios in (CPU_AIMS if is_cpu else GPU_AIMS).items():
        if case in figures:
            chosen += _ratio_aims(figures, case, ratios)
    if is_cpu and "wide" in figures:
        share = best(figures, "wide", "of_peak")
        chosen.append(
            Aim("width 512, share of the matrix-product peak", share, LEAST_SHARE_OF_PEAK)
        )
    if not is_cpu and "tiny" in figures:
        rate = best(figures, "tiny", "stack")
        chosen.append(Aim("tiny perceptron, replica-steps/s on a GPU", rate, LEAST_GPU_RATE))
    return chosen


def _ratio_aims(figures: Figures, case: str, ratios: Mapping[str, float]) -> Iterator[Aim]:
    """The ratios of one case; without those to a side that was not measured."""
    for side, least in ratios.items():
        ratio = best(figures, case, f"stack_over_{side}")
        if not math.isnan(ratio):
            yield Aim(f"{NAMES[case]}, {TITLES[side]}", ratio, least)


def first_step_aims(rows: Sequence[Figures], device: torch.device) -> list[Aim]:
    """The aims for seconds to the first step, a row per case."""
    seconds = CPU_NEW_SHAPE_SECONDS if device.type == "cpu" else GPU_NEW_SHAPE_SECONDS
    chosen = []
    for row in rows:
        name = NAMES[row["case"]]
        more, ratio = row["new"] - row["plain"], row["cached"] / row["plain"]
        new, cached = (
            "seconds that a new shape takes longer",
            "first step of a cached shape / plain",
        )
        chosen.append(Aim(f"{name}, {new}", more, seconds, at_most=True))
        chosen.append(Aim(f"{name}, {cached}", ratio, 1.0, at_most=True))
    return chosen


def study_aims(rows: Sequence[Figures]) -> list[Aim]:
    """The aims for the training cells of studies, a row per study."""
    chosen = []
    for row in rows:
        study = row["study"]
        for way, words in (("new", "code compiled on the way"), ("cached", "code from the cache")):
            name = f"{study}, training cells by operations / by {words}"
            chosen.append(Aim(name, row["plain"] / row[way], LEAST_STUDY_RATIO))
        equal = row["equal_verdicts"]
        chosen.append(Aim(f"{study}, claims of equal verdict", equal, row["claims"]))
    return chosen
