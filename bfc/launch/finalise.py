"""What is left to do when everything of a launch has ended, also where some of it failed.

Count the outcomes, show the studies in their trackers, post to a webhook, collect the tables and
draw the report beside the manifest. SLURM runs it as a job that waits for all others (afterany),
the local pool at its end, and a user as ``bfc collect``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bfc.experiment.job import load_job
from bfc.launch.manifest import Launch
from bfc.launch.waiting import wait_until_settled
from bfc.messages import show_messages
from bfc.streams import print_line, secure_streams
from bfc.trackers.client import show_studies

WEBHOOK_VARIABLE = "BFC_WEBHOOK"
"""Environment variable with an address that gets a JSON message when a launch has ended."""
WEBHOOK_SECONDS = 20.0


@dataclass(frozen=True)
class Finalise:
    """The payload of the last job, pickled by reference."""

    launch: str
    report: bool = True
    """Whether the report is drawn too."""

    def __call__(self) -> None:
        secure_streams()
        show_messages()
        launch = Launch(self.launch)
        counts = write_summary(launch)
        print_line(json.dumps(counts))
        show_studies([load_job(container) for container in launch.containers])
        address = os.environ.get(WEBHOOK_VARIABLE)
        if address:
            post_summary(address, launch, counts)
        if self.report:
            draw_report(launch, launch.path / "report")


def write_summary(launch: Launch) -> dict[str, int]:
    """State → number of cells; written to summary.json beside the manifest."""
    counts = dict(Counter(status.state for status in wait_until_settled(launch)))
    (launch.path / "summary.json").write_text(json.dumps(counts))
    return {str(state): count for state, count in counts.items()}


def draw_report(launch: Launch, folder: Path) -> Path:
    """Draw the report of the launch's store, or of its study, into ``folder``.

    Leaves the process with status 1 where there is nothing to report.
    """
    study = launch.manifest["study"]
    study_options = ["--study", study] if study else []
    stores = sorted({container["results"] for container in launch.containers})
    for store in stores:
        out = folder if len(stores) == 1 else folder / Path(store).name
        report = [sys.executable, "-m", "analysis.report", store, "-o", str(out), *study_options]
        if subprocess.run(report).returncode:
            sys.exit(1)
    return folder


def post_summary(address: str, launch: Launch, counts: dict[str, int]) -> None:
    """Post the outcome of a launch to a webhook; where that fails, the error is printed."""
    outcome = ", ".join(f"{count} {state}" for state, count in counts.items())
    message: dict[str, Any] = {"text": f"{launch.name}: {outcome}", **counts}
    request = urllib.request.Request(
        address, json.dumps(message).encode(), {"Content-Type": "application/json"}
    )
    try:
        urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS).close()
    except (OSError, ValueError) as error:
        print_line(f"{WEBHOOK_VARIABLE}: {error}", to_stderr=True)
