"""Where Hydra reads configuration files: its own folder, the studies, and the options of a site.

Parsing YAML is most of the time of a composition, and a sweep composes the same files many times
over, so every file is parsed once for each content that it has.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import yaml
from hydra._internal.core_plugins import file_config_source
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from bfc.errors import UserError
from bfc.paths import SITE, SWEEPS

_parsed: dict[tuple[str, Path, bytes], bytes] = {}
"""(Provider, file, content) → the pickled result, since Hydra changes what it gets."""


def parse_once(provider: str, file: Path, parse: Callable[[], ConfigResult]) -> ConfigResult:
    """A fresh copy of what ``parse`` makes of a file.

    Raises :class:`UserError` naming the file where it is no YAML, or in ``sweeps/`` and no study.
    """
    key = (provider, file, file.read_bytes())
    if key not in _parsed:
        try:
            parsed = parse()
        except (ValueError, RecursionError, yaml.reader.ReaderError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{file}: cannot be read as a configuration ({reason})") from error
        if file.parent.name == StudySource.GROUP:
            _check_study_file(file, parsed)
        _parsed[key] = pickle.dumps(parsed)
    result = pickle.loads(_parsed[key])
    assert isinstance(result, ConfigResult)
    return result


def _check_study_file(file: Path, parsed: ConfigResult) -> None:
    if parsed.header.get("package") != "_global_":
        raise UserError(f"{file}: is no study; its first line must be # @package _global_")
    if not isinstance(parsed.config, DictConfig) or "study" not in parsed.config:
        raise UserError(f"{file}: is no study; must be a mapping with the key study")


class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's source of files, each parsed once.

    It has the name of Hydra's class, since Hydra refuses another name for the same scheme.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        file = Path(self.path) / self._normalize_file_name(config_path)
        if not file.is_file():
            return super().load_config(config_path)
        parse = super().load_config
        return parse_once(self.provider, file, lambda: parse(config_path))


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
        return parse_once(self.provider, file, lambda: self._parse(file))

    def _parse(self, file: Path) -> ConfigResult:
        header = self._get_header_dict(file.read_text(encoding="utf-8"))
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
