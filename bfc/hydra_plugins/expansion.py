"""From a study to its jobs: every block's grid, with the command line on top."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep, Transformer
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bfc.errors import UserError, format_value, nearest
from bfc.experiment.components import GROUPS
from bfc.hydra_plugins.composer import Composer
from bfc.hydra_plugins.hydra_errors import explain_hydra
from bfc.launch.job import PlannedJob, plan_job

RANGE_DIGITS = 12
"""Significant digits that the ends and the step of a range are read with."""


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
    for job in jobs:
        refuse_lists_of_options(job)
    return [plan_job(job, _compose(composer, job)) for job in jobs]


def _compose(composer: Composer, overrides: Sequence[str]) -> dict[str, Any]:
    """One job; what Hydra refuses is said of the options of this job."""
    try:
        return composer.job(overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain_hydra(error, overrides)) from error


def refuse_lists_of_options(overrides: Sequence[str]) -> None:
    """Refuse several options of a component's group in one job, which Hydra would merge.

    Raises :class:`bfc.errors.UserError`.
    """
    for text in overrides:
        key, _, value = text.lstrip("+").partition("=")
        if key in GROUPS and value.startswith("[") and "," in value:
            several = value.strip("[]").replace(" ", "")
            raise UserError(
                f"{text}: is a list of options; must be one option, or a sweep with -m as "
                f"{key}={several}"
            )


def _expand_grid(overrides: Sequence[Override]) -> Iterator[tuple[str, ...]]:
    """Every combination of the swept values; a later override of a key replaces an earlier one."""
    values: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            values[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            values[key] = [f"{key}={value}" for value in _list_values(override)]
        else:
            raise UserError(f"{override.input_line}: must be a list of values or a range")
    return itertools.product(*values.values())


def _list_values(override: Override) -> list[str]:
    """The values of a sweep as overrides spell them, at least one."""
    sweep = override.value()
    values: list[str] = []
    if isinstance(sweep, RangeSweep):
        numbers = _list_numbers(sweep, str(override.input_line))
        values = [str(Transformer.str(number)) for number in numbers]
    else:
        values = list(override.sweep_string_iterator())
    if not values:
        raise UserError(f"{override.input_line}: holds no value; must hold at least one")
    return values


def _list_numbers(sweep: RangeSweep, line: str) -> list[int] | list[float]:
    """The numbers of a range, in decimals as they are written: 0.3 and not 0.30000000000000004."""
    assert sweep.start is not None and sweep.stop is not None
    if sweep.step == 0:
        raise UserError(f"{line}: must have a step that is not 0")
    ends = (sweep.start, sweep.stop, sweep.step)
    numbers: list[Any]
    if all(isinstance(end, int) for end in ends):
        numbers = list(sweep.range())
    else:
        if not all(math.isfinite(end) for end in ends):
            raise UserError(f"{line}: must be a range of finite numbers")
        start, stop, step = (Decimal(f"{end:.{RANGE_DIGITS}g}") for end in ends)
        count = max(0, math.ceil((stop - start) / step))
        numbers = [float(start + i * step) for i in range(count)]
    if sweep.shuffle:
        random.shuffle(numbers)
    return numbers


def study_blocks(config: Any) -> list[list[str]]:
    """The override lists of the chosen size of the study; one empty block without a study."""
    node = config.get("study")
    if node is None:
        return [[]]
    study = OmegaConf.to_container(node, resolve=True)
    if not isinstance(study, Mapping) or not isinstance(study.get("sizes"), Mapping):
        raise UserError("study: must hold a name, a size and the sizes of a file under sweeps/")
    size = study.get("size")
    if not isinstance(size, str):
        given, sizes = format_value(size), ", ".join(sorted(study["sizes"]))
        raise UserError(f"study.size={given}: must be the name of one size; allowed: {sizes}")
    if size not in study["sizes"]:
        raise UserError(f"study.size={size}: no such size; {nearest(size, study['sizes'])}")
    blocks = []
    for block in study["sizes"][size]:
        blocks.append([f"{key}={spell_value(value)}" for key, value in block.items()])
    return blocks


def spell_value(value: Any) -> str:
    """A value as an override spells it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(spell_value(part) for part in value) + "]"
    return str(value)
