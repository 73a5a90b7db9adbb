"""``feature_correction``: backward feature correction itself, what training a higher level does to
the lower ones."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.correction import at_largest_n, phases_in_order, probe_columns
from analysis.evidence import Evidence

ORDER = 40


def feature_correction(evidence: Evidence) -> Iterator[Chart]:
    """Errors of the learned features after each phase, thin lines per seed and thick medians; at
    the largest d of every target and L, each cell at its largest n."""
    table = evidence.trainings
    probed = table[table[[name for name in table if "/" in name]].notna().any(axis=1)]
    for (target, L), rows in probed.groupby(["target", "L"]):
        d = rows["d"].max()
        rows = at_largest_n(rows[rows["d"] == d])
        shown = probe_columns(rows)
        if not shown:
            continue
        phases = phases_in_order(
            rows, [column for names in shown.values() for column in names.values()]
        )
        ticks = dict(enumerate(phases))
        axis = Axis("after phase", log=False, ticks=ticks, range=(-0.4, len(phases) - 0.6))
        columns = [
            [
                Panel(
                    _series(rows, names, phases, evidence),
                    axis,
                    Axis("error after the phase"),
                    title,
                )
            ]
            for title, names in shown.items()
        ]
        caption = (
            f"Errors of the learned features after each phase, {target}, L = {L}, d = {d}, at the largest n. Thin: one seed; thick: "
            "median."
        )
        yield Chart(
            f"correction-{target}-L{L}",
            caption,
            columns,
            (2.5,),
            most_columns=3 if len(shown) > 2 else 2,
        )


def _series(
    rows: pd.DataFrame, names: dict[str, str], phases: list[str], evidence: Evidence
) -> list[Series]:
    found = []
    lines = sorted(rows["line"].unique())
    for rank, line in enumerate(lines):
        own, look, offset = (
            rows[rows["line"] == line],
            evidence.looks[line],
            0.06 * (rank - (len(lines) - 1) / 2),
        )
        values = own.set_index("seed")[[names[phase] for phase in phases if phase in names]].astype(
            float
        )
        values.columns = [phases.index(phase) + offset for phase in phases if phase in names]
        values = values.where(values > 0).dropna(axis=1, how="all")
        if values.empty:
            continue
        seeds = (
            values.reset_index()
            .melt("seed", var_name="x", value_name="y")
            .dropna()
            .sort_values(["seed", "x"])
        )
        data = pd.DataFrame(
            {
                "x": seeds["x"].astype(float),
                "y": seeds["y"],
                "part": seeds["seed"].map("seed {}".format),
            }
        )
        median = values.median()
        found += [
            Series(f"{line}: seeds", look, data, "line", faint=True),
            Series(
                line,
                look,
                pd.DataFrame({"x": median.index.astype(float), "y": median.to_numpy()}),
                "curve",
                line,
            ),
        ]
    return found
