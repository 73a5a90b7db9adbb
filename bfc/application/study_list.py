"""The studies under ``sweeps/`` that have claims, board by board.

A board is a list of claims that is judged as one: ``papers`` holds those of the three papers that
this program reproduces, and later studies name a board of their own under ``study.board``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bfc.application.budget import considered_sizes
from bfc.application.claim_states import ClaimState, StudyState
from bfc.application.study_jobs import StudyJobs
from bfc.errors import UserError, nearest
from bfc.paths import SWEEPS
from bfc.studies import SIZES, study_node

PAPERS = "papers"
"""The board of a study that names none."""
EVERY_BOARD = "all"


def list_studies(
    only: Sequence[str] | None,
    budget: str,
    results: Path,
    overrides: Sequence[str] = (),
    board: str = PAPERS,
) -> list[StudyState]:
    """The studies with claims of one board, before any look; nothing is composed yet.

    ``only`` these, if given, of whatever board; ``board`` :data:`EVERY_BOARD` takes all. Raises
    :class:`UserError` where one of ``only`` or the board does not exist.
    """
    nodes = {path.stem: study_node(path.stem) for path in sorted(SWEEPS.glob("*.yaml"))}
    for study in only or ():
        if study not in nodes:
            raise UserError(f"--study {study}: no such study; {nearest(study, nodes)}")
    boards = {name: node.get("board", PAPERS) for name, node in nodes.items()}
    known = sorted({*boards.values(), EVERY_BOARD})
    if board not in known:
        raise UserError(f"--board {board}: no such board; {nearest(board, known)}")
    chosen = only or [name for name in nodes if board in (boards[name], EVERY_BOARD)]
    studies = []
    for name, node in nodes.items():
        if node.get("claims") and name in chosen:
            sizes = considered_sizes(node["sizes"], budget)
            named = {claim["size"] for claim in node["claims"] if "size" in claim}
            sizes += sorted(named - set(SIZES))
            claims = [ClaimState(name, claim) for claim in node["claims"]]
            studies.append(StudyState(StudyJobs(name, sizes, results, overrides), claims))
    return studies
