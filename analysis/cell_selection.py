"""Chooses what a page shows of a store with more cells than a reader would wait for.

n* and exponents are estimated from all cells of a study, so studies are shown whole, those first
that were measured last. What is left out is said, with the options that show it. Which studies
these are follows from the store and the limit alone, and not from how fast a machine is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bfc.errors import UserError
from bfc.store.cell_folder import may_be_of_study, read_request
from bfc.store.reading import list_cell_folders

MAX_NAMES = 10
"""Names of studies in a sentence."""


@dataclass(frozen=True)
class CellSelection:
    """The folders of the cells to read."""

    folders: Sequence[Path]
    studies: frozenset[str] | None = None
    """The studies to show; None shows all that these cells are of."""
    partial: frozenset[str] = field(default_factory=frozenset)
    """Studies of which only some cells are shown."""
    sentence: str = ""
    """What is shown and left out; empty where all is shown."""


def select_cells(results: str | Path, study: str | None, limit: int | None) -> CellSelection:
    """The cells of a store, or of one ``study``, to show where at most ``limit`` may be.

    None shows all. With more cells the studies that were measured last are shown, as many as have
    no more cells together; of the last one, where it alone has more, the cells that were measured
    last. Folders whose requests cannot be read are among the selected: whoever reads them says
    what is wrong. Raises :class:`UserError` for a limit below 1.
    """
    if limit is not None and limit < 1:
        raise UserError(f"--cells {limit}: must be at least 1")
    folders = list_cell_folders(results)
    if study is not None:
        folders = [folder for folder in folders if may_be_of_study(folder, study)]
    if limit is None or len(folders) <= limit:
        return CellSelection(folders)
    requests = {folder: read_request(folder) for folder in folders}
    unreadable = {folder for folder in folders if not requests[folder].studies}
    times = {folder: requests[folder].time for folder in folders}
    of_study: dict[str, list[Path]] = {}
    for folder in folders:
        for name in requests[folder].studies:
            if study in (None, name):
                of_study.setdefault(name, []).append(folder)
    newest = sorted(of_study, key=lambda name: (-max(times[path] for path in of_study[name]), name))
    shown = _choose_studies(newest, of_study, limit)
    selected = set().union(*(of_study[name] for name in shown))
    partial: frozenset[str] = frozenset()
    if len(selected) > limit:
        partial = frozenset(shown)
        by_time = sorted(selected, key=lambda path: (-times[path], path.name))
        selected = set(by_time[:limit])
    left_out = [name for name in newest if name not in shown]
    sentence = _describe(len(selected), len(folders) - len(unreadable), shown, partial, left_out)
    chosen = [folder for folder in folders if folder in selected or folder in unreadable]
    return CellSelection(chosen, frozenset(shown), partial, sentence)


def _choose_studies(
    newest: Sequence[str], of_study: Mapping[str, Sequence[Path]], limit: int
) -> list[str]:
    """The first studies, as many as have at most ``limit`` cells together, and at least one."""
    cells: set[Path] = set()
    for number, name in enumerate(newest):
        cells |= set(of_study[name])
        if len(cells) > limit:
            return list(newest[: max(1, number)])
    return list(newest)


def _describe(
    count: int,
    total: int,
    shown: Sequence[str],
    partial: Collection[str],
    left_out: Sequence[str],
) -> str:
    """What is shown, what is left out and how to see it."""
    if count == total:
        return ""
    whole = "studies that were" if len(shown) > 1 else "study that was"
    parts = [f"shows {count:,} of {total:,} cells: the {whole} measured last ({_list(shown)})"]
    if partial:
        parts = [
            f"shows the {count:,} cells of {_list(shown)} that were measured last, of {total:,} in "
            "the store; its claims are not judged, since they speak of all of them"
        ]
    if left_out:
        parts.append(f"left out: {_list(left_out)}")
        parts.append(f"--study NAME shows one of these, --cells {total} everything")
    else:
        parts.append(f"--cells {total} shows everything")
    return "; ".join(parts)


def _list(names: Sequence[str]) -> str:
    """The names, of many the first and how many more."""
    more = len(names) - MAX_NAMES
    shown = ", ".join(names[:MAX_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown
