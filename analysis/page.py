"""The HTML page: one file that opens anywhere, asks nothing of a network and prints. This module turns tables into
what the template ``page.html`` shows; everything that came from a results folder is escaped there."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from analysis.collect import Collected
from analysis.lines import shown
from analysis.series import slope_text

SHARED = ("target", "L", "degree", "d", "seeds", "validation", "further settings", "settings that follow d")
PROSE = 30
"""Characters from which a cell's text is prose."""
OUTCOMES = ("success", "data_limited", "plateau", "optimisation_limited", "diverged")


@dataclass(frozen=True)
class Cell:
    """A table cell: what is read, and what it is sorted by."""

    text: str
    sort: Any


@dataclass(frozen=True)
class View:
    """A table as the template shows it; ``constant`` says what all rows share, ``empty`` stands for a table without
    rows."""

    columns: list[str]
    rows: list[list[Cell]] = field(default_factory=list)
    numbers: frozenset[str] = frozenset()
    wide: frozenset[str] = frozenset()
    """Columns of prose, which need room."""
    empty: str = "nothing to show"
    constant: str = ""


def render(**values: Any) -> str:
    """The page from the template's values: title, summary, downloads, problems, studies."""
    source = resources.files("analysis").joinpath("page.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(source).render(**values)


def data_uri(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def view(records: Sequence[Mapping[str, Any]], empty: str = "nothing to show", fold: Sequence[str] = ()) -> View:
    """A table of records with equal keys; a value is shown as it is, a pair as (text, sort key). Columns named in
    ``fold`` that hold one value in all rows are said once above the table."""
    if not records:
        return View([], empty=empty)
    same = {name: records[0][name] for name in fold if name in records[0] and len({r[name] for r in records}) == 1}
    columns = [name for name in records[0] if name not in same]
    cells = [[record[name] for name in columns] for record in records]
    rows = [[Cell(*value) if isinstance(value, tuple) else Cell(_text(value), value) for value in row] for row in cells]
    numbers = [
        c for i, c in enumerate(columns) if all(isinstance(row[i].sort, (int, float, np.number)) for row in rows)
    ]
    constant = ", ".join(f"{name}: {_text(value)}" for name, value in same.items() if value != "")
    wide = [c for i, c in enumerate(columns) if c not in numbers and max(len(row[i].text) for row in rows) > PROSE]
    return View(columns, rows, frozenset(numbers), frozenset(wide), empty, constant)


def nstar_text(row: Mapping[str, Any]) -> str:
    """n* as text: ``202``, ``> 4,096`` (not reached), ``< 64`` (below the grid), ``–`` (unmeasured)."""
    if not np.isfinite(row["nstar"]):
        return "–"
    sign = {"right": "> ", "left": "< "}.get(row["censored"], "")
    return f"{sign}{row['nstar']:,.0f}"


def interval_text(row: Mapping[str, Any]) -> str:
    """The 95 % interval of n* as text, ``–`` where there is none."""
    if np.isnan(row["lo"]):
        return "–"
    low = f"{row['lo']:,.0f}" if row["lo"] > 0 else "below grid"
    return f"{low} – " + (f"{row['hi']:,.0f}" if np.isfinite(row["hi"]) else "above grid")


def failed_text(row: Mapping[str, Any]) -> str:
    """Why n* is not reached, unknown or beyond the largest n: how the trainings there fail."""
    failed = row["failures"].replace("_", "-")
    if row["censored"] == "right" or not np.isfinite(row["nstar"]):
        return failed
    return f"beyond the largest n: {failed}" if row["nstar"] > row["largest_n"] else ""


def nstar_view(nstar: pd.DataFrame, keys: Sequence[str]) -> View:
    records = []
    for row in nstar.to_dict("records"):
        records.append(
            {
                "method": row["line"],
                "target": row["target"],
                "L": row["L"],
                "degree": row["degree"],
                "d": row["d"],
                "ε": row["eps"],
                "n*": (nstar_text(row), row["nstar"]),
                "95 % interval": (interval_text(row), row["lo"]),
                "at the largest n": failed_text(row),
                "excluded": row["excluded"],
                "largest n": row["largest_n"],
                "seeds": row["seeds"],
                "validation": row["validation"],
                "further settings": _settings(row, keys),
            }
        )
    return view(records, "no cell was measured", SHARED)


def growth_view(exponents: pd.DataFrame) -> list[dict[str, Any]]:
    """Per line and eps what grows how, as sentences: ``head``, ``growth``, and ``warnings``."""
    places = [name for name in ("target", "L") if exponents[name].nunique() > 1]
    return [
        {
            "head": ", ".join([row["line"], *(f"{name} {row[name]}" for name in places), f"ε = {row['eps']:g}"]),
            "growth": row["growth"].replace("no exponent: ", ""),
            "warnings": [text for text in row["warnings"].split("; ") if text],
        }
        for row in exponents.to_dict("records")
    ]


def exponent_view(exponents: pd.DataFrame, keys: Sequence[str]) -> View:
    """Exponents of the three estimators, τ, and what the power law gains on its best rival (AICc where enough d allow it)."""
    records = []
    criteria = [("AICc", "aicc"), ("BIC", "bic")] if np.isfinite(exponents["power_aicc"].astype(float)).any() else [("BIC", "bic")]
    for row in exponents.to_dict("records"):
        moving = [key for key in keys if row[key] == "varies"]
        beside = {
            name: slope_text(pd.DataFrame([{"reason": "", **{key: row[f"{prefix}_{key}"] for key in ("exponent", "lo", "hi")}}]))
            for name, prefix in (("probit", "glm"), ("smooth", "smooth"))
        }
        gains = {"held-out": row["power_score"] - row["rival_score"],
                 **{name: row[f"rival_{key}"] - row[f"power_{key}"] if np.isfinite(row[f"power_{key}"]) else np.nan
                    for name, key in criteria}}
        records.append(
            {
                "method": row["line"],
                "target": row["target"],
                "L": row["L"],
                "ε": row["eps"],
                "exponent": (slope_text(pd.DataFrame([row])), row["exponent"]),
                **{name: (text if text != "no exponent" else "–", row[f"{prefix}_exponent"])
                   for (name, text), prefix in zip(beside.items(), ("glm", "smooth"), strict=True)},
                "τ": (f"{row['tau']:.2f} [{row['tau_lo']:.2f}, {row['tau_hi']:.2f}]" if np.isfinite(row["tau"]) else "–", row["tau"]),
                **{f"Δ {name}": (f"{gain:+.1f}".replace("-", "−") if np.isfinite(gain) else "–", gain) for name, gain in gains.items()},
                "best rival": row["rival"].replace("_", " "),
                "d": row["n_d"],
                "censored": row["censored_d"],
                "excluded": row["excluded"],
                "settings that follow d": ", ".join(moving),
            }
        )
    return view(records, fold=SHARED)


def risk_view(risks: pd.DataFrame) -> View:
    """Median risks of :func:`analysis.risks.risk_table`."""
    return view(
        [
            {
                "method": row["line"],
                "target": row["target"],
                "L": row["L"],
                "degree": row["degree"],
                "d": row["d"],
                "n": row["n"],
                "seeds": row["seeds"],
                "median risk": (f"{row['median']:.3g}", row["median"]),
                "95 % interval": (f"{row['lo']:.3g} – {row['hi']:.3g}", row["lo"]),
                "seeds at or below ε": row["reached"],
            }
            for row in risks.to_dict("records")
        ],
        fold=(*SHARED, "n"),
    )


def depth_view(depth: pd.DataFrame) -> View:
    return view(
        [
            {
                "method": row["line"],
                "target": row["target"],
                "d": row["d"],
                "L": row["L"],
                "degree": row["degree"],
                "ε": row["eps"],
                "n*": (nstar_text(row), row["nstar"]),
                "95 % interval": (interval_text(row), row["lo"]),
            }
            for row in depth.to_dict("records")
        ],
        fold=SHARED,
    )


def correction_view(table: pd.DataFrame) -> View:
    """The medians of :func:`analysis.correction.correction_table`, the phases of a quantity side by side."""
    records = []
    head = ["method", "d", "L", "n", "seeds", "quantity"]
    for key, own in table.groupby(head, sort=False):
        phases = " → ".join(f"{phase} {value:.3g}" for phase, value in zip(own["phase"], own["median"], strict=True))
        records.append({**dict(zip(head, key, strict=True)), "median after each phase": phases})
    return view(records, fold=SHARED)


def outcome_view(trainings: pd.DataFrame) -> View:
    """How the trainings ended, per line, d and L; of a whole learning curve only the last point counts."""
    curves = trainings[trainings["kind"] == "curve"]
    last = curves[curves["n"] == curves.groupby(["cell_id", "seed"])["n"].transform("max")]
    counted = pd.concat([trainings[trainings["kind"] == "training"], last])
    records = []
    for (line, L, d), own in counted.groupby(["line", "L", "d"]):
        probes = trainings[
            (trainings["kind"] == "probe") & (trainings["line"] == line) & (trainings["L"] == L) & (trainings["d"] == d)
        ]
        counts = own["outcome"].value_counts()
        records.append(
            {
                "method": line,
                "L": L,
                "d": d,
                **{name.replace("_", " "): int(counts.get(name, 0)) for name in OUTCOMES},
                "unjudged": int(len(own) - sum(counts.get(name, 0) for name in OUTCOMES)),
                "probes": len(probes),
                "median risk of probes": float(probes["risk"].median()) if len(probes) else "",
            }
        )
    return view(records)


def cost_view(trainings: pd.DataFrame) -> View:
    """Seconds per line; the seconds of a learning curve are stored with each of its points and count once."""
    once = pd.concat(
        [
            trainings[trainings["kind"] != "curve"],
            trainings[trainings["kind"] == "curve"].drop_duplicates(["cell_id", "seed"]),
        ]
    )
    if "seconds" not in once:
        return view([])
    return view(
        [
            {
                "method": line,
                "cells": own["cell_id"].nunique(),
                "trainings or curves": len(own),
                "seconds": round(float(own["seconds"].sum()), 1),
            }
            for line, own in once.groupby("line")
        ]
    )


def environment_view(found: Collected) -> View:
    """The distinct environments of the cells and how many cells each made."""
    counted: dict[tuple[tuple[str, str], ...], int] = {}
    for stored in found.environments.values():
        packages = stored.get("packages")
        facts = {key: _text(stored.get(key, "")) for key in ("python", "platform", "hardware", "commit")}
        facts["uncommitted changes"] = "yes" if stored.get("diff") else "no"
        facts["packages"] = ", ".join(f"{k} {v}" for k, v in packages.items()) if isinstance(packages, Mapping) else ""
        counted[tuple(facts.items())] = counted.get(tuple(facts.items()), 0) + 1
    return view([{"cells": count, **dict(facts)} for facts, count in counted.items()])


def claim_view(verdicts: pd.DataFrame) -> View:
    """The verdicts of :func:`analysis.claims.judge`."""
    records = []
    for row in verdicts.to_dict("records"):
        measured, interval = finding_text(row)
        records.append(
            {
                "claim": row["claim"],
                "paper": row["paper"],
                "demanded": row["predicted"],
                "measured": (measured, row["measured"]),
                "95 % interval": (interval, row["lo"]),
                "verdict": row["verdict"],
                "remark": row["remark"],
                "command": row["command"],
            }
        )
    return view(records, fold=("paper", "command"))


def finding_text(row: Mapping[str, Any]) -> tuple[str, str]:
    """What was measured for a claim and its interval, as text."""
    value, *ends = (f"{row[name]:.3g}" if np.isfinite(row[name]) else "–" for name in ("measured", "lo", "hi"))
    return value, " – ".join(ends) if np.isfinite(row["lo"]) else "–"


def _settings(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    return ", ".join(f"{key}={shown(row[key])}" for key in keys if row[key] is not None and row[key] == row[key])


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (float, np.floating)):
        return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)
