"""Simulated trainings of one cell, for the tests of its likelihood and of its interval."""

import numpy as np
import pandas as pd

from bfc.stats.simulation import World

INF = float("inf")
EPS = 0.1
WORLD = World(d=(16,))
MU = float(np.log(1.6 * 16**2))


def table(*rows, **columns):
    """Rows (n, seed, risk) as trainings."""
    return pd.DataFrame(rows, columns=["n", "seed", "risk"]).assign(**columns)


def one_cell(rng, n, world=WORLD, seed=None, first=0):
    return world.train(rng, 16, MU, n, seed, first)
