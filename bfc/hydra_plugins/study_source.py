"""What this program adds to Hydra's search path: its studies, and the options of a site."""

from __future__ import annotations

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from bfc.paths import SITE, SWEEPS


class StudySource(ConfigSource):
    """The files of ``sweeps/`` as the config group ``sweeps``.

    A plain search path would have to be the folder above, all of which Hydra would then search for
    groups (minutes for ``--help`` in a checkout).
    """

    GROUP = "sweeps"

    @staticmethod
    def scheme() -> str:
        return "study"

    def available(self) -> bool:
        return Path(self.path).is_dir()

    def is_group(self, config_path: str) -> bool:
        return config_path.strip("/") in ("", self.GROUP)

    def is_config(self, config_path: str) -> bool:
        group, _, name = config_path.rpartition("/")
        return group == self.GROUP and self._file(name).is_file()

    def load_config(self, config_path: str) -> ConfigResult:
        file = self._file(config_path.rpartition("/")[2])
        header = self._get_header_dict(file.read_text())
        return ConfigResult(
            provider=self.provider,
            path=self.full_path(),
            config=OmegaConf.load(file),
            header=header,
        )

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        if config_path.strip("/") == self.GROUP:
            if results_filter == ObjectType.GROUP:
                return []
            return sorted(file.stem for file in Path(self.path).glob("*.yaml"))
        if self.is_group(config_path) and results_filter != ObjectType.CONFIG:
            return [self.GROUP]
        return []

    def _file(self, name: str) -> Path:
        return Path(self.path) / f"{name.removesuffix('.yaml')}.yaml"


class StudySearchPath(SearchPathPlugin):
    """Adds the studies and the site's folder to the search path.

    ``+sweeps=<study>`` then resolves to a file of ``sweeps/``, and a cluster can add its own
    options to the groups of ``conf/``.
    """

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append(provider="bfc", path=f"{StudySource.scheme()}://{SWEEPS}")
        if SITE.is_dir():
            search_path.append(provider="site", path=f"file://{SITE}")
