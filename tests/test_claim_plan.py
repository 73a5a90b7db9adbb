"""What would decide each claim, from pilot values and from the store."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

from analysis.evidence import Evidence
from analysis.look_log import identify_claim
from bfc.application import claim_plan, pilots
from bfc.application.claim_plan import UNKNOWN, tabulate_claims
from bfc.application.pilots import FILE, Pilot, load_pilots
from bfc.application.study_list import list_studies
from bfc.studies import claims_of

PILOT = Pilot("bfc_chain", "d = 32, 16 seeds", 16, 40)


def test_a_pilot_says_how_many_seeds_decide_and_how_long_they_take() -> None:
    text = PILOT.describe(seconds_per_seed=30.0, cores=2)
    assert text == (
        "by a pilot at d = 32, 16 seeds, about 56 seeds (14 min) decide this with probability 0.9"
    )
    decided = dataclasses.replace(PILOT, more_seeds=0).describe(30.0, 2)
    assert decided.endswith("16 seeds (4 min) decided this")
    unknown = dataclasses.replace(PILOT, more_seeds=None).describe(30.0, 2)
    assert unknown.endswith("no number of seeds is known to decide this")


def test_the_committed_pilots_are_of_claims() -> None:
    """Some of them, at least: one of a claim whose sentence has changed since is passed over."""
    current = {
        identify_claim(claim)
        for pilot in load_pilots().values()
        for claim in claims_of(pilot.study)
    }
    assert current & load_pilots().keys()


def test_pilots_are_measured_from_trainings() -> None:
    """All seeds show it: the share that decides has a closed form, so some more are needed."""
    columns = ["level2/gram/2", "level3/gram/2", "level4/gram/2"]
    rows = [
        {
            "cell_id": "c",
            "method": "staged quadratic_densenet",
            "kind": "training",
            "d": 32,
            "L": 4,
            "n": 64,
            "seed": seed,
            "risk": 1e-9,
            "diverged": False,
            "steps": 3000,
            **dict(zip(columns, (1.0, 0.1, 0.01), strict=True)),
        }
        for seed in range(16)
    ]
    empty = pd.DataFrame()
    nstar = pd.DataFrame({"method": [], "eps": [], "cell_id": []})
    evidence = Evidence(nstar, empty, pd.DataFrame(rows))
    found = dict(pilots._measure_study("bfc_chain", evidence))
    first, *_ = claims_of("bfc_chain")
    pilot = found[identify_claim(first)]
    assert pilot.seeds == 16 and pilot.more_seeds is not None and pilot.more_seeds > 30


@pytest.mark.parametrize("has_pilot", [True, False])
def test_before_the_first_look_a_plan_rests_on_pilots_or_knows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_pilot: bool
) -> None:
    studies = list_studies(["bfc_chain"], "30m", tmp_path / "nothing")
    key = identify_claim(studies[0].claims[0].claim)
    known = {key: PILOT} if has_pilot else {}
    monkeypatch.setattr(claim_plan, "load_pilots", lambda: known)
    first, second, *_ = tabulate_claims(studies, cores=2)
    assert first.cells == ("staged quadratic_densenet, d = 32",) and first.verdict == ""
    assert ("about 56 seeds" in first.decided_by) == has_pilot
    assert second.decided_by.startswith(f"{UNKNOWN}; the first look takes about ")
    assert not (tmp_path / "nothing").exists()


def test_pilots_are_read_from_their_file(tmp_path: Path) -> None:
    assert load_pilots(tmp_path) == {}
    (tmp_path / FILE).write_text(json.dumps({"key": dataclasses.asdict(PILOT)}))
    assert load_pilots(tmp_path) == {"key": PILOT}
