"""``nstar_against_d``: the figure this program exists for, one per target and depth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.series import counted, free_mark, free_notes, nstar_series, plain_ticks, slope_text
from analysis.style import Look
from analysis.theory import guides, predictions

ORDER = 10
CAPTION = (
    "n* against input dimension d, {target}, L = {L}. Bars: 95 % posterior intervals of each cell alone; open markers with arrows: "
    "not reached (up) or reached at the smallest n already (down), open without arrow: beyond the largest n; lines: power laws, the "
    "posterior of all cells together, censored ones included; grey: what theory says, as a slope where its constants say "
    "nothing at these d. Below: local exponent Δ log n* / Δ log d between neighbouring d with "
    "its 95 % interval; a power law is level there."
)


def nstar_against_d(evidence: Evidence) -> Iterator[Chart]:
    """n* against d, a column per eps, with intervals, arrows where censored and fitted lines, and
    below it the local exponents."""
    for (target, L), rows in evidence.nstar.groupby(["target", "L"]):
        if rows["d"].nunique() < 2:
            continue
        fits, steps = (
            t[(t["target"] == target) & (t["L"] == L)] for t in (evidence.exponents, evidence.local)
        )
        steps = steps[np.isfinite(steps["exponent"])]
        theory = predictions(evidence.trainings, target, L)
        columns = [
            _column(own, eps, fits, steps, theory, evidence)
            for eps, own in sorted(rows.groupby("eps"), reverse=True)
        ]
        yield Chart(
            f"nstar-{target}-L{L}",
            CAPTION.format(target=target, L=L),
            columns,
            (3.0, 1.7) if len(steps) else (4.0,),
            "column",
            "method: exponent of d [95 % interval]",
            same_y=True,
            notes=free_notes(rows),
        )


def _column(
    rows: pd.DataFrame,
    eps: float,
    fits: pd.DataFrame,
    steps: pd.DataFrame,
    theory: pd.DataFrame,
    evidence: Evidence,
) -> list[Panel]:
    shown, below = [], []
    lines = sorted(rows["line"].unique())
    for rank, line in enumerate(lines):
        own, look, shift = (
            rows[rows["line"] == line],
            evidence.looks[line],
            1.012 ** (rank - (len(lines) - 1) / 2),
        )
        fit = fits[(fits["line"] == line) & np.isclose(fits["eps"], eps)]
        shown.append(
            nstar_series(own, "d", look, f"{line}{free_mark(own)}: {slope_text(fit)}", shift)
        )
        good = own.loc[(own["censored"] == "") & own["nstar"].notna(), "d"]
        if len(fit) and np.isfinite(fit["exponent"].iloc[0]) and len(good):
            span = np.array([good.min(), good.max()], float)
            law = fit["prefactor"].iloc[0] * span ** fit["exponent"].iloc[0]
            shown.append(
                Series(f"{line}: power law", look, pd.DataFrame({"x": span, "y": law}), "line")
            )
        below.append(
            _local(
                steps[(steps["line"] == line) & np.isclose(steps["eps"], eps)], line, look, shift**2
            )
        )
    shown += guides(theory, rows)
    ends = (rows["d"].min() / 1.12, rows["d"].max() * 1.12)
    axis = Axis("input dimension d", ticks=plain_ticks(rows["d"]), range=ends)
    top = Panel(shown, axis, Axis(f"n* ({counted(rows)})"), f"ε = {eps:g}")
    if not len(steps):
        return [top]
    return [top, Panel(below, axis, Axis("local exponent", log=False, range=_room(steps)))]


def _local(steps: pd.DataFrame, line: str, look: Look, shift: float) -> Series:
    """Δ log n* / Δ log d over each step of d as a level, and the interval at its middle."""
    middle = shift * np.sqrt((steps["d_lo"] * steps["d_hi"]).astype(float))
    data = pd.DataFrame(
        {
            "x": middle,
            "y": steps["exponent"],
            "lo": steps["lo"],
            "hi": steps["hi"],
            "left": steps["d_lo"],
            "right": steps["d_hi"],
        }
    )
    return Series(line, look, data)


def _room(steps: pd.DataFrame) -> tuple[float, float]:
    """Range of the local exponents: all values, and intervals as far as they leave the values
    legible."""
    low, high = steps["exponent"].min(), steps["exponent"].max()
    room = max(0.6 * (high - low), 1.0)
    return max(low - room, steps["lo"].min() - 0.2), min(high + room, steps["hi"].max() + 0.2)
