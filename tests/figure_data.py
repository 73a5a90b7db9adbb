"""Data from which every kind of figure must draw, as tables of evidence with known values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd

from analysis.evidence import Evidence
from analysis.style import LineStyle

SEEDS = range(8)
ALPHA = "config.target.alpha"
RADIAL_TARGET = {
    "profile": "hinge",
    "frequency": 1.0,
    "law": "limit",
    "edge_ratio": 2.0,
    "inner": 0.0,
    "outer": 5.0,
}
RADII = (0.0, 0.5, 1.0, 1.5)
STEPS = (0, 1, 5, 20, 100, 400)


def make_trainings(cells: list[dict[str, Any]]) -> pd.DataFrame:
    """Eight trainings of every cell; a callable value is called with the seed."""
    rows = []
    for number, cell in enumerate(cells):
        head = {"cell_id": f"cell{number}", "kind": "training", "target": "t", "fresh": False}
        for seed in SEEDS:
            row = {**head, "d": 8, "L": 3, "degree": 4, "n": 100, "seed": seed, "stage": "level3"}
            for key, value in cell.items():
                row[key] = value(seed) if callable(value) else value
            rows.append({"line": row["method"], **row})
    return pd.DataFrame(rows)


def make_evidence(trainings: pd.DataFrame, **tables: pd.DataFrame) -> Evidence:
    lines = set(trainings["line"]) if len(trainings) else set()
    styles = {line: LineStyle("#000000", "o", "-") for line in lines}
    nstar = tables.pop("nstar", pd.DataFrame())
    return Evidence(nstar, pd.DataFrame(), trainings, styles=styles, name="s", **tables)


def scale(value: float) -> Callable[[int], float]:
    """A value that differs by up to 5 % between seeds, with this median."""
    return lambda seed: value * (1 + 0.05 * (seed - 3.5) / 3.5)


def make_doses() -> Evidence:
    """Two methods of a dose at two n, with probes of two phases."""
    cells = []
    for method, factor in (("bfc-0 net", 1.0), ("bfc-1 net", 0.25)):
        probes = {
            "level2/gram/2": scale(0.8),
            "level3/gram/2": scale(0.4 * factor),
            "level3/feature/3": scale(0.1 * factor),
        }
        for n, risk in ((50, 0.5), (100, 0.2 * factor)):
            cells.append({"method": method, "n": n, "risk": scale(risk), **probes})
    trainings = make_trainings(cells)
    trainings["cell_id"] = trainings["method"]
    nstar = [
        {
            "cell_id": method,
            "method": method,
            "line": method,
            "eps": 0.1,
            "nstar": value,
            "lo": value / 2,
            "hi": value * 2,
            "censored": "",
            "largest_n": 100,
            "validation": "inside",
        }
        for method, value in (("bfc-0 net", 90.0), ("bfc-1 net", 60.0))
    ]
    return make_evidence(trainings, nstar=pd.DataFrame(nstar))


def make_changes() -> Evidence:
    """Similarities of level 2 in its own phase, which is none to compare with, and in level 3's."""
    columns = {f"level2/{name}/2": scale(0.5) for name in ("correlation", "cka")}
    columns |= {"level3/correlation/2": scale(0.9), "level3/cka/2": scale(0.7)}
    columns |= {"level3/correlation/3": scale(0.3)}
    return make_evidence(make_trainings([{"method": "m", "risk": 0.1, **columns}]))


def make_laws() -> Evidence:
    """Gram errors proportional to alpha_3 / alpha_2."""
    cells = []
    for ratio in (0.1, 0.4, 1.6):
        columns = {
            ALPHA: json.dumps([1.0, ratio]),
            "level2/gram/2": scale(0.5 * ratio),
            "level2/predicted/2": 0.48 * ratio,
        }
        cells.append({"method": "m", "risk": 0.1, **columns})
    return make_evidence(make_trainings(cells))


def make_depths() -> Evidence:
    """Fresh samples at L = 2 and 3."""
    cells = [
        {"method": "m", "L": L, "degree": 2 ** (L - 1), "risk": scale(risk), "fresh": True}
        for L, risk in ((2, 0.01), (3, 0.04))
    ]
    return make_evidence(make_trainings(cells))


def make_schedules() -> Evidence:
    """Two targets of two depths; layer-wise training needs L times the samples of joint."""
    trainings, rows = [], []
    for target in ("t", "u"):
        for L in (2, 3):
            for schedule, factor in (("joint", 1), ("layerwise", L)):
                cell, nstar = f"{target}-{L}-{schedule}", 100.0 * L * factor
                line = f"{schedule} m"
                head = {"cell_id": cell, "target": target, "L": L, "d": 2**L, "line": line}
                trainings.append({**head, "config.schedule.name": schedule})
                rows.append(
                    {
                        **head,
                        "study": "s",
                        "eps": 0.1,
                        "nstar": nstar,
                        "lo": 0.8 * nstar,
                        "hi": 1.25 * nstar,
                        "censored": "",
                        "largest_n": 4096,
                        "validation": "inside",
                    }
                )
    return make_evidence(pd.DataFrame(trainings), nstar=pd.DataFrame(rows))


def make_gaps() -> Evidence:
    """Success in 6 of 8 seeds with a gap of 0.5, in 2 of 8 with none."""
    cells = []
    for ratio, successes in ((0.5, 6), (1.0, 2)):
        columns = {ALPHA: json.dumps([1.0, ratio]), "config.learner.widths": "[4, 2]"}
        risk = lambda seed, successes=successes: 0.001 if seed < successes else 0.5  # noqa: E731
        cells.append({"method": "m", "risk": risk, **columns})
    return make_evidence(make_trainings(cells))


def make_sizes() -> Evidence:
    """n* of two methods at two d, one of them censored at the larger eps."""
    rows = []
    for method, factor in (("a", 2.0), ("b", 3.0)):
        for d in (8, 16):
            size = factor * ((d + 1) * (d + 2) / 2 - 1)
            head = {"method": method, "line": method, "d": d, "degree": 4, "eps": 0.1}
            numbers = {"nstar": size, "lo": size / 2, "hi": size * 2}
            rows.append({**head, **numbers, "censored": "", "validation": "inside"})
            rows.append({**rows[-1], "eps": 0.01, "censored": "right"})
    nstar = pd.DataFrame(rows)
    styles = {name: LineStyle("#000000", "o", "-") for name in ("a", "b")}
    return Evidence(nstar, pd.DataFrame(), pd.DataFrame(), styles=styles)


def make_radial_trainings() -> pd.DataFrame:
    target = {f"config.target.{key}": value for key, value in RADIAL_TARGET.items()}
    cell = {"method": "m", "risk": scale(0.5), "d": 4, "config.target.d": 4, **target}
    return make_trainings([{**cell, "all/norm": 0.5}])


def make_dynamics() -> Evidence:
    """A trace of a mean-field network that learns the hinge; neurons move with the step."""
    rows = []
    for seed in SEEDS:
        for number, step in enumerate(STEPS):
            row = {"cell_id": "cell0", "line": "m", "n": 100, "seed": seed, "step": step, "d": 4}
            row |= {"loss": 1.5 * 0.3**number, "perfect": 1.4 * 0.2**number}
            row |= {"discretisation": 0.001, "cross": -1e-4, "norm_sd": 0.06 - 0.01 * number}
            for radius in RADII:
                row[f"profile/{radius:.3f}"] = max(1 - radius, 0) * number / 5
            for neuron in range(4):
                row[f"neuron/{neuron}/w2"] = 0.01 * neuron - 0.2 * number
                row[f"neuron/{neuron}/b2"] = 0.02 * neuron
            rows.append(row)
    return make_evidence(make_radial_trainings(), traces=pd.DataFrame(rows))


def make_nothing() -> Evidence:
    return Evidence(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
