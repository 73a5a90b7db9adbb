"""Backward feature correction: what the probes say about the lower levels after each phase, as a figure and as
medians. The probes are stored with each training in columns ``<phase>/<probe>/<level>`` and ``<phase>/risk``."""

from __future__ import annotations

import re

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import handle
from analysis.style import Look, canvas, log_axis

PROBES = {"gram": "Gram error", "subspace": "subspace error", "feature": "feature error (1 − R²)"}


def feature_correction(trainings: pd.DataFrame, looks: dict[str, Look]) -> Figure | None:
    """Errors of the learned features after each phase, thin lines per seed and thick medians; the trainings of one
    (study, target, d, L) with the column ``line``, each cell at its largest n."""
    rows = at_largest_n(trainings)
    shown = probe_columns(rows)
    if not shown:
        return None
    phases = list(dict.fromkeys(phase for names in shown.values() for phase in names))
    phases.sort(
        key=lambda phase: [int(part) if part.isdigit() else 10**6 for part in re.findall(r"\d+|\D+", phase)][-1]
    )
    with canvas(len(shown), 2.5, most_columns=3 if len(shown) > 2 else 2) as (figure, axes):
        lines = sorted(rows["line"].unique())
        for axis, (title, names) in zip(axes, shown.items(), strict=True):
            for rank, line in enumerate(lines):
                own, look = rows[rows["line"] == line], looks[line]
                values = (
                    pd.DataFrame({phase: own[names[phase]] for phase in phases if phase in names})
                    .dropna(axis=1, how="all")
                    .astype(float)
                )
                values = values.where(values > 0)
                place = [phases.index(phase) + 0.06 * (rank - (len(lines) - 1) / 2) for phase in values]
                axis.plot(
                    place,
                    values.to_numpy().T,
                    "-" if len(place) > 1 else ".",
                    color=look.colour,
                    lw=0.4,
                    ms=2,
                    alpha=0.3,
                    zorder=1,
                )
                axis.plot(
                    place,
                    values.median(),
                    look.dash + look.marker,
                    color=look.colour,
                    lw=1.6,
                    zorder=3,
                    mec="white",
                    mew=0.5,
                )
            axis.set(yscale="log", title=title, xlabel="after phase", xlim=(-0.4, len(phases) - 0.6))
            axis.set_xticks(range(len(phases)), phases)
            log_axis(axis.yaxis)
        axes[0].set_ylabel("error after the phase")
        figure.legend(handles=[handle(looks[line], line) for line in lines], loc="outside lower center", ncols=2)
    return figure


def at_largest_n(trainings: pd.DataFrame) -> pd.DataFrame:
    """The trainings (kind ``training``) of each cell at its largest n."""
    rows = trainings[trainings["kind"] == "training"]
    return rows[rows["n"] == rows.groupby("cell_id")["n"].transform("max")]


def probe_columns(rows: pd.DataFrame) -> dict[str, dict[str, str]]:
    """What the correction figure shows: panel title → phase → column, for Gram and subspace errors of the lowest
    level, feature errors of the levels above, and the risk. Columns are named ``<phase>/<probe>/<level>`` and
    ``<phase>/risk``."""
    parts = [(name, *name.split("/")) for name in rows if name.count("/") == 2 and rows[name].notna().any()]
    parts = [(name, phase, probe, int(level)) for name, phase, probe, level in parts if level.isdigit()]
    if not parts:
        return {}
    lowest = min(level for *_, level in parts)
    wanted = sorted(
        {
            (list(PROBES).index(probe), level, probe)
            for _, _, probe, level in parts
            if probe in PROBES and (level > lowest) == (probe == "feature")
        }
    )
    shown = {
        f"{PROBES[probe]}, level {level}": {phase: name for name, phase, p, l in parts if (p, l) == (probe, level)}
        for _, level, probe in wanted
    }
    risks = {
        name.partition("/")[0]: name
        for name in rows
        if name.count("/") == 1 and name.endswith("/risk") and rows[name].notna().any()
    }
    return {**shown, **({"relative test risk": risks} if risks else {})}


def correction_table(trainings: pd.DataFrame) -> pd.DataFrame:
    """Medians over seeds at each cell's largest n: one row per line, d, L, quantity and phase, columns ``method, d, L,
    n, seeds, quantity, phase, median``; ``trainings`` has the column ``line``."""
    rows = []
    for (line, d, L), own in at_largest_n(trainings).groupby(["line", "d", "L"]):
        head = {"method": line, "d": d, "L": L, "n": own["n"].max(), "seeds": own["seed"].nunique()}
        for quantity, names in probe_columns(own).items():
            rows += [
                {**head, "quantity": quantity, "phase": phase, "median": own[name].median()}
                for phase, name in names.items()
                if own[name].notna().any()
            ]
    return pd.DataFrame(rows, columns=["method", "d", "L", "n", "seeds", "quantity", "phase", "median"])
