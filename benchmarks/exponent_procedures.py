"""Procedures that measure an exponent on simulated trainings, for ``benchmarks.procedures``.

What peers do (a grid of n in factors of two, walked up to the first n at which the median seed
succeeds, then least squares), bisection, and rounds placed by the posterior with the likelihood at
the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import special

from bfc.stats.cell_counts import split_cells
from bfc.stats.design import choose_sample_sizes, predict_density, update_density, wide_density
from bfc.stats.exponent_posterior import fit_posterior
from bfc.stats.likelihood import likelihood_curve
from bfc.stats.simulation import World
from bfc.stats.training_table import build_training_table

START = 4
Answer = tuple[int, float, float, float]
"""Trainings, exponent, lower and upper end of its 95 % interval."""


@dataclass(frozen=True)
class Procedure:
    name: str
    family: str
    run: Callable[[World, np.ndarray, np.random.Generator], Answer]


def cap(world: World) -> int:
    """Largest n allowed: the power of two next below the typical n* of the largest d."""
    return int(2 ** np.floor(np.log2(world.prefactor * world.d[-1] ** world.exponent)))


def grid(
    world: World, mu: np.ndarray, rng: np.random.Generator, seeds: int, from_d: bool = False
) -> Answer:
    """Walk n up in factors of two, ``seeds`` fresh trainings each, to the first n whose median
    succeeds; least squares."""
    trainings = 0
    nstar: dict[int, float] = {}
    for d, centre in zip(world.d, mu, strict=True):
        n = d if from_d else START
        while n <= cap(world):
            risk = world.train(rng, d, centre, np.full(seeds, n))["risk"]
            trainings += seeds
            if np.median(risk) <= world.eps:
                nstar[d] = n
                break
            n *= 2
    return trainings, *least_squares(nstar)


def bisection(world: World, mu: np.ndarray, rng: np.random.Generator, steps: int = 6) -> Answer:
    """One seed per d: its own threshold between the start and the cap, halving the range of log n;
    least squares."""
    trainings = 0
    nstar: dict[int, float] = {}
    for d, centre in zip(world.d, mu, strict=True):
        threshold = centre + world.sd * rng.standard_normal()
        lo, hi = np.log([START, cap(world)])
        trainings += 1
        if threshold > hi:
            continue
        for _ in range(steps):
            midpoint = 0.5 * (lo + hi)
            lo, hi = (lo, midpoint) if threshold <= midpoint else (midpoint, hi)
            trainings += 1
        nstar[d] = np.exp(0.5 * (lo + hi))
    return trainings, *least_squares(nstar)


def adaptive(
    world: World, mu: np.ndarray, rng: np.random.Generator, replicas: int, rounds: int
) -> Answer:
    """Every d in turn: rounds of ``replicas`` trainings spread over what is believed of its log n*,
    starting from the smaller d."""
    tables: dict[float, pd.DataFrame] = {}
    for d, centre in zip(world.d, mu, strict=True):
        prior = predict_density(tables, d, world.eps) or wide_density(START, cap(world))
        density, rows = prior, []
        for k in range(rounds):
            n = np.clip(choose_sample_sizes(density, replicas), 2, cap(world))
            rows.append(world.train(rng, d, centre, n, first=k * replicas))
            if k + 1 < rounds:
                density = update_density(pd.concat(rows), prior, world.eps)
        tables[d] = pd.concat(rows)
    trainings = pd.concat(tables.values())
    cells = split_cells(build_training_table(trainings, world.eps))
    posterior = fit_posterior({d: likelihood_curve(cell) for d, cell in cells.items()})
    return len(trainings), posterior.exponent, posterior.lo, posterior.hi


def least_squares(nstar: dict[int, float]) -> tuple[float, float, float]:
    """Slope of log n* on log d with its t interval."""
    if len(nstar) < 3:
        return np.nan, -np.inf, np.inf
    x, y = np.log(list(nstar)), np.log(list(nstar.values()))
    x = x - x.mean()
    slope = x @ y / (x @ x)
    residual_variance = np.sum((y - y.mean() - slope * x) ** 2) / (len(x) - 2)
    half_width = special.stdtrit(len(x) - 2, 0.975) * np.sqrt(residual_variance / (x @ x))
    return float(slope), float(slope - half_width), float(slope + half_width)


PROCEDURES = (
    *(
        Procedure(f"x2 grid, {seeds} seeds, first hit, OLS", "grid", partial(grid, seeds=seeds))
        for seeds in (1, 3, 10, 30)
    ),
    Procedure(
        "x2 grid from n = d, 3 seeds, first hit, OLS",
        "grid from d",
        partial(grid, seeds=3, from_d=True),
    ),
    Procedure(
        "x2 grid from n = d, 10 seeds, first hit, OLS",
        "grid from d",
        partial(grid, seeds=10, from_d=True),
    ),
    Procedure("bisection, 1 seed, OLS", "bisection", bisection),
    *(
        Procedure(
            f"adaptive {replicas}x{rounds} + likelihood",
            "adaptive",
            partial(adaptive, replicas=replicas, rounds=rounds),
        )
        for replicas, rounds in ((8, 1), (16, 1), (16, 2), (32, 2))
    ),
)
