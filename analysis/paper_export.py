"""``bfc paper``: what a paper needs from a results folder.

LaTeX tables of claims and of exponents, a paragraph on methods with versions, seeds and seconds
made from the store, and every figure as wide as a journal's column or text. Numbers are those of
the report; nothing is typed by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.claim_table import format_claim_interval, format_finding
from analysis.claims import judge_claims
from analysis.figures import NamedFigure, name_figures
from analysis.load import Results, load_results
from analysis.look_log import LookLog
from analysis.paper import COLUMN, TEXT
from analysis.paper_files import check_formats, draw_files
from analysis.series import format_exponent, format_level_factor
from analysis.training_kinds import count_curves_once
from bfc.errors import UserError, nearest
from bfc.paths import local_path
from bfc.store.reading import UNNAMED, Collected
from bfc.studies import study_node

WIDTHS = {"column": COLUMN, "text": TEXT}
"""Width of figures → inches, of the common two-column templates."""
SHOWN_PACKAGES = ("torch", "numpy", "scipy", "pandas")
LATEX_SYMBOLS = {
    "ε": r"$\varepsilon$",
    "−": "$-$",
    "–": "--",
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "∞": r"$\infty$",
    "√": r"$\surd$",
}
"""What LaTeX does not know as a character of a text."""


@dataclass(frozen=True)
class PaperFiles:
    """What was written."""

    claims: Path
    exponents: Path
    methods: Path
    figures: list[Path]


def export_paper(
    results: str | Path,
    out: str | Path,
    study: str | None = None,
    claims: Sequence[int] = (),
    width: str = "column",
    formats: Sequence[str] = ("pdf",),
) -> PaperFiles:
    """Write ``claims.tex``, ``exponents.tex``, ``methods.tex`` and ``figures/`` into ``out``.

    ``study``: only this one. ``claims``: numbers of claims as on the page, all where empty.
    ``width``: one of :data:`WIDTHS`. Looks are not counted. Raises :class:`UserError` for an
    unknown width, format or number of a claim, and where there is nothing to export.
    """
    formats = check_formats(formats)
    if width not in WIDTHS:
        raise UserError(f"width {width}: no such width; {nearest(width, WIDTHS)}")
    results, folder = local_path(results, "results"), local_path(out, "out")
    loaded = load_results(results, study)
    verdicts = _choose_claims(_judge_all(loaded, results), claims)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    files = PaperFiles(
        folder / "claims.tex", folder / "exponents.tex", folder / "methods.tex", figures=[]
    )
    files.claims.write_text(format_claims(verdicts), encoding="utf-8")
    files.exponents.write_text(format_exponents(loaded.exponents), encoding="utf-8")
    files.methods.write_text(describe_methods(loaded.stored), encoding="utf-8")
    figures: list[NamedFigure] = []
    for name, evidence in loaded.studies.items():
        node = study_node(name) if name != UNNAMED else {}
        figures.extend(name_figures(evidence, node.get("figures", [])))
    drawn = draw_files(
        figures, folder / "figures", formats, folder / "figures", width=WIDTHS[width]
    )
    files.figures.extend(drawn)
    return files


def _judge_all(loaded: Results, results: Path) -> pd.DataFrame:
    """The claims of all studies, judged without counting a look."""
    tables = []
    for name, evidence in loaded.studies.items():
        if name == UNNAMED:
            continue
        log = LookLog(results, name)
        tables.append(judge_claims(name, evidence, None, loaded.stored.sizes.get(name, ()), log))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _choose_claims(verdicts: pd.DataFrame, numbers: Sequence[int]) -> pd.DataFrame:
    for number in numbers:
        if not 1 <= number <= len(verdicts):
            raise UserError(f"claim {number}: must be between 1 and {len(verdicts)}")
    if not numbers:
        return verdicts
    return verdicts.iloc[[number - 1 for number in numbers]]


def format_claims(verdicts: pd.DataFrame) -> str:
    """A LaTeX table: claim, measured, both intervals, verdict, from what it was judged."""
    rows = []
    for row in verdicts.to_dict("records"):
        measured, interval = format_finding(row)
        rows.append(
            {
                "Claim": row["claim"],
                "Measured": measured,
                "95 % interval": interval,
                "Judged by": format_claim_interval(row, "judged_lo", "judged_hi"),
                "Verdict": row["verdict"],
                "From": row["source"],
            }
        )
    columns = ["Claim", "Measured", "95 % interval", "Judged by", "Verdict", "From"]
    return to_latex(pd.DataFrame(rows, columns=columns), r"p{0.38\linewidth}llllp{0.16\linewidth}")


def format_exponents(exponents: pd.DataFrame) -> str:
    """A LaTeX table: the exponent of n* in d, or in L, of every line at every eps.

    With its interval, and along L the factor by which n* grows from level to level.
    """
    rows = [
        {
            "Target": row["target"],
            "L": row["L"],
            "Method": row["line"],
            "ε": f"{row['eps']:g}",
            "Exponent": format_exponent(pd.DataFrame([row])),
            "Against": row["axis"],
            "Factor per level": format_level_factor(row) if row["axis"] == "L" else "",
            "Cells": row["n_d"],
        }
        for row in exponents.to_dict("records")
    ]
    columns = ["Target", "L", "Method", "ε", "Exponent", "Against", "Factor per level", "Cells"]
    return to_latex(pd.DataFrame(rows, columns=columns), "llllllll")


def to_latex(table: pd.DataFrame, columns: str) -> str:
    """A table for the package booktabs, with everything escaped and symbols in math mode."""
    text: str = table.to_latex(index=False, escape=True, column_format=columns)
    for symbol, command in LATEX_SYMBOLS.items():
        text = text.replace(symbol, command)
    return text


def describe_methods(stored: Collected) -> str:
    """A paragraph on how the numbers were made, from what the store holds."""
    trainings = stored.trainings
    is_confirming = trainings["kind"] == "confirmation"
    methods = sorted(stored.cells["method"].unique())
    d = sorted(stored.cells["d"].unique())
    seeds = trainings[~is_confirming].groupby("cell_id")["seed"].nunique()
    sentences = [
        f"We measured {len(methods)} methods on {stored.cells['target'].nunique()} targets at "
        f"$d = {d[0]}$ to ${d[-1]}$ ({stored.cells['cell_id'].nunique()} cells, "
        f"{int((~is_confirming).sum()):,} trainings with {seeds.min()} to {seeds.max()} seeds per "
        f"cell, and {int(is_confirming.sum()):,} confirming runs).",
        r"$n^*(d, \varepsilon)$ is the number of labels at which half of the trainings reach a "
        r"relative test risk of $\varepsilon$; intervals are 95\,\% unless stated otherwise, and "
        "claims are judged by repeated confidence intervals that hold over at most five looks.",
        _describe_cost(trainings),
        _describe_environments(list(stored.environments.values())),
    ]
    text = " ".join(filter(None, sentences))
    return text.replace("_", r"\_") + "\n"


def _describe_cost(trainings: pd.DataFrame) -> str:
    """The time that all trainings took; a learning curve's seconds count once."""
    if "seconds" not in trainings:
        return ""
    seconds = count_curves_once(trainings)["seconds"].astype(float).sum()
    hardware = sorted(set(trainings.get("hardware", pd.Series(dtype=str)).dropna().astype(str)))
    where = f" on {' and '.join(hardware)}" if hardware else ""
    return f"All trainings together took {seconds / 3600:.2g} hours{where}."


def _describe_environments(environments: Sequence[Mapping[str, Any]]) -> str:
    """Python, packages and commits with which the cells were computed."""
    if not environments:
        return ""
    versions = [f"Python {_join_values(environments, 'python')}"]
    for name in SHOWN_PACKAGES:
        packages = [environment.get("packages") or {} for environment in environments]
        numbers = sorted({str(known[name]) for known in packages if name in known})
        if numbers:
            versions.append(f"{name} {' and '.join(numbers)}")
    commits = sorted({str(env["commit"])[:10] for env in environments if env.get("commit")})
    code = f" The code is that of commit {' and '.join(commits)}." if commits else ""
    return f"Versions: {', '.join(versions)}.{code}"


def _join_values(environments: Sequence[Mapping[str, Any]], key: str) -> str:
    values = {str(environment[key]) for environment in environments if environment.get(key)}
    return " and ".join(sorted(values)) or "unknown"
