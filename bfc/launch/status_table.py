"""Launches as tables for people."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bfc.errors import UserError
from bfc.launch.log_lines import read_last_line
from bfc.launch.manifest import Launch
from bfc.launch.status import CellState, CellStatus

COLOURS = {
    CellState.DONE: "green",
    CellState.RUNNING: "cyan",
    CellState.QUEUED: "white",
    CellState.FAILED: "red",
    CellState.LOST: "red",
    CellState.CANCELLED: "yellow",
}
MAX_CELLS = 40
"""Cells that are shown unless all are asked for."""
STATE_ORDER = (
    CellState.FAILED,
    CellState.LOST,
    CellState.RUNNING,
    CellState.CANCELLED,
    CellState.QUEUED,
    CellState.DONE,
)
"""The order in which cells are shown where not all of them are."""
COLUMNS = ("cell", "job", "state", "done", "trainings", "n*", "node", "task", "last line")
NUMBER_COLUMNS = ("done", "trainings", "n*")


class StatusTable:
    """The table of ``bfc status``.

    n* of a cell is estimated again only when its trainings changed.
    """

    def __init__(self, show_all: bool) -> None:
        self.show_all = show_all
        self._estimates: dict[tuple[str, int], str] = {}

    def render(self, launch: Launch, statuses: Sequence[CellStatus]) -> RenderableType:
        rows = self._choose_rows(statuses)
        table = _empty_table(COLUMNS, flexible="last line", right=NUMBER_COLUMNS)
        cells = {status.cell for status in statuses}
        for status in rows:
            table.add_row(*self._render_row(launch, status, cells))
        parts: list[RenderableType] = [
            Text(f"{launch.name}  ({launch.manifest['kind']})", "bold"),
            table,
        ]
        if len(rows) < len(statuses):
            parts.append(Text(f"and {len(statuses) - len(rows)} more (--all)", "dim"))
        parts.append(Text(format_counts(statuses)))
        report = launch.path / "report" / "index.html"
        if report.is_file():
            parts.append(Text(f"report    {report}", "dim"))
        return Group(*parts)

    def _choose_rows(self, statuses: Sequence[CellStatus]) -> Sequence[CellStatus]:
        if self.show_all or len(statuses) <= MAX_CELLS:
            return statuses
        ordered = sorted(statuses, key=lambda status: STATE_ORDER.index(status.state))
        return ordered[:MAX_CELLS]

    def _render_row(
        self, launch: Launch, status: CellStatus, cells: Collection[str]
    ) -> list[RenderableType]:
        last_line = str(status.reason) or read_last_line(status, cells)
        return [
            status.cell[:8],
            status.label,
            Text(status.state, COLOURS[status.state]),
            f"{100 * status.share:.0f} %",
            str(status.trainings or ""),
            self._estimate_nstar(launch, status),
            status.node,
            status.task,
            Text(last_line, "dim"),
        ]

    def _estimate_nstar(self, launch: Launch, status: CellStatus) -> str:
        """n* of what a cell has stored, at the strictest eps."""
        if not status.trainings and not status.share:
            return ""
        try:
            changed = (_folder(launch, status) / "trainings.parquet").stat().st_mtime_ns
        except OSError:
            return ""
        key = (status.cell, changed)
        if key not in self._estimates:
            self._estimates[key] = _estimate_nstar(launch, status)
        return self._estimates[key]


def _folder(launch: Launch, status: CellStatus) -> Path:
    cells: list[str] = launch.jobs[status.job]["cells"]
    return launch.folders(status.job)[cells.index(status.cell)]


def _estimate_nstar(launch: Launch, status: CellStatus) -> str:
    # pandas loads late: most tables show cells that have stored nothing yet
    import pandas

    from bfc.stats.nstar import estimate
    from bfc.store.cells import Cell

    eps = launch.containers[status.job]["measure"]["eps"]
    strictest = min(eps) if isinstance(eps, list) else eps
    try:
        rows = pandas.DataFrame(Cell(_folder(launch, status)).rows())
        row = estimate(rows, [strictest]).to_dict("records")[0]
    except (UserError, LookupError):
        return ""
    if math.isfinite(row["nstar"]):
        return f"{row['nstar']:.0f}"
    return f"> {row['lo']:.0f}" if row.get("lo", 0) > 0 else "?"


def format_counts(statuses: Sequence[CellStatus]) -> str:
    """``12 done, 3 running``."""
    counts = Counter(status.state for status in statuses)
    return ", ".join(f"{counts[state]} {state}" for state in reversed(STATE_ORDER) if counts[state])


def describe_failures(launch: Launch, statuses: Sequence[CellStatus]) -> Iterator[str]:
    """A line per cell that failed or was lost: what, why, and where its log is."""
    events = launch.events()
    for status in statuses:
        if status.state not in (CellState.FAILED, CellState.LOST):
            continue
        text = str(status.reason)
        error = events.get(status.job, {}).get("error", "")
        if not text.startswith(error):
            text = f"{error}: {text}"
        log = f"  ({status.log})" if status.log else ""
        yield f"{status.state}: {status.cell} {status.label}: {text}{log}"


def launch_table(launches: Sequence[Launch]) -> RenderableType:
    """The launches of a store."""
    table = _empty_table(("launch", "kind", "begun", "jobs", "command"), flexible="command")
    for launch in launches:
        manifest = launch.manifest
        table.add_row(
            launch.name,
            manifest["kind"],
            time.strftime("%d %b %H:%M", time.localtime(manifest["created"])),
            str(len(manifest["jobs"])),
            manifest["command"],
        )
    return table


def _empty_table(columns: Sequence[str], flexible: str, right: Sequence[str] = ()) -> Table:
    """A table without rows; the column ``flexible`` takes the width that is left."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name in columns:
        table.add_column(
            name,
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if name == flexible else None,
            justify="right" if name in right else "left",
        )
    return table
