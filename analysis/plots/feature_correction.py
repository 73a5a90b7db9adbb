"""``feature_correction``: backward feature correction itself.

What training a higher level does to the errors of the lower ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.correction import find_probe_columns, order_phases, select_largest_n
from analysis.evidence import Evidence

ORDER = 40
CAPTION = (
    "Errors of the learned features after each phase, {target}, L = {L}, d = {d}, at the largest "
    "n. Thin lines: single seeds; thick lines: medians."
)


def feature_correction(evidence: Evidence) -> Iterator[Chart]:
    """Errors of the learned features after each phase, thin lines per seed and thick medians.

    At the largest d of every target and L, each cell at its largest n.
    """
    table = evidence.trainings
    probed = table[table[[name for name in table if "/" in name]].notna().any(axis=1)]
    for (target, L), rows in probed.groupby(["target", "L"]):
        d = rows["d"].max()
        rows = select_largest_n(rows[rows["d"] == d])
        panels = find_probe_columns(rows)
        if not panels:
            continue
        probe_columns = chain.from_iterable(names.values() for names in panels.values())
        phases = order_phases(rows, list(probe_columns))
        ticks = {float(number): phase for number, phase in enumerate(phases)}
        x = Axis("after phase", log=False, ticks=ticks, range=(-0.4, len(phases) - 0.6))
        y = Axis("error after the phase")
        columns = []
        for title, names in panels.items():
            columns.append([Panel(_make_series(rows, names, phases, evidence), x, y, title)])
        yield Chart(
            f"correction-{target}-L{L}",
            CAPTION.format(target=target, L=L, d=d),
            columns,
            (2.5,),
            max_columns=3 if len(panels) > 2 else 2,
        )


def _make_series(
    rows: pd.DataFrame, names: Mapping[str, str], phases: Sequence[str], evidence: Evidence
) -> list[Series]:
    """The seeds and the median of every line; ``names``: phase → column."""
    series = []
    lines = sorted(rows["line"].unique())
    for rank, line in enumerate(lines):
        offset = 0.06 * (rank - (len(lines) - 1) / 2)
        values = _read_errors(rows[rows["line"] == line], names, phases, offset)
        if values.empty:
            continue
        style, median = evidence.styles[line], values.median()
        middle = pd.DataFrame({"x": median.index.astype(float), "y": median.to_numpy()})
        series.append(Series(f"{line}: seeds", style, _list_seeds(values), "line", faint=True))
        series.append(Series(line, style, middle, "curve", line))
    return series


def _read_errors(
    rows: pd.DataFrame, names: Mapping[str, str], phases: Sequence[str], offset: float
) -> pd.DataFrame:
    """Error by seed (rows) and position of the phase (columns), where it is positive."""
    measured = [phase for phase in phases if phase in names]
    values = rows.set_index("seed")[[names[phase] for phase in measured]].astype(float)
    values.columns = [phases.index(phase) + offset for phase in measured]
    return values.where(values > 0).dropna(axis=1, how="all")


def _list_seeds(values: pd.DataFrame) -> pd.DataFrame:
    """The points of every seed, one part of the line per seed."""
    seeds = np.tile(values.index.to_numpy(), values.shape[1])
    x = np.repeat(values.columns.to_numpy(float), values.shape[0])
    y = values.to_numpy(float).ravel(order="F")
    places = np.lexsort((x, seeds))
    places = places[~np.isnan(y[places])]
    parts = [f"seed {seed}" for seed in seeds[places]]
    return pd.DataFrame({"x": x[places], "y": y[places], "part": parts})
