"""The command that makes what a claim was judged from, by what its cells were asked for.

A cell keeps every request: the study and size that asked for it, and the seeds. A second request of
one size with more seeds is an extension (``bfc reproduce``), which the command repeats with
``measure.seeds``. It sets the seeds of all cells of the study, so that cells which were not
extended as far have more seeds afterwards than when the claim was judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from analysis.claims import format_command
from bfc.errors import UserError
from bfc.store.cells import Store
from bfc.studies import SIZES


def find_command(study: str, cells: Iterable[str], results: Path) -> str:
    """The command for the cells of a claim; empty where none was asked for by a size of a study.

    Where several sizes asked for them it consists of a command for each.
    """
    seeds: dict[str, int | None] = {}
    for cell_id in cells:
        request = _find_last_request(study, cell_id, results)
        if request is not None:
            size, extended_to = request
            known = seeds.get(size)
            seeds[size] = max(filter(None, (known, extended_to)), default=None)
    sizes = sorted(seeds, key=lambda size: (SIZES.index(size) if size in SIZES else -1, size))
    commands = []
    for size in sizes:
        extension = "" if seeds[size] is None else f" measure.seeds={seeds[size]}"
        commands.append(format_command(study, size) + extension)
    return " && ".join(commands)


def _find_last_request(study: str, cell_id: str, results: Path) -> tuple[str, int | None] | None:
    """The size that last asked for a cell, and the number of seeds where it extended them."""
    requests = [request for request in _read_requests(cell_id, results) if _is_of(request, study)]
    if not requests:
        return None
    last = requests[-1]
    counts = [len(request["seeds"]) for request in requests if request["size"] == last["size"]]
    return str(last["size"]), counts[-1] if counts[-1] > counts[0] else None


def _read_requests(cell_id: str, results: Path) -> list[Any]:
    try:
        return Store(results).cell(cell_id).requests()
    except UserError:  # the page says elsewhere what cannot be read
        return []


def _is_of(request: Any, study: str) -> bool:
    is_of_study = isinstance(request, Mapping) and request.get("study") == study
    return is_of_study and bool(request.get("size")) and isinstance(request.get("seeds"), list)
