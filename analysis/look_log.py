"""The looks at a claim, counted and stored beside the results.

Whoever comes back to an undecided claim with more data looks again, and every look is a chance of a
false verdict (:mod:`bfc.stats.looks`). So each look is written down: a verdict stands at the look
that made it, and after :data:`bfc.stats.looks.MAX_LOOKS` looks the claim stays as it is. Judging
the same trainings once more is not another look, and a claim whose sentence or thresholds change is
another claim.

A budget may end while more seeds of a cell are being measured. What is stored of it by then is not
looked at (:data:`DEFERRED`): the look before it stands until the measurement has ended, since a
look is too scarce to be spent on what a deadline happens to leave.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bfc.errors import UserError
from bfc.stats.claim_verdicts import DECIDED
from bfc.stats.looks import MAX_LOOKS
from bfc.store.atomic import replace_file

FOLDER = ".claims"
"""Below the results folder, one file per study."""


DEFERRED = "deferred"
"""In the place of a verdict: these trainings were cut short by a budget and not looked at."""


@dataclass(frozen=True)
class Look:
    """One look at a claim: a fingerprint of what it was judged from, this in words, the verdict.

    ``p_value``: that of the verdict. ``measured`` and the intervals are those of the part that
    decided, ``remark`` names it. NaN where there is none, or an earlier version stored none.
    """

    fingerprint: str
    source: str
    verdict: str
    p_value: float = math.nan
    measured: float = math.nan
    lo: float = math.nan
    hi: float = math.nan
    judged_lo: float = math.nan
    judged_hi: float = math.nan
    remark: str = ""


@dataclass(frozen=True)
class Record:
    """What a log says about a look: its number, and the look whose verdict stands.

    ``standing``: this look, an earlier one, or None where the trainings are deferred before any.
    """

    number: int
    standing: Look | None


def identify_claim(claim: Mapping[str, Any]) -> str:
    """A key that changes with the sentence, predicate, thresholds, place or requirements."""
    fields = {
        name: claim.get(name) for name in ("statement", "predicate", "thresholds", "requires")
    }
    if "at" in claim:
        fields["at"] = claim["at"]
    return _digest(json.dumps(fields, sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class LookLog:
    """The looks at the claims of one study.

    ``results``: the results folder; None keeps the looks in memory only. ``unfinished``: cells
    whose measurement a budget has just cut short, at which nothing looks. Raises
    :class:`UserError` where the stored file is damaged.
    """

    def __init__(self, results: Path | None, study: str, unfinished: Collection[str] = ()) -> None:
        self.path = None if results is None else results / FOLDER / f"{study}.json"
        self.looks: dict[str, list[Look]] = {}
        self.has_new_look = False
        self._unfinished = frozenset(unfinished)
        if self.path is not None and self.path.is_file():
            self.looks = _read_looks(self.path)

    def record(self, claim: Mapping[str, Any], look: Look, cells: Collection[str] = ()) -> Record:
        """Count a look at trainings of these cells.

        A look at trainings that were looked at before has the number it had. A verdict that was
        made stands. Trainings that were cut short are not counted, nor is anything beyond
        :data:`MAX_LOOKS` looks; then the last look that was counted stands.
        """
        entries = self.looks.setdefault(identify_claim(claim), [])
        looks = [entry for entry in entries if entry.verdict != DEFERRED]
        decision = _find_decision(looks)
        last = looks[-1] if looks else None
        for number, past in enumerate(looks, 1):
            if past.fingerprint == look.fingerprint:
                return Record(number, decision or look)
        if decision is not None:
            return Record(len(looks), decision)
        if self._is_deferred(look, entries, cells):
            return Record(len(looks), last)
        if len(looks) == MAX_LOOKS:
            return Record(MAX_LOOKS, last)
        self._append(entries, look)
        return Record(len(looks) + 1, look)

    def _is_deferred(self, look: Look, entries: list[Look], cells: Collection[str]) -> bool:
        """Whether these trainings were cut short, now or when they were judged before."""
        is_noted = any(
            entry.verdict == DEFERRED and entry.fingerprint == look.fingerprint for entry in entries
        )
        if not is_noted and not self._unfinished.isdisjoint(cells):
            self._append(entries, Look(look.fingerprint, look.source, DEFERRED))
            return True
        return is_noted

    def _append(self, entries: list[Look], look: Look) -> None:
        entries.append(look)
        self.has_new_look = True

    def save(self) -> None:
        """Write the looks where there are new ones; raises ``OSError`` where that is impossible."""
        if self.path is None or not self.has_new_look:
            return
        content = {key: [asdict(look) for look in looks] for key, looks in self.looks.items()}
        text = json.dumps(content, indent=1)
        replace_file(self.path, lambda path: path.write_text(text, encoding="utf-8"))


def _find_decision(looks: Sequence[Look]) -> Look | None:
    """The first look that made a verdict."""
    return next((look for look in looks if look.verdict in DECIDED), None)


def _read_looks(path: Path) -> dict[str, list[Look]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {key: [Look(**look) for look in looks] for key, looks in content.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: is damaged ({error}); move it away to count looks anew"
        ) from error
