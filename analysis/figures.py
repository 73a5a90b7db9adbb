"""Figures of one study. They read the tables alone (never a results folder), so that any of them can be redrawn from
the CSV files in a year. Every function returns a matplotlib figure, or None where the tables hold nothing to show."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.style import Look, canvas, free_note, log_axis, stacks, thinned


def nstar_against_d(nstar: pd.DataFrame, exponents: pd.DataFrame, local: pd.DataFrame, looks: dict[str, Look]) -> Figure | None:
    """n* against d, one panel per eps, with intervals, arrows where censored and fitted lines, and below it the local exponent
    between neighbouring d; the rows of one (study, target, L)."""
    if nstar["d"].nunique() < 2:
        return None
    levels = sorted(nstar["eps"].unique(), reverse=True)
    steps = local[np.isfinite(local["exponent"])]
    heights = (3.0, 1.7) if len(steps) else (4.0,)
    with stacks(len(levels), heights) as (figure, panels):
        for (axis, *below), eps in zip(panels, levels, strict=True):
            rows = nstar[nstar["eps"] == eps]
            lines = sorted(rows["line"].unique())
            handles = []
            for rank, line in enumerate(lines):
                own, look = rows[rows["line"] == line], looks[line]
                shift = 1 + 0.012 * (rank - (len(lines) - 1) / 2)
                points(axis, own, "d", look, shift=shift)
                fit = exponents[(exponents["line"] == line) & (exponents["eps"] == eps)]
                label = line + _mark(own)
                if len(fit) and np.isfinite(fit["exponent"].iloc[0]):
                    good = own.loc[(own["censored"] == "") & own["nstar"].notna(), "d"]
                    span = np.array([good.min(), good.max()], float)
                    axis.plot(
                        span,
                        fit["prefactor"].iloc[0] * span ** fit["exponent"].iloc[0],
                        look.dash,
                        color=look.colour,
                        lw=1.2,
                    )
                handles.append(handle(look, label + ": " + slope_text(fit)))
                for axis_below in below:
                    _local(axis_below, steps[(steps["line"] == line) & (steps["eps"] == eps)], look, shift**2)
            ticks = thinned(nstar["d"])
            axis.set(xscale="log", yscale="log", title=f"ε = {eps:g}", xlim=(nstar["d"].min() / 1.12, nstar["d"].max() * 1.12))
            for axis_below in below:
                axis_below.set(xscale="log", xlim=axis.get_xlim(), ylim=_room(steps))
                log_axis(axis_below.xaxis, ticks)
                axis_below.yaxis.set_major_locator(MaxNLocator(6, integer=True))
                axis.tick_params(labelbottom=False)
            last = below[-1] if below else axis
            last.set_xlabel("input dimension d")
            last.legend(
                handles=handles + free_note(_free(rows)),
                loc="upper center",
                bbox_to_anchor=(0.5, -0.36 if below else -0.17),
                title="method: exponent of d [95 % interval]",
                title_fontsize=7,
            )
        ends = [axis.get_ylim() for axis, *_ in panels]
        for axis, *_ in panels:
            axis.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
            _finish(axis, ticks)
        axes = [stack for stack in panels if stack[0].get_subplotspec().is_first_col()]
        for axis, *below in axes:
            axis.set_ylabel(f"n* ({_counted(nstar)})")
            for axis_below in below:
                axis_below.set_ylabel("local exponent")
    return figure


def _local(axis: Axes, steps: pd.DataFrame, look: Look, shift: float) -> None:
    """Δ log n* / Δ log d over each step of d as a level with its band, and the interval at its middle."""
    for step in steps.itertuples():
        span, middle = [step.d_lo, step.d_hi], shift * np.sqrt(step.d_lo * step.d_hi)
        axis.plot(span, [step.exponent] * 2, color=look.colour, lw=1.0, alpha=0.55)
        axis.plot([middle, middle], [step.lo, step.hi], color=look.colour, lw=1.0)
        axis.plot([middle], [step.exponent], look.marker, color=look.colour, ms=3.5, zorder=3)


def _room(steps: pd.DataFrame) -> tuple[float, float]:
    """Range of the local exponents: all values, and intervals as far as they leave the values legible."""
    low, high = steps["exponent"].min(), steps["exponent"].max()
    room = max(0.6 * (high - low), 1.0)
    return max(low - room, steps["lo"].min() - 0.2), min(high + room, steps["hi"].max() + 0.2)


def nstar_against_depth(depth: pd.DataFrame, looks: dict[str, Look]) -> Figure | None:
    """n* against the depth L, one panel per (d, eps); the depth rows of one (study, target)."""
    places = list(
        depth[["d", "eps"]].drop_duplicates().sort_values(["d", "eps"], ascending=[True, False]).itertuples(index=False)
    )
    if not places:
        return None
    with canvas(len(places), 3.0, sharey=True) as (figure, axes):
        for axis, (d, eps) in zip(axes, places, strict=True):
            rows = depth[(depth["d"] == d) & (depth["eps"] == eps)]
            lines = sorted(rows["line"].unique())
            for rank, line in enumerate(lines):
                own, look = rows[rows["line"] == line], looks[line]
                offset = 0.05 * (rank - (len(lines) - 1) / 2)
                good = own[own["censored"] == ""]
                axis.plot(good["L"] + offset, good["nstar"], look.dash, color=look.colour, lw=1.0)
                points(axis, own, "L", look, offset=offset)
            axis.set(yscale="log", title=f"d = {d}, ε = {eps:g}", xlabel="depth L (polynomial degree)")
            names = rows.groupby("L")["degree"].first()
            axis.set_xticks(list(names.index), [f"{L} ({degree})" for L, degree in names.items()])
            _finish(axis, None)
        lines = sorted(depth["line"].unique())
        handles = [handle(looks[line], line + _mark(depth[depth["line"] == line])) for line in lines]
        figure.legend(handles=handles + free_note(_free(depth)), loc="outside lower center", ncols=2)
        axes[0].set_ylabel(f"n* ({_counted(depth)})")
    return figure


def risk_against_n(
    trainings: pd.DataFrame, nstar: pd.DataFrame, looks: dict[str, Look], panel: str = "d"
) -> Figure | None:
    """Median test risk and quartiles over seeds against n, a panel per value of ``panel`` (``d`` or ``L``).

    ``trainings`` and ``nstar`` hold the rows of one study and target at one value of the other axis; ``trainings`` has
    the column ``line``. Runs of kind ``probe`` (fresh data, more steps) stand right of the grid."""
    rows = trainings[trainings["n"] > 0]
    runs, probes = rows[rows["kind"] != "probe"], rows[rows["kind"] == "probe"]
    finite = rows.loc[np.isfinite(rows["risk"]) & (rows["risk"] > 0), "risk"]
    if finite.empty or runs.groupby("cell_id")["n"].nunique().max() < 2:
        return None
    values = sorted(runs[panel].unique())
    with canvas(len(values), 2.3, most_columns=3, sharey=True) as (figure, axes):
        for axis, value in zip(axes, values, strict=True):
            here = runs[runs[panel] == value]
            for line, own in here.groupby("line"):
                _curve(axis, own, looks[line])
            edge = 1.35 * here["n"].max()
            for line, own in probes[probes[panel] == value].groupby("line"):
                axis.plot(
                    [edge], [own["risk"].fillna(np.inf).median()], "*", color=looks[line].colour, mfc="white", ms=7
                )
            for eps in sorted(nstar["eps"].unique()):
                axis.axhline(eps, color="#555555", lw=0.7, ls=(0, (4, 3)), zorder=0)
                if axis.get_subplotspec().is_last_col():
                    axis.text(
                        1.01,
                        eps,
                        f"ε={eps:g}",
                        transform=axis.get_yaxis_transform(),
                        va="center",
                        fontsize=7,
                        color="#555555",
                    )
            for crossing in nstar[(nstar[panel] == value) & (nstar["censored"] == "") & nstar["nstar"].notna()].itertuples():
                axis.plot([crossing.lo, crossing.hi], [crossing.eps] * 2, color=looks[crossing.line].colour, lw=1.6, zorder=3)
                axis.plot(
                    [crossing.nstar],
                    [crossing.eps],
                    "o",
                    color=looks[crossing.line].colour,
                    mfc="white",
                    ms=5,
                    zorder=4,
                )
            axis.set(xscale="log", yscale="log", title=f"{panel} = {value}", xlabel=f"n ({_counted(nstar)})")
            log_axis(axis.xaxis, crowded=True)
        levels = nstar["eps"]
        low, high = min(finite.min(), levels.min()), max(finite.quantile(0.995), levels.max())
        axes[0].set_ylim(max(low, levels.min() / 30) / 1.6, min(high * 1.6, 5))
        log_axis(axes[0].yaxis)
        for axis in axes:
            if axis.get_subplotspec().is_first_col():
                axis.set_ylabel("relative test risk")
        handles = [
            handle(looks[line], line + _mark(nstar[nstar["line"] == line])) for line in sorted(runs["line"].unique())
        ]
        handles.append(Line2D([], [], color="#555555", marker="o", mfc="white", ls="", label="n* with 95 % interval"))
        if len(probes):
            handles.append(
                Line2D(
                    [],
                    [],
                    color="#555555",
                    marker="*",
                    mfc="white",
                    ms=7,
                    ls="",
                    label="probe: fresh data, 4 × the steps",
                )
            )
        figure.legend(handles=handles + free_note(_free(nstar)), loc="outside lower center", ncols=2)
    return figure


def points(axis: Axes, rows: pd.DataFrame, x: str, look: Look, shift: float = 1.0, offset: float = 0.0) -> None:
    """n* with intervals: filled markers; censored cells are open with an arrow up (not reached) or down (reached below
    the grid), and open without one where n* lies beyond the largest n."""
    for row in rows.itertuples():
        place = getattr(row, x) * shift + offset
        if row.censored:
            tip = row.nstar * (1.7 if row.censored == "right" else 1 / 1.7)
            arrow = {
                "arrowstyle": "-|>",
                "color": look.colour,
                "lw": 1.0,
                "shrinkA": 0,
                "shrinkB": 0,
                "mutation_scale": 7,
            }
            axis.annotate("", (place, tip), (place, row.nstar), arrowprops=arrow)
            axis.plot([place], [tip], alpha=0)
            inner = row.lo if row.censored == "right" else row.hi
            axis.plot(
                [place, place], [row.nstar, inner if 0 < inner < np.inf else row.nstar], color=look.colour, lw=1.0
            )
        else:
            axis.plot([place, place], [row.lo, row.hi], color=look.colour, lw=1.0)
        axis.plot(
            [place],
            [row.nstar],
            look.marker,
            color=look.colour,
            mfc="white" if row.censored or row.nstar > row.largest_n else look.colour,
            zorder=3,
        )


def slope_text(fit: pd.DataFrame) -> str:
    """An exponent with its interval, its bounds where it has no more, or why there are none; ``fit`` holds at most one row."""
    if fit.empty:
        return "–"
    row = fit.iloc[0]
    lo, hi = row["lo"], row["hi"]
    if np.isfinite(row["exponent"]):
        text = f"{row['exponent']:.2f} [{lo:.2f}, {hi:.2f}]"
    elif np.isfinite(lo) and np.isfinite(hi):
        text = f"{lo:.2f} to {hi:.2f}"
    elif np.isfinite(lo) or np.isfinite(hi):
        text = f"above {lo:.2f}" if np.isfinite(lo) else f"below {hi:.2f}"
    else:
        starts = {"never": "never (plateau)", "not": "not reached", "below": "below the grid"}
        return starts.get(row["reason"].partition(" ")[0], "no exponent")
    return text.replace("-", "−")


def _curve(axis: Axes, rows: pd.DataFrame, look: Look) -> None:
    risks = rows.assign(risk=rows["risk"].fillna(np.inf)).groupby("n")["risk"]
    bands = risks.quantile([0.25, 0.5, 0.75], interpolation="nearest").unstack().clip(upper=1e6)
    axis.fill_between(bands.index, bands[0.25], bands[0.75], color=look.colour, alpha=0.16, lw=0)
    every = max(1, len(bands) // 9)
    axis.plot(bands.index, bands[0.5], look.dash + look.marker, markevery=every, color=look.colour, ms=3, lw=1.2)


def handle(look: Look, label: str) -> Line2D:
    """The legend entry of a line."""
    return Line2D([], [], color=look.colour, marker=look.marker, ls=look.dash, lw=1.2, label=label)


def _finish(axis: Axes, ticks: list[int] | None) -> None:
    axis.margins(y=0.08)
    low, high = axis.get_ylim()
    if high < 10 * low:
        middle = np.sqrt(low * high)
        axis.set_ylim(middle / np.sqrt(10), middle * np.sqrt(10))
    if ticks is not None:
        log_axis(axis.xaxis, ticks)
    log_axis(axis.yaxis)


def _free(rows: pd.DataFrame) -> bool:
    return bool(rows["validation"].str.contains("free").any())


def _mark(rows: pd.DataFrame) -> str:
    return " †" if _free(rows) else ""


def _counted(rows: pd.DataFrame) -> str:
    return (
        "labels"
        if _free(rows)
        else "labels, validation included"
        if (rows["validation"] == "inside").any()
        else "labels"
    )
