"""Judging all claims within a budget: run what decides most of them, then write the page.

All that is run comes from the studies under ``sweeps/``, in their own sizes or with more seeds of
the same cells (:mod:`bfc.application.moves`).
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from analysis.progress_message import track
from analysis.report import make_console, print_report, write_report
from bfc.application.budget import budget_seconds
from bfc.application.budget_display import make_display
from bfc.application.claim_plan import print_claim_plan
from bfc.application.claim_states import StudyState, assess_study
from bfc.application.job_feed import Feed, JobFeed
from bfc.application.moves import Move
from bfc.application.spending import Spender
from bfc.application.study_list import PAPERS, list_studies
from bfc.errors import UserError, require
from bfc.experiment import cost
from bfc.launch.devices import usable_cores
from bfc.paths import local_path

PAGE_SECONDS, PAGE_SHARE = 1.25, 0.01
"""What is kept of the budget for the page at least: seconds per study, and a share of the whole."""
EXIT_INTERRUPTED = 130


def reproduce(
    budget: str,
    folder: str,
    only: Sequence[str] | None,
    cores: int | None,
    plan: bool,
    overrides: Sequence[str] = (),
    board: str = PAPERS,
) -> int:
    """Spend a budget on the studies with claims (``only`` these, if given), and write the page.

    ``overrides`` stand on top of every study; ``plan`` only prints what would decide the claims.
    Returns the exit status: 0, 1 where a job failed, 130 where an interrupt ended it; the page is
    written in any case. Raises :class:`UserError` before anything is run.
    """
    start = time.monotonic()
    seconds = budget_seconds(budget)
    require(cores is None or cores >= 1, "--cores", cores, "an integer >= 1")
    cores = cores or usable_cores()
    root = local_path(folder, "--folder").resolve()
    studies = list_studies(only, budget, root / "results", overrides, board)
    if plan:
        print_claim_plan(studies, cores)
        return 0
    is_new = not (root / "results").is_dir()
    page_seconds = _page_seconds(len(studies), seconds)
    if is_new and seconds <= page_seconds:
        raise UserError(
            f"--budget {budget}: must be more than {page_seconds:.0f} s, which are kept for the "
            "page; give more, or choose fewer studies with --study"
        )
    if overrides:  # one that is wrong is said before anything is run
        for study in track(studies, "composing the studies"):
            study.jobs.of_size(study.jobs.sizes[0])
    with StopRequest.listening() as stop:
        spender = _spend(studies, JobFeed(cores), root / "results", start, seconds, stop)
        left_out = spender.list_left_out()
        if is_new and len(left_out) == len(studies) and not stop.is_set:
            raise UserError(
                f"--budget {budget}: does not suffice for a first look at any of {len(studies)} "
                "studies, so nothing was run; give more, or choose studies with --study"
            )
        write_page(root, spender.unfinished_cells)
    if stop.is_set:
        print("interrupted: the same command goes on where this one stopped", flush=True)
        return EXIT_INTERRUPTED
    return 1 if any(study.has_failed for study in studies) else 0


def _page_seconds(num_studies: int, seconds: float) -> float:
    """What is kept of a budget of ``seconds`` for the page."""
    page_share = 0.0 if math.isinf(seconds) else PAGE_SHARE * seconds
    return page_share + PAGE_SECONDS * num_studies


def _spend(
    studies: Sequence[StudyState],
    feed: Feed[Move],
    results: Path,
    start: float,
    seconds: float,
    stop: StopRequest,
) -> Spender:
    """Spend ``seconds`` from ``start`` on, but for what the page needs."""
    with make_display(make_console()) as display:
        spender = Spender(
            studies,
            feed,
            assess=lambda study, claims: assess_study(study, results, claims),
            fit_model=partial(cost.fit_cost_model, [str(results)]),
            display=display,
            clock=time.monotonic,
            deadline=start + seconds,
            page_seconds=_page_seconds(len(studies), seconds),
            is_stopped=lambda: stop.is_set,
        )
        spender.spend()
        left_out = [study.name for study in spender.list_left_out()]
        if left_out:
            display.announce(f"not run, the budget does not suffice: {', '.join(left_out)}")
        display.announce(str(spender.make_status()))
    return spender


class StopRequest:
    """Whether SIGINT or SIGTERM has asked for an end; a second one ends the process at once."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.is_set = False

    @classmethod
    @contextmanager
    def listening(cls) -> Iterator[StopRequest]:
        """Note signals while the block runs; to be entered in the main thread."""
        request = cls()
        earlier = {number: signal.signal(number, request._note) for number in cls.SIGNALS}
        try:
            yield request
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.is_set = True
        for other in self.SIGNALS:
            signal.signal(other, signal.SIG_DFL)


def write_page(root: Path, unfinished: Collection[str] = ()) -> None:
    """Write the page, its tables and figures, and claims.csv, and print a summary.

    ``unfinished``: cells whose measurement was cut short, at which no claim looks. Where nothing is
    stored yet there is no page, and this is said.
    """
    console = make_console()
    try:
        made = write_report(root / "results", root / "report", unfinished=unfinished)
    except UserError as error:
        print(error, flush=True)
        return
    print_report(made, console)
    counts = made.claims["verdict"].value_counts()
    verdicts = ", ".join(f"{count} {name}" for name, count in counts.items())
    console.print(
        f"claims: {root / 'report' / 'claims.csv'}: {verdicts}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
