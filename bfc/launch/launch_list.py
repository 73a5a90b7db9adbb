"""The launches of a store, found by name.

A store may be shared or half copied, so a launch that cannot be read is named and leaves the others
as they are.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bfc.errors import UserError, nearest
from bfc.launch.manifest import FOLDER, Launch
from bfc.paths import local_path

_log = logging.getLogger(__name__)

RESERVED_NAMES = ("code",)
"""Folders beside the launches that are none."""


@dataclass(frozen=True)
class LaunchList:
    """The launches of a store."""

    launches: list[Launch]
    """Oldest first."""
    problems: list[str]
    """Sentences about launches that cannot be read."""


def list_launches(results: str | Path) -> LaunchList:
    """The launches of a store; raises :class:`UserError` where none can be looked for."""
    folder = local_path(results, "results") / FOLDER
    launches = []
    problems = []
    for name in launch_names(results):
        launch = Launch(folder / name)
        try:
            launch.check()
        except UserError as error:
            problems.append(str(error))
        else:
            launches.append(launch)
    return LaunchList(launches, problems)


def launch_names(results: str | Path) -> list[str]:
    """The names of the launches of a store, oldest first; raises :class:`UserError`."""
    folder = local_path(results, "results") / FOLDER
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror or error})") from error
    return sorted(name for name in names if name not in RESERVED_NAMES and name[0] != ".")


def find_launch(results: str | Path, name: str | None = None) -> Launch:
    """The launch called ``name`` or whose name contains it; without a name the newest.

    Raises :class:`UserError` where there is none, or several, or it cannot be read.
    """
    folder = local_path(results, "results") / FOLDER
    names = launch_names(results)
    if not names:
        raise UserError(_describe_no_launch(results))
    if name is None:
        return _find_newest(folder, names)
    exact = [other for other in names if other == name]
    matches = exact or [other for other in names if name in other]
    if len(matches) != 1:
        problem = "several launches match this name" if matches else "no such launch"
        raise UserError(f"{name}: {problem}; {nearest(name, matches or names)}")
    launch = Launch(folder / matches[0])
    launch.check()
    return launch


def _find_newest(folder: Path, names: Sequence[str]) -> Launch:
    """The newest launch that can be read; newer ones are named on standard error."""
    problems = []
    for name in reversed(names):
        launch = Launch(folder / name)
        try:
            launch.check()
        except UserError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            _log.error(f"left out: {problem}")
        return launch
    raise UserError(f"{problems[0]}; no launch of this store can be read")


def _describe_no_launch(results: str | Path) -> str:
    """The sentence about a folder without launches."""
    exists = os.path.isdir(local_path(results, "results"))
    what = "holds no launch" if exists else "holds no launch, there is no such folder"
    return f"results={results}: {what}; run `bfc launch` first, or give the store with --results"
