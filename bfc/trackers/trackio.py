"""Trackio as a view: a dashboard on this machine, without an account.

One run per cell, written from the store into Trackio's own database (TRACKIO_DIR); look at it with
``trackio show``.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bfc.errors import UserError
from bfc.extras import require_package
from bfc.paths import find_obstacle, local_path
from bfc.snapshot import Snapshot, project_name, to_json_rows
from bfc.trackers.settings import check_shared_settings
from bfc.types import Tracker

REMOTE_VARIABLES = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")
"""They send runs elsewhere, where what was shown before cannot be replaced."""


@dataclass(frozen=True)
class Trackio(Tracker):
    """An optional extra: ``pip install 'bfc[trackio]'``."""

    project: str = "bfc"
    """Used where no study names the project."""
    group: str | None = None
    """Group of the runs; null for the size of the study."""
    live: bool = False
    """Whether a cell is also shown while it runs, after every stored stack."""
    figures: bool = True
    """Whether figures are shown as images."""
    patience: float = 120.0
    """Seconds that a finished cell waits for Trackio before it goes on without."""

    _open: dict[str, tuple[Any, int]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Key → the run that is still open, and how many records it has."""

    def __post_init__(self) -> None:
        check_shared_settings(self)

    def check(self) -> None:
        """Refuse where the package is not installed, or its folder cannot be written."""
        require_package("trackio", "tracker=trackio", "trackio", " or set tracker=none")
        if folder := os.environ.get("TRACKIO_DIR"):
            local_path(folder, "TRACKIO_DIR")
            obstacle = find_obstacle(Path(folder).absolute())  # Trackio fills in no ~
            if obstacle is not None:
                raise UserError(f"TRACKIO_DIR={folder}: cannot be written, {obstacle}")

    def destination(self, study: str | None) -> str | None:
        """Where the runs of a study go, as a name: always a database of this machine."""
        for variable in REMOTE_VARIABLES:
            os.environ.pop(variable, None)
        return project_name(study or self.project)

    def show(self, snapshot: Snapshot) -> str | None:
        """Write the run anew, or go on with the one that is open.

        Returns the folder of the database; None while the cell still runs.
        """
        from trackio.utils import TRACKIO_DIR

        if snapshot.key in self._open:
            run, logged = self._open.pop(snapshot.key)
        else:
            run, logged = self._start_run(snapshot), 0
        for step, record in enumerate(snapshot.history[logged:], logged + 1):
            run.log(record, step=step)
        if snapshot.state == "running":
            self._open[snapshot.key] = run, len(snapshot.history)
            return None
        final_record = {**snapshot.summary, **self._build_media(snapshot)}
        run.log(final_record, step=len(snapshot.history) + 1)
        run.finish()
        return str(Path(TRACKIO_DIR).resolve())

    def close(self) -> None:
        """End the runs of cells whose process has ended."""
        for run, _ in self._open.values():
            run.finish()
        self._open.clear()

    def _start_run(self, snapshot: Snapshot) -> Any:
        """A new run in place of any of the same cell."""
        import trackio

        project = project_name(snapshot.project or self.project)
        name = f"{snapshot.name} {snapshot.key}"
        _delete_runs(project, name)
        config = {
            **snapshot.config,
            "job_type": snapshot.job_type,
            "tags": list(snapshot.tags),
            "commit": snapshot.commit,
        }
        return trackio.init(
            project=project,
            name=name,
            group=self.group or snapshot.group or snapshot.job_type,
            config=config,
            resume="never",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def _build_media(self, snapshot: Snapshot) -> dict[str, Any]:
        """Tables, images and texts as Trackio's objects."""
        import trackio

        media: dict[str, Any] = {}
        for name, table in snapshot.tables.items():
            columns, rows = to_json_rows(table)
            records: list[Any] = [dict(zip(columns, row, strict=True)) for row in rows]
            media[f"tables/{name}"] = trackio.Table(data=records)
        if self.figures and snapshot.images:
            from PIL import Image

            for name, png in snapshot.images.items():
                image = Image.open(io.BytesIO(png))
                media[f"figures/{name}"] = trackio.Image(image, caption=name)
        for name, text in snapshot.texts.items():
            media[f"files/{name}"] = trackio.Markdown(f"```\n{text}\n```")
        return media


def _delete_runs(project: str, name: str) -> None:
    """Delete the runs of a name; a project that does not exist yet has none."""
    import trackio

    try:
        runs = [run for run in trackio.Api().runs(project) if run.name == name]
    except ValueError:
        return
    for run in runs:
        run.delete()
