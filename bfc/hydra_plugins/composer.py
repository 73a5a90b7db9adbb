"""Jobs of a sweep composed fast: those that choose the same group options share one composition."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf


class Composer:
    """Jobs of a sweep as plain containers, resolved, without Hydra's own node. Jobs that choose the
    same group options share one composition, to which their other values are applied: composing is
    by far the slowest part of planning a large sweep."""

    def __init__(self, loader: Any, config: DictConfig) -> None:
        self.loader, self.config = loader, config
        self.parser = OverridesParser.create(config_loader=loader)
        self.shared: dict[tuple[str, ...], dict[str, Any]] = {}
        self.groups: dict[str, bool] = {}
        self.parsed: dict[str, Override] = {}

    def job(self, overrides: Sequence[str]) -> dict[str, Any]:
        """Raises Hydra's errors for what cannot be composed."""
        new = [text for text in overrides if text not in self.parsed]
        self.parsed |= dict(zip(new, self.parser.parse_overrides(new), strict=True))
        plain = {text: self.parsed[text] for text in overrides if self._is_value(self.parsed[text])}
        choices = tuple(text for text in overrides if text not in plain)
        if choices not in self.shared:
            self.shared[choices] = self._compose(choices)
        job = copy.deepcopy(self.shared[choices])
        if all(
            _set(job, override.key_or_group.split("."), override.value())
            for override in plain.values()
        ):
            return (
                OmegaConf.to_container(OmegaConf.create(job), resolve=True)
                if "${" in str(job)
                else job
            )
        return OmegaConf.to_container(
            OmegaConf.create(self._compose(overrides)), resolve=True
        )  # in full, so that Hydra says what is wrong

    def _is_value(self, override: Override) -> bool:
        """Whether an override sets a key that exists anyway, to a value."""
        key = override.key_or_group
        if key not in self.groups:
            self.groups[key] = bool(self.loader.get_group_options(key))
        return (
            override.type == OverrideType.CHANGE
            and override.package is None
            and not self.groups[key]
            and not key.startswith("hydra.")
        )

    def _compose(self, overrides: Sequence[str]) -> dict[str, Any]:
        composed = self.loader.load_sweep_config(self.config, list(overrides))
        return OmegaConf.to_container(
            OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"])
        )


def _set(node: Any, path: list[str], value: Any) -> bool:
    """Set a key of nested mappings; False, with nothing done, where it does not exist or mappings
    would have to be merged."""
    for name in path[:-1]:
        node = node.get(name) if isinstance(node, dict) else None
    if (
        not isinstance(node, dict)
        or path[-1] not in node
        or (isinstance(node[path[-1]], dict) and isinstance(value, dict))
    ):
        return False
    node[path[-1]] = value
    return True
