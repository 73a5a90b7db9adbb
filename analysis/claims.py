"""Judge a study's claims from the store. A claim is data in the study's file under ``sweeps/``: the
paper, the sentence, one predicate (a file of :mod:`analysis.predicates`) and its thresholds; so a
reader sees what was demanded, and changing a threshold retrains nothing. A verdict is *reproduced*
only where the whole 95 % interval satisfies the claim, *contradicted* where none of it does, and
otherwise *undecided*; then ``next`` says what to run, if the study has more to give."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis import registry as discover
from analysis.evidence import UNDECIDED, Evidence
from bfc.studies import SIZES, claims_of

COLUMNS = (
    "claim",
    "paper",
    "study",
    "predicted",
    "measured",
    "lo",
    "hi",
    "verdict",
    "remark",
    "command",
    "next",
)


def judge(
    study: str,
    evidence: Evidence,
    claims: Sequence[Mapping[str, Any]] | None = None,
    sizes: Collection[str] = (),
) -> pd.DataFrame:
    """One row per claim of ``study``, with the columns :data:`COLUMNS`; ``sizes``: those of the
    study that were run. Raises :class:`UserError` for an unknown predicate or threshold."""
    rows = []
    for claim in claims_of(study) if claims is None else claims:
        thresholds, where = dict(claim.get("thresholds", {})), f"{study}: claim predicate"
        found = discover.call(
            discover.part("predicates", claim["predicate"], where), evidence, thresholds, where
        )
        size = claim.get("size", SIZES[1])
        larger = next_size(size, sizes) if found.verdict == UNDECIDED else None
        rows.append(
            {
                "claim": claim["statement"],
                "paper": claim["paper"],
                "study": study,
                "predicted": demand(thresholds, claim["predicate"]),
                "measured": found.measured,
                "lo": found.lo,
                "hi": found.hi,
                "verdict": found.verdict,
                "remark": found.remark,
                "command": command(study, size),
                "next": command(study, larger) if larger else "",
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def command(study: str, size: str) -> str:
    """What runs a study in one of its sizes."""
    return f"python -m bfc.train -m +sweeps={study} study.size={size}"


def next_size(decides: str, run: Collection[str]) -> str | None:
    """The size to run for a claim that is undecided: the one that decides it, or the next larger
    one than any that was ``run``; None where the largest was."""
    if decides not in run and not any(
        size in SIZES and decides in SIZES and SIZES.index(size) > SIZES.index(decides)
        for size in run
    ):
        return decides
    largest = max((SIZES.index(size) for size in [*run, decides] if size in SIZES), default=0)
    return SIZES[largest + 1] if largest + 1 < len(SIZES) else None


def demand(thresholds: Mapping[str, Any], predicate: str | None = None) -> str:
    """What ``predicate`` measures and the thresholds, as a reader would say them: ``smallest ratio
    of n*: refit over staged, ε = 0.01, at least 1.5``."""
    said, quantity, values = [], "", dict(thresholds)
    if predicate is not None:
        quantity = discover.constant("predicates", predicate, "QUANTITY", "")
        given = inspect.signature(discover.part("predicates", predicate, "claim")).parameters
        values = {
            name: thresholds.get(name, part.default)
            for name, part in given.items()
            if name in thresholds
            or (name in ("column", "at_least") and part.default in ("risk", 1.0))
        }
    for key, value in sorted(values.items(), key=lambda item: item[0] in ("at_least", "at_most")):
        if isinstance(value, Mapping):
            part = (
                demand(value, thresholds.get("predicate"))
                if key == "thresholds"
                else ", ".join(f"{k} = {v}" for k, v in value.items())
            )
            said.append(part)
            continue
        if key == "predicate":
            continue
        text = (
            f"{value:g}"
            if isinstance(value, (int, float))
            else ", ".join(map(str, value))
            if isinstance(value, list)
            else str(value)
        )
        shown = {
            "method": text,
            "over": text,
            "under": f"over {text}",
            "eps": f"ε = {text}",
            "from_L": f"from L = {text}",
            "columns": " > ".join(text.split(", ")),
            "column": text,
            "with_column": f"over {text}",
            "from_d": f"from d = {text}",
            "to_d": f"to d = {text}",
            "factors": f"by factors {text}",
        }
        said.append(shown.get(key, f"{key.replace('_', ' ')} {text}"))
    return ": ".join(filter(None, (quantity, ", ".join(said).replace(", over ", " over "))))
