"""A clean table of trainings, and what is asserted of tables that were changed."""

import numpy as np
import pandas as pd
import pytest

import bfc
from bfc.errors import UserError
from bfc.stats.fit_warnings import find_table_warnings
from bfc.stats.messages import describe_warning
from bfc.stats.training_table import build_training_table

EPS = 0.1
N = (32, 64, 128, 256, 512, 1024, 2048)


def make_table(dimensions=(8, 12, 16, 24), seeds=6):
    """n* = 2 d^1.5, log risk a line in log n with scatter; every optional column is there."""
    rng = np.random.default_rng(0)
    rows = []
    for d in dimensions:
        for n in N:
            for seed in range(seeds):
                log_risk = np.log(EPS) - 2 * np.log(n / (2 * d**1.5)) + 0.4 * rng.normal()
                risk = float(np.round(min(np.exp(log_risk), 1.0), 6))
                row = {"d": d, "n": n, "seed": seed, "risk": risk}
                rows.append({**row, "train_risk": risk / 2, "kind": "training", "fresh": False})
    table = pd.DataFrame(rows)
    table["outcome"] = np.where(table["risk"] <= EPS, "success", "data_limited")
    table["diverged"] = False
    stuck = table.index[table["n"] == 64][::3]
    table.loc[stuck, ["outcome", "train_risk"]] = ["plateau", 0.5]
    blown = table.index[table["n"] == 2048][::5]
    table.loc[blown, "diverged"] = True
    return table


CLEAN = make_table()
NUMBERS = ("d", "n", "risk", "train_risk")
WORDS = ("outcome", "kind")
FLAGS = ("diverged", "fresh")


def read(table):
    """The arrays of a table, and what is said about it."""
    arrays = build_training_table(table, EPS)
    warnings = [describe_warning(warning) for warning in find_table_warnings(arrays)]
    return arrays, warnings


def assert_same(table, *said):
    """The table gives the arrays of the clean one, and exactly these sentences more."""
    (arrays, warnings), (clean, usual) = read(table), read(CLEAN)
    for name in ("d", "n", "seed", "risk", "outcome", "online", "learning", "rises"):
        np.testing.assert_array_equal(getattr(arrays, name), getattr(clean, name), err_msg=name)
    new = [warning for warning in warnings if warning not in usual]
    assert len(new) == len(said), new
    for sentence in said:
        assert any(sentence in warning for warning in new), (sentence, new)


def assert_refused(table, *parts):
    """One sentence, also from the library's other entries, which holds all parts."""
    entries = [
        lambda: build_training_table(table, EPS),
        lambda: bfc.fit_exponent(table, EPS),
        lambda: bfc.nstar(table[CLEAN["d"].to_numpy() == 8], EPS),
    ]
    for entry in entries[: 2 if "d=" in parts[0] else 3]:
        with pytest.raises(UserError) as refusal:
            entry()
        sentence = str(refusal.value)
        assert "\n" not in sentence and all(part in sentence for part in parts), sentence


def with_value(column, value, row=5, dtype=object):
    """The clean table with one value replaced."""
    table = CLEAN.copy()
    table[column] = table[column].astype(dtype)
    table.iat[row, table.columns.get_loc(column)] = value
    return table
