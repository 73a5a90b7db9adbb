"""A results folder written cell by cell, as the program writes it, with known n*: what the tests of
``analysis`` read."""

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
    """One stored cell: its median risk crosses 0.01 at ``centre`` and stays above ``floor``."""
    generator = np.random.default_rng([d, L, int(centre), len(method)])
    grid = np.asarray(grid if grid is not None else np.round(centre * 1.5 ** np.arange(-4, 5)), int)
    rows = []
    for seed in range(seeds):
        shift = generator.normal(0, 0.25)
        for n in grid:
            risk = max(
                0.01 * (n / centre) ** -1.6 * np.exp(shift + generator.normal(0, 0.15)),
                floor * np.exp(0.05 * generator.normal()),
            )
            outcome = (
                "success" if risk <= min(eps) else "plateau" if floor > min(eps) else "data_limited"
            )
            row = {
                "kind": kind,
                "n": int(n),
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
            if probes:
                error = np.exp(generator.normal(0, 0.2, 6))
                row |= {
                    "level2/gram/2": 0.39 * error[0],
                    "level3/gram/2": 0.04 * error[1],
                    "level2/subspace/2": 0.003 * error[2],
                    "level3/subspace/2": 0.0002 * error[3],
                    "level2/feature/3": np.nan,
                    "level3/feature/3": 0.01 * error[4],
                    "level2/risk": 0.1 * error[5],
                    "level3/risk": risk,
                }
            rows.append(row)
    if floor:
        rows += [
            {
                **rows[0],
                "kind": "confirmation",
                "n": 3_072_000,
                "seed": seed,
                "risk": floor,
                "fresh": True,
            }
            for seed in range(2)
        ]
    learner = kind == "training"
    settings = {
        "kind": "learner" if learner else "baseline",
        "method": method,
        "target_name": "quadratic_densenet",
        "d": d,
        "L": L,
        "degree": 2 ** (L - 1),
        "target": {
            "_target_": "bfc.targets.quadratic_densenet.QuadraticDenseNet",
            "d": d,
            "L": L,
            "widths": [4, 2],
        },
        "learner": {
            "_target_": "bfc.learners.quadratic_densenet.QuadraticDenseNet",
            "widths": [4, 4],
        }
        if learner
        else None,
        "optimizer": {"lr": 0.01} if learner else None,
        "baseline": None if learner else {"n_max": int(grid[-1])},
        "measure": {"validation": validation, "test": 4096},
    }
    for key, value in (config or {}).items():
        group, _, leaf = key.partition(".")
        settings[group] = {**settings[group], leaf: value}
    folder = root / name
    folder.mkdir(parents=True)
    files = {
        "config.yaml": yaml.safe_dump(settings, sort_keys=False),
        "requests.json": json.dumps(
            [{"study": study, "eps": list(eps), "n": grid.tolist(), "seeds": list(range(seeds))}]
        ),
        "environment.json": json.dumps(
            {"python": "3.12.1", "commit": "abc", "diff": None, "packages": {"torch": "2.13.0"}}
        ),
        "status.json": json.dumps({"state": state}),
    }
    for file, text in files.items():
        if file not in drop:
            (folder / file).write_text(text)
    if "trainings.parquet" not in drop:
        pd.DataFrame(rows).to_parquet(folder / "trainings.parquet")
    return folder


def write_sweep(root, largest=32):
    """The measured figures of the notes as a store: staged, refit, strict layer-wise and a kernel,
    at several d up to ``largest``, and depth."""
    for d, staged, refit in (
        (8, 144, 278),
        (12, 172, 470),
        (16, 202, 691),
        (24, 285, 1180),
        (32, 360, 1711),
    ):
        if d > largest:
            continue
        write_cell(root, f"staged{d}", d=d, centre=staged, probes=True)
        write_cell(
            root,
            f"refit{d}",
            method="refit quadratic_densenet",
            d=d,
            centre=refit,
            probes=True,
            validation="free",
        )
        write_cell(
            root, f"layer{d}", method="layerwise quadratic_densenet", d=d, centre=400, floor=0.033
        )
    for d in (6, 8, 10, 12, 14, 16)[: 2 + largest // 8]:
        write_cell(
            root,
            f"kernel{d}",
            method="polynomial kernel (degree 4)",
            d=d,
            centre=393 * (d / 8) ** 3.2,
            seeds=4,
            kind="curve",
            validation="none",
            grid=np.unique(np.round(np.geomspace(16, 2560, 40)).astype(int)),
        )
    for L, staged, refit in ((2, 80, 120), (3, 200, 400), (4, 280, 800), (5, 340, 1500)):
        write_cell(
            root,
            f"deep-staged{L}",
            L=L,
            d=16,
            centre=staged,
            study="depth",
            config={"target.widths": [4, 3, 2, 2][: L - 1]},
        )
        write_cell(
            root,
            f"deep-refit{L}",
            method="refit quadratic_densenet",
            L=L,
            d=16,
            centre=refit,
            study="depth",
        )
        write_cell(
            root,
            f"deep-layer{L}",
            method="layerwise quadratic_densenet",
            L=L,
            d=16,
            centre=300,
            floor=0.0 if L == 2 else 0.04,
            study="depth",
        )
