"""What the page shows of one study: its tables and its figures, as the template reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.chart import TableFigure
from analysis.correction import tabulate_corrections
from analysis.evidence import Evidence
from analysis.figures import SavedFigure
from analysis.page import make_page_table
from analysis.page_tables import (
    describe_growth,
    make_exponent_table,
    make_local_exponent_table,
    make_nstar_table,
    make_risk_table,
    select_keys,
)
from analysis.training_tables import (
    list_variance_notes,
    make_correction_table,
    make_cost_table,
    make_environment_table,
    make_outcome_table,
    make_tuning_table,
)
from bfc.store.reading import Collected


def make_section(
    stored: Collected, evidence: Evidence, risks: pd.DataFrame, keys: Sequence[str]
) -> dict[str, Any]:
    """What the page shows of one study, without the figures."""
    nstar, trainings = evidence.nstar, evidence.trainings
    keys = select_keys(nstar, keys)
    lines = dict(zip(nstar["cell_id"], nstar["line"], strict=True))
    is_free = nstar["validation"].str.contains("free")
    return {
        "name": evidence.name,
        "free": sorted(nstar.loc[is_free, "line"].unique()),
        "notes": list_variance_notes(trainings),
        "growth": describe_growth(evidence.exponents, keys),
        "exponents": make_exponent_table(evidence.exponents, nstar),
        "local": make_local_exponent_table(evidence.local),
        "risks": make_risk_table(risks),
        "nstar": make_nstar_table(nstar, keys),
        "correction": make_correction_table(tabulate_corrections(trainings)),
        "outcomes": make_outcome_table(trainings),
        "tuning": make_tuning_table(stored, lines),
        "cost": make_cost_table(stored, trainings),
        "environment": make_environment_table(stored),
    }


def embed_figure(figure: SavedFigure, folder: Path) -> dict[str, Any]:
    """A figure as the template shows it: a chart as data, a table as a table, and its files.

    The addresses of the files are relative to ``folder``.
    """
    description = figure.description
    embedded: dict[str, Any] = {
        "name": figure.name,
        "caption": description.caption,
        "files": [path.relative_to(folder).as_posix() for path in figure.files],
    }
    if isinstance(description, TableFigure):
        table = make_page_table(description.data.to_dict("records"))
        return {**embedded, "title": description.title, "chart": None, "table": table}
    return {**embedded, "chart": description.to_json()}
