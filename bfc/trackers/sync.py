"""Show a whole store at a tracker, after the fact: every finished cell in the project of every
study that asked for it, then the studies themselves. What was shown before is passed over, so it
can be run after every sweep, or every night; a server that is busy is waited for, ever longer, and
at no time is more asked of it than a steady number of runs a minute."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bfc.errors import UserError, nearest
from bfc.store.cells import Cell
from bfc.trackers.client import Gone, Service, request

FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0
"""Seconds between two attempts at a run: doubled each time."""
REFUSED = re.compile(
    r"api.?key|wandb login|\b40[13]\b|permission denied|unauthori[sz]ed", re.IGNORECASE
)
"""In errors that no waiting mends."""


@dataclass(frozen=True)
class Item:
    """One run to be shown: a cell in a project, or (``whole``) a study made from ``cells``."""

    study: str | None
    cells: tuple[str, ...]
    whole: bool = False

    def __str__(self) -> str:
        return (
            f"{self.study or 'no study'}, {'the study as a whole' if self.whole else self.cells[0]}"
        )


@dataclass
class Tally:
    """What came of it; ``failed`` holds the last error of each run that could not be shown."""

    shown: int = 0
    as_before: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def items(results: Path, study: str | None = None) -> tuple[list[Item], int]:
    """The runs that a store has to show, the studies last, and how many cells are not finished.
    Raises :class:`UserError` where there is nothing, or no such study."""
    folders = (
        [p for p in sorted(results.iterdir()) if (p / "config.yaml").is_file()]
        if results.is_dir()
        else []
    )
    if not folders:
        raise UserError(f"{results}: holds no measured cell")
    asked = {folder: Cell(folder).studies() for folder in folders}
    names = {name for names in asked.values() for name in names}
    if study is not None and study not in names:
        raise UserError(
            f"study {study}: is not in {results}; {nearest(study, filter(None, names))}"
        )
    ended = {folder.name: Cell(folder).state() not in ("running", "unknown") for folder in folders}
    found: dict[str | None, list[str]] = {}
    for folder, projects in asked.items():
        for name in projects:
            if study in (None, name) and ended[folder.name]:
                found.setdefault(name, []).append(folder.name)
    cells = [Item(name, (cell,)) for name, own in found.items() for cell in own]
    return [*cells, *(Item(name, tuple(own), whole=True) for name, own in found.items())], len(
        ended
    ) - sum(ended.values())


def sync(
    tracker: Any,
    results: Path,
    wanted: list[Item],
    tally: Tally,
    per_minute: float,
    tries: int,
    tell: Callable[[str], None],
) -> Iterator[Item]:
    """Show every run of ``wanted``, counting in ``tally``; yields each when it is done with. Ends
    early, with the rest as failed, where the tracker refuses whoever asks."""
    turn = _Turn(tracker, results, 60 / per_minute)
    try:
        for place, item in enumerate(wanted):
            wait = FIRST_WAIT
            for left in reversed(range(tries)):
                answer = turn.take(item)
                error = answer.get("error")
                if error is None:
                    tally.shown, tally.as_before = (
                        tally.shown + ("shown" in answer),
                        tally.as_before + ("as_before" in answer),
                    )
                    break
                if REFUSED.search(error):
                    tally.failed |= {str(other): error for other in wanted[place:]}
                    return
                if left:
                    tell(f"{item}: {error}; trying again in {wait:g} s")
                    time.sleep(wait)
                    wait = min(2 * wait, LONGEST_WAIT)
            else:
                tally.failed[str(item)] = error
            yield item
    finally:
        turn.end()


class _Turn:
    """A service that is asked for one run at a time, ``apart`` seconds apart where something is
    uploaded."""

    def __init__(self, tracker: Any, results: Path, apart: float) -> None:
        self.tracker, self.results, self.apart = tracker, results, apart
        self.service: Service | None = None
        self.uploaded = -apart

    def take(self, item: Item) -> dict[str, Any]:
        """The answer; after an error the service is started anew, whatever state it was in."""
        time.sleep(max(0.0, self.uploaded + self.apart - time.monotonic()))
        began = time.monotonic()
        self.service = self.service or Service()
        try:
            self.service.ask(
                request(self.tracker, self.results, item.study, item.cells, whole=item.whole)
            )
            answer = self.service.answer(self.tracker.patience) or {
                "error": f"no answer within {self.tracker.patience:g} s"
            }
        except Gone as error:
            answer = {"error": str(error)}
        if "as_before" not in answer:
            self.uploaded = began
        if "error" in answer:
            self.service.stop()
            self.service = None
        return answer

    def end(self) -> None:
        if self.service is not None:
            self.service.close()
