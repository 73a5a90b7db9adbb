"""Launches as tables for people."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

from rich import table as rich_table
from rich.console import Group, RenderableType
from rich.text import Text

from bfc.errors import UserError
from bfc.launch.manifest import Launch
from bfc.launch.status import Row, tail

COLOUR = {
    "done": "green",
    "running": "cyan",
    "queued": "white",
    "failed": "red",
    "lost": "red",
    "cancelled": "yellow",
}
MOST = 40
"""Cells shown where not all are asked for: running and failed ones first."""
ORDER = ("failed", "lost", "running", "cancelled", "queued", "done")


class Table:
    """The table of `bfc status`; n* of a cell is estimated again only when its trainings changed."""

    def __init__(self, every: bool) -> None:
        self.every = every
        self._known: dict[tuple[str, int], str] = {}

    def render(self, launch: Launch, rows: Sequence[Row]) -> RenderableType:
        shown = (
            list(rows)
            if self.every or len(rows) <= MOST
            else sorted(rows, key=lambda row: ORDER.index(row.state))[:MOST]
        )
        table = rich_table.Table(box=None, pad_edge=False, header_style="bold", expand=True)
        for name in (
            "cell",
            "job",
            "state",
            "done",
            "trainings",
            "n*",
            "node",
            "task",
            "last line",
        ):
            table.add_column(
                name,
                no_wrap=True,
                overflow="ellipsis",
                ratio=1 if name == "last line" else None,
                justify="right" if name in ("done", "trainings", "n*") else "left",
            )
        for row in shown:
            last = row.note or (tail(row.log)[-1:] or [""])[0]
            table.add_row(
                row.cell[:8],
                row.label,
                Text(row.state, COLOUR[row.state]),
                f"{100 * row.share:.0f} %",
                str(row.trainings or ""),
                self._nstar(launch, row),
                row.node,
                row.task,
                Text(last, "dim"),
            )
        hidden = (
            [Text(f"and {len(rows) - len(shown)} more (--all)", "dim")]
            if len(shown) < len(rows)
            else []
        )
        report = launch.path / "report" / "index.html"
        drawn = [Text(f"report    {report}", "dim")] if report.is_file() else []
        return Group(
            Text(f"{launch.name}  ({launch.manifest['kind']})", "bold"),
            table,
            *hidden,
            Text(counts(rows)),
            *drawn,
        )

    def _nstar(self, launch: Launch, row: Row) -> str:
        """n* at the strictest eps of what is stored, with its interval's ends where they are
        finite."""
        if not row.trainings and not row.share:
            return ""
        folder = launch.folders(row.job)[launch.jobs[row.job]["cells"].index(row.cell)]
        try:
            key = (row.cell, (folder / "trainings.parquet").stat().st_mtime_ns)
        except OSError:
            return ""
        if key not in self._known:
            self._known[key] = _estimate(launch, row)
        return self._known[key]


def _estimate(launch: Launch, row: Row) -> str:
    import pandas

    from bfc.stats.likelihood import estimate
    from bfc.store.cells import Cell

    eps = launch.containers[row.job]["measure"]["eps"]
    folder = launch.folders(row.job)[launch.jobs[row.job]["cells"].index(row.cell)]
    try:
        found = estimate(
            pandas.DataFrame(Cell(folder).rows()), [min(eps) if isinstance(eps, list) else eps]
        ).to_dict("records")[0]
    except (UserError, LookupError):
        return ""
    value = found["nstar"]
    return (
        f"{value:.0f}"
        if value == value and value < float("inf")
        else f"> {found['lo']:.0f}"
        if found.get("lo", 0) > 0
        else "?"
    )


def counts(rows: Sequence[Row]) -> str:
    """``12 done, 3 running``."""
    found = Counter(row.state for row in rows)
    return ", ".join(f"{found[state]} {state}" for state in reversed(ORDER) if found[state])


def failures(launch: Launch, rows: Sequence[Row]) -> Iterator[str]:
    """A line per cell that failed or was lost: what, why, and where its log is."""
    events = launch.events()
    for row in rows:
        if row.state in ("failed", "lost"):
            kind = events.get(row.job, {}).get("error", "")
            note = row.note if not kind or row.note.startswith(kind) else f"{kind}: {row.note}"
            yield f"{row.state}: {row.cell} {row.label}: {note}" + (
                f"  ({row.log})" if row.log else ""
            )


def listing(found: Sequence[Launch]) -> RenderableType:
    """The launches of a store."""
    table = rich_table.Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name in ("launch", "kind", "begun", "jobs", "command"):
        table.add_column(
            name, no_wrap=True, overflow="ellipsis", ratio=1 if name == "command" else None
        )
    for launch in found:
        about = launch.manifest
        table.add_row(
            launch.name,
            about["kind"],
            time.strftime("%d %b %H:%M", time.localtime(about["created"])),
            str(len(about["jobs"])),
            about["command"],
        )
    return table
