"""Registers this program's plugins with Hydra, and composes a sweep without running it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

from hydra import compose, initialize_config_dir
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins

from bfc.errors import UserError
from bfc.hydra_plugins.arguments import refuse_digit_groups
from bfc.hydra_plugins.config_sources import FileConfigSource, StudySearchPath, StudySource
from bfc.hydra_plugins.expansion import expand_study
from bfc.hydra_plugins.local_launcher import LocalLauncher
from bfc.hydra_plugins.slurm_launcher import SlurmLauncher
from bfc.hydra_plugins.sweeper import StudySweeper
from bfc.launch.job import PlannedJob
from bfc.paths import CONF


def compose_sweep(arguments: Sequence[str]) -> list[PlannedJob]:
    """The jobs that ``python -m bfc.train -m`` with these arguments would run; runs none."""
    refuse_digit_groups(arguments)
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", list(arguments), return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        return expand_study(config, loader, (), arguments)


def compose_grids(grids: Iterable[Sequence[str]]) -> Generator[list[PlannedJob] | UserError]:
    """The jobs of many sweeps, each of which may name several values of a key; runs none.

    A sweep that is refused yields its error in place of its jobs, and the others go on. Hydra is
    in use until the generator is exhausted or closed.
    """
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        for arguments in grids:
            try:
                yield expand_study(config, loader, (), arguments)
            except UserError as error:
                yield error


def register() -> None:
    """Register the plugins; safe to call again.

    Hydra instantiates plugins only under the name ``hydra_plugins.*``, so they get an alias there,
    which the YAMLs under conf/hydra use. Hydra has no way to replace a source of its own.
    """
    manager = Plugins.instance()
    SourcesRegistry.instance().types[FileConfigSource.scheme()] = FileConfigSource
    manager.register(StudySource)
    manager.register(StudySearchPath)
    for plugin in (StudySweeper, LocalLauncher, SlurmLauncher):
        manager.register(plugin)
        manager.class_name_to_class[f"hydra_plugins.bfc.{plugin.__name__}"] = plugin
