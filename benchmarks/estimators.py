"""The exponent from how far risks are from eps, beside the one from success and failure alone.

Truth is simulated (n* = 1.6 d^2, seven d from 8 to 64): smooth risks in several designs, and risks
that jump, bend, lapse, have heavy tails or end below n*, where the sharper likelihood of
:mod:`bfc.stats.smooth_cells` must not do harm.

    python -m benchmarks.estimators [--sweeps 120] [--seed 0] [--only NAME]

prints per case the median width of the exponent's 95 % interval, its root mean square error and
coverage, with the binary likelihood alone (before) and with the chosen ones (after), and the share
of cells that were judged smooth.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bfc.stats.cell_counts import split_cells
from bfc.stats.exponent_posterior import Posterior, fit_posterior
from bfc.stats.likelihood import likelihood_curve
from bfc.stats.simulation import RiskShape, World
from bfc.stats.smooth_cells import Likelihood, choose_curves
from bfc.stats.training_table import build_training_table

Design = Callable[[World, int], np.ndarray]


def fresh(world: World, d: int, offset: float = 0.0) -> np.ndarray:
    """16 fresh trainings around the theory."""
    return np.exp(np.log(world.prefactor * d**world.exponent) + offset + np.linspace(-0.8, 0.8, 16))


def off_centre(world: World, d: int) -> np.ndarray:
    return fresh(world, d, 0.6)


def drifting(world: World, d: int) -> np.ndarray:
    """The centre grows as d^2.5."""
    return fresh(world, d, 0.5 * np.log(d / 23))


def censored(world: World, d: int) -> np.ndarray:
    """The grid of the largest d ends well below n*."""
    return fresh(world, d, -1.2 if d == world.d[-1] else 0.0)


def grid(world: World, d: int) -> np.ndarray:
    """Six n in factors of 1.7, five trainings each."""
    centre = world.prefactor * d**world.exponent
    return np.repeat(centre * 1.7 ** np.linspace(-2.5, 2.5, 6), 5)


@dataclass(frozen=True)
class Case:
    name: str
    world: World
    design: Design
    seeds: int | None = None
    """Number of seeds that every n shares; None: every training has its own."""


SINGLE = World(sd=0.0, scatter=0.7, tau=0.15, steepness=2.0)
"""All scatter is that of single trainings."""
CASES = (
    Case("smooth, 16 fresh", World(tau=0.15), fresh),
    Case("smooth, 6 n x 5 labels, scatter of trainings", SINGLE, grid, 5),
    Case("jump", World(tau=0.15, shape=RiskShape.JUMP), fresh),
    Case("lapses .05", World(tau=0.15, lapse=0.05), fresh),
    Case("lapses .2", World(tau=0.15, lapse=0.2), fresh),
    Case("heavy tails", World(tau=0.15, heavy=True), fresh),
    Case("largest d censored", World(tau=0.15), censored),
    Case("knee, drifting", World(tau=0.15, shape=RiskShape.KNEE), drifting),
    Case("bend, drifting", World(tau=0.15, shape=RiskShape.BEND), drifting),
    Case("smooth, 6 n x 5 fresh", World(tau=0.15), grid),
    Case("smooth, drifting", World(tau=0.15), drifting),
    Case("smooth, 6 n x 5 seeds, half shared", World(tau=0.15, sd=0.25, scatter=0.75), grid, 5),
    Case("smooth, 6 n x 5 shared seeds", World(tau=0.15), grid, 5),
    Case("smooth, off centre", World(tau=0.15), off_centre),
    Case("smooth, 16 fresh, tau 0", World(), fresh),
)


def draw_sweep(case: Case, rng: np.random.Generator) -> pd.DataFrame:
    """The trainings of one sweep."""
    tables = []
    for d, mu in zip(case.world.d, case.world.draw(rng), strict=True):
        n = np.rint(case.design(case.world, d))
        seed = None if case.seeds is None else np.arange(len(n)) % case.seeds
        tables.append(case.world.train(rng, d, mu, n, seed))
    return pd.concat(tables, ignore_index=True)


def compare(case: Case, sweeps: int, seed: int = 0) -> dict[str, float | str]:
    """One row: width, RMSE and coverage before and after."""
    before, after, smooth = [], [], []
    for sweep in range(sweeps):
        trainings = draw_sweep(case, np.random.default_rng([seed, sweep]))
        table = build_training_table(trainings, case.world.eps)
        cells = split_cells(table)
        informative = {d: cell for d, cell in cells.items() if cell.is_informative}
        before.append(fit_posterior({d: likelihood_curve(c) for d, c in informative.items()}))
        chosen = choose_curves(table, cells)
        after.append(fit_posterior({d: choice.curve for d, choice in chosen.items()}))
        smooth += [choice.kind is Likelihood.SMOOTH for choice in chosen.values()]
    row: dict[str, float | str] = {"case": case.name}
    for name, posteriors in (("before", before), ("after", after)):
        row |= {f"{key} {name}": v for key, v in summarise(posteriors, case.world).items()}
    return row | {"smooth": float(np.mean(smooth))}


def summarise(posteriors: list[Posterior], world: World) -> dict[str, float]:
    """Median width, RMSE and bias of the sweeps with an exponent, coverage of all."""
    known = [p for p in posteriors if np.isfinite(p.exponent)]
    error = np.array([p.exponent for p in known]) - world.exponent
    return {
        "width": float(np.median([p.hi - p.lo for p in known])),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "bias": float(error.mean()),
        "coverage": float(np.mean([p.lo <= world.exponent <= p.hi for p in posteriors])),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Binary likelihood against the chosen one.")
    parser.add_argument("--sweeps", type=int, default=120, help="simulated sweeps per case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    options = parser.parse_args(arguments)
    rows = []
    for case in CASES:
        if options.only in case.name:
            rows.append(compare(case, options.sweeps, options.seed))
            print(pd.DataFrame(rows[-1:]).to_string(header=len(rows) == 1, float_format="%.3f"))
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
