"""From a study to its jobs: every block's grid, with the command line on top, composed and checked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from bfc.errors import UserError, nearest
from bfc.hydra_plugins.composer import Composer
from bfc.launch.job import Planned, planned


def expand(
    config: DictConfig, loader: Any, params: Sequence[str], arguments: Sequence[str]
) -> list[Planned]:
    """Every job of the study in ``config`` (or of ``arguments`` alone, where there is none),
    composed and checked: ``params``, then the block, then ``arguments``, the later ones on top."""
    parser = OverridesParser.create(config_loader=loader)
    chosen: dict[tuple[str, ...], None] = {}
    for block in blocks(config):
        chosen |= dict.fromkeys(_grid(parser.parse_overrides([*params, *block, *arguments])))
    composer = Composer(loader, config)
    return [planned(overrides, composer.job(overrides)) for overrides in chosen]


def _grid(overrides: Sequence[Override]) -> Iterator[tuple[str, ...]]:
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


def blocks(config: Any) -> list[list[str]]:
    """The override lists of the chosen size of the study in ``config``; one empty block where there
    is no study."""
    study = config.get("study")
    if study is None:
        return [[]]
    study = OmegaConf.to_container(study, resolve=True)
    if not isinstance(study, Mapping) or not isinstance(study.get("sizes"), Mapping):
        raise UserError("study: must hold a name, a size and the sizes of a file under sweeps/")
    size = study.get("size")
    if size not in study["sizes"]:
        raise UserError(f"study.size={size}: no such size; {nearest(str(size), study['sizes'])}")
    return [
        [f"{key}={_text(value)}" for key, value in block.items()] for block in study["sizes"][size]
    ]


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(_text(v) for v in value) + "]"
    return str(value)
