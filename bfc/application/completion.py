"""What a shell completes in the ``bfc`` commands: studies, their sizes, groups and their options.

The shell waits for it at every press of a key, so it reads the names of files and nothing more;
keys of the configuration are completed by ``bfc-train``, which composes it
(docs/tutorials/first_sweep.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import typer

from bfc.paths import CONF, SWEEPS

STUDY_KEY = "+sweeps"
SIZE_KEY = "study.size"


def complete_study(incomplete: str) -> list[str]:
    """The studies whose names begin like this."""
    return [name for name in _list_studies() if name.startswith(incomplete)]


def complete_override(context: typer.Context, incomplete: str) -> list[str]:
    """The overrides that begin like this: ``+sweeps=<study>``, ``study.size=<size>``, groups.

    Bash splits words at ``=`` and completes only what follows it; other shells give the whole word.
    """
    words = [word for word in context.params.get("overrides") or () if isinstance(word, str)]
    if words and words[-1] == "=":
        words.pop()
    key, equals, value = incomplete.partition("=")
    if equals:
        return [f"{key}={option}" for option in _complete_value(key, value, words)]
    if words and "=" not in words[-1] and _list_values(words[-1], words):
        return _complete_value(words[-1], incomplete, words)
    keys = [STUDY_KEY, SIZE_KEY, *_list_groups()]
    return [f"{name}=" for name in keys if name.startswith(incomplete)]


def _complete_value(key: str, value: str, words: Sequence[str]) -> list[str]:
    return [option for option in _list_values(key, words) if option.startswith(value)]


def _list_values(key: str, words: Sequence[str]) -> list[str]:
    """What may follow ``key=``; empty where it is no group."""
    if key == STUDY_KEY:
        return _list_studies()
    if key == SIZE_KEY:
        return _list_sizes(words)
    folder = CONF / key.lstrip("+")
    return sorted(file.stem for file in folder.glob("*.yaml")) if key in _list_groups() else []


def _list_studies() -> list[str]:
    return sorted(file.stem for file in SWEEPS.glob("*.yaml"))


def _list_sizes(words: Sequence[str]) -> list[str]:
    """The sizes of the study that is named among the words, else those of most studies."""
    # Only here, since they need YAML.
    from bfc.studies import SIZES, study_node

    names = set(" ".join(words).replace("=", " ").split()) & set(_list_studies())
    sizes: list[str] = list(SIZES)
    for name in names:
        sizes = list(study_node(name).get("sizes", sizes))
    return sizes


def _list_groups() -> list[str]:
    """The groups of the configuration, Hydra's own launchers among them."""
    folders = [path for path in CONF.iterdir() if path.is_dir() and path.name != "hydra"]
    launchers = [path for path in (CONF / "hydra").glob("*") if path.is_dir()]
    return sorted(path.relative_to(CONF).as_posix() for path in [*folders, *launchers])
