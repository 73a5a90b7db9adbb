"""Weights & Biases as a view: one run per cell whose id is the cell's, written from the store.

It is offline without a key or a network. A run that exists online goes on where it ended, so that
the same cell can be shown any number of times.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bfc.errors import UserError
from bfc.extras import require_package
from bfc.paths import CONF, PACKAGE, SWEEPS, analysis_folder, find_obstacle, local_path
from bfc.snapshot import STUDY, Snapshot, project_name, to_json_rows
from bfc.trackers import wandb_login
from bfc.trackers.settings import check_shared_settings
from bfc.types import Tracker

Mode = Literal["online", "offline", "disabled"]
MODES: tuple[Mode, ...] = ("online", "offline", "disabled")
STEP = "trainings"
"""The x axis of every metric: trainings done."""
PROGRAM_SUFFIXES = (".py", ".yaml")


@dataclass(frozen=True)
class Wandb(Tracker):
    """Weights & Biases; keys are W&B's to find, none can be given here."""

    project: str = "bfc"
    """Used where no study names the project."""
    entity: str | None = None
    """User or team; null for W&B's default."""
    group: str | None = None
    """Group of the runs; null for the size of the study."""
    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    """``auto``: what WANDB_MODE says; else online where W&B has a key (WANDB_API_KEY or
    ``wandb login``) and its server answers, else offline."""
    directory: str | None = None
    """Where W&B keeps its ``wandb`` folder; null for WANDB_DIR, else the working directory."""
    live: bool = False
    """Whether a cell is also shown while it runs, after every stored stack."""
    figures: bool = True
    """Whether figures (as images) and the study's code are shown; the rest always is."""
    patience: float = 120.0
    """Seconds that a finished cell waits for W&B before it goes on without."""
    _open: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Key → the run that is still open."""
    _trial_keys: list[str] = field(default_factory=list, init=False, repr=False, compare=False)
    """The keys that were shown in a trial of a W&B agent."""

    def __post_init__(self) -> None:
        check_shared_settings(self)

    def check(self) -> None:
        """Refuse where the package is not installed."""
        require_package("wandb", "tracker=wandb", "wandb", " or set tracker=none")
        if self.mode != "disabled":
            self._check_folder()

    def folder(self) -> Path:
        """Where W&B keeps its ``wandb`` folder, absolute."""
        if self.directory is not None:
            return local_path(self.directory, "tracker.directory").absolute()
        return local_path(os.environ.get("WANDB_DIR") or ".", "WANDB_DIR").absolute()

    def _check_folder(self) -> None:
        """Refuse a folder that cannot be written, for which W&B would take a temporary one."""
        folder = self.folder()
        if obstacle := find_obstacle(folder):
            is_from_environment = self.directory is None and bool(os.environ.get("WANDB_DIR"))
            key = "WANDB_DIR" if is_from_environment else "tracker.directory"
            raise UserError(
                f"{key}={folder}: cannot be written, {obstacle}; name another with "
                "tracker.directory or WANDB_DIR"
            )

    def resolve_mode(self) -> Mode:
        """The mode that ``auto`` means here."""
        if self.mode != "auto":
            return self.mode
        requested = os.environ.get("WANDB_MODE", "").lower()
        for mode in MODES:
            if requested == mode:
                return mode
        if wandb_login.has_key() and wandb_login.is_server_reachable():
            return "online"
        return "offline"

    def destination(self, study: str | None) -> str | None:
        """Where the runs of a study go, as a name; None where nothing is to be shown."""
        mode = self.resolve_mode()
        if mode == "disabled":
            return None
        in_sweep = os.environ.get("WANDB_SWEEP_ID")
        agent_run = os.environ.get("WANDB_RUN_ID") if in_sweep else None
        place = wandb_login.server_url().netloc if mode == "online" else mode
        parts = [place, self.entity, project_name(study or self.project), agent_run]
        return "-".join(part for part in parts if part)

    def show(self, snapshot: Snapshot) -> str | None:
        """Bring the run up to the snapshot, and end it unless the cell is still running.

        Returns the run's address, or its file if offline; None while the cell runs.
        """
        self._check_trial(snapshot.key)
        run = self._open.pop(snapshot.key, None) or self._start_run(snapshot)
        try:
            if snapshot.state != "running":
                return self._finish_run(run, snapshot)
            # The last record waits, so that it can be logged with the tables at the end.
            _log_records(run, _missing_records(run, snapshot)[:-1])
            self._open[snapshot.key] = run
            return None
        except BaseException:
            with suppress(Exception):  # what is raised matters, not that ending the run failed too
                run.finish(exit_code=1)
            raise

    def close(self) -> None:
        """End the runs of cells whose process has ended, as failed."""
        for run in self._open.values():
            run.finish(exit_code=1)
        self._open.clear()

    def _check_trial(self, key: str) -> None:
        """Refuse a second cell in a trial of a W&B agent, which is one run."""
        if not os.environ.get("WANDB_SWEEP_ID"):
            return
        self._trial_keys.append(key)
        if self._trial_keys[0] != key:
            raise UserError(
                "a trial of a W&B agent shows one cell; "
                "set baseline=none, or give the baseline a sweep of its own"
            )

    def _start_run(self, snapshot: Snapshot) -> Any:
        import wandb

        mode = self.resolve_mode()
        # W&B's own process stays in the folder in which it was started.
        self._check_folder()
        directory = self.folder()
        directory.mkdir(parents=True, exist_ok=True)
        wandb.setup(wandb.Settings(x_service_wait=self.patience))
        run = wandb.init(
            project=project_name(snapshot.project or self.project),
            entity=self.entity,
            id=snapshot.key,
            dir=str(directory),
            name=snapshot.name,
            group=self.group or snapshot.group,
            job_type=snapshot.job_type,
            tags=list(snapshot.tags),
            config=snapshot.config,
            mode=mode,
            resume="allow" if mode == "online" else None,
            reinit="create_new",
            settings=self._run_settings(snapshot.commit),
        )
        run.define_metric(STEP)
        run.define_metric("*", step_metric=STEP)
        return run

    def _run_settings(self, commit: str | None) -> Any:
        """Settings of a run: quiet, bounded in time, and without anything that is not asked for."""
        import wandb

        return wandb.Settings(
            silent=True,
            console="off",
            init_timeout=self.patience,
            finish_timeout=self.patience,
            finish_timeout_raises=True,
            x_disable_stats=True,
            disable_git=True,
            git_commit=commit,
            save_code=False,
            x_save_requirements=False,
        )

    def _finish_run(self, run: Any, snapshot: Snapshot) -> str:
        """Send everything of the snapshot and end the run; returns its address or file."""
        media = self._build_media(snapshot)
        records = _missing_records(run, snapshot)
        _log_records(run, records[:-1])
        if records or snapshot.job_type == STUDY:
            step, record = records[-1] if records else (_next_step(run), {})
            run.log({**record, **media}, step=step, commit=True)
        else:
            run.summary.update(media)
        run.summary.update(snapshot.summary)
        self._save_files(run, snapshot)
        online = self.resolve_mode() == "online"
        address = run.url if online else str(Path(run.settings.sync_file).resolve())
        run.finish(exit_code=0 if snapshot.state == "done" else 1)
        return str(address)

    def _build_media(self, snapshot: Snapshot) -> dict[str, Any]:
        """Tables and images as W&B's objects."""
        import wandb

        media: dict[str, Any] = {}
        for name, table in snapshot.tables.items():
            columns, rows = to_json_rows(table)
            media[f"tables/{name}"] = wandb.Table(
                columns=[*columns], data=rows, allow_mixed_types=True
            )
        if self.figures and snapshot.images:
            from PIL import Image

            for name, png in snapshot.images.items():
                image = Image.open(io.BytesIO(png))
                media[f"figures/{name}"] = wandb.Image(image, caption=name)
        return media

    def _save_files(self, run: Any, snapshot: Snapshot) -> None:
        """Send the texts as files of the run, and the program with the run of a study."""
        folder = Path(run.dir) / "cell"
        folder.mkdir(exist_ok=True)
        for name, text in snapshot.texts.items():
            (folder / name).write_text(text, encoding="utf-8")
            run.save(str(folder / name), base_path=run.dir, policy="now")
        if snapshot.job_type == STUDY and self.figures:
            with tempfile.TemporaryDirectory() as code:
                _copy_program(Path(code))
                run.log_code(code, name="code", include_fn=_is_program_file)


def _log_records(run: Any, records: list[tuple[int, dict[str, float]]]) -> None:
    for step, record in records:
        run.log(record, step=step, commit=True)


def _missing_records(run: Any, snapshot: Snapshot) -> list[tuple[int, dict[str, float]]]:
    """The records of the history that the run does not have yet, each with its step."""
    first = _next_step(run)
    steps = enumerate(snapshot.history, 1)
    return [(step, record) for step, record in steps if step >= first]


def _next_step(run: Any) -> int:
    """The step after the last one.

    A run that goes on counts from 0 until something is logged.
    """
    return max(int(run.step), int(run.starting_step))


def _copy_program(folder: Path) -> None:
    """Copy the Python and YAML files of this program, and nothing else of its folders."""
    for source in (PACKAGE, analysis_folder(), CONF, SWEEPS):
        for path in source.rglob("*"):
            if _is_program_file(str(path)):
                copy = folder / source.name / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


def _is_program_file(path: str) -> bool:
    return path.endswith(PROGRAM_SUFFIXES)
