"""``python -m bfc.application.tracker_service``: the process that talks to trackers.

The process that trains never does. This one reads a request per line on standard input, answers
with a line each (:mod:`bfc.trackers.protocol`), and ends when its input ends, which it does however
the other process ends.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.snapshots import snapshot_cell, snapshot_study
from bfc.environment import scrub
from bfc.errors import UserError
from bfc.snapshot import STUDY, project_name
from bfc.store.cells import Cell
from bfc.trackers.protocol import Answer, RequestStatus, ShowRequest
from bfc.trackers.sync import UNFINISHED_STATES
from bfc.trackers.upload_log import UPLOADS_FOLDER, UploadRecord, fingerprint_cells
from bfc.types import Tracker

MAX_REASON = 600
"""Characters of an error that a caller is told."""


def main() -> None:
    """Serve until the input ends. Whatever a tracker prints goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the process that trains
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    trackers: dict[str, Tracker] = {}
    for line in sys.stdin:
        answer = _answer(ShowRequest.from_json(line), trackers)
        print(scrub(answer.to_json()), file=answers)
    for tracker in trackers.values():
        tracker.close()


def _answer(request: ShowRequest, trackers: dict[str, Tracker]) -> Answer:
    """Serve one request with the tracker that it names, built if it is a new one."""
    os.chdir(request.folder)
    description = json.dumps(request.tracker, sort_keys=True)
    try:
        if description not in trackers:
            trackers[description] = build_tracker(request.tracker)
        return show(trackers[description], request)
    except UserError as error:
        return Answer(RequestStatus.FAILED, error=str(error))
    except Exception as error:
        reason = " ".join(str(error).split())
        if len(reason) > MAX_REASON:
            reason = f"{reason[:MAX_REASON]} ..."
        return Answer(RequestStatus.FAILED, error=f"{type(error).__name__}: {reason}")


def build_tracker(description: Mapping[str, Any]) -> Tracker:
    """The tracker that :func:`bfc.trackers.protocol.describe_tracker` described."""
    settings = dict(description)
    module, _, name = settings.pop("_target_").rpartition(".")
    tracker: Tracker = getattr(importlib.import_module(module), name)(**settings)
    return tracker


def show(tracker: Tracker, request: ShowRequest) -> Answer:
    """Show one cell or study, unless exactly this was shown before."""
    results = Path(request.results)
    folders = [results / cell for cell in request.cells]
    destination = tracker.destination(request.study)
    if destination is None or (request.closed and not _any_finished(folders)):
        return Answer(RequestStatus.UNCHANGED)
    tracker_folder = results / UPLOADS_FOLDER / type(tracker).__name__.lower()
    name = STUDY if request.whole_study else request.cells[0]
    record = UploadRecord(tracker_folder / project_name(destination), name)
    with record.locked():
        fingerprint = fingerprint_cells(folders)
        if request.closed and record.matches(fingerprint):
            return Answer(RequestStatus.UNCHANGED)
        if request.whole_study:
            snapshot = snapshot_study(results, request.study)
        else:
            snapshot = snapshot_cell(folders[0], request.study, request.closed)
        address = tracker.show(snapshot)
        if request.closed:
            record.write(fingerprint, address)
        return Answer(RequestStatus.SHOWN, address)


def _any_finished(folders: list[Path]) -> bool:
    return any(Cell(folder).state() not in UNFINISHED_STATES for folder in folders)


if __name__ == "__main__":
    main()
