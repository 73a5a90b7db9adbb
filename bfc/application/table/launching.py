"""Hands what is missing of the table to a launcher: SLURM, or this machine in the background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bfc.application.table.entries import PlannedEntry
from bfc.errors import UserError
from bfc.experiment.cost import Cost
from bfc.hydra_plugins.local_launcher import LocalLauncher
from bfc.hydra_plugins.plan_launcher import PlanLauncher
from bfc.hydra_plugins.registration import register
from bfc.hydra_plugins.slurm_launcher import SlurmLauncher
from bfc.launch.job import PlannedJob
from bfc.paths import CONF
from bfc.streams import print_line

LAUNCHERS: dict[str, type[PlanLauncher]] = {
    f"hydra_plugins.bfc.{cls.__name__}": cls for cls in (LocalLauncher, SlurmLauncher)
}
"""``_target_`` in conf/hydra/launcher → its class."""


def split_launcher(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Overrides of the launcher, and all others."""
    launcher = [text for text in overrides if text.startswith(("hydra/launcher", "hydra."))]
    return launcher, [text for text in overrides if text not in launcher]


def launch_entries(entries: Sequence[PlannedEntry], launcher: Sequence[str]) -> None:
    """Launch all missing jobs of the entries at once.

    Raises :class:`UserError` where there is no such launcher, or it refuses.
    """
    jobs: list[PlannedJob] = []
    for entry in entries:
        jobs += [request.job for request in entry.list_missing(Cost()).requests]
    if not jobs:
        print_line("everything is stored")
        return
    make_launcher(launcher).launch_plan(jobs)


def make_launcher(overrides: Sequence[str]) -> PlanLauncher:
    """The launcher that overrides such as ``hydra/launcher=slurm`` describe."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", list(overrides), return_hydra_config=True)
        node = OmegaConf.to_container(config.hydra.launcher, resolve=True)
    assert isinstance(node, dict)
    options: dict[str, Any] = {str(name): value for name, value in node.items()}
    path = options.pop("_target_", None)
    if path not in LAUNCHERS:
        raise UserError(f"hydra/launcher: {path} cannot plan; allowed: local, slurm")
    return LAUNCHERS[path](**options)
