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
from analysis.figures import slope_text
from analysis.lines import shown

SHARED = ("target", "L", "degree", "d", "seeds", "validation", "further settings", "settings that follow d")
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
    return View(columns, rows, frozenset(numbers), empty, constant)


def nstar_text(row: Mapping[str, Any]) -> str:
    """n* as text: ``202``, ``> 4,096`` (not reached), ``< 64`` (below the grid), ``–`` (unmeasured)."""
    if not np.isfinite(row["nstar"]):
        return "–"
    sign = {"right": "> ", "left": "< "}.get(row["censored"], "")
    return f"{sign}{row['nstar']:,.0f}"


def interval_text(row: Mapping[str, Any]) -> str:
    """The 95 % interval of n* as text, ``–`` where there is none."""
    if not np.isfinite(row["lo"]):
        return "–"
    low = f"{row['lo']:,.0f}" if row["lo"] > 0 else "below grid"
    return f"{low} – " + (f"{row['hi']:,.0f}" if np.isfinite(row["hi"]) else "above grid")


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
                "at the largest n": row["failures"] if row["censored"] == "right" else "",
                "largest n": row["largest_n"],
                "seeds": row["seeds"],
                "validation": row["validation"],
                "further settings": _settings(row, keys),
            }
        )
    return view(records, "no cell was measured", SHARED)


def exponent_view(exponents: pd.DataFrame, keys: Sequence[str]) -> View:
    records = []
    for row in exponents.to_dict("records"):
        moving = [key for key in keys if row[key] == "varies"]
        records.append(
            {
                "method": row["line"],
                "target": row["target"],
                "L": row["L"],
                "ε": row["eps"],
                "exponent [95 % interval]": (slope_text(pd.DataFrame([row])), row["exponent"]),
                "cells fitted": row["n_d"],
                "cells censored": row["censored_d"],
                "remark": row["reason"],
                "settings that follow d": ", ".join(moving),
            }
        )
    return view(records, fold=SHARED)


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
    return view(records)


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
