"""Looks at a claim are counted and stored; a verdict stands at the look that made it."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pytest

from analysis.claims import judge_claims
from analysis.evidence import Evidence
from analysis.look_log import FOLDER, Look, LookLog, identify_claim
from bfc.errors import UserError
from bfc.stats.looks import MAX_LOOKS

CLAIM = {
    "paper": "p",
    "statement": "The method reaches a median risk of at most 0.1.",
    "predicate": "median_value",
    "thresholds": {"method": "m", "at_most": 0.1},
}


def evidence_with(risks: list[float]) -> Evidence:
    """One cell whose seeds end at these risks."""
    trainings = pd.DataFrame(
        {
            "cell_id": "c",
            "method": "m",
            "kind": "training",
            "d": 8,
            "L": 2,
            "n": 64,
            "seed": range(len(risks)),
            "risk": risks,
        }
    )
    return Evidence(pd.DataFrame(), pd.DataFrame(), trainings)


def judge(risks: list[float], folder: Path | None, unfinished: Collection[str] = ()) -> pd.Series:
    """One look at the claim, as a report makes it; ``unfinished``: cells that were cut short."""
    log = LookLog(folder, "study", unfinished)
    row = judge_claims("study", evidence_with(risks), [CLAIM], log=log).iloc[0]
    log.save()
    return row


OPEN = [0.02, 0.09, 0.3]
LOW = [0.01, 0.011, 0.012, 0.013, 0.014, 0.015, 0.016, 0.017, 0.018, 0.019]


def test_a_verdict_stands_at_the_look_that_made_it(tmp_path) -> None:
    assert tuple(judge(OPEN, tmp_path)[["look", "verdict"]]) == (1, "undecided")
    assert tuple(judge(LOW, tmp_path)[["look", "verdict"]]) == (2, "reproduced")


def test_a_standing_verdict_is_shown_with_the_interval_that_made_it(tmp_path) -> None:
    """What was measured since is named, and judges nothing."""
    decided = judge(LOW, tmp_path)
    later = judge([*LOW, *[1.0] * 30], tmp_path)
    numbers = ["measured", "lo", "hi", "judged_lo", "judged_hi", "source", "look", "verdict"]
    assert list(later[numbers]) == list(decided[numbers])
    assert later["judged_hi"] <= CLAIM["thresholds"]["at_most"]
    assert "verdict of an earlier look, at d = 8, L = 2, n = 64, 10 seeds" in later["remark"]
    newest = "the newest trainings (d = 8, L = 2, n = 64, 40 seeds), which tables and figures show,"
    assert f"{newest} give 1, 1 to 1" in later["remark"]


def test_what_a_budget_cuts_short_is_no_look_until_it_has_ended(tmp_path) -> None:
    """Neither at the end of the budget nor when the same trainings are reported again."""
    before = judge(OPEN, tmp_path)
    for unfinished in (["c"], []):
        row = judge(LOW, tmp_path, unfinished)
        assert tuple(row[["look", "verdict"]]) == (1, "undecided")
        assert row["measured"] == before["measured"] and row["source"] == before["source"]
        assert "not looked at yet" in row["remark"]
    assert tuple(judge([*LOW, 0.02], tmp_path)[["look", "verdict"]]) == (2, "reproduced")


def test_a_first_look_that_is_cut_short_is_not_run(tmp_path) -> None:
    for unfinished in (["c"], []):
        row = judge(LOW, tmp_path, unfinished)
        assert tuple(row[["look", "verdict"]]) == (0, "not run") and math.isnan(row["measured"])
        assert "not looked at yet" in row["remark"]
    assert tuple(judge([*LOW, 0.02], tmp_path)[["look", "verdict"]]) == (1, "reproduced")


def test_cells_of_other_claims_that_are_cut_short_change_nothing(tmp_path) -> None:
    assert judge(LOW, tmp_path, ["another"])["verdict"] == "reproduced"


def test_a_verdict_stands_while_more_is_measured(tmp_path) -> None:
    judge(LOW, tmp_path)
    later = judge([*LOW, *[1.0] * 30], tmp_path, ["c"])
    assert tuple(later[["look", "verdict"]]) == (1, "reproduced")


def test_the_same_trainings_are_one_look(tmp_path) -> None:
    for _ in range(2 * MAX_LOOKS):
        assert judge(OPEN, tmp_path)["look"] == 1
    before = (tmp_path / FOLDER / "study.json").stat().st_mtime_ns
    judge(OPEN, tmp_path)
    assert (tmp_path / FOLDER / "study.json").stat().st_mtime_ns == before


def test_after_the_last_look_nothing_is_decided_any_more(tmp_path) -> None:
    for count in range(MAX_LOOKS):
        assert judge([*OPEN, *[0.05] * count], tmp_path)["look"] == count + 1
    row = judge(LOW, tmp_path)
    assert tuple(row[["look", "verdict"]]) == (MAX_LOOKS, "undecided")
    assert row["power"] == "nothing decides this any more: its 5 looks are used up"
    assert row["next"] == ""
    assert judge(LOW, None)["verdict"] == "reproduced"


def test_another_threshold_is_another_claim() -> None:
    other = {**CLAIM, "thresholds": {"method": "m", "at_most": 0.2}}
    assert identify_claim(CLAIM) != identify_claim(other)
    log = LookLog(None, "study")
    log.record(CLAIM, Look("a", "", "reproduced"))
    record = log.record(other, Look("b", "", "undecided"))
    assert record.number == 1 and record.standing == Look("b", "", "undecided")


def test_what_was_not_run_is_no_look(tmp_path) -> None:
    log = LookLog(tmp_path, "study")
    row = judge_claims("study", evidence_with([]), [CLAIM], log=log).iloc[0]
    log.save()
    assert (row["look"], row["verdict"]) == (0, "not run") and not list(tmp_path.iterdir())


def test_a_damaged_file_is_a_sentence(tmp_path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "study.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        LookLog(tmp_path, "study")


def test_the_interval_that_judges_is_wider_than_the_plain_one(tmp_path) -> None:
    row = judge(OPEN, tmp_path)
    assert row["judged_lo"] < row["lo"] < row["measured"] < row["hi"] < row["judged_hi"]


def test_the_p_value_is_that_of_the_look_that_made_the_verdict(tmp_path) -> None:
    judge(OPEN, tmp_path)
    decided = judge(LOW, tmp_path)
    later = judge([*LOW, *[1.0] * 30], tmp_path)
    assert 0 < decided["p_value"] < 0.05
    assert later["p_value"] == decided["p_value"]


def test_looks_that_were_stored_without_numbers_are_read(tmp_path) -> None:
    """The interval of such a look is unknown, so the newest one is shown and said to be that."""
    judge(LOW, tmp_path)
    path = tmp_path / FOLDER / "study.json"
    looks = json.loads(path.read_text())
    for entries in looks.values():
        for entry in entries:
            for name in set(entry) - {"fingerprint", "source", "verdict"}:
                del entry[name]
    path.write_text(json.dumps(looks))
    later = judge([*LOW, *[1.0] * 30], tmp_path)
    assert later["verdict"] == "reproduced" and math.isnan(later["p_value"])
    assert later["measured"] == 1.0 and "interval was not stored" in later["remark"]


def test_a_missing_interval_says_how_many_seeds_judge() -> None:
    """Equal values have order statistics only: 8 at the one-sided level of repeated looks."""
    assert judge([0.01] * 7, None)["verdict"] == "undecided"
    assert "it takes 8 seeds" in judge([0.01] * 7, None)["remark"]
    assert judge([0.01] * 8, None)["verdict"] == "reproduced"
