"""What a tracker shows of a cell or of a study, made from the store alone: the same store always
gives the same view, whether the cell has just closed, was killed and resumed, or is uploaded a
month later. Nothing here trains, and nothing is shown that is not stored."""

from __future__ import annotations

import io
import json
import math
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bfc.environment import scrub
from bfc.errors import UserError
from bfc.snapshot import STUDY, Snapshot, level
from bfc.store.cells import Cell

if TYPE_CHECKING:
    import pandas as pd

CROSSING = {"nstar": "nstar", "lo": "nstar_lo", "hi": "nstar_hi", "censored": "nstar_censored"}
"""Column of the table of n* → name in the summary, before the level."""


def cell_view(folder: Path, study: str | None, closed: bool = True) -> Snapshot:
    """The view of one cell in the project of ``study``; while it runs (``closed`` false) without
    tables and figures."""
    cell = Cell(folder)
    config, rows, status = _config(folder), cell.rows(), cell.read_json("status.json", {})
    environment = cell.read_json("environment.json", {})
    commit = environment.get("commit")
    kind, method = config["kind"], config["method"]
    how = (config.get("schedule") or {}).get("name") or method
    sizes = [
        r.get("size")
        for r in cell.requests()
        if isinstance(r, dict) and r.get("study") == study and r.get("size")
    ]
    tags = tuple(
        str(tag)[:64]
        for tag in (config["target_name"], how, commit[:10] if commit else None)
        if tag
    )
    view = Snapshot(
        folder.name,
        f"{method} d={config['d']} L={config['L']}",
        study,
        sizes[-1] if sizes else None,
        kind,
        tags,
        {**config, "study": study},
        cell.state() if closed else "running",
        _history(rows),
        commit=commit,
    )
    if not closed:
        return view
    tables, images, crossings = _drawn(folder, study, rows)
    if trace := cell.rows("trace"):
        import pandas as pd

        tables["probe_trace"] = pd.DataFrame(trace)
    summary = {
        **_summary(rows),
        **crossings,
        "state": view.state,
        **({"error": scrub(status["error"])} if "error" in status else {}),
    }
    diff, tuned = environment.pop("diff", None), cell.read_json("tuned.json", None)
    texts = {
        "environment.json": json.dumps(environment, indent=1),
        "config.yaml": (folder / "config.yaml").read_text(),
        **({"diff.patch": diff} if diff else {}),
        **({"tuned.json": json.dumps(tuned, indent=1)} if tuned else {}),
    }
    view.summary.update(summary)
    view.tables.update(tables)
    view.images.update(images)
    view.texts.update({name: scrub(text) for name, text in texts.items()})
    return view


def study_view(results: Path, study: str | None) -> Snapshot:
    """The run of a study as a whole: n*, exponents, local exponents and claims as tables, and every
    figure of its report."""
    from analysis.collect import UNNAMED
    from analysis.report import report

    name = study or UNNAMED
    with tempfile.TemporaryDirectory() as work:
        made = report(results, Path(work) / "report", study=name)
        images = {
            path.stem: path.read_bytes() for path in sorted((made.out / "figures").glob("*.png"))
        }
    tables = {
        name: getattr(made, name)
        for name in ("nstar", "exponents", "local", "depth", "risk", "claims")
    }
    summary: dict[str, Any] = {
        "cells": int(made.nstar["cell_id"].nunique()),
        "problems": len(made.problems),
    }
    for row in made.exponents.to_dict("records"):
        name = re.sub(r"[^a-zA-Z0-9]+", "_", f"{row['target']} L{row['L']} {row['line']}").strip(
            "_"
        )
        line = f"{name}/{level(row['eps'])}"
        summary |= {
            f"exponent/{line}": row["exponent"],
            f"exponent_lo/{line}": row["lo"],
            f"exponent_hi/{line}": row["hi"],
        }
    verdicts = made.claims["verdict"].tolist() if "verdict" in made.claims else []
    summary |= {f"claims/{verdict}": verdicts.count(verdict) for verdict in sorted(set(verdicts))}
    return Snapshot(
        STUDY,
        f"{study or 'all cells'}: n*, exponents, figures",
        study,
        None,
        STUDY,
        (STUDY,),
        {"study": study, "kind": STUDY},
        "done",
        [],
        summary,
        {name: table for name, table in tables.items() if len(table)},
        images,
    )


def _config(folder: Path) -> dict[str, Any]:
    import yaml

    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{folder}: is not a result folder (no readable config.yaml)") from error
    absent = [
        key
        for key in ("kind", "method", "target_name", "d", "L")
        if not isinstance(config, dict) or key not in config
    ]
    if absent:
        raise UserError(
            f"{folder}: is not a result folder (its config.yaml has no {', '.join(absent)})"
        )
    return config


def _history(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The numbers of every row; ``trainings`` counts a whole curve of one seed once, as it is one
    training."""
    records: list[dict[str, float]] = []
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        seen.add((row["kind"], None if row["kind"] == "curve" else row["n"], row["seed"]))
        numbers = {
            key: value
            for key, value in row.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        }
        records.append({"trainings": len(seen), **numbers})
    return records


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Totals, and medians over seeds at the largest n: the risk and what the probes found."""
    if not rows:
        return {"trainings": 0}
    outcomes = [str(row["outcome"]) for row in rows if row.get("outcome")]
    measured = [row for row in rows if row["kind"] != "confirmation"]
    last = [row for row in measured if row["n"] == max(r["n"] for r in measured)]
    seconds = {
        (row["kind"] == "curve", row["n"] if row["kind"] != "curve" else 0, row["seed"]): row.get(
            "seconds"
        )
        or 0.0
        for row in rows
    }
    found = {
        "trainings": _history(rows)[-1]["trainings"],
        "seconds": sum(seconds.values()),
        "diverged": sum(bool(row.get("diverged")) for row in rows),
        **{f"outcome/{name}": outcomes.count(name) for name in sorted(set(outcomes))},
    }
    names = dict.fromkeys(["risk", *(key for row in last for key in row if "/" in key)])
    return found | {
        f"{name}/median" if name == "risk" else f"probe/{name}": median
        for name in names
        if (median := _median([row.get(name) for row in last])) is not None
    }


def _median(values: Sequence[Any]) -> float | None:
    """The median with what diverged counted as infinite; None where nothing was measured."""
    import statistics

    given = [math.inf if value != value else float(value) for value in values if value is not None]
    return statistics.median(given) if given and not all(map(math.isinf, given)) else None


def _drawn(
    folder: Path, study: str | None, rows: list[dict[str, Any]]
) -> tuple[dict[str, pd.DataFrame], dict[str, bytes], dict[str, Any]]:
    """Tables and figures of one cell, and its n* as summary values."""
    import pandas as pd

    if not rows:
        return {}, {}, {}
    from analysis.chart import Chart
    from analysis.collect import UNNAMED, collect
    from analysis.evidence import Evidence
    from analysis.figures import exhibits
    from analysis.nstar_tables import depth_table, exponents, local_table, nstar_table
    from analysis.style import looks

    with tempfile.TemporaryDirectory() as alone:  # a store of this cell only
        (Path(alone) / folder.name).symlink_to(folder.resolve())
        found = collect(alone).study(study or UNNAMED)
    nstar, _ = nstar_table(found)
    crossings = {
        f"{name}/{level(row['eps'])}": row[key]
        for row in nstar.to_dict("records")
        for key, name in CROSSING.items()
    }
    line = nstar["line"].iloc[0] if len(nstar) else ""
    evidence = Evidence(
        nstar=nstar,
        exponents=exponents(nstar, [], {}),
        local=local_table(nstar, {}),
        depth=depth_table(nstar),  # one d
        trainings=found.trainings.assign(line=line),
        traces=found.traces.assign(line=line),
        looks=looks(nstar),
        name=study or UNNAMED,
    )
    whole = pd.DataFrame(rows)
    tables = {
        "trainings": whole,
        "learning_curves": _curves(whole),
        "risk_per_n": _per_n(whole, nstar["eps"].tolist()),
        "probes": _probes(whole),
        "nstar": nstar.drop(columns=["study", "cell_id"]),
    }
    images = {
        exhibit.name.partition("-")[0]: _png(exhibit)
        for exhibit in exhibits(evidence)
        if isinstance(exhibit, Chart)
    }
    return {name: table for name, table in tables.items() if len(table)}, images, crossings


def _curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Risk against n, seed by seed; where the data are fresh, n is the samples seen so far."""
    own = rows[(rows["kind"] != "confirmation") & (rows["n"] > 0)]
    return own[
        [name for name in ("seed", "n", "steps", "risk", "train_risk") if name in own]
    ].sort_values(["seed", "n"])


def _per_n(rows: pd.DataFrame, levels: Sequence[float]) -> pd.DataFrame:
    """Quartiles of the risk over seeds at every n, and the share of seeds at or below each eps;
    what diverged counts as infinite."""
    own = rows[(rows["kind"] != "confirmation") & (rows["n"] > 0)].assign(
        risk=lambda table: table["risk"].astype(float).fillna(math.inf)
    )
    groups = own.groupby("n")["risk"]
    table = (
        groups.quantile([0.25, 0.5, 0.75], interpolation="nearest")
        .unstack()
        .set_axis(["q25", "median", "q75"], axis=1)
    )
    table.insert(0, "seeds", groups.size())
    for eps in levels:
        table[f"share<={eps:g}"] = groups.agg(lambda risk, eps=eps: (risk <= eps).mean())
    return table.reset_index()


def _probes(rows: pd.DataFrame) -> pd.DataFrame:
    """What the probes found after every phase: quartiles over seeds at every n, a line per (n,
    phase, quantity)."""
    import pandas as pd

    names = [name for name in rows if "/" in name]
    if not names:
        return pd.DataFrame()
    long = (
        rows[rows["kind"] != "confirmation"]
        .melt(["n", "seed"], names, "column")
        .dropna(subset=["value"])
    )
    if long.empty:
        return pd.DataFrame()
    table = (
        long.assign(value=long["value"].astype(float))
        .groupby(["n", "column"], sort=False)["value"]
        .quantile([0.25, 0.5, 0.75])
    )
    table = table.unstack().set_axis(["q25", "median", "q75"], axis=1).reset_index()
    phases = table.pop("column").str.partition("/")
    table.insert(1, "phase", phases[0])
    table.insert(2, "quantity", phases[2])
    return table


def _png(chart: Any) -> bytes:
    import matplotlib.pyplot as plt

    from analysis.paper import draw

    figure, data = draw(chart), io.BytesIO()
    figure.savefig(data, format="png", dpi=150)
    plt.close(figure)
    return data.getvalue()
