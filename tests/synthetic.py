"""A results folder written cell by cell, as the program writes it, with known n*.

The tests of ``analysis`` read it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml


@dataclass(frozen=True)
class SyntheticCell:
    """What a cell holds: its median risk crosses 0.01 at ``centre`` and stays above ``floor``."""

    method: str = "staged quadratic_densenet"
    d: int = 8
    L: int = 3
    centre: float = 150.0
    eps: Sequence[float] = (0.1, 0.01)
    seeds: int = 8
    grid: Sequence[int] | None = None
    """Sample sizes; by default nine around ``centre``."""
    floor: float = 0.0
    study: str = "synthetic"
    kind: str = "training"
    """Of the rows: a learner's are "training"."""
    validation: str = "inside"
    probes: bool = False
    """Whether rows hold feature errors."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Dotted keys of the configuration that differ."""
    drop: Sequence[str] = ()
    """Files that are not written."""
    state: str = "done"

    @property
    def sizes(self) -> list[int]:
        around = np.round(self.centre * 1.5 ** np.arange(-4, 5))
        return [int(n) for n in (around if self.grid is None else self.grid)]


def write_cell(root: Path, name: str, **settings: Any) -> Path:
    """Store one cell with the ``settings`` of a :class:`SyntheticCell`; its folder."""
    cell = SyntheticCell(**settings)
    folder = root / name
    folder.mkdir(parents=True)
    for file, text in _texts(cell).items():
        if file not in cell.drop:
            (folder / file).write_text(text)
    if "trainings.parquet" not in cell.drop:
        pd.DataFrame(_rows(cell)).to_parquet(folder / "trainings.parquet")
    return folder


def _texts(cell):
    """File → content of everything but the table of trainings."""
    request = {"study": cell.study, "eps": list(cell.eps)}
    sizes = {"n": cell.sizes, "seeds": list(range(cell.seeds))}
    environment = {"python": "3.12.1", "commit": "abc", "diff": None}
    return {
        "config.yaml": yaml.safe_dump(_configuration(cell), sort_keys=False),
        "requests.json": json.dumps([request | sizes]),
        "environment.json": json.dumps({**environment, "packages": {"torch": "2.13.0"}}),
        "status.json": json.dumps({"state": cell.state}),
    }


def _rows(cell):
    generator = np.random.default_rng([cell.d, cell.L, int(cell.centre), len(cell.method)])
    rows = []
    for seed, n, risk in _risks(cell, generator):
        row = _row(cell, n, seed, risk)
        if cell.probes:
            row |= _probe_values(generator, risk)
        rows.append(row)
    if cell.floor:
        confirming = {"kind": "confirmation", "n": 3_072_000, "risk": cell.floor, "fresh": True}
        rows += [{**rows[0], **confirming, "seed": seed} for seed in range(2)]
    return rows


def _risks(cell, generator):
    """Seed, n and risk of every training; a generator, so that probes draw in between."""
    for seed in range(cell.seeds):
        shift = generator.normal(0, 0.25)
        for n in cell.sizes:
            noise = np.exp(shift + generator.normal(0, 0.15))
            lowest = cell.floor * np.exp(0.05 * generator.normal())
            yield seed, n, max(0.01 * (n / cell.centre) ** -1.6 * noise, lowest)


def _outcome(cell, risk):
    if risk <= min(cell.eps):
        return "success"
    return "plateau" if cell.floor > min(cell.eps) else "data_limited"


def _row(cell, n, seed, risk):
    return {
        "kind": cell.kind,
        "n": n,
        "seed": seed,
        "fresh": False,
        "risk": risk,
        "train_risk": risk / 2,
        "outcome": _outcome(cell, risk),
        "validation": cell.validation,
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


def _configuration(cell):
    is_learner = cell.kind == "training"
    target = {
        "_target_": "bfc.targets.quadratic_densenet.QuadraticDenseNet",
        "d": cell.d,
        "L": cell.L,
        "widths": [4, 2],
    }
    learner = {
        "_target_": "bfc.learners.quadratic_densenet.QuadraticDenseNet",
        "widths": [4, 4],
    }
    configuration = {
        "kind": "learner" if is_learner else "baseline",
        "method": cell.method,
        "target_name": "quadratic_densenet",
        "d": cell.d,
        "L": cell.L,
        "degree": 2 ** (cell.L - 1),
        "target": target,
        "learner": learner if is_learner else None,
        "optimizer": {"lr": 0.01} if is_learner else None,
        "baseline": None if is_learner else {"n_max": cell.sizes[-1]},
        "measure": {"validation": cell.validation, "test": 4096},
    }
    for key, value in cell.config.items():
        group, _, leaf = key.partition(".")
        configuration[group] = {**configuration[group], leaf: value}
    return configuration


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
