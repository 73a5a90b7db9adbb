"""What a tracker shows of a cell or of a study, made from the store alone.

The same store always gives the same snapshot, whether the cell has just closed, was killed and
resumed, or is uploaded a month later. Nothing here trains, and nothing is shown that is not stored.
"""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from analysis.chart import Chart
from analysis.evidence import Evidence
from analysis.figures import make_figures, name_figures
from analysis.load import load_results
from analysis.nstar_tables import (
    select_depth_rows,
    tabulate_exponents,
    tabulate_local_exponents,
    tabulate_nstar,
)
from analysis.report_writer import write_report
from analysis.snapshot_tables import (
    learning_curves,
    list_records,
    probe_table,
    risk_per_n,
    summarise,
)
from analysis.style import assign_line_styles
from analysis.swept_lines import select_axis
from bfc.environment import scrub
from bfc.errors import UserError
from bfc.experiment.stored_config import fill_defaults
from bfc.snapshot import BOARD, STUDY, Snapshot, metric_level
from bfc.store.cells import Cell
from bfc.store.reading import UNNAMED, Collected, read_store
from bfc.studies import study_node
from bfc.yaml_text import parse_yaml

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NSTAR_METRICS = {
    "nstar": "nstar",
    "lo": "nstar_lo",
    "hi": "nstar_hi",
    "censored": "nstar_censored",
}
"""Column of the table of n* → name in the summary, before the level."""
CONFIG_KEYS = ("kind", "method", "target_name", "d", "L")
STUDY_TABLES = ("nstar", "exponents", "local", "depth", "risk", "claims")
LONGEST_TAG = 64


def snapshot_cell(folder: Path, study: str | None, closed: bool = True) -> Snapshot:
    """One cell in the project of ``study``; without tables and figures while it runs.

    Raises :class:`UserError` where the folder is no result folder.
    """
    cell = Cell(folder)
    config = _read_config(folder)
    rows = cell.rows()
    environment = cell.read_json("environment.json", {})
    commit = environment.get("commit")
    snapshot = Snapshot(
        key=folder.name,
        name=f"{config['method']} d={config['d']} L={config['L']}",
        project=study,
        group=_latest_size(cell, study),
        job_type=config["kind"],
        tags=_tags(config, commit),
        config={**config, "study": study},
        state=cell.state() if closed else "running",
        history=list_records(rows),
        commit=commit,
    )
    if not closed:
        return snapshot
    summary = {**summarise(rows), "state": snapshot.state}
    error = cell.read_json("status.json", {}).get("error")
    if error is not None:
        summary["error"] = scrub(error)
    texts = {name: scrub(text) for name, text in _texts(cell, environment).items()}
    snapshot = replace(snapshot, summary=summary, texts=texts)
    _add_results(snapshot, folder, study, pd.DataFrame(rows))
    trace = cell.rows("trace")
    if trace:
        snapshot.tables["probe_trace"] = pd.DataFrame(trace)
    return snapshot


def _read_config(folder: Path) -> dict[str, Any]:
    """The stored configuration of a cell, with its defaults."""
    try:
        config = parse_yaml((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{folder}: is not a result folder (no readable config.yaml)") from error
    known_keys = config if isinstance(config, dict) else {}
    absent = [key for key in CONFIG_KEYS if key not in known_keys]
    if absent:
        keys = ", ".join(absent)
        raise UserError(f"{folder}: is not a result folder (its config.yaml has no {keys})")
    return fill_defaults(known_keys)


def _latest_size(cell: Cell, study: str | None) -> str | None:
    """The size at which the study asked for the cell last."""
    sizes = []
    for request in cell.requests():
        if isinstance(request, dict) and request.get("study") == study and request.get("size"):
            sizes.append(str(request["size"]))
    return sizes[-1] if sizes else None


def _tags(config: Mapping[str, Any], commit: str | None) -> tuple[str, ...]:
    """Target, schedule (or method) and commit."""
    schedule = (config.get("schedule") or {}).get("name") or config["method"]
    tags = (config["target_name"], schedule, (commit or "")[:10])
    return tuple(str(tag)[:LONGEST_TAG] for tag in tags if tag)


def _texts(cell: Cell, environment: Mapping[str, Any]) -> dict[str, str]:
    """File name → content: what the numbers were made with."""
    without_diff = {name: value for name, value in environment.items() if name != "diff"}
    texts = {
        "environment.json": json.dumps(without_diff, indent=1),
        "config.yaml": (cell.path / "config.yaml").read_text(encoding="utf-8"),
    }
    diff = environment.get("diff")
    if diff:
        texts["diff.patch"] = diff
    tuned = cell.read_json("tuned.json", None)
    if tuned:
        texts["tuned.json"] = json.dumps(tuned, indent=1)
    return texts


def _add_results(
    snapshot: Snapshot, folder: Path, study: str | None, trainings: pd.DataFrame
) -> None:
    """Add the tables and figures of one cell, and its n* as summary values."""
    if trainings.empty:
        return
    collected = _collect_cell(folder, study)
    nstar, _ = tabulate_nstar(collected)
    for row in nstar.to_dict("records"):
        for column, metric in NSTAR_METRICS.items():
            snapshot.summary[f"{metric}/{metric_level(row['eps'])}"] = row[column]
    tables = {
        "trainings": trainings,
        "learning_curves": learning_curves(trainings),
        "risk_per_n": risk_per_n(trainings, nstar["eps"].tolist()),
        "probes": probe_table(trainings),
        "nstar": nstar.drop(columns=["study", "cell_id"]),
    }
    snapshot.tables.update({name: table for name, table in tables.items() if len(table)})
    for figure in make_figures(_cell_evidence(collected, nstar, study)):
        if isinstance(figure, Chart):
            snapshot.images[figure.name.partition("-")[0]] = _render_png(figure)


def _collect_cell(folder: Path, study: str | None) -> Collected:
    """Read one cell alone, as the report reads a store."""
    with tempfile.TemporaryDirectory() as store:
        (Path(store) / folder.name).symlink_to(folder.resolve())
        return read_store(store, fill_defaults).study(study or UNNAMED)


def _cell_evidence(collected: Collected, nstar: pd.DataFrame, study: str | None) -> Evidence:
    """What the figures of one cell are drawn from; it has one d, so no exponents."""
    line = nstar["line"].iloc[0] if len(nstar) else ""
    return Evidence(
        nstar=nstar,
        exponents=tabulate_exponents(nstar, [], {}),
        local=tabulate_local_exponents(nstar, {}),
        depth=select_depth_rows(nstar),
        trainings=collected.trainings.assign(line=line),
        traces=collected.traces.assign(line=line),
        styles=assign_line_styles(nstar),
        name=study or UNNAMED,
    )


def _render_png(chart: Chart) -> bytes:
    """A chart as a PNG image."""
    from analysis.paper import draw

    return _to_png(draw(chart))


def _to_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def list_study_images(results: Path, study: str) -> list[str]:
    """The names of the images of :func:`snapshot_study`, in the order of the page.

    The board comes first, where the study has claims.
    """
    node = study_node(study)
    evidence = load_results(results, study).studies[study]
    names = [BOARD] if node.get("claims") else []
    for figure in name_figures(evidence, node.get("figures", [])):
        if isinstance(figure.description, Chart):
            names.append(figure.name)
    return names


def snapshot_study(results: Path, study: str | None) -> Snapshot:
    """A study as a whole: n*, exponents and claims as tables, and every figure of its report."""
    from analysis.board_picture import draw_board

    with tempfile.TemporaryDirectory() as work:
        report = write_report(
            results, Path(work) / "report", study=study or UNNAMED, formats=("png",)
        )
        figures = sorted((report.out / "figures").glob("*.png"))
        images = {path.stem: path.read_bytes() for path in figures}
    if len(report.claims):
        images[BOARD] = _to_png(draw_board(report.claims))
    tables = {name: getattr(report, name) for name in STUDY_TABLES}
    summary: dict[str, Any] = {
        "cells": int(report.nstar["cell_id"].nunique()),
        "problems": len(report.problems),
    }
    return Snapshot(
        key=STUDY,
        name=f"{study or 'all cells'}: n*, exponents, figures",
        project=study,
        group=None,
        job_type=STUDY,
        tags=(STUDY,),
        config={"study": study, "kind": STUDY},
        state="done",
        summary=summary | _exponent_metrics(report.exponents) | _count_verdicts(report.claims),
        tables={name: table for name, table in tables.items() if len(table)},
        images=images,
    )


def _exponent_metrics(table: pd.DataFrame) -> dict[str, float]:
    """The exponents of the table as summary values."""
    metrics: dict[str, float] = {}
    for row in select_axis(table, "d").to_dict("records"):
        label = f"{row['target']} L{row['L']} {row['line']}"
        line = re.sub(r"[^a-zA-Z0-9]+", "_", label).strip("_")
        key = f"{line}/{metric_level(row['eps'])}"
        metrics[f"exponent/{key}"] = row["exponent"]
        metrics[f"exponent_lo/{key}"] = row["lo"]
        metrics[f"exponent_hi/{key}"] = row["hi"]
    return metrics


def _count_verdicts(claims: pd.DataFrame) -> dict[str, int]:
    """How many claims have which verdict."""
    if "verdict" not in claims:
        return {}
    verdicts = claims["verdict"].tolist()
    return {f"claims/{verdict}": verdicts.count(verdict) for verdict in sorted(set(verdicts))}
