"""The looks at a claim, counted and stored beside the results.

Whoever comes back to an undecided claim with more data looks again, and every look is a chance of a
false verdict (:mod:`bfc.stats.looks`). So each look is written down: a verdict stands at the look
that made it, and after :data:`bfc.stats.looks.MAX_LOOKS` looks the claim stays as it is. Judging
the same trainings once more is not another look, and a claim whose sentence or thresholds change is
another claim.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from analysis.verdicts import Verdict
from bfc.errors import UserError
from bfc.stats.looks import MAX_LOOKS
from bfc.store.atomic import replace_file

FOLDER = ".claims"
"""Below the results folder, one file per study."""
DECIDED = (Verdict.REPRODUCED.value, Verdict.CONTRADICTED.value)


@dataclass(frozen=True)
class Look:
    """One look at a claim: a fingerprint of what it was judged from, this in words, the verdict.

    ``p_value``: that of the verdict, NaN where there is none.
    """

    fingerprint: str
    source: str
    verdict: str
    p_value: float = math.nan


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

    ``results``: the results folder; None keeps the looks in memory only. Raises :class:`UserError`
    where the stored file is damaged.
    """

    def __init__(self, results: Path | None, study: str) -> None:
        self.path = None if results is None else results / FOLDER / f"{study}.json"
        self.looks: dict[str, list[Look]] = {}
        self.has_new_look = False
        if self.path is not None and self.path.is_file():
            self.looks = _read_looks(self.path)

    def record(self, claim: Mapping[str, Any], look: Look) -> tuple[int, Look | None]:
        """Count a look; returns its number and the earlier look whose verdict stands, if any.

        A look at trainings that were looked at before has the number it had. Beyond
        :data:`MAX_LOOKS` nothing is counted any more, and the last look that was stands.
        """
        looks = self.looks.setdefault(identify_claim(claim), [])
        standing = _find_decision(looks)
        numbers = [
            number for number, past in enumerate(looks, 1) if past.fingerprint == look.fingerprint
        ]
        if numbers:
            return numbers[0], standing
        if standing is None and len(looks) == MAX_LOOKS:
            return MAX_LOOKS, looks[-1]
        if standing is None:
            looks.append(look)
            self.has_new_look = True
        return len(looks), standing

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
