"""Simulated sweeps of the tests of exponents: which sample sizes are trained at every d, and what
becomes of the trainings.
"""

import numpy as np
import pandas as pd

from bfc.stats.simulation import World
from bfc.stats.training_table import build_training_table

EPS = 0.1


def spread_n(world, d, offset=0.0, per=16, half=0.8):
    """n around the theory (not around the truth, which a tau moves)."""
    return np.rint(
        np.exp(
            np.log(world.prefactor)
            + world.exponent * np.log(d)
            + offset
            + np.linspace(-half, half, per)
        )
    )


def centred(world, rng, d, mu):
    return world.train(rng, d, mu, spread_n(world, d))


def off_centre(world, rng, d, mu):
    return world.train(rng, d, mu, spread_n(world, d, 0.6))


def drifting(world, rng, d, mu):
    """The grid's centre grows as d^2.5."""
    return world.train(rng, d, mu, spread_n(world, d, 0.5 * np.log(d / 23)))


def largest_censored(world, rng, d, mu):
    return world.train(rng, d, mu, spread_n(world, d, -1.2 if d == 64 else 0.0))


def plateaus(world, rng, d, mu):
    """At d = 23 and 64 the method never gets there, however large n."""
    n = np.r_[spread_n(world, d), spread_n(world, d, 1.5)]
    return (
        world.train(rng, d, mu, n).assign(risk=0.5, outcome="plateau")
        if d in (23, 64)
        else centred(world, rng, d, mu)
    )


def lucky_plateaus(world, rng, d, mu):
    """The same, but one training in twenty succeeds there, whatever its n."""
    rows = plateaus(world, rng, d, mu)
    return (
        rows.assign(risk=rows["risk"].where(rng.random(len(rows)) > 0.05, 0.01))
        if d in (23, 64)
        else rows
    )


def stuck(world, rng, d, mu):
    """One training in five does not fit its rows whatever its n; nor do those that lack data."""
    rows = world.train(rng, d, mu, spread_n(world, d, 0.3, per=24, half=1.1))
    rows["risk"] = rows["risk"].where(rng.random(len(rows)) > 0.2, 0.5)
    return rows.assign(train_risk=rows["risk"])


def shared_seeds(world, rng, d, mu):
    """Ladders of 8 n for each of 8 seeds."""
    return world.train(
        rng, d, mu, np.tile(spread_n(world, d, per=8, half=1.2), 8), np.repeat(np.arange(8), 8)
    )


def simulate_trainings(seed=0, world=None, per=16):
    """Trainings of a sweep over d, as anyone's table: one row each."""
    rng, world = np.random.default_rng(seed), world or World()
    rows = [
        world.train(rng, d, mu, spread_n(world, d, per=per))
        for d, mu in zip(world.d, world.draw(rng), strict=True)
    ]
    return pd.concat(rows, ignore_index=True)


def sweep(seed, world=None, per=16):
    """The same trainings as the arrays that estimators read."""
    return build_training_table(simulate_trainings(seed, world, per), EPS)
