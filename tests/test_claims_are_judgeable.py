"""Some size of its study measures all that each claim speaks of.

That every size composes is the subject of tests/test_config.py. Here the jobs of a size are
composed, their trainings made up, and each claim is measured from these as from a store: so its
methods, the values of the configuration by which it selects, its d, L and n and its least number of
seeds are all there, in one size, for one configuration. By default for a few studies, with
``--exhaustive`` for all.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fabricated_store import fabricate_store

from analysis.claims import list_methods, measure_claim
from analysis.load import load_results
from analysis.look_log import identify_claim
from bfc.application.claim_reads import list_selections
from bfc.application.study_jobs import StudyJobs
from bfc.paths import SWEEPS
from bfc.studies import claims_of, study_node

STUDIES = [path.stem for path in sorted(SWEEPS.glob("*.yaml")) if claims_of(path.stem)]
SAMPLED = random.Random(20230401).sample(STUDIES, 4)
COLUMN_KEYS = ("column", "columns", "with_column", "under_column")
LEARNED = re.compile(r"^(?:(\w+)/)?(subspace|forms)$")
"""A feature whose overlap a method stores, after a phase or without one."""


def list_cases() -> list[Any]:
    return [
        pytest.param(study, marks=() if study in SAMPLED else pytest.mark.exhaustive)
        for study in STUDIES
    ]


@pytest.mark.parametrize("study", list_cases())
def test_every_claim_is_judgeable_at_some_size(study: str, tmp_path: Path) -> None:
    """From the jobs of that size that the claim is said to read, and of no other."""
    sizes = list(study_node(study)["sizes"])
    jobs = StudyJobs(study, sizes, tmp_path / "none")
    missing = {}
    for claim in claims_of(study):
        reasons = {}
        for size in sizes:
            reasons[size] = find_reason(study, size, claim, jobs, tmp_path)
            if not reasons[size]:
                break
        else:
            missing[claim["statement"]] = reasons
    assert not missing, "\n".join(f"{claim}: {reasons}" for claim, reasons in missing.items())


def find_reason(
    study: str, size: str, claim: Mapping[str, Any], jobs: StudyJobs, folder: Path
) -> str:
    """Why a claim cannot be judged from one size; empty where it can."""
    reason = "no job"
    selections = list_selections(claim, jobs.of_size(size))
    if not list_methods(claim["thresholds"]):  # certified: any trainings will do
        selections = [jobs.of_size(size)[:1]]
    for number, selection in enumerate(selections):
        root = folder / f"{identify_claim(claim)}-{size}-{number}"
        fabricate_store(root, study, size, selection, sorted(list_columns(claim)))
        evidence = load_results(root, study).studies[study]
        reason = measure_claim(study, claim, evidence).missing
        if not reason:
            return ""
    return reason


def list_columns(claim: Mapping[str, Any]) -> set[str]:
    """The stored columns that a claim reads, those of a claim within a claim included."""
    columns = {"all/norm"} if claim["predicate"] == "above_floor" else set()
    for key, value in walk(claim["thresholds"]):
        if key in COLUMN_KEYS and value is not None:
            columns |= set(value if isinstance(value, list) else [value])
        if key == "feature":
            phase, feature = LEARNED.match(value).groups()
            columns.add(f"{phase}/overlap/{feature}" if phase else f"overlap/{feature}")
    return columns - {"risk"}


def walk(thresholds: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in thresholds.items():
        yield key, value
        if isinstance(value, Mapping):
            yield from walk(value)
