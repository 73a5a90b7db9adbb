"""n* of every cell and the exponent of every line, as tables; what is estimated and how is the
business of ``bfc.measure``. A cell's n* comes from its own trainings alone; a line's exponent comes
from all trainings of the line at once, so that censored cells count for what they say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.collect import Collected
from analysis.lines import line_labels, varying_keys
from analysis.progress_message import track
from bfc.stats.exponent_fit import ExponentFit, fit_exponent
from bfc.stats.likelihood import estimate, failures
from bfc.stats.training_table import judge_table

Line = tuple[str, str, int, float, str]
"""A line at one eps: study, target, L, eps, line."""
LINE = ("study", "method", "target", "L", "eps", "line")
"""What a row about a line begins with."""
PLACE = ("target", "d", "L", "degree", "eps", "nstar", "lo", "hi", "censored", "outcome")
NSTAR = (
    "study",
    "cell_id",
    "method",
    *PLACE,
    "failures",
    "excluded",
    "seeds",
    "largest_n",
    "validation",
    "line",
)
DEPTH = ("study", "method", *PLACE, "largest_n", "validation", "line")
EXPONENTS = (
    *LINE[:5],
    "exponent",
    "lo",
    "hi",
    "n_d",
    "censored_d",
    "reason",
    "growth",
    "tau",
    "tau_lo",
    "tau_hi",
    "glm_exponent",
    "glm_lo",
    "glm_hi",
    "smooth_exponent",
    "smooth_lo",
    "smooth_hi",
    "power_score",
    "power_aicc",
    "power_bic",
    "rival",
    "rival_score",
    "rival_aicc",
    "rival_bic",
    "best_model",
    "excluded",
    "warnings",
    "prefactor",
    "line",
)
LOCAL = (*LINE, "d_lo", "d_hi", "exponent", "lo", "hi")
READ = ("d", "n", "seed", "risk", "outcome", "kind", "diverged", "train_risk", "fresh")
"""Stored columns that the estimators read."""


def nstar_table(found: Collected) -> tuple[pd.DataFrame, list[str]]:
    """n* of every cell at every eps its study asked for: columns ``NSTAR`` and one per varying key;
    and those keys.

    ``failures``: how the trainings at the largest n fail; ``excluded``: optimisation-limited
    trainings, which do not count."""
    rows, keys = [], []
    trainings = dict(list(found.trainings.groupby("cell_id"))) if len(found.trainings) else {}
    for _, cells in found.cells.groupby("study", sort=False) if len(found.cells) else []:
        varying = varying_keys(cells)
        keys += [key for key in varying if key not in keys]
        for (_, cell), line in track(
            list(zip(cells.iterrows(), line_labels(cells), strict=True)), "estimating n*"
        ):
            own = trainings[cell["cell_id"]]
            measured = own[(own["kind"] != "confirmation") & (own["n"] > 0)]
            held_out = sorted(set(measured["validation"]))
            common = {
                **{
                    key: cell[key]
                    for key in ("study", "cell_id", "method", "target", "d", "L", "degree")
                },
                "seeds": measured["seed"].nunique(),
                "largest_n": measured["n"].max() if len(measured) else 0,
                "line": line,
                "validation": held_out[0] if len(held_out) == 1 else " and ".join(held_out),
                **{key: cell[key] for key in varying},
            }
            for crossing in estimate(own, cell["eps"]).to_dict("records"):
                eps = crossing["eps"]
                failed = ", ".join(f"{count} {name}" for name, count in failures(own, eps).items())
                rows.append(
                    {
                        **common,
                        **crossing,
                        "failures": failed,
                        "excluded": int(judge_table(own, eps).excluded.sum()),
                    }
                )
    table = pd.DataFrame(rows, columns=[*NSTAR, *keys])
    return table.sort_values(
        ["study", "target", "eps", "line", "L", "d"],
        ascending=[True, True, False, True, True, True],
        ignore_index=True,
    ), keys


def line_fits(found: Collected, nstar: pd.DataFrame) -> dict[Line, ExponentFit]:
    """The likelihood of every line at every eps, of studies that varied d; lines of the same cells
    in two studies are fitted once."""
    fits: dict[Line, ExponentFit] = {}
    done: dict[tuple[tuple[str, ...], float], ExponentFit] = {}
    trainings = found.trainings[[name for name in READ if name in found.trainings]]
    places = found.trainings.groupby("cell_id").indices if len(trainings) else {}
    for line, group in track(list(_lines(nstar)), "fitting exponents"):
        same = tuple(sorted(group["cell_id"])), line[3]
        if same not in done:
            done[same] = fit_exponent(
                trainings.iloc[np.concatenate([places[cell] for cell in same[0]])], line[3]
            )
        fits[line] = done[same]
    return fits


def exponents(nstar: pd.DataFrame, keys: list[str], fits: dict[Line, ExponentFit]) -> pd.DataFrame:
    """The exponent of n* against d for every line, L and eps: columns ``EXPONENTS`` and ``keys``.

    A key that changes along a line (it follows d) reads ``varies``. ``n_d`` counts the cells that
    bracket n*, ``censored_d`` those that bound it on one side; ``excluded`` the trainings that say
    nothing about data. ``rival``: the best candidate beside the power law by held-out score (by BIC
    where the d are too few for a score); ``best_model``: the better of the two by held-out score,
    empty without scores. ``prefactor``: of the fitted line. Lines of a single d are left out where
    the study never varied d."""
    rows = []
    for line, group in _lines(nstar):
        fit = fits[line]
        nothing = _no_crossing(group)
        row = dict(zip(("study", "target", "L", "eps", "line"), line, strict=True)) | {
            "method": group["method"].iloc[0],
            "n_d": int(((group["censored"] == "") & group["nstar"].notna()).sum()),
            "censored_d": int((group["censored"] != "").sum()),
            "reason": nothing or fit.reason,
            "growth": nothing or fit.growth,
            **dict(zip(("tau_lo", "tau", "tau_hi"), fit.tau, strict=True)),
            **_compared(fit.models),
            "excluded": fit.counts["excluded"],
            "warnings": "; ".join(fit.warnings),
            "prefactor": fit.prefactor,
            **{key: _common(group[key]) for key in keys},
        }
        for prefix, found in (("", fit), ("glm_", fit.glm), ("smooth_", fit.smooth)):
            row |= {f"{prefix}{name}": getattr(found, name) for name in ("exponent", "lo", "hi")}
        rows.append(row)
    return pd.DataFrame(rows, columns=[*EXPONENTS, *keys])


def local_table(nstar: pd.DataFrame, fits: dict[Line, ExponentFit]) -> pd.DataFrame:
    """Δ log n* / Δ log d between neighbouring d with its 95 % band, columns ``LOCAL``; an end is
    infinite where a cell is open there."""
    rows = []
    for line, group in _lines(nstar):
        head = {
            **dict(zip(("study", "target", "L", "eps", "line"), line, strict=True)),
            "method": group["method"].iloc[0],
        }
        rows += [{**head, **step} for step in fits[line].local.to_dict("records")]
    return pd.DataFrame(rows, columns=list(LOCAL)).astype(
        dict.fromkeys(("d_lo", "d_hi", "exponent", "lo", "hi"), float)
    )


def depth_table(nstar: pd.DataFrame) -> pd.DataFrame:
    """n* against L at fixed d, columns ``DEPTH``; only where a study measured more than one L at
    that d."""
    parts = [
        group.sort_values(["eps", "line", "L"], ascending=[False, True, True])
        for _, group in _groups(nstar, ["study", "target", "d"])
        if group["L"].nunique() > 1
    ]
    return (
        pd.concat(parts, ignore_index=True)[list(DEPTH)]
        if parts
        else pd.DataFrame(columns=list(DEPTH))
    )


def _lines(nstar: pd.DataFrame) -> Iterator[tuple[Line, pd.DataFrame]]:
    """Every line at every eps, of studies that measured its target and L at more than one d."""
    for key, group in _groups(nstar, ["study", "target", "L", "eps", "line"]):
        same = (nstar["study"] == key[0]) & (nstar["target"] == key[1]) & (nstar["L"] == key[2])
        if nstar.loc[same, "d"].nunique() > 1:
            yield key, group


def _groups(table: pd.DataFrame, by: list[str]) -> list[tuple[tuple, pd.DataFrame]]:
    return (
        [(key, group.sort_values("d")) for key, group in table.groupby(by, sort=False)]
        if len(table)
        else []
    )


def _compared(models: pd.DataFrame) -> dict[str, object]:
    """The power law's criteria beside those of its best rival."""
    criteria = ("score", "aicc", "bic")
    row: dict[str, object] = {"rival": "", "best_model": ""}
    fitted = models[models["bic"].notna()]
    rivals = fitted[fitted["model"] != "power"]
    power = fitted[fitted["model"] == "power"]
    if len(power):
        row |= {f"power_{name}": power[name].iloc[0] for name in criteria}
    if len(rivals):
        scored = rivals["score"].notna().any()
        best = rivals.loc[rivals["score"].idxmax() if scored else rivals["bic"].idxmin()]
        row |= {"rival": best["model"], **{f"rival_{name}": best[name] for name in criteria}}
        if scored and len(power) and np.isfinite(row["power_score"]):
            row["best_model"] = "power" if row["power_score"] >= best["score"] else best["model"]
    return row


def _no_crossing(group: pd.DataFrame) -> str:
    """Why a line without any crossing has none; "never" is said of plateaus only."""
    if (group["censored"] == "left").all():
        return "below the grid at every d"
    if not (group["censored"] == "right").all():
        return ""
    kinds = set(group["outcome"])
    if kinds == {"plateau"}:
        return "never reached at any d (plateau)"
    why = kinds.pop().replace("_", " ") if len(kinds) == 1 else "mixed"
    return f"not reached at any d ({why} at the largest n)"


def _common(values: pd.Series) -> object:
    return values.iloc[0] if values.map(repr).nunique() == 1 else "varies"
