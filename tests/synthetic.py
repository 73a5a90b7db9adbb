"""A results folder written cell by cell, as the program writes it, with known n*.

The tests of ``analysis`` read it.
"""

import json

import numpy as np
import pandas as pd
import yaml


def write_cell(
    root,
    name,
    *,
    method="staged quadratic_densenet",
    d=8,
    L=3,
    centre=150.0,
    eps=(0.1, 0.01),
    seeds=8,
    grid=None,
    floor=0.0,
    study="synthetic",
    kind="training",
    validation="inside",
    probes=False,
    config=None,
    drop=(),
    state="done",
):
    """One stored cell: its median risk crosses 0.01 at ``centre`` and stays above ``floor``.

    ``drop``: files that are not written.
    """
    grid = np.asarray(grid if grid is not None else np.round(centre * 1.5 ** np.arange(-4, 5)), int)
    generator = np.random.default_rng([d, L, int(centre), len(method)])
    rows = []
    for seed, n, risk in _risks(generator, seeds, grid, centre, floor):
        outcome = _outcome(risk, floor, min(eps))
        row = _row(kind, n, seed, risk, outcome, validation)
        if probes:
            row |= _probe_values(generator, risk)
        rows.append(row)
    if floor:
        confirming = {"kind": "confirmation", "n": 3_072_000, "risk": floor, "fresh": True}
        rows += [{**rows[0], **confirming, "seed": seed} for seed in range(2)]
    settings = _settings(method, d, L, kind == "training", int(grid[-1]), validation)
    for key, value in (config or {}).items():
        group, _, leaf = key.partition(".")
        settings[group] = {**settings[group], leaf: value}
    request = {"study": study, "eps": list(eps), "n": grid.tolist(), "seeds": list(range(seeds))}
    environment = {"python": "3.12.1", "commit": "abc", "diff": None}
    texts = {
        "config.yaml": yaml.safe_dump(settings, sort_keys=False),
        "requests.json": json.dumps([request]),
        "environment.json": json.dumps({**environment, "packages": {"torch": "2.13.0"}}),
        "status.json": json.dumps({"state": state}),
    }
    folder = root / name
    folder.mkdir(parents=True)
    for file, text in texts.items():
        if file not in drop:
            (folder / file).write_text(text)
    if "trainings.parquet" not in drop:
        pd.DataFrame(rows).to_parquet(folder / "trainings.parquet")
    return folder


def _risks(generator, seeds, grid, centre, floor):
    """Seed, n and risk of every training; a generator, so that probes draw in between."""
    for seed in range(seeds):
        shift = generator.normal(0, 0.25)
        for n in grid:
            noise = np.exp(shift + generator.normal(0, 0.15))
            lowest = floor * np.exp(0.05 * generator.normal())
            yield seed, int(n), max(0.01 * (n / centre) ** -1.6 * noise, lowest)


def _outcome(risk, floor, eps):
    if risk <= eps:
        return "success"
    return "plateau" if floor > eps else "data_limited"


def _row(kind, n, seed, risk, outcome, validation):
    return {
        "kind": kind,
        "n": n,
        "seed": seed,
        "fresh": False,
        "risk": risk,
        "train_risk": risk / 2,
        "outcome": outcome,
        "validation": validation,
        "steps": 3000,
        "seconds": 0.5,
        "stack": 32,
        "hardware": "a processor",
        "dtype": "float32",
        "diverged": False,
    }


def _probe_values(generator, risk):
    error = np.exp(generator.normal(0, 0.2, 6))
    return {
        "level2/gram/2": 0.39 * error[0],
        "level3/gram/2": 0.04 * error[1],
        "level2/subspace/2": 0.003 * error[2],
        "level3/subspace/2": 0.0002 * error[3],
        "level2/feature/3": np.nan,
        "level3/feature/3": 0.01 * error[4],
        "level2/risk": 0.1 * error[5],
        "level3/risk": risk,
    }


def _settings(method, d, L, is_learner, n_max, validation):
    """The configuration of a cell."""
    target = {
        "_target_": "bfc.targets.quadratic_densenet.QuadraticDenseNet",
        "d": d,
        "L": L,
        "widths": [4, 2],
    }
    learner = {
        "_target_": "bfc.learners.quadratic_densenet.QuadraticDenseNet",
        "widths": [4, 4],
    }
    return {
        "kind": "learner" if is_learner else "baseline",
        "method": method,
        "target_name": "quadratic_densenet",
        "d": d,
        "L": L,
        "degree": 2 ** (L - 1),
        "target": target,
        "learner": learner if is_learner else None,
        "optimizer": {"lr": 0.01} if is_learner else None,
        "baseline": None if is_learner else {"n_max": n_max},
        "measure": {"validation": validation, "test": 4096},
    }


STAGED = "staged quadratic_densenet"
REFIT = "refit quadratic_densenet"
LAYERWISE = "layerwise quadratic_densenet"
BY_DIMENSION = ((8, 144, 278), (12, 172, 470), (16, 202, 691), (24, 285, 1180), (32, 360, 1711))
"""d, and n* of the staged and of the refit schedule."""
BY_DEPTH = ((2, 80, 120), (3, 200, 400), (4, 280, 800), (5, 340, 1500))
"""L, and n* of the staged and of the refit schedule at d = 16."""


def write_sweep(root, largest=32):
    """Measured figures as a store: staged, refit, strictly layer-wise and a kernel.

    At several d up to ``largest``, and at several depths.
    """
    for d, staged, refit in BY_DIMENSION:
        if d <= largest:
            write_cell(root, f"staged{d}", method=STAGED, d=d, centre=staged, probes=True)
            refit_options = {"centre": refit, "probes": True, "validation": "free"}
            write_cell(root, f"refit{d}", method=REFIT, d=d, **refit_options)
            write_cell(root, f"layer{d}", method=LAYERWISE, d=d, centre=400, floor=0.033)
    curve = {
        "method": "polynomial kernel (degree 4)",
        "seeds": 4,
        "kind": "curve",
        "validation": "none",
        "grid": np.unique(np.round(np.geomspace(16, 2560, 40)).astype(int)),
    }
    for d in (6, 8, 10, 12, 14, 16)[: 2 + largest // 8]:
        write_cell(root, f"kernel{d}", d=d, centre=393 * (d / 8) ** 3.2, **curve)
    for L, staged, refit in BY_DEPTH:
        deep = {"L": L, "d": 16, "study": "depth"}
        widths = {"target.widths": [4, 3, 2, 2][: L - 1]}
        floor = 0.0 if L == 2 else 0.04
        write_cell(root, f"deep-staged{L}", centre=staged, config=widths, **deep)
        write_cell(root, f"deep-refit{L}", method=REFIT, centre=refit, **deep)
        write_cell(root, f"deep-layer{L}", method=LAYERWISE, centre=300, floor=floor, **deep)
