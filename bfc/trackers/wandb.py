"""A Weights & Biases view of a cell: one run per cell, id = cell id, offline without a key. W&B being absent, slow or broken never
touches a result: the store is written first and independently."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bfc.errors import UserError, require


@dataclass(frozen=True)
class Wandb:
    """``mode``: online, offline, disabled or auto: what WANDB_MODE says, else online where WANDB_API_KEY is set, else offline."""

    project: str = "bfc"
    """Used where no study names the project."""
    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    directory: str = "."
    """Where W&B keeps its ``wandb`` folder."""
    entity: str | None = None

    def __post_init__(self) -> None:
        require(bool(self.project.strip()), "tracker.project", self.project, "a project name")

    def open(self, cell_id: str, config: Mapping[str, Any], resumed: bool) -> None:
        try:
            import wandb
        except ImportError as error:
            raise UserError(f"tracker=wandb: the package wandb cannot be imported ({error}); install it or set tracker=none") from error
        run = wandb.init(project=config.get("study") or self.project, entity=self.entity, id=cell_id, dir=self.directory,
                         name=f"{config['method']} d={config['d']} L={config['L']}", group=config.get("study") or "single",
                         job_type=config["kind"], tags=[config["target_name"]], config=dict(config), mode=self._mode(),
                         resume=None if self._mode() != "online" else "allow", reinit="create_new",
                         settings=wandb.Settings(silent=True, console="off"))
        run.define_metric("n")
        run.define_metric("risk", step_metric="n")
        object.__setattr__(self, "_run", run)

    def _mode(self) -> str:
        if self.mode != "auto":
            return self.mode
        asked = os.environ.get("WANDB_MODE", "").lower()
        return asked if asked in ("online", "offline", "disabled") else "online" if os.environ.get("WANDB_API_KEY") else "offline"

    def log(self, values: Mapping[str, float]) -> None:
        self._run.log(dict(values))

    def close(self, rows: Iterable[Mapping[str, Any]], nstar: Iterable[Mapping[str, Any]]) -> None:
        import wandb

        nstar = list(nstar)
        for line in nstar:
            for name in ("nstar", "lo", "hi"):
                self._run.summary[f"{name}@{line['eps']:g}"] = line[name]
        columns = ["kind", "n", "seed", "risk", "outcome"]
        table = wandb.Table(columns=columns, data=[[row.get(c) for c in columns] for row in rows])
        self._run.log({"trainings": table})
        self._run.finish()
