"""Weights & Biases as a view: one run per cell whose id is the cell's, written from the store.
Offline without a key or a network. A run that exists online is gone on with where it ends, so that
the same cell can be shown any number of times."""

from __future__ import annotations

import functools
import importlib.util
import io
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from bfc.errors import UserError, require
from bfc.paths import CONF, PACKAGE, SWEEPS, analysis_folder
from bfc.snapshot import STUDY, Snapshot, plain, project_name

CLOUD = "https://api.wandb.ai"
MODES = ("online", "offline", "disabled")
REACH_SECONDS = 3.0
STEP = "trainings"
"""The x axis of every metric: trainings done."""


@dataclass(frozen=True)
class Wandb:
    """``mode``: online, offline, disabled or auto: what WANDB_MODE says, else online where W&B has
    a key (WANDB_API_KEY or ``wandb login``) and its server answers, else offline. Keys are W&B's to
    find: none can be given here."""

    project: str = "bfc"
    """Used where no study names the project."""
    entity: str | None = None
    """User or team; null for W&B's default."""
    group: str | None = None
    """Group of the runs; null for the size of the study."""
    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    directory: str = "."
    """Where W&B keeps its ``wandb`` folder."""
    live: bool = False
    """Also while a cell runs, after every stored stack."""
    figures: bool = True
    """Figures as images and the study's code; metrics, tables and files always are."""
    patience: float = 120.0
    """Seconds that a finished cell waits for W&B before it goes on without."""
    _open: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _trial: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

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
        if importlib.util.find_spec("wandb") is None:
            raise UserError(
                "tracker=wandb: the package wandb is not installed; install it or set tracker=none"
            )

    def destination(self, study: str | None) -> str | None:
        """Where the runs of a study go, as a name; None where nothing is to be shown."""
        mode = self.resolved()
        if mode == "disabled":
            return None
        agent = os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID")
        where = server().netloc if mode == "online" else mode
        return "-".join(
            filter(None, [where, self.entity, project_name(study or self.project), agent])
        )

    def show(self, view: Snapshot) -> str | None:
        """Bring the run up to the view, and end it unless the cell is still running. Returns its
        address, or its file if offline."""
        if os.environ.get(
            "WANDB_SWEEP_ID"
        ):  # an agent's trial is one run, whatever it is asked to be
            self._trial.append(view.key)
            if self._trial[0] != view.key:
                raise UserError(
                    "a trial of a W&B agent shows one cell; set baseline=none, or give the baseline a sweep of its own"
                )
        run = self._open.pop(view.key, None) or self._begin(view)
        try:
            if view.state != "running":
                return self._end(run, view)
            for step, record in _fresh(run, view)[
                :-1
            ]:  # the last one waits, so that it can be logged with the tables at the end
                run.log(record, step=step, commit=True)
            self._open[view.key] = run
            return None
        except BaseException:
            with suppress(Exception):  # what is raised matters, not that ending the run failed too
                run.finish(exit_code=1)
            raise

    def _end(self, run: Any, view: Snapshot) -> str:
        """Everything of the view, and the end of the run."""
        media, fresh = self._media(view), _fresh(run, view)
        for step, record in fresh[:-1]:
            run.log(record, step=step, commit=True)
        if fresh or view.job_type == STUDY:
            step, record = fresh[-1] if fresh else (_next(run), {})
            run.log({**record, **media}, step=step, commit=True)
        else:
            run.summary.update(media)
        run.summary.update(view.summary)
        self._files(run, view)
        where = (
            run.url if self.resolved() == "online" else str(Path(run.settings.sync_file).resolve())
        )
        run.finish(exit_code=0 if view.state == "done" else 1)
        return where

    def close(self) -> None:
        """End runs of cells whose process is gone, as failed."""
        for run in self._open.values():
            run.finish(exit_code=1)
        self._open.clear()

    def _begin(self, view: Snapshot) -> Any:
        import wandb

        online = self.resolved() == "online"
        place = Path(
            self.directory
        ).absolute()  # W&B's own process stays in the folder in which it was started
        place.mkdir(parents=True, exist_ok=True)
        wandb.setup(wandb.Settings(x_service_wait=self.patience))
        settings = wandb.Settings(
            silent=True,
            console="off",
            init_timeout=self.patience,
            finish_timeout=self.patience,
            finish_timeout_raises=True,
            x_disable_stats=True,
            disable_git=True,
            git_commit=view.commit,
            save_code=False,
            x_save_requirements=False,
        )
        run = wandb.init(
            project=project_name(view.project or self.project),
            entity=self.entity,
            id=view.key,
            dir=str(place),
            name=view.name,
            group=self.group or view.group,
            job_type=view.job_type,
            tags=list(view.tags),
            config=view.config,
            mode=self.resolved(),
            resume="allow" if online else None,
            reinit="create_new",
            settings=settings,
        )
        run.define_metric(STEP)
        run.define_metric("*", step_metric=STEP)
        return run

    def _media(self, view: Snapshot) -> dict[str, Any]:
        """Tables and images as W&B's objects."""
        import wandb

        tables = {name: plain(table) for name, table in view.tables.items()}
        media: dict[str, Any] = {
            f"tables/{name}": wandb.Table(columns=columns, data=rows, allow_mixed_types=True)
            for name, (columns, rows) in tables.items()
        }
        if self.figures and view.images:
            from PIL import Image

            media |= {
                f"figures/{name}": wandb.Image(Image.open(io.BytesIO(png)), caption=name)
                for name, png in view.images.items()
            }
        return media

    def _files(self, run: Any, view: Snapshot) -> None:
        """The texts as files of the run; the study's run also has the program."""
        folder = Path(run.dir) / "cell"
        folder.mkdir(exist_ok=True)
        for name, text in view.texts.items():
            (folder / name).write_text(text)
            run.save(str(folder / name), base_path=run.dir, policy="now")
        if view.job_type == STUDY and self.figures:
            with tempfile.TemporaryDirectory() as code:
                _copy_program(Path(code))
                run.log_code(
                    code, name="code", include_fn=lambda path: path.endswith((".py", ".yaml"))
                )

    def resolved(self) -> str:
        """The mode that ``auto`` comes to here."""
        if self.mode != "auto":
            return self.mode
        asked = os.environ.get("WANDB_MODE", "").lower()
        return asked if asked in MODES else "online" if has_key() and answers() else "offline"


def _fresh(run: Any, view: Snapshot) -> list[tuple[int, dict[str, float]]]:
    """The steps of the history that the run does not have yet."""
    first = _next(run)
    return [(step, record) for step, record in enumerate(view.history, 1) if step >= first]


def _next(run: Any) -> int:
    """The step after the last one; a run that goes on counts from 0 until something is logged."""
    return max(run.step, run.starting_step)


def _copy_program(folder: Path) -> None:
    """The Python and YAML files of this program; what else its folders hold, and site-packages, is
    left out."""
    for source in (PACKAGE, analysis_folder(), CONF, SWEEPS):
        for path in source.rglob("*"):
            if path.suffix in (".py", ".yaml"):
                copy = folder / source.name / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


def server() -> Any:
    return urlsplit(os.environ.get("WANDB_BASE_URL", CLOUD))


def has_key() -> bool:
    """Whether W&B would find a key; which one is W&B's business alone."""
    import netrc

    if os.environ.get("WANDB_API_KEY"):
        return True
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return netrc.netrc(path).authenticators(server().hostname or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False


@functools.cache
def answers() -> bool:
    """Whether the server can be reached, or is behind a proxy, which cannot be told from here."""
    at = server()
    if any(
        os.environ.get(name)
        for name in (
            "HTTPS_PROXY",
            "https_proxy",
            "HTTP_PROXY",
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
        )
    ):
        return True
    try:
        socket.create_connection(
            (at.hostname or "", at.port or (80 if at.scheme == "http" else 443)), REACH_SECONDS
        ).close()
    except OSError:
        return False
    return True
