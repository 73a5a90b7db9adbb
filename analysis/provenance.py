"""The command that makes what a claim was judged from, by what its cells were asked for.

A cell keeps every request: the study and size that asked for it, and the seeds. A second request of
one size with more seeds is an extension (``bfc reproduce``), which the command repeats with
``measure.seeds``. It sets the seeds of all cells of the study, so that cells which were not
extended as far have more seeds afterwards than when the claim was judged. The command that would
decide a claim is such an extension, too, and its price is that of all these cells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.claims import format_command
from analysis.power import describe_time
from analysis.prospects import Stock
from bfc.errors import UserError
from bfc.store.cells import Store
from bfc.studies import SIZES

Request = Mapping[str, Any]
Requests = Mapping[str, Sequence[Request]]
"""Those of :func:`read_requests`, by cell."""


def read_requests(study: str, cells: Iterable[str], results: Path) -> dict[str, list[Request]]:
    """Cell → the requests for it by the sizes of a study, oldest first."""
    return {cell_id: _read_requests(study, cell_id, results) for cell_id in cells}


def find_command(study: str, cells: Iterable[str], requests: Requests) -> str:
    """The command for the cells of a claim; empty where none was asked for by a size of a study.

    Where several sizes asked for them it consists of a command for each.
    """
    seeds: dict[str, int | None] = {}
    for cell_id in cells:
        of_cell = requests.get(cell_id)
        if of_cell:
            size = str(of_cell[-1]["size"])
            known, extended_to = seeds.get(size), _find_extended_seeds(of_cell)
            seeds[size] = max(filter(None, (known, extended_to)), default=None)
    return _format_commands(study, seeds)


@dataclass(frozen=True)
class PricedCommand:
    """A command, and in words what it runs and how long that takes."""

    text: str
    price: str


def find_extension(
    study: str, cells: Iterable[str], more: int, requests: Requests, stock: Mapping[str, Stock]
) -> PricedCommand | None:
    """The command that gives each of these cells at least ``more`` seeds.

    ``stock``: what is stored of every cell of the study. None where no size of the study asked for
    one of the cells, and for cells whose trainings each have a seed of their own.
    """
    goals: dict[str, int] = {}
    for cell_id in cells:
        of_cell = requests.get(cell_id)
        if not of_cell or cell_id not in stock or "rounds" in of_cell[-1]:
            return None
        size = str(of_cell[-1]["size"])
        goals[size] = max(goals.get(size, 0), stock[cell_id].seeds + more)
    if not goals:
        return None
    sizes = {}
    for cell_id in stock:
        sizes[cell_id] = {str(request["size"]) for request in requests.get(cell_id, ())}
    return PricedCommand(_format_commands(study, goals), _price(goals, sizes, stock))


def _price(
    goals: Mapping[str, int], sizes: Mapping[str, Collection[str]], stock: Mapping[str, Stock]
) -> str:
    """What it takes until every cell has the seeds that are the goal of its sizes.

    Of a larger size than the smallest that was run, cells may be missing, whose time is not known.
    """
    count, seconds = 0, 0.0
    for cell_id, stored in stock.items():
        goal = max((goals[size] for size in sizes[cell_id] if size in goals), default=0)
        if goal > stored.seeds:
            count += 1
            seconds += (goal - stored.seeds) * stored.seconds_per_seed
    price = f"{describe_time(seconds)} for the {count} stored cells of this size"
    smallest = _sort_sizes(set().union(*sizes.values()))[0]
    return price if set(goals) == {smallest} else f"{price}; any others of it come on top"


def _format_commands(study: str, seeds: Mapping[str, int | None]) -> str:
    """A command for each size, with its number of seeds where there is one."""
    commands = []
    for size in _sort_sizes(seeds):
        extension = "" if seeds[size] is None else f" measure.seeds={seeds[size]}"
        commands.append(format_command(study, size) + extension)
    return " && ".join(commands)


def _sort_sizes(sizes: Iterable[str]) -> list[str]:
    """From small to large, those that only this study has first."""
    return sorted(sizes, key=lambda size: (SIZES.index(size) if size in SIZES else -1, size))


def _find_extended_seeds(requests: Sequence[Request]) -> int | None:
    """The number of seeds where the size that last asked for a cell has extended them."""
    last = requests[-1]["size"]
    counts = [len(request["seeds"]) for request in requests if request["size"] == last]
    return counts[-1] if counts[-1] > counts[0] else None


def _read_requests(study: str, cell_id: str, results: Path) -> list[Request]:
    try:
        requests = Store(results).cell(cell_id).requests()
    except UserError:  # the page says elsewhere what cannot be read
        return []
    return [request for request in requests if _is_of(request, study)]


def _is_of(request: Any, study: str) -> bool:
    is_of_study = isinstance(request, Mapping) and request.get("study") == study
    return is_of_study and bool(request.get("size")) and isinstance(request.get("seeds"), list)
