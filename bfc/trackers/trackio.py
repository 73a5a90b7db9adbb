"""Trackio as a view: a dashboard on this machine, without an account. One run per cell, written
from the store into Trackio's own database (TRACKIO_DIR); look at it with ``trackio show``."""

from __future__ import annotations

import importlib.util
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bfc.errors import UserError, require
from bfc.snapshot import Snapshot, plain, project_name


@dataclass(frozen=True)
class Trackio:
    """An optional extra: ``pip install 'bfc[trackio]'``."""

    project: str = "bfc"
    """Used where no study names the project."""
    group: str | None = None
    """Group of the runs; null for the size of the study."""
    live: bool = False
    """Also while a cell runs, after every stored stack."""
    figures: bool = True
    patience: float = 120.0
    """Seconds that a finished cell waits for Trackio before it goes on without."""

    _open: dict[str, tuple[Any, int]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        require(bool(self.project.strip()), "tracker.project", self.project, "a project name")
        require(
            0 < self.patience <= 86400,
            "tracker.patience",
            self.patience,
            "a number of seconds > 0, at most a day",
        )

    def check(self) -> None:
        """Refuse where the package is not installed."""
        if importlib.util.find_spec("trackio") is None:
            raise UserError(
                "tracker=trackio: the package trackio is not installed; pip install 'bfc[trackio]' or set tracker=none"
            )

    def destination(self, study: str | None) -> str | None:
        """Where the runs of a study go, as a name: always a database of this machine."""
        for name in (
            "TRACKIO_SPACE_ID",
            "TRACKIO_SERVER_URL",
        ):  # elsewhere, what was shown before cannot be replaced
            os.environ.pop(name, None)
        return project_name(study or self.project)

    def show(self, view: Snapshot) -> str | None:
        """Write the run anew, or go on with the one that is open. Returns the folder of the
        database."""
        import trackio
        from trackio.utils import TRACKIO_DIR

        run, told = self._open.pop(view.key, None) or (self._begin(view), 0)
        for step, record in enumerate(view.history[told:], told + 1):
            run.log(record, step=step)
        if view.state == "running":
            self._open[view.key] = run, len(view.history)
            return None
        media: dict[str, Any] = {
            f"tables/{name}": trackio.Table(
                data=[dict(zip(columns, row, strict=True)) for row in rows]
            )
            for name, (columns, rows) in (
                (name, plain(table)) for name, table in view.tables.items()
            )
        }
        if self.figures and view.images:
            from PIL import Image

            media |= {
                f"figures/{name}": trackio.Image(Image.open(io.BytesIO(png)), caption=name)
                for name, png in view.images.items()
            }
        media |= {
            f"files/{name}": trackio.Markdown(f"```\n{text}\n```")
            for name, text in view.texts.items()
        }
        run.log({**view.summary, **media}, step=len(view.history) + 1)
        run.finish()
        return str(Path(TRACKIO_DIR).resolve())

    def close(self) -> None:
        """End runs of cells whose process is gone."""
        for run, _ in self._open.values():
            run.finish()
        self._open.clear()

    def _begin(self, view: Snapshot) -> Any:
        import trackio

        project, name = project_name(view.project or self.project), f"{view.name} {view.key}"
        try:
            before = [run for run in trackio.Api().runs(project) if run.name == name]
        except ValueError:  # no such project yet
            before = []
        for run in before:
            run.delete()
        config = {
            **view.config,
            "job_type": view.job_type,
            "tags": list(view.tags),
            "commit": view.commit,
        }
        return trackio.init(
            project=project,
            name=name,
            group=self.group or view.group or view.job_type,
            config=config,
            resume="never",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
