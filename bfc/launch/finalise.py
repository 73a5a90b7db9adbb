"""What is left to do when everything of a launch has ended, also where some of it failed: say what
came of it, show its studies in their trackers, tell a webhook, collect the tables and draw the
report beside the manifest. Run by SLURM as a job that waits for all others (afterany), by the local
pool at its end, and by hand as `bfc collect`."""

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
from bfc.launch.status import settled
from bfc.trackers.client import show_studies

WEBHOOK = "BFC_WEBHOOK"
"""Environment variable with an address that gets a JSON message when a launch has ended."""


@dataclass(frozen=True)
class Finalise:
    """The payload of the last job, pickled by reference; ``report``: draw it too."""

    launch: str
    report: bool = True

    def __call__(self) -> None:
        launch = Launch(self.launch)
        counts = summary(launch)
        print(json.dumps(counts), flush=True)
        show_studies([load_job(container) for container in launch.containers])
        if os.environ.get(WEBHOOK):
            tell(os.environ[WEBHOOK], launch, counts)
        if self.report:
            collect(launch, launch.path / "report")


def summary(launch: Launch) -> dict[str, int]:
    """State → number of cells; written to summary.json beside the manifest."""
    counts = dict(Counter(row.state for row in settled(launch)))
    (launch.path / "summary.json").write_text(json.dumps(counts))
    return counts


def collect(launch: Launch, folder: Path) -> Path:
    """Draw the report of the launch's store, or of its study, into ``folder``. Leaves the process
    with status 1 where there is nothing to report."""
    study = launch.manifest["study"]
    results = {container["results"] for container in launch.containers}
    for path in sorted(results):
        out = folder if len(results) == 1 else folder / Path(path).name
        command = [
            sys.executable,
            "-m",
            "analysis.report",
            path,
            "-o",
            str(out),
            *(["--study", study] if study else []),
        ]
        if subprocess.run(command).returncode:
            sys.exit(1)
    return folder


def tell(address: str, launch: Launch, counts: dict[str, int]) -> None:
    """Send what came of a launch to a webhook; a network that is not there is only a line in the
    log."""
    text: dict[str, Any] = {
        "text": f"{launch.name}: " + ", ".join(f"{n} {state}" for state, n in counts.items()),
        **counts,
    }
    request = urllib.request.Request(
        address, json.dumps(text).encode(), {"Content-Type": "application/json"}
    )
    try:
        urllib.request.urlopen(request, timeout=20).close()
    except (OSError, ValueError) as error:
        print(f"{WEBHOOK}: {error}", file=sys.stderr, flush=True)
