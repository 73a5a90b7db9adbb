"""The tables of n* and exponents as a reader of the page sees them.

Which columns, in which words, sorted by what. Each is made from the tables of
:mod:`analysis.nstar_tables` and holds nothing that is not in their CSV files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.display_table import NO_VALUE, PageTable, make_page_table
from analysis.evidence import Evidence
from analysis.line_crossing import Crossing, classify_crossing
from analysis.lines import format_setting
from analysis.series import format_exponent, format_level_factor
from analysis.swept_lines import LINE_KEY, SweptLine, split_lines

SHARED = ("target", "L", "degree", "d", "seeds", "validation", "further settings")
"""Columns that are named once above a table where all rows agree."""
QUICK_ESTIMATORS = {"probit": "glm", "smooth": "smooth"}
"""Column of the page → prefix of the columns of the table of exponents."""


def format_nstar(row: Mapping[str, Any]) -> str:
    """n* as text: ``202``, ``> 4,096`` (not reached), ``< 64`` (below the grid), ``–`` (none)."""
    if not np.isfinite(row["nstar"]):
        return NO_VALUE
    sign = {"right": "> ", "left": "< "}.get(row["censored"], "")
    return f"{sign}{row['nstar']:,.0f}"


def format_nstar_interval(row: Mapping[str, Any]) -> str:
    """The 95 % interval of n* as text, ``–`` where there is none."""
    if np.isnan(row["lo"]):
        return NO_VALUE
    low = f"{row['lo']:,.0f}" if row["lo"] > 0 else "below grid"
    high = f"{row['hi']:,.0f}" if np.isfinite(row["hi"]) else "above grid"
    return f"{low} – {high}"


def format_failures(row: Mapping[str, Any]) -> str:
    """How the trainings at the largest n fail, where n* is not reached, unknown or beyond it."""
    failures = str(row["failures"]).replace("_", "-")
    if row["censored"] == "right" or not np.isfinite(row["nstar"]):
        return failures
    return f"beyond the largest n: {failures}" if row["nstar"] > row["largest_n"] else ""


def make_nstar_table(nstar: pd.DataFrame, keys: Sequence[str]) -> PageTable:
    """n* of every cell; ``keys``: configuration keys that vary."""
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
                "n*": (format_nstar(row), row["nstar"]),
                "95 % interval": (format_nstar_interval(row), row["lo"]),
                "at the largest n": format_failures(row),
                "excluded": row["excluded"],
                "largest n": row["largest_n"],
                "seeds": row["seeds"],
                "validation": row["validation"],
                "further settings": _format_settings(row, keys),
            }
        )
    return make_page_table(records, "no cell was measured", SHARED)


def format_risks(nstar: pd.DataFrame) -> dict[str, str]:
    """Cell → its n* of the risk at every ε, as text: ``101 (ε = 0.1), > 512 (ε = 0.01)``."""
    texts: dict[str, list[str]] = {}
    for row in nstar.to_dict("records"):
        texts.setdefault(row["cell_id"], []).append(f"{format_nstar(row)} (ε = {row['eps']:g})")
    return {cell: ", ".join(parts) for cell, parts in texts.items()}


def make_feature_table(
    features: Mapping[str, Evidence], nstar: pd.DataFrame, keys: Sequence[str]
) -> PageTable:
    """n* of every feature that was measured, cell by cell, beside ``nstar``, that of the risk.

    ``keys``: keys that vary.
    """
    risks = format_risks(nstar)
    records = []
    for feature, evidence in features.items():
        for row in evidence.nstar.to_dict("records"):
            records.append(
                {
                    "method": row["line"],
                    "feature": feature,
                    "target": row["target"],
                    "d": row["d"],
                    "overlap": round(1 - row["eps"], 12),
                    "n*": (format_nstar(row), row["nstar"]),
                    "95 % interval": (format_nstar_interval(row), row["lo"]),
                    "n* of the risk": risks.get(row["cell_id"], NO_VALUE),
                    "largest n": row["largest_n"],
                    "seeds": row["seeds"],
                    "further settings": _format_settings({key: None for key in keys} | row, keys),
                }
            )
    return make_page_table(records, "no feature was measured", SHARED)


def select_keys(nstar: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Those configuration keys that the cells of one study have."""
    return [key for key in keys if nstar[key].notna().any()]


def _format_settings(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    settings = []
    for key in keys:
        if row[key] is not None and row[key] == row[key]:
            settings.append(f"{key}={format_setting(row[key])}")
    return ", ".join(settings)


def make_exponent_table(exponents: pd.DataFrame, nstar: pd.DataFrame) -> PageTable:
    """Exponents of the three estimators, τ, and what the power law gains on its best rival.

    Of lines along one size, called d. The gain in AICc is shown where enough d allow it. ``nstar``:
    the n* of the same lines.
    """
    criteria = {"BIC": "bic"}
    if np.isfinite(exponents["power_aicc"].astype(float)).any():
        criteria = {"AICc": "aicc", **criteria}
    crossings = {line: classify_crossing(rows).crossing for line, rows in split_lines(nstar)}
    records = []
    for row in exponents.to_dict("records"):
        crossing = crossings[SweptLine(*(row[name] for name in LINE_KEY))]
        records.append(
            {
                "method": row["line"],
                "target": row["target"],
                "L": row["L"],
                "ε": row["eps"],
                "exponent": (format_exponent(pd.DataFrame([row]), crossing), row["exponent"]),
                **_format_quick_estimates(row),
                "τ": (_format_tau(row), row["tau"]),
                **_format_gains(row, criteria),
                "best rival": row["rival"].replace("_", " "),
                "number of d": row["n_d"],
                "censored d": row["censored_d"],
                "excluded": row["excluded"],
            }
        )
    return make_page_table(records, fold=SHARED)


def _format_quick_estimates(row: Mapping[str, Any]) -> dict[str, tuple[str, float]]:
    """Column → text and value, of the two regressions."""
    cells = {}
    for name, prefix in QUICK_ESTIMATORS.items():
        value, lo, hi = (row[f"{prefix}_{key}"] for key in ("exponent", "lo", "hi"))
        text = NO_VALUE
        if np.isfinite([value, lo, hi]).any():
            text = format_exponent(pd.DataFrame([{"exponent": value, "lo": lo, "hi": hi}]))
        cells[name] = (text, value)
    return cells


def _format_tau(row: Mapping[str, Any]) -> str:
    if not np.isfinite(row["tau"]):
        return NO_VALUE
    return f"{row['tau']:.2f} [{row['tau_lo']:.2f}, {row['tau_hi']:.2f}]"


def _format_gains(
    row: Mapping[str, Any], criteria: Mapping[str, str]
) -> dict[str, tuple[str, float]]:
    """Column → text and value: what the power law gains on its best rival."""
    gains = {"held-out": row["power_score"] - row["rival_score"]}
    for name, key in criteria.items():
        is_known = np.isfinite(row[f"power_{key}"])
        gains[name] = row[f"rival_{key}"] - row[f"power_{key}"] if is_known else np.nan
    cells = {}
    for name, gain in gains.items():
        text = f"{gain:+.1f}".replace("-", "−") if np.isfinite(gain) else NO_VALUE
        cells[f"Δ {name}"] = (text, gain)
    return cells


def make_local_exponent_table(local: pd.DataFrame) -> PageTable:
    """Local exponents between neighbouring d."""
    records = []
    for row in local.to_dict("records"):
        exponent = format_exponent(pd.DataFrame([row]), Crossing.SOMEWHERE)
        records.append(
            {
                "method": row["line"],
                "target": row["target"],
                "L": row["L"],
                "ε": row["eps"],
                "d": (f"{row['d_lo']:g} to {row['d_hi']:g}", row["d_lo"]),
                "Δ log n* / Δ log d": (exponent, row["exponent"]),
            }
        )
    return make_page_table(records, fold=SHARED)


def make_local_factor_table(local: pd.DataFrame) -> PageTable:
    """The factors by which n* grows between neighbouring L, per level."""
    records = []
    for row in local.to_dict("records"):
        records.append(
            {
                "method": row["line"],
                "target": row["target"],
                "d": row["d"],
                "ε": row["eps"],
                "L": (f"{row['L_lo']:g} to {row['L_hi']:g}", row["L_lo"]),
                "factor per level": (format_level_factor(row), row["rate"]),
            }
        )
    return make_page_table(records, fold=SHARED)


def make_risk_table(risks: pd.DataFrame) -> PageTable:
    """Median risks of :func:`analysis.risks.tabulate_risks`."""
    records = []
    for row in risks.to_dict("records"):
        records.append(
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
        )
    return make_page_table(records, fold=(*SHARED, "n"))
