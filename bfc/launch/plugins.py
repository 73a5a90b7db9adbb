"""What this program adds to Hydra: the studies on the search path, a sweeper that expands a study's blocks and checks every cell
before the first one runs, and the local launcher. Registered with Hydra's plugin manager when the entry point starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from bfc import config as bfc_config
from bfc.errors import UserError, nearest
from bfc.launch.folders import SWEEPS


class StudySearchPath(SearchPathPlugin):
    """Makes ``+sweeps=<study>`` resolve to the files of ``sweeps/``."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append(provider="bfc", path=f"file://{SWEEPS.parent}")


class StudySweeper(BasicSweeper):
    """Hydra's basic sweeper over the blocks of a study. A block is a mapping of overrides, each value a single one or a comma
    list; a study is the union of its blocks' grids; the command line is applied on top of every block."""

    def sweep(self, arguments: list[str]) -> Any:
        """Compose and check every job, then launch them together; nothing is written before all have passed."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        jobs: dict[tuple[str, ...], list[str]] = {}
        for block in blocks(self.config):
            parsed = parser.parse_overrides([*self._parse_config(), *block, *arguments])
            for batch in self.split_arguments(parsed, None):
                jobs.update({tuple(overrides): overrides for overrides in batch})
        overrides = list(jobs.values())
        for each in overrides:
            composed = self.hydra_context.config_loader.load_sweep_config(self.config, each)
            with_hydra = OmegaConf.to_container(OmegaConf.masked_copy(composed, [k for k in composed if k != "hydra"]), resolve=True)
            bfc_config.load(with_hydra)
        size = self.max_batch_size or len(overrides)
        returns = []
        for start in range(0, len(overrides), size):
            results = self.launcher.launch(overrides[start : start + size], initial_job_idx=start)
            for result in results:
                _ = result.return_value
            returns.append(results)
        return returns


def blocks(config: Any) -> list[list[str]]:
    """The override lists of the chosen size of the study in ``config``; one empty block where there is no study."""
    study = config.get("study")
    if study is None:
        return [[]]
    study = OmegaConf.to_container(study, resolve=True)
    if not isinstance(study, Mapping) or not isinstance(study.get("sizes"), Mapping):
        raise UserError("study: must hold a name, a size and the sizes of a file under sweeps/")
    size = study.get("size")
    if size not in study["sizes"]:
        raise UserError(f"study.size={size}: no such size; {nearest(str(size), study['sizes'])}")
    return [[f"{key}={_text(value)}" for key, value in block.items()] for block in study["sizes"][size]]


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(_text(v) for v in value) + "]"
    return str(value)


def register() -> None:
    """Tell Hydra's plugin manager; safe to call again."""
    from bfc.launch.local import LocalLauncher

    for plugin in (StudySearchPath, StudySweeper, LocalLauncher):
        Plugins.instance().register(plugin)
