"""The studies under ``sweeps/`` that have claims."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bfc.application.budget import considered_sizes
from bfc.application.claim_states import ClaimState, StudyState
from bfc.application.study_jobs import StudyJobs
from bfc.errors import UserError, nearest
from bfc.paths import SWEEPS
from bfc.studies import SIZES, study_node


def list_studies(
    only: Sequence[str] | None, budget: str, results: Path, overrides: Sequence[str] = ()
) -> list[StudyState]:
    """The studies with claims, before any look; nothing is composed yet.

    Raises :class:`UserError` where one of ``only`` does not exist.
    """
    nodes = {path.stem: study_node(path.stem) for path in sorted(SWEEPS.glob("*.yaml"))}
    for study in only or ():
        if study not in nodes:
            raise UserError(f"--study {study}: no such study; {nearest(study, nodes)}")
    studies = []
    for name, node in nodes.items():
        if node.get("claims") and name in (only or nodes):
            sizes = considered_sizes(node["sizes"], budget)
            named = {claim["size"] for claim in node["claims"] if "size" in claim}
            sizes += sorted(named - set(SIZES))
            claims = [ClaimState(name, claim) for claim in node["claims"]]
            studies.append(StudyState(StudyJobs(name, sizes, results, overrides), claims))
    return studies
