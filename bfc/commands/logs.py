"""``bfc logs``: what a launch's processes printed, or the traceback of what failed."""

from __future__ import annotations

from typing import Annotated

import typer

from bfc.application.sweep_entry import Name, Results

PANEL = "Watch a launch"


def main(
    results: Results,
    launch: Name = None,
    cell: Annotated[
        str | None, typer.Option("--cell", "-c", help="only this cell (the beginning of its id)")
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="how much of each log")] = 20,
    failed: Annotated[
        bool, typer.Option("--failed", "-f", help="only what failed, with tracebacks")
    ] = False,
) -> None:
    """Print the end of every log of a launch, or of one cell's."""
    from bfc.errors import UserError
    from bfc.launch.manifest import find
    from bfc.launch.status import states, tail

    chosen = find(results, launch)
    events = chosen.events()
    rows = [
        row
        for row in states(chosen)
        if row.cell.startswith(cell or "") and (not failed or row.state in ("failed", "lost"))
    ]
    if not rows:
        raise UserError(
            f"{chosen.name}: {'no cell called ' + cell if cell else 'nothing'}{' failed' if failed else ''}"
        )
    shown = set()
    for row in rows:
        if failed and (text := events.get(row.job, {}).get("traceback")) and row.job not in shown:
            shown.add(row.job)
            print(f"== {row.cell} {row.label}\n{text}", end="")
        elif row.log is not None and row.log not in shown:
            shown.add(row.log)
            print(f"== {row.log}")
            print("\n".join(tail(row.log, lines)))
