"""The tables of the page as a reader sees them: which columns, in which words, sorted by what. Each
is made from the tables of :mod:`analysis.nstar_tables`, :mod:`analysis.collect` and
:mod:`analysis.claims`, and holds nothing that is not in their CSV files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.collect import Collected
from analysis.lines import shown
from analysis.page import View, plain, view
from analysis.series import slope_text

SHARED = ("target", "L", "degree", "d", "seeds", "validation", "further settings")
OUTCOMES = ("success", "data_limited", "plateau", "optimisation_limited", "diverged")


def nstar_text(row: Mapping[str, Any]) -> str:
    """n* as text: ``202``, ``> 4,096`` (not reached), ``< 64`` (below the grid), ``–``
    (unmeasured)."""
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


def growth_view(exponents: pd.DataFrame, keys: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Per line and eps what grows how, as sentences: ``head``, ``growth`` (which names those
    ``keys`` that change along the line, too), and ``warnings``."""
    places = [name for name in ("target", "L") if exponents[name].nunique() > 1]
    return [
        {
            "head": ", ".join(
                [row["line"], *(f"{name} {row[name]}" for name in places), f"ε = {row['eps']:g}"]
            ),
            "growth": row["growth"].replace("no exponent: ", "") + _follows(row, keys),
            "warnings": [text for text in row["warnings"].split("; ") if text],
        }
        for row in exponents.to_dict("records")
    ]


def _follows(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    moving = [key for key in keys if row[key] == "varies"]
    return f" (with d also changes: {', '.join(moving)})" if moving else ""


def exponent_view(exponents: pd.DataFrame) -> View:
    """Exponents of the three estimators, τ, and what the power law gains on its best rival (AICc
    where enough d allow it)."""
    records = []
    criteria = (
        [("AICc", "aicc"), ("BIC", "bic")]
        if np.isfinite(exponents["power_aicc"].astype(float)).any()
        else [("BIC", "bic")]
    )
    for row in exponents.to_dict("records"):
        beside = {
            name: slope_text(
                pd.DataFrame(
                    [
                        {
                            "reason": "",
                            **{key: row[f"{prefix}_{key}"] for key in ("exponent", "lo", "hi")},
                        }
                    ]
                )
            )
            for name, prefix in (("probit", "glm"), ("smooth", "smooth"))
        }
        gains = {
            "held-out": row["power_score"] - row["rival_score"],
            **{
                name: row[f"rival_{key}"] - row[f"power_{key}"]
                if np.isfinite(row[f"power_{key}"])
                else np.nan
                for name, key in criteria
            },
        }
        records.append(
            {
                "method": row["line"],
                "target": row["target"],
                "L": row["L"],
                "ε": row["eps"],
                "exponent": (slope_text(pd.DataFrame([row])), row["exponent"]),
                **{
                    name: (text if text != "no exponent" else "–", row[f"{prefix}_exponent"])
                    for (name, text), prefix in zip(beside.items(), ("glm", "smooth"), strict=True)
                },
                "τ": (
                    f"{row['tau']:.2f} [{row['tau_lo']:.2f}, {row['tau_hi']:.2f}]"
                    if np.isfinite(row["tau"])
                    else "–",
                    row["tau"],
                ),
                **{
                    f"Δ {name}": (
                        f"{gain:+.1f}".replace("-", "−") if np.isfinite(gain) else "–",
                        gain,
                    )
                    for name, gain in gains.items()
                },
                "best rival": row["rival"].replace("_", " "),
                "d": row["n_d"],
                "censored": row["censored_d"],
                "excluded": row["excluded"],
            }
        )
    return view(records, fold=SHARED)


def local_view(local: pd.DataFrame) -> View:
    """Local exponents between neighbouring d."""
    return view(
        [
            {
                "method": row["line"],
                "target": row["target"],
                "L": row["L"],
                "ε": row["eps"],
                "d": (f"{row['d_lo']:g} to {row['d_hi']:g}", row["d_lo"]),
                "Δ log n* / Δ log d": (
                    slope_text(pd.DataFrame([{**row, "reason": ""}])),
                    row["exponent"],
                ),
            }
            for row in local.to_dict("records")
        ],
        fold=SHARED,
    )


def tuning_view(found: Collected, lines: Mapping[str, str]) -> View:
    """What tuning chose and tried, per cell; ``lines``: cell id → line. A tuned setting is one that
    every trial names, its score the trial's ``median`` (risk over draws), ``nstar`` or ``risk``."""
    records = []
    for cell in found.cells.drop_duplicates("cell_id").to_dict("records"):
        told = found.tuned.get(cell["cell_id"], {})
        tried = [trial for trial in told.get("tried") or [] if isinstance(trial, Mapping)]
        settings = [key for key in told if tried and all(key in trial for trial in tried)]
        score = next(
            (
                key
                for key in ("median", "nstar", "risk")
                if any(trial.get(key) is not None for trial in tried)
            ),
            None,
        )
        if not settings or score is None:
            continue
        name = {"median": "median risk", "nstar": "n*", "risk": "risk"}[score]
        trials = "; ".join(
            f"{_pairs(trial, settings)}: {plain(trial[score]) if trial.get(score) is not None else 'not reached'}"
            for trial in tried
        )
        records.append(
            {
                "method": lines.get(cell["cell_id"], cell["method"]),
                "target": cell["target"],
                "L": cell["L"],
                "d": cell["d"],
                "chosen": _pairs(told, settings),
                "at the edge of what was tried": "yes" if told.get("at_edge") else "no",
                "score": name,
                "tried": trials,
                "draws": len(told.get("seeds") or []),
            }
        )
    return view(records, fold=(*SHARED, "score", "draws"))


def _pairs(values: Mapping[str, Any], keys: Sequence[str]) -> str:
    return ", ".join(f"{key} {shown(values[key])}" for key in keys)


def variance_notes(trainings: pd.DataFrame) -> list[str]:
    """Targets whose Var f*, and with it every relative risk, is known to a quadrature's error only
    (column ``variance_error``)."""
    if "variance_error" not in trainings:
        return []
    error = pd.to_numeric(trainings["variance_error"], errors="coerce")
    worst = error[error > 0].groupby([trainings["target"], trainings["L"]]).max()
    return [
        f"Var f* of {target}, L = {L}, is known by quadrature to {100 * value:.2g} % (standard error); relative risks share that factor"
        for (target, L), value in worst.items()
    ]


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


def correction_view(table: pd.DataFrame) -> View:
    """The medians of :func:`analysis.correction.correction_table`, the phases of a quantity side by
    side."""
    records = []
    head = ["method", "d", "L", "n", "seeds", "quantity"]
    for key, own in table.groupby(head, sort=False):
        phases = " → ".join(
            f"{phase} {value:.3g}" for phase, value in zip(own["phase"], own["median"], strict=True)
        )
        records.append({**dict(zip(head, key, strict=True)), "median after each phase": phases})
    return view(records, fold=SHARED)


def outcome_view(trainings: pd.DataFrame) -> View:
    """How the trainings ended, per line, d and L; of a whole learning curve only the last point
    counts."""
    curves = trainings[trainings["kind"] == "curve"]
    last = curves[curves["n"] == curves.groupby(["cell_id", "seed"])["n"].transform("max")]
    counted = pd.concat([trainings[trainings["kind"] == "training"], last])
    records = []
    for (line, L, d), own in counted.groupby(["line", "L", "d"]):
        probes = trainings[
            (trainings["kind"] == "confirmation")
            & (trainings["line"] == line)
            & (trainings["L"] == L)
            & (trainings["d"] == d)
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


def cost_view(found: Collected, trainings: pd.DataFrame) -> View:
    """Seconds per line, those of tuning apart; the seconds of a learning curve are stored with each
    of its points and count once."""
    curve = trainings["kind"] == "curve"
    once = pd.concat([trainings[~curve], trainings[curve].drop_duplicates(["cell_id", "seed"])])
    if "seconds" not in once:
        return view([])
    records = []
    for line, own in once.groupby("line"):
        ids = own["cell_id"].unique()
        tuning = sum(float(found.tuned.get(cell, {}).get("seconds") or 0) for cell in ids)
        probes = own["kind"] == "confirmation"
        records.append(
            {
                "method": line,
                "cells": len(ids),
                "trainings or curves": int((~probes).sum()),
                "seconds": round(float(own.loc[~probes, "seconds"].sum()), 1),
                "confirming runs": int(probes.sum()),
                "their seconds": round(float(own.loc[probes, "seconds"].sum()), 1),
                "seconds of tuning": round(tuning, 1),
            }
        )
    return view(records)


def environment_view(found: Collected) -> View:
    """The distinct environments of the cells and how many cells each made."""
    counted: dict[tuple[tuple[str, str], ...], int] = {}
    for stored in found.environments.values():
        packages = stored.get("packages")
        facts = {
            key: plain(stored.get(key, "")) for key in ("python", "platform", "hardware", "commit")
        }
        facts["uncommitted changes"] = "yes" if stored.get("diff") else "no"
        facts["packages"] = (
            ", ".join(f"{k} {v}" for k, v in packages.items())
            if isinstance(packages, Mapping)
            else ""
        )
        counted[tuple(facts.items())] = counted.get(tuple(facts.items()), 0) + 1
    return view([{"cells": count, **dict(facts)} for facts, count in counted.items()])


def claim_view(verdicts: pd.DataFrame) -> View:
    """The verdicts of :func:`analysis.claims.judge`; where a claim is undecided, what to run next
    stands with the remark."""
    records = []
    for row in verdicts.to_dict("records"):
        measured, interval = finding_text(row)
        remark = "; ".join(
            filter(None, (row["remark"], f"next: {row['next']}" if row["next"] else ""))
        )
        records.append(
            {
                "verdict": row["verdict"],
                "claim": row["claim"],
                "predicted": row["predicted"],
                "measured": (measured, row["measured"]),
                "95 % interval": (interval, row["lo"]),
                "remark": remark,
                "paper": (row["paper"], row["paper"], row["study"]),
                "command": row["command"],
            }
        )
    return view(records, "no study here states a claim")


def finding_text(row: Mapping[str, Any]) -> tuple[str, str]:
    """What was measured for a claim and its interval, as text."""
    value, *ends = (
        plain(float(row[name])) if np.isfinite(row[name]) else "–"
        for name in ("measured", "lo", "hi")
    )
    return value, " – ".join(ends) if np.isfinite(row["lo"]) else "–"


def _settings(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    return ", ".join(
        f"{key}={shown(row[key])}" for key in keys if row[key] is not None and row[key] == row[key]
    )
