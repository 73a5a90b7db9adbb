"""From a study to its jobs: every block's grid, with the command line on top."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from bfc.errors import UserError, nearest
from bfc.hydra_plugins.composer import Composer
from bfc.launch.job import PlannedJob, plan_job


def expand_study(
    config: DictConfig, loader: Any, params: Sequence[str], arguments: Sequence[str]
) -> list[PlannedJob]:
    """Compose and check every job of the study in ``config``, or of ``arguments`` alone.

    The overrides of a job are ``params``, then its block, then ``arguments``; later ones win.
    """
    parser = OverridesParser.create(config_loader=loader)
    jobs: dict[tuple[str, ...], None] = {}
    for block in study_blocks(config):
        overrides = parser.parse_overrides([*params, *block, *arguments])
        jobs |= dict.fromkeys(_expand_grid(overrides))
    composer = Composer(loader, config)
    return [plan_job(overrides, composer.job(overrides)) for overrides in jobs]


def _expand_grid(overrides: Sequence[Override]) -> Iterator[tuple[str, ...]]:
    """Every combination of the swept values; a later override of a key replaces an earlier one."""
    values: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            values[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            raise UserError(f"{override.input_line}: must be a list of values or a range")
    return itertools.product(*values.values())


def study_blocks(config: Any) -> list[list[str]]:
    """The override lists of the chosen size of the study; one empty block without a study."""
    node = config.get("study")
    if node is None:
        return [[]]
    study = OmegaConf.to_container(node, resolve=True)
    if not isinstance(study, Mapping) or not isinstance(study.get("sizes"), Mapping):
        raise UserError("study: must hold a name, a size and the sizes of a file under sweeps/")
    size = study.get("size")
    if size not in study["sizes"]:
        raise UserError(f"study.size={size}: no such size; {nearest(str(size), study['sizes'])}")
    blocks = []
    for block in study["sizes"][size]:
        blocks.append([f"{key}={_format_value(value)}" for key, value in block.items()])
    return blocks


def _format_value(value: Any) -> str:
    """A value as an override spells it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(_format_value(part) for part in value) + "]"
    return str(value)
