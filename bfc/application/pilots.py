"""Pilot values: what earlier runs say about the seeds that decide each claim.

They are committed with the studies, in ``sweeps/pilots.json``, so that a plan can be made where
nothing was run yet. ``python -m bfc.application.pilots RESULTS`` renews those of the studies in a
results folder.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from analysis.claims import assess_claim
from analysis.evidence import Evidence
from analysis.load import load_results
from analysis.look_log import LookLog, identify_claim
from analysis.power import estimate_growth
from bfc.durations import format_duration
from bfc.paths import SWEEPS
from bfc.stats.claim_verdicts import DECIDED, Verdict
from bfc.stats.looks import POWER
from bfc.store.atomic import replace_file
from bfc.studies import claims_of

FILE = "pilots.json"
"""Below the folder of the studies."""


@dataclass(frozen=True)
class Pilot:
    """What a pilot run says about one claim."""

    study: str
    source: str
    """What it was judged from, in words."""
    seeds: int
    """Seeds of the pilot."""
    more_seeds: int | None
    """Those that decide it beyond, with probability .9; 0 where the pilot decided it, None where no
    number of seeds is likely to, or where this is not known."""

    def describe(self, seconds_per_seed: float, cores: int) -> str:
        """What decides the claim, for a plan.

        ``seconds_per_seed``: of one core, for all cells that the claim reads.
        """
        pilot = f"by a pilot at {self.source}"
        if self.more_seeds is None:
            return f"{pilot}, no number of seeds is known to decide this"
        seeds = self.seeds + self.more_seeds
        duration = format_duration(seeds * seconds_per_seed / cores)
        if self.more_seeds == 0:
            return f"{pilot}, {seeds} seeds ({duration}) decided this"
        return f"{pilot}, about {seeds} seeds ({duration}) decide this with probability {POWER:g}"


def load_pilots(folder: Path = SWEEPS) -> dict[str, Pilot]:
    """Claim (:func:`analysis.look_log.identify_claim`) → its pilot."""
    path = folder / FILE
    if not path.is_file():
        return {}
    return {
        key: Pilot(**value) for key, value in json.loads(path.read_text(encoding="utf-8")).items()
    }


def measure_pilots(results: Path) -> dict[str, Pilot]:
    """The pilots of all claims that a results folder can judge; no look is counted."""
    pilots: dict[str, Pilot] = {}
    for name, evidence in load_results(results).studies.items():
        pilots |= dict(_measure_study(name, evidence))
    return pilots


def _measure_study(name: str, evidence: Evidence) -> Iterator[tuple[str, Pilot]]:
    for claim in claims_of(name):
        assessment = assess_claim(name, claim, evidence, LookLog(None, name))
        source = assessment.measurement.source
        if assessment.finding.verdict is Verdict.NOT_RUN or not source.seeds:
            continue
        more_seeds: int | None = 0
        if assessment.finding.verdict.value not in DECIDED:
            growth = estimate_growth(assessment.measurement)
            more_seeds = None
            if math.isfinite(growth):
                more_seeds = math.ceil(source.seeds * (growth - 1.0))
        yield identify_claim(claim), Pilot(name, str(source), source.seeds, more_seeds)


def main() -> None:
    parser = argparse.ArgumentParser(description="Renew the pilot values of the studies.")
    parser.add_argument("results", type=Path)
    pilots = {**load_pilots(), **measure_pilots(parser.parse_args().results)}
    content = {key: asdict(pilots[key]) for key in sorted(pilots)}
    text = json.dumps(content, indent=1) + "\n"
    replace_file(SWEEPS / FILE, lambda path: path.write_text(text, encoding="utf-8"))
    print(f"{len(pilots)} claims have pilot values")


if __name__ == "__main__":
    main()
