"""The overrides of a command line as they are written, before Hydra composes anything with them.

Hydra composes what is not swept before any option is chosen, reads ``1_000`` as a number and merges
a list of options into one job; here such arguments are put in a form that means what it says, or
are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from bfc.errors import UserError
from bfc.experiment.components import GROUPS
from bfc.hydra_plugins.config_sources import StudySource

STUDY_KEY = "study"
"""The key that the options of the group of studies fill."""
_ELEMENT = re.compile(r"'[^']*'|\"[^\"]*\"|[^,\[\]{}():]+")
"""A part of a value that is no list, mapping or function."""


def defer_dependent_keys(arguments: Sequence[str]) -> list[str]:
    """The arguments of a sweep, with keys of a swept group put off until its option is chosen.

    With ``baseline=ntk,rbf`` Hydra would look for ``baseline.n_max`` in the default option, and
    with several studies for ``study.size`` in none; a choice of one value is left to the sweeper.
    What is no override stays as it is.
    """
    parsed = [_parse_override(text) for text in arguments]
    swept_nodes = set()
    for override in parsed:
        if override is not None and is_several(override):
            group = override.key_or_group
            swept_nodes.add(STUDY_KEY if group == StudySource.GROUP else group)
    deferred = []
    for text, override in zip(arguments, parsed, strict=True):
        if override is None or not _is_value_below(override, swept_nodes):
            deferred.append(text)
        else:
            value = override.get_value_element_as_str()
            deferred.append(f"{override.get_key_element()}=choice({value})")
    return deferred


def _is_value_below(override: Override, nodes: set[str]) -> bool:
    """Whether an override gives one value to a key below one of the nodes."""
    node, dot, _ = override.key_or_group.partition(".")
    is_below = bool(dot) and node in nodes
    return is_below and not is_several(override) and not override.is_delete()


def _parse_override(text: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException:  # an option, or a fault that Hydra itself reports
        return None


def is_several(override: Override) -> bool:
    """Whether an override stands for several jobs; a list of studies does."""
    return override.is_sweep_override() or bool(read_study_list(override))


def read_study_list(override: Override) -> list[str]:
    """The studies that an override lists; none where it is no list of studies."""
    value = override.value() if override.key_or_group == StudySource.GROUP else None
    return [str(name) for name in value] if isinstance(value, list) else []


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


def refuse_digit_groups(arguments: Sequence[str]) -> None:
    """Refuse ``1_000``, which Hydra reads as the number 1000, also where a text is meant.

    Raises :class:`bfc.errors.UserError`.
    """
    for text in arguments:
        _, _, value = text.partition("=")
        if text.startswith("-"):
            continue
        for element in _ELEMENT.findall(value):
            if _has_digit_groups(element.strip()):
                plain = value.replace(element, element.replace("_", ""))
                raise UserError(
                    f"{text}: would be read as {plain}; must be written without the underscore, "
                    "or in quotes as a text"
                )


def _has_digit_groups(element: str) -> bool:
    """Whether an element is a number with underscores, which Python and Hydra read alike."""
    try:
        float(element)
    except ValueError:
        return False
    return "_" in element
