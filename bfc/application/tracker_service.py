"""``python -m bfc.application.tracker_service``: the process that talks to a tracker, so that the
one that trains never does. It reads a request per line (JSON) on standard input, answers a line
each, and ends when its input ends, which it does however the other process ends."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.snapshots import cell_view, study_view
from bfc.environment import scrub
from bfc.errors import UserError
from bfc.snapshot import STUDY, project_name
from bfc.store.cells import Cell
from bfc.trackers.upload_log import FOLDER, Receipt, fingerprint


def main() -> None:
    """Serve until the input ends. Whatever a tracker prints goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the process that trains
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    trackers: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        described = json.dumps(request["tracker"], sort_keys=True)
        os.chdir(request["folder"])
        try:
            if described not in trackers:
                trackers[described] = build(request["tracker"])
            answer = show(trackers[described], request)
        except UserError as error:
            answer = {"error": str(error)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"}
        print(scrub(json.dumps(answer)), file=answers)
    for tracker in trackers.values():
        tracker.close()


def build(node: Mapping[str, Any]) -> Any:
    """The tracker that :func:`bfc.trackers.client.describe` described."""
    module, _, name = node["_target_"].rpartition(".")
    return getattr(importlib.import_module(module), name)(
        **{key: value for key, value in node.items() if key != "_target_"}
    )


def show(tracker: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """Show one cell, or the study as a whole where ``cells`` names several: ``{"shown": where}``,
    or ``{"as_before": true}``."""
    results, study, cells = Path(request["results"]), request["study"], request["cells"]
    whole, closed = request["whole"], request["closed"]
    folders = [results / cell for cell in cells]
    destination = tracker.destination(study)
    if destination is None or (
        closed and all(Cell(folder).state() in ("unknown", "running") for folder in folders)
    ):
        return {"as_before": True}
    name = STUDY if whole else cells[0]
    receipt = Receipt(
        results / FOLDER / type(tracker).__name__.lower() / project_name(destination), name
    )
    with receipt.locked():
        mark = fingerprint(folders)
        if closed and receipt.holds(mark):
            return {"as_before": True}
        where = tracker.show(
            study_view(results, study) if whole else cell_view(folders[0], study, closed)
        )
        if closed:
            receipt.write(mark, where)
        return {"shown": where}


if __name__ == "__main__":
    main()
