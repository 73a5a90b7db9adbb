"""What a shell completes where a launch is named.

The shell waits for it at every press of a key, so it reads the names of folders and nothing more.
"""

from __future__ import annotations

import typer


def complete_launch(context: typer.Context, incomplete: str) -> list[str]:
    """The launches of the results folder whose names contain this, the newest first."""
    # Only here, since `bfc --help` imports this module.
    from bfc.errors import UserError
    from bfc.launch.launch_list import launch_names

    results = context.params.get("results")
    try:
        names = launch_names(results if isinstance(results, str) else "results")
    except UserError:  # nothing to complete; the command itself says why
        return []
    return [name for name in reversed(names) if incomplete in name]
