"""What predicates measure in small tables of evidence, and the verdicts that follow."""

from __future__ import annotations

import pandas as pd
import pytest
from claim_tables import (
    IN_CELL,
    INF,
    NAN,
    TRAININGS,
    evidence,
    in_cell,
    judge,
    trainings,
    with_risks,
)

from analysis.evidence import Evidence


@pytest.mark.parametrize(
    "row, band, verdict",
    [
        ((1.0, 0.8, 1.2), {"at_most": 1.3}, "reproduced"),
        ((1.0, 0.8, 1.4), {"at_most": 1.3}, "undecided"),
        ((1.6, 1.4, 1.8), {"at_most": 1.3}, "contradicted"),
        ((3.1, 2.85, 3.4), {"at_least": 2.7}, "reproduced"),
        ((3.1, 2.6, 3.4), {"at_least": 2.7}, "undecided"),
        ((2.0, 1.6, 2.4), {"at_least": 2.7}, "contradicted"),
        ((1.0, NAN, NAN), {"at_most": 1.3}, "undecided"),
        ((NAN, NAN, NAN), {"at_most": 1.3}, "undecided"),
    ],
)
def test_an_exponent_is_judged_by_its_whole_interval(row, band, verdict):
    """By the one for repeated looks, 2.7 / 1.96 times as wide as that of 95 %."""
    data = evidence(exponents=[("m", 0.01, *row), ("m", 0.1, 9, 9, 9), ("other", 0.01, 9, 9, 9)])
    assert judge("exponent", data, method="m", eps=0.01, **band)["verdict"] == verdict


def plateaus(cells):
    """Cells of a method m at one n each: (outcome, successes, trainings)."""
    rows, table = [], []
    for d, (outcome, successes, count) in enumerate(cells, start=1):
        censored = "right" if outcome == "plateau" else ""
        table.append(("m", d, 3, 0.01, 9.0, 9.0, INF, censored, outcome, 9))
        risks = [0.001] * successes + [0.5] * (count - successes)
        cell = trainings(with_risks(risks), d=d, n=9)
        rows += in_cell(cell, "t", f"m {d}")
        rows += in_cell(trainings(with_risks([0.001] * 9), d=d, n=9, kind="confirmation"), "t", "")
    data = evidence(table)
    data.nstar["cell_id"] = [f"m {d}" for d in data.nstar["d"]]
    return Evidence(data.nstar, data.exponents, pd.DataFrame(rows, columns=list(IN_CELL)))


@pytest.mark.parametrize(
    "cells, verdict",
    [
        ([("plateau", 0, 24), ("plateau", 0, 28)], "reproduced"),
        ([("plateau", 0, 24), ("plateau", 0, 8)], "undecided"),
        ([("plateau", 0, 24), ("data_limited", 0, 24)], "undecided"),
        ([("plateau", 0, 24), ("plateau", 1, 24)], "undecided"),
        ([("plateau", 1, 40), ("plateau", 0, 24)], "reproduced"),
        ([("plateau", 0, 24), ("success", 24, 24)], "contradicted"),
        ([("success", 2, 3)], "undecided"),
        ([("plateau", 0, 24), ("optimisation_limited", 0, 24)], "undecided"),
        ([], "not run"),
    ],
)
def test_never_bounds_the_chance_of_success_in_every_cell(cells, verdict):
    """At most .2, with a confirmed plateau.

    23 trainings without a success show it at the level of repeated looks.
    """
    assert judge("never", plateaus(cells), method="m", eps=0.01)["verdict"] == verdict


def test_never_says_which_plateaus_no_number_of_seeds_confirms():
    data = plateaus([("plateau", 0, 24), ("data_limited", 0, 24)])
    sentence = judge("never", data, method="m", eps=0.01)["power"]
    assert sentence.startswith("no number of seeds decides this; d = 2: its plateau is not conf")


def nstar_row(method, d, nstar, factor, censored="", L=3):
    """A row of n* whose interval reaches ``factor`` to either side; to infinity if censored."""
    hi = INF if censored else nstar * factor
    return (method, d, L, 0.01, nstar, nstar / factor, hi, censored, "success", 900)


RATIO = {"over": "slow", "under": "fast", "eps": 0.01, "at_least": 2}
LARGE_RATIOS = [
    nstar_row("slow", 8, 400, 1.1),
    nstar_row("fast", 8, 100, 1.1),
    nstar_row("slow", 16, 900, 1.1, "right"),
    nstar_row("fast", 16, 100, 1.1),
]


def test_the_smallest_ratio_of_sample_sizes_decides():
    large = judge("nstar_ratio", evidence(LARGE_RATIOS), **RATIO)
    assert large["verdict"] == "reproduced" and large["measured"] == 4
    assert "d = 8" in large["remark"]
    close_rows = [nstar_row("slow", 32, 220, 1.2), nstar_row("fast", 32, 100, 1.2)]
    close = judge("nstar_ratio", evidence([*LARGE_RATIOS, *close_rows]), **RATIO)
    assert close["verdict"] == "undecided"


def test_targets_of_different_depth_are_compared_only_where_a_claim_says_so():
    """By d alone, of which either must have one cell each."""
    deeper = [nstar_row("slow", d, 400, 1.1, L=4) for d in (8, 16)]
    shallow = [nstar_row("fast", d, 100, 1.1) for d in (8, 16)]
    data = evidence([*deeper, *shallow])
    assert judge("nstar_ratio", data, **RATIO)["verdict"] == "not run"
    compared = judge("nstar_ratio", data, **RATIO, by=["d"])
    assert compared["verdict"] == "reproduced" and compared["measured"] == 4
    several = evidence([*deeper, *shallow, nstar_row("fast", 8, 100, 1.1, L=2)])
    unclear = judge("nstar_ratio", several, **RATIO, by=["d"])
    assert unclear["verdict"] == "not run"
    assert "several cells of fast with the same d" in unclear["remark"]


def test_a_ratio_may_be_claimed_from_a_depth_on():
    equal_rows = [nstar_row(method, 8, 100, 1.0, L=2) for method in ("slow", "fast")]
    data = evidence([*LARGE_RATIOS, *equal_rows])
    assert judge("nstar_ratio", data, **RATIO)["verdict"] == "contradicted"
    assert judge("nstar_ratio", data, **RATIO, from_L=3)["verdict"] == "reproduced"


def test_a_ratio_needs_both_sample_sizes():
    unknown = [
        nstar_row("slow", 32, NAN, 1.0),
        nstar_row("fast", 32, 100, 1.1),
        nstar_row("slow", 64, 100, 1.1),
        nstar_row("fast", 64, NAN, 1.0),
    ]
    partly = judge("nstar_ratio", evidence([*LARGE_RATIOS, *unknown]), **RATIO)
    assert partly["verdict"] == "undecided", "a ratio at every d, of which two are unknown"
    assert "open at d = 32, L = 3, d = 64, L = 3" in partly["remark"]
    assert judge("nstar_ratio", evidence(unknown[-2:]), **RATIO)["verdict"] == "undecided"
    assert judge("nstar_ratio", evidence(), **RATIO)["verdict"] == "not run"


def test_ratios_are_taken_at_one_degree():
    """Degree 4 needs less than degree 6 of either method: neither is compared with the other."""
    sizes = [("slow", 400), ("fast", 100), ("slow", 900), ("fast", 300)]
    data = evidence([nstar_row(method, 8, n, 1.02, L=1) for method, n in sizes])
    data.nstar["degree"] = [4, 4, 6, 6]
    judged = judge("nstar_ratio", data, **RATIO)
    assert judged["measured"] == 3 and "degree 6, of 2 places" in judged["remark"]


def test_medians_and_ratios_are_taken_seed_by_seed_at_the_largest_d_and_n():
    risks = [0.001 * (1 + 0.01 * i) for i in range(20)]
    high = with_risks([9.0] * 9)
    rows = trainings(with_risks(risks))
    rows += trainings(high, n=64) + trainings(high, d=8, n=9999)
    rows += trainings(high, n=99999, kind="confirmation")
    median = judge("median_value", evidence(trainings=rows), method="m", at_most=0.002)
    assert median["verdict"] == "reproduced" and median["measured"] == pytest.approx(0.001095)
    slow = trainings(with_risks(50 * risk for risk in risks), method="slow")
    options = {"over": "slow", "under": "m", "at_least": 10}
    ratio = judge("median_ratio", evidence(trainings=rows + slow), **options)
    assert ratio["verdict"] == "reproduced"
    assert (ratio["lo"], ratio["hi"]) == (pytest.approx(50), pytest.approx(50))
    missing = judge("median_ratio", evidence(trainings=rows), **options)
    assert missing["verdict"] == "not run"


def test_shares_of_seeds_count_strict_and_factored_falls():
    values = [(0.0, 0.4, 0.04, 0.02)] * 590 + [(0.0, 0.4, 0.04, 0.05)] * 10
    data = evidence(trainings=trainings(values))

    def share_falling(columns, method="m", **options):
        return judge(
            "share_falling", data, method=method, columns=columns, at_least=0.95, **options
        )

    strict = share_falling(["a", "b", "c"])
    assert strict["measured"] == pytest.approx(590 / 600) and strict["verdict"] == "reproduced"
    assert share_falling(["a", "b", "c"], factors=[4, 3])["verdict"] == "contradicted"
    assert share_falling(["a", "b"], factors=[9])["verdict"] == "reproduced"
    assert share_falling(["a", "b"], method="x")["verdict"] == "not run"


def test_seeds_that_diverged_count_among_those_that_do_not_fall():
    """Else a method that diverges in half of the seeds would pass by the other half."""
    values = [(0.0, 0.4, 0.04, 0.02)] * 20 + [(NAN, 0.4, NAN, NAN)] * 20
    table = pd.DataFrame(trainings(values), columns=TRAININGS)
    options = {"method": "m", "columns": ["a", "b", "c"], "at_least": 0.8}
    judged = {}
    for diverged in (table["risk"].isna(), table["risk"] < 0):
        data = Evidence(pd.DataFrame(), pd.DataFrame(), table.assign(diverged=diverged))
        judged[bool(diverged.any())] = judge("share_falling", data, **options)
    assert judged[True]["measured"] == 0.5 and judged[True]["verdict"] == "contradicted"
    assert judged[False]["measured"] == 1.0, "a column that was not measured says nothing"


def test_a_share_is_judged_by_its_interval():
    """46 of 48 seeds are more than 95 %, and no evidence that more than 95 % of all seeds are."""
    values = [(0.0, 0.4, 0.04, 0.02)] * 46 + [(0.0, 0.4, 0.04, 0.05)] * 2
    data = evidence(trainings=trainings(values))
    options = {"method": "m", "columns": ["a", "b", "c"], "at_least": 0.95}
    assert judge("share_falling", data, **options)["verdict"] == "undecided"


@pytest.mark.parametrize("risk, verdict", [(0.22, "reproduced"), (0.24, "contradicted")])
def test_agnostic_risks_are_judged_against_the_best_in_the_class(risk, verdict):
    """OPT = .2 at size .5, the bound .2 · 1.1 + .01 = .23."""
    rows = in_cell(trainings(with_risks([risk] * 9)), "t", "x", 0.5)
    data = Evidence(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(rows))
    judged = judge("agnostic_bound", data, method="m", gamma=0.1, eps=0.1)
    assert judged["verdict"] == verdict and judged["measured"] == pytest.approx(risk / 0.23)
    other = judge("agnostic_bound", data, method="other", gamma=0.1, eps=0.1)
    assert other["verdict"] == "not run"


def test_an_agnostic_bound_without_data_was_not_run():
    judged = judge("agnostic_bound", evidence(), method="m", gamma=0.1, eps=0.1)
    assert judged["verdict"] == "not run"
