"""From studies to their jobs: every block's grid, with the command line on top."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep, Transformer
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bfc.errors import UserError, format_value, nearest
from bfc.hydra_plugins.arguments import (
    STUDY_KEY,
    is_several,
    read_study_list,
    refuse_lists_of_options,
)
from bfc.hydra_plugins.composer import Composer
from bfc.hydra_plugins.config_sources import StudySource
from bfc.hydra_plugins.hydra_errors import explain_hydra
from bfc.launch.job import PlannedJob, plan_job

RANGE_DIGITS = 12
"""Significant digits that the ends and the step of a range are read with."""
NEEDS_STUDY_SWEEPER = "must be run with hydra/sweeper=study, the only one that expands it"


@dataclass(frozen=True)
class _ChosenStudy:
    """One study in one of its sizes, and what is put below and above its blocks."""

    blocks: Sequence[Sequence[str]]
    params: Sequence[str]
    arguments: Sequence[str]


def expand_study(
    config: DictConfig, loader: Any, params: Sequence[str], arguments: Sequence[str]
) -> list[PlannedJob]:
    """Compose and check every job of the studies in ``config`` and ``arguments``.

    The overrides of a job are ``params``, then its block, then ``arguments``; later ones win. Where
    the study, its size or anything else that blocks are built from is swept, the jobs are those of
    all these studies.
    """
    parser = OverridesParser.create(config_loader=loader)
    composer = Composer(loader, config)
    jobs: dict[tuple[str, ...], None] = {}
    for study in _choose_studies(config, composer, parser, params, arguments):
        for block in study.blocks:
            texts = [*study.params, *block, *study.arguments]
            jobs |= dict.fromkeys(_expand_grid(parser.parse_overrides(texts)))
    planned = []
    for number, overrides in enumerate(jobs):
        refuse_lists_of_options(overrides)
        planned.append(plan_job(overrides, _compose(composer, overrides, number)))
    return _drop_repeated(planned)


def _choose_studies(
    config: DictConfig,
    composer: Composer,
    parser: OverridesParser,
    params: Sequence[str],
    arguments: Sequence[str],
) -> Iterator[_ChosenStudy]:
    """The study of ``config``, or one for each combination of what studies are built from."""
    below, above = parser.parse_overrides(list(params)), parser.parse_overrides(list(arguments))
    builders = [override for override in [*below, *above] if _builds_study(override)]
    _refuse_no_study(builders)
    is_composed = not any(map(is_several, builders)) and not any(map(_builds_study, below))
    choices = [()] if is_composed else _expand_grid(builders)
    for choice in choices:
        study = config if is_composed else composer.compose(choice)
        if _is_interpolated(study) and any(map(is_several, above)):
            for values in _expand_grid([*below, *above]):
                yield _ChosenStudy(study_blocks(composer.compose(values)), (), values)
        elif is_composed:
            yield _ChosenStudy(study_blocks(study), params, arguments)
        else:
            rest = [override.input_line or "" for override in above if override not in builders]
            others = [override.input_line or "" for override in below if override not in builders]
            yield _ChosenStudy(study_blocks(study), others, [*choice, *rest])


def _refuse_no_study(builders: Sequence[Override]) -> None:
    """Refuse a list of no studies, or a study that is taken away; one default job would be left."""
    for override in builders:
        if override.key_or_group != StudySource.GROUP:
            continue
        if override.is_delete():
            raise UserError(
                f"{override.input_line}: takes the study away; must be left out, like +sweeps"
            )
        if override.value() == []:
            raise UserError(f"{override.input_line}: names no study; must name at least one")


def _builds_study(override: Override) -> bool:
    """Whether an override chooses a study or changes its node."""
    key = override.key_or_group
    return key in (StudySource.GROUP, STUDY_KEY) or key.startswith(f"{STUDY_KEY}.")


def _is_interpolated(config: DictConfig) -> bool:
    """Whether the study's node refers to other keys."""
    node = config.get("study")
    return OmegaConf.is_config(node) and "${" in str(OmegaConf.to_container(node, resolve=False))


def _drop_repeated(planned: Sequence[PlannedJob]) -> list[PlannedJob]:
    """The jobs without those that ask for exactly what an earlier one asks for."""
    distinct_jobs: dict[tuple[str, ...], list[PlannedJob]] = {}
    jobs = []
    for job in planned:
        same_cells = distinct_jobs.setdefault(tuple(spec.cell_id for spec in job.cells), [])
        if all(job.job != other.job for other in same_cells):
            same_cells.append(job)
            jobs.append(job)
    return jobs


def _compose(composer: Composer, overrides: Sequence[str], number: int) -> dict[str, Any]:
    """One job; what Hydra refuses is said of the options of this job."""
    try:
        return composer.job(overrides, number)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain_hydra(error, overrides)) from error


def refuse_study(config: Mapping[Any, Any], advice: str) -> None:
    """Refuse a job that asks for a study but was composed without its blocks.

    Raises :class:`bfc.errors.UserError`, which ends in ``advice``.
    """
    study = config.get("study")
    if isinstance(study, Mapping) and study.get("sizes"):
        raise UserError(f"+sweeps={study.get('name')}: is a study of many cells; {advice}")


def _expand_grid(overrides: Sequence[Override]) -> Iterator[tuple[str, ...]]:
    """Every combination of the swept values; a later override of a key replaces an earlier one."""
    values: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if studies := read_study_list(override):
            values[key] = [f"{key}={study}" for study in studies]
        elif not override.is_sweep_override():
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
    """The override lists of the chosen size of the study; one empty block without a study.

    Raises :class:`UserError` where the study is not written as its file must be.
    """
    node = config.get("study")
    if node is None:
        return [[]]
    study = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    if not isinstance(study, Mapping) or not isinstance(study.get("sizes"), Mapping):
        raise UserError("study: must hold a name, a size and the sizes of a file under sweeps/")
    size, sizes = study.get("size"), {str(name): v for name, v in study["sizes"].items()}
    if isinstance(size, bool) or not isinstance(size, (str, int, float)):
        names = ", ".join(sorted(sizes))
        raise UserError(
            f"study.size={format_value(size)}: must be the name of one size; allowed: {names}"
        )
    if str(size) not in sizes:
        raise UserError(f"study.size={size}: no such size; {nearest(str(size), sizes)}")
    return [_format_block(block, f"study.sizes.{size}") for block in _check_blocks(sizes, size)]


def _check_blocks(sizes: Mapping[str, Any], size: Any) -> list[Mapping[Any, Any]]:
    blocks = sizes[str(size)]
    is_list = isinstance(blocks, list) and len(blocks) > 0
    if not is_list or not all(isinstance(block, Mapping) for block in blocks):
        raise UserError(f"study.sizes.{size}: must be a list of mappings, one per block of jobs")
    return list(blocks)


def _format_block(block: Mapping[Any, Any], key: str) -> list[str]:
    for name in block:
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"{key}: {name}: is no key of a configuration; keys are texts")
    return [f"{name}={spell_value(value)}" for name, value in block.items()]


def spell_value(value: Any) -> str:
    """A value as an override spells it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        pairs = [f"{name}:{spell_value(part)}" for name, part in value.items()]
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(spell_value(part) for part in value) + "]"
    return str(value)
