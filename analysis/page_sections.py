"""What the page shows of one study: its tables and its figures, as the template reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.chart import TableFigure
from analysis.correction import tabulate_corrections
from analysis.display_table import make_page_table
from analysis.emphasis import count_drawn_points
from analysis.evidence import Evidence
from analysis.figures import NamedFigure
from analysis.page_tables import (
    make_exponent_table,
    make_feature_table,
    make_local_exponent_table,
    make_local_factor_table,
    make_nstar_table,
    make_risk_table,
    select_keys,
)
from analysis.swept_lines import select_axis
from analysis.training_tables import (
    list_variance_notes,
    make_correction_table,
    make_cost_table,
    make_environment_table,
    make_outcome_table,
    make_tuning_table,
)
from analysis.web.study_views import answer_question, make_depth_growth_table, make_growth_table
from bfc.store.reading import Collected


def make_section(
    stored: Collected,
    evidence: Evidence,
    risks: pd.DataFrame,
    keys: Sequence[str],
    verdicts: Mapping[str, int],
) -> dict[str, Any]:
    """What the page shows of one study, without the figures; ``verdicts``: how many of which."""
    nstar, trainings = evidence.nstar, evidence.trainings
    keys = select_keys(nstar, keys)
    lines = dict(zip(nstar["cell_id"], nstar["line"], strict=True))
    is_free = nstar["validation"].str.contains("free")
    return {
        "name": evidence.name,
        "free": sorted(nstar.loc[is_free, "line"].unique()),
        "notes": list_variance_notes(trainings),
        "answer": answer_question(evidence.exponents, risks, verdicts),
        "growth": make_growth_table(evidence.exponents),
        "depth": make_depth_growth_table(evidence.exponents),
        "exponents": make_exponent_table(select_axis(evidence.exponents, "d"), nstar),
        "local": make_local_exponent_table(select_axis(evidence.local, "d")),
        "local_depth": make_local_factor_table(select_axis(evidence.local, "L")),
        "risks": make_risk_table(risks),
        "nstar": make_nstar_table(nstar, keys),
        "features": make_feature_table(evidence.features, nstar, keys),
        "correction": make_correction_table(tabulate_corrections(trainings)),
        "outcomes": make_outcome_table(trainings),
        "tuning": make_tuning_table(stored, lines),
        "cost": make_cost_table(stored, trainings),
        "environment": make_environment_table(stored),
    }


def embed_figure(figure: NamedFigure, folder: Path) -> dict[str, Any]:
    """A figure as the template shows it: its caption, its files, and a table as a table.

    ``empty`` says why nothing is drawn. The addresses of the files are relative to ``folder``.
    """
    description = figure.description
    paths = sorted((folder / "figures").glob(f"{figure.name}.*"))
    embedded: dict[str, Any] = {
        "name": figure.name,
        "caption": description.caption,
        "files": [path.relative_to(folder).as_posix() for path in paths],
        "table": None,
        "empty": "",
    }
    if isinstance(description, TableFigure):
        table = make_page_table(description.data.to_dict("records"))
        return {**embedded, "title": description.title, "table": table}
    if not count_drawn_points(description):
        embedded["empty"] = "Nothing to draw: none of these trainings has a value to show here."
    return embedded
