"""Fast composition of the jobs of a sweep.

Composing with Hydra is by far the slowest part of planning a large sweep, so jobs that choose the
same group options share one composition.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict

from bfc.errors import UserError

_HYDRA_KEY = re.compile(r"\$\{hydra:([\w.]+)\}")
HYDRA_KEYS = ("job.num", "job.id", "job.override_dirname", "runtime.cwd", "runtime.choices.target")
"""Examples of what ``${hydra:...}`` can stand for."""


class Composer:
    """Composes jobs as plain containers, resolved, without Hydra's own node.

    Jobs that choose the same group options share one composition, to which their other values are
    applied.
    """

    def __init__(self, loader: Any, config: DictConfig) -> None:
        self.loader, self.config = loader, config
        self._parser = OverridesParser.create(config_loader=loader)
        self._compositions: dict[tuple[str, ...], bytes] = {}
        """By the overrides that are not plain values; pickled, which is the fastest copy."""
        self._is_group: dict[str, bool] = {}
        self._parsed: dict[str, Override] = {}

    def job(self, overrides: Sequence[str], number: int = 0) -> dict[str, Any]:
        """Compose one job; raises Hydra's errors for what cannot be composed.

        ``number``: of the job in its sweep, which ``${hydra:job.num}`` stands for.
        """
        self._parse(overrides)
        values: list[Override] = []
        choices: list[str] = []
        for text in overrides:
            override = self._parsed[text]
            if self._is_value(override):
                values.append(override)
            else:
                choices.append(text)
        job = self._compose_shared(tuple(choices))
        is_complete = _set_values(job, values)
        if "${hydra:" in str(job) or any("${hydra:" in text for text in overrides):
            return self._resolve_with_hydra(overrides, number)
        if is_complete:
            # Only interpolations need OmegaConf, which is slow.
            return _resolve(job) if "${" in str(job) else job
        # Compose in full, so that Hydra reports what is wrong.
        return _resolve(self._compose(overrides))

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Compose in full, with Hydra's own node."""
        config = self.loader.load_sweep_config(self.config, list(overrides))
        assert isinstance(config, DictConfig)
        return config

    def _resolve_with_hydra(self, overrides: Sequence[str], number: int) -> dict[str, Any]:
        """Compose a job that refers to Hydra's own node, as Hydra does when it runs the job."""
        config = self.compose(overrides)
        with open_dict(config):
            config.hydra.job.num, config.hydra.job.id = number, str(number)
        for key in _HYDRA_KEY.findall(str(_to_dict(config, resolve=False))):
            if OmegaConf.select(config.hydra, key) is None:
                allowed = ", ".join(HYDRA_KEYS)
                raise UserError(
                    f"${{hydra:{key}}}: is not known in a sweep; allowed: {allowed} ..."
                )
        HydraConfig.instance().set_config(config)
        keys = [str(key) for key in config if key != "hydra"]
        return _to_dict(OmegaConf.masked_copy(config, keys), resolve=True)

    def _parse(self, overrides: Sequence[str]) -> None:
        new = [text for text in overrides if text not in self._parsed]
        self._parsed |= dict(zip(new, self._parser.parse_overrides(new), strict=True))

    def _is_value(self, override: Override) -> bool:
        """Whether an override changes the value of a key of the configuration."""
        key = override.key_or_group
        if key not in self._is_group:
            self._is_group[key] = bool(self.loader.get_group_options(key))
        is_plain_change = override.type == OverrideType.CHANGE and override.package is None
        return is_plain_change and not self._is_group[key] and not key.startswith("hydra.")

    def _compose_shared(self, choices: tuple[str, ...]) -> dict[str, Any]:
        """A copy of the composition that jobs with these options share."""
        if choices not in self._compositions:
            self._compositions[choices] = pickle.dumps(self._compose(choices))
        shared: dict[str, Any] = pickle.loads(self._compositions[choices])
        return shared

    def _compose(self, overrides: Sequence[str]) -> dict[str, Any]:
        config = self.compose(overrides)
        keys = [str(key) for key in config if key != "hydra"]
        return _to_dict(OmegaConf.masked_copy(config, keys), resolve=False)


def _resolve(job: Mapping[str, Any]) -> dict[str, Any]:
    """The container with its interpolations filled in."""
    return _to_dict(OmegaConf.create(dict(job)), resolve=True)


def _to_dict(config: DictConfig, resolve: bool) -> dict[str, Any]:
    container = OmegaConf.to_container(config, resolve=resolve)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def _set_values(job: dict[str, Any], overrides: Sequence[Override]) -> bool:
    """Apply overrides to a job; False as soon as one cannot be applied."""
    for override in overrides:
        if not _set_value(job, override.key_or_group.split("."), override.value()):
            return False
    return True


def _set_value(job: dict[str, Any], path: Sequence[str], value: Any) -> bool:
    """Set a key of nested mappings.

    False, with nothing done, where it does not exist or mappings would have to be merged.
    """
    node: Any = job
    for name in path[:-1]:
        node = node.get(name) if isinstance(node, dict) else None
    name = path[-1]
    if not isinstance(node, dict) or name not in node:
        return False
    if isinstance(node[name], dict) and isinstance(value, dict):
        return False
    node[name] = value
    return True
