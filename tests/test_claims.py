"""Verdicts on claims: tables of evidence and what follows from them, and the claims of sweeps/."""

from __future__ import annotations

import inspect
import math
import re

import pandas as pd
import pytest
import yaml

from analysis.claims import COLUMNS, claims_of, describe_demand, judge_claims
from analysis.evidence import Evidence
from analysis.filters import filter_by_config
from analysis.registry import list_parts, load_constant, load_part
from analysis.verdicts import Measurement, Part, Verdict
from analysis.verdicts import judge as judge_measurement
from bfc.errors import UserError
from bfc.paths import SWEEPS
from bfc.stats.estimates import WithStandardError

INF, NAN = math.inf, math.nan
STUDIES = sorted(path.stem for path in SWEEPS.glob("*.yaml"))


NSTAR = ["method", "d", "L", "eps", "nstar", "lo", "hi", "censored", "outcome", "largest_n"]
EXPONENTS = ["method", "eps", "exponent", "lo", "hi"]
TRAININGS = ["method", "d", "n", "seed", "kind", "risk", "a", "b", "c"]


def evidence(nstar=(), exponents=(), trainings=()):
    return Evidence(
        pd.DataFrame(list(nstar), columns=NSTAR).assign(degree=4),
        pd.DataFrame(list(exponents), columns=EXPONENTS),
        pd.DataFrame(list(trainings), columns=TRAININGS),
    )


def judge(predicate, data, /, **thresholds):
    """The row of a claim in the table of judged claims."""
    claim = {"paper": "p", "statement": "s", "predicate": predicate, "thresholds": thresholds}
    table = judge_claims("none", data, [claim])
    assert list(table) == list(COLUMNS) and len(table) == 1
    return table.iloc[0]


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


@pytest.mark.parametrize(
    "thresholds, predicate, sentence",
    [
        (
            {"over": "a", "under": "b", "eps": 0.01, "at_least": 1.5, "from_L": 3},
            None,
            "a over b, ε = 0.01, from L = 3, at least 1.5",
        ),
        (
            {"method": "a", "columns": ["x/1", "y/1"], "factors": [4, 1.5]},
            None,
            "a, x/1 > y/1, by factors 4, 1.5",
        ),
        (
            {"method": "a", "eps": 0.1, "at_most": 2},
            "exponent",
            "exponent of n* in d: a, ε = 0.1, at most 2",
        ),
    ],
)
def test_a_demand_reads_as_a_sentence(thresholds, predicate, sentence):
    options = () if predicate is None else (predicate,)
    assert describe_demand(thresholds, *options) == sentence


def test_a_demand_states_the_defaults_that_are_judged():
    assert describe_demand({"method": "a"}, "growing_in_d").endswith(": a, risk, at least 1")


def trainings(values, method="m", d=32, n=512, kind="training"):
    return [(method, d, n, seed, kind, *row) for seed, row in enumerate(values)]


def with_risks(risks):
    return [(risk, NAN, NAN, NAN) for risk in risks]


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


IN_CELL = (*TRAININGS, "target", "cell_id", "line", "config.task.size", "config.task.judge")


def in_cell(rows, target, cell, size=None):
    """The same trainings with the columns that distinguish cells."""
    cell_values = {
        "target": target,
        "cell_id": cell,
        "line": cell,
        "config.task.size": size,
        "config.task.judge": "total",
    }
    return [{**dict(zip(TRAININGS, row, strict=True)), **cell_values} for row in rows]


@pytest.fixture
def two_targets() -> Evidence:
    """A deep target with a small risk, exponent 1 and a plateau; a flat one with none of these."""
    rows = in_cell(trainings(with_risks([0.02] * 24)), "deep", "x")
    rows += in_cell(trainings(with_risks([0.5] * 24)), "flat", "y")
    nstar = pd.DataFrame(
        {
            "cell_id": ["x", "y"],
            "method": "m",
            "d": 32,
            "L": 3,
            "eps": 0.01,
            "outcome": ["plateau", "success"],
            "censored": "right",
            "nstar": 9.0,
            "largest_n": 9,
        }
    )
    exponents = pd.DataFrame(
        {
            "line": ["x", "y"],
            "method": "m",
            "eps": 0.01,
            "exponent": [1.0, 3.0],
            "lo": 1.0,
            "hi": 3.0,
        }
    )
    return Evidence(nstar, exponents, pd.DataFrame(rows))


@pytest.mark.parametrize(
    "target, risk, exponent, never",
    [("deep", 0.02, 1.0, "reproduced"), ("flat", 0.5, 3.0, "undecided")],
)
def test_a_claim_within_a_part_of_a_study_sees_that_part_only(
    target, risk, exponent, never, two_targets
):
    def judge_within(predicate, *, where=None, **thresholds):
        claim = {"predicate": predicate, "thresholds": {"method": "m", **thresholds}}
        return judge("within", two_targets, where={"target": target, **(where or {})}, **claim)

    assert judge_within("median_value")["measured"] == risk
    assert judge_within("median_value", where={"task.size": 0.5})["verdict"] == "not run"
    assert judge_within("exponent", eps=0.01)["measured"] == exponent
    assert judge_within("never", eps=0.01)["verdict"] == never


def test_a_part_of_a_study_that_was_not_measured_is_reported(two_targets):
    claim = {"predicate": "median_value", "thresholds": {"method": "m"}}
    judged = judge("within", two_targets, where={"task.noise": 1}, **claim)
    assert judged["remark"] == "no training with task.noise = 1"
    assert judged["predicted"] == "task.noise = 1, median: m, risk"


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


@pytest.mark.parametrize(
    "required, verdict, remark",
    [
        ({"n": 512, "d": [32], "seeds": 9}, "reproduced", ""),
        ({"n": 4096}, "not run", "needs a largest n of at least 4096; measured: d = 32, n = 512"),
        ({"d": [32, 64, 128]}, "not run", "needs d = 64, 128; measured"),
        ({"seeds": 16}, "not run", "needs a number of seeds of at least 16; measured"),
        ({"steps": 3000}, "not run", "needs 3000 steps (measured: [])"),
    ],
)
def test_a_claim_is_judged_only_from_what_it_speaks_of(required, verdict, remark):
    data = evidence(trainings=trainings(with_risks([0.001] * 9)))
    claim = {"paper": "p", "statement": "s", "predicate": "median_value"}
    claim |= {"thresholds": {"method": "m", "at_most": 0.01}, "requires": required}
    row = judge_claims("none", data, [claim]).iloc[0]
    assert row["verdict"] == verdict and row["remark"].startswith(remark)
    assert row["source"] == ("" if remark else "d = 32, n = 512, 9 seeds")
    assert bool(row["next"]) == (verdict == "not run")


def claim_of_a_median(**more):
    head = {"paper": "p", "statement": "s", "predicate": "median_value"}
    return head | {"thresholds": {"method": "m", "at_most": 0.01}, **more}


def test_a_claim_is_judged_at_its_place_whatever_else_was_measured():
    """A larger d and n, which a larger size of the study adds, change nothing."""
    small = trainings(with_risks([0.001] * 9))
    large = trainings(with_risks([0.5] * 9), d=64, n=1024) + trainings(
        with_risks([0.5] * 9), n=9000
    )
    data = evidence(trainings=small + large)
    place = {"d": 32, "n": 512}
    row = judge_claims("none", data, [claim_of_a_median(at=place)]).iloc[0]
    assert row["verdict"] == "reproduced" and row["source"] == "d = 32, n = 512, 9 seeds"
    assert judge_claims("none", data, [claim_of_a_median()]).iloc[0]["verdict"] == "contradicted"
    absent = judge_claims("none", data, [claim_of_a_median(at={"d": 32, "n": 600})]).iloc[0]
    assert absent["verdict"] == "not run"
    assert absent["remark"] == "no training with d = 32, n = 600"
    with pytest.raises(UserError, match="a claim names a place m: no such key"):
        judge_claims("none", data, [claim_of_a_median(at={"m": 32})])


@pytest.mark.parametrize(
    "demanded, steps, verdict",
    [
        (3000, [3000] * 9, "reproduced"),
        (3000, [1000] * 9, "not run"),
        ("equal", [1000] * 9, "reproduced"),
        ("equal", [1000] * 8 + [2000], "not run"),
    ],
)
def test_optimizer_steps_are_demanded(demanded, steps, verdict):
    table = evidence(trainings=trainings(with_risks([0.001] * 9)))
    data = Evidence(table.nstar, table.exponents, table.trainings.assign(steps=steps))
    claim = claim_of_a_median(requires={"steps": demanded})
    assert judge_claims("none", data, [claim]).iloc[0]["verdict"] == verdict


def in_cells(widths, size, risks):
    """Trainings of cells that differ in their width or in the largest n of their curve."""
    rows = []
    for cell, width, n_max, risk in zip("xyz", widths, size, risks, strict=False):
        for row in in_cell(trainings(with_risks([risk] * 9), n=n_max), "t", cell):
            settings = {"config.learner.width": width, "config.baseline.n_max": n_max}
            rows.append({**row, **settings})
    return Evidence(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(rows))


def test_trainings_of_several_configurations_are_not_pooled():
    data = in_cells(widths=(8, 64), size=(512, 512), risks=(0.001, 0.5))
    row = judge_claims("none", data, [claim_of_a_median()]).iloc[0]
    assert row["verdict"] == "not run"
    assert row["remark"].startswith("2 configurations of m, which differ in learner.width")


def test_of_cells_that_differ_in_their_extent_the_furthest_is_read():
    data = in_cells(widths=(8, 8), size=(256, 512), risks=(0.5, 0.001))
    claim = {"paper": "p", "statement": "s", "predicate": "risk_at_every_d"}
    claim |= {"thresholds": {"method": "m", "at_most": 0.01}}
    row = judge_claims("none", data, [claim]).iloc[0]
    assert row["verdict"] == "reproduced" and row["source"] == "d = 32, n = 512, 9 seeds"


def test_the_source_names_the_d_that_were_judged():
    rows = []
    for d in (8, 16, 32):
        rows += in_cell(trainings(with_risks([0.001] * 9), d=d), "t", f"cell {d}")
    data = Evidence(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(rows))
    row = judge("risk_at_every_d", data, method="m", at_most=0.01, from_d=16)
    assert row["source"] == "d = 16–32, n = 512, 9 seeds"


def test_an_unknown_requirement_is_refused():
    data = evidence(trainings=trainings(with_risks([0.001] * 9)))
    claim = {"paper": "p", "statement": "s", "predicate": "median_value"}
    claim |= {"thresholds": {"method": "m"}, "requires": {"N": 512}}
    with pytest.raises(UserError, match="a claim requires N: no such key"):
        judge_claims("none", data, [claim])


def parts(*intervals, quantifier="every", at_least=1.0):
    """A measurement of parts with these values and standard errors."""
    estimates = [
        Part(WithStandardError(value, error), f"d = {d}")
        for d, (value, error) in enumerate(intervals)
    ]
    return Measurement(estimates, at_least=at_least, quantifier=quantifier)


@pytest.mark.parametrize(
    "quantifier, intervals, verdict, measured",
    [
        ("every", [(3, 0.9), (2, 0.1)], Verdict.REPRODUCED, 3),
        ("every", [(3, 0.5), (1.1, 0.1)], Verdict.UNDECIDED, 1.1),
        ("every", [(0.7, 0.1), (3, 0.1), (1.1, 0.1)], Verdict.CONTRADICTED, 0.7),
        ("every", [(0.79, 0.1), (3, 0.1), (3, 0.1)], Verdict.UNDECIDED, 0.79),
        ("every", [(0.79, 0.1)], Verdict.CONTRADICTED, 0.79),
        ("every", [(1.1, NAN), (3, 0.1)], Verdict.UNDECIDED, 1.1),
        ("some", [(3, 0.5), (0.5, 0.1)], Verdict.REPRODUCED, 3),
        ("some", [(1.21, 0.1), (0.5, 0.1), (0.5, 0.1)], Verdict.UNDECIDED, 1.21),
        ("some", [(0.7, 0.1), (0.5, 0.1)], Verdict.CONTRADICTED, 0.7),
        ("every", [], Verdict.NOT_RUN, NAN),
    ],
)
def test_intersections_and_unions(quantifier, intervals, verdict, measured):
    """The shown part is the one that decides; Bonferroni for one part to decide among several."""
    finding = judge_measurement(parts(*intervals, quantifier=quantifier))
    assert finding.verdict is verdict
    assert finding.measured == pytest.approx(measured, nan_ok=True)
    if intervals:
        place = [value for value, _ in intervals].index(measured)
        assert f"at d = {place}" in finding.remark


@pytest.mark.parametrize("value, error", [(NAN, NAN), (3, NAN), (INF, NAN), (INF, INF)])
@pytest.mark.parametrize("quantifier", ["every", "some"])
def test_no_verdict_follows_without_an_interval(value, error, quantifier):
    finding = judge_measurement(parts((value, error), quantifier=quantifier))
    assert finding.verdict is Verdict.UNDECIDED and "no interval" in finding.remark


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_states_claims_that_can_be_judged(study):
    claims = claims_of(study)
    assert claims
    sizes = yaml.safe_load((SWEEPS / f"{study}.yaml").read_text())["study"]["sizes"]
    for claim in claims:
        predicate = load_part("predicates", claim["predicate"], study)
        inspect.signature(predicate).bind(evidence(), **claim["thresholds"])
        assert claim["paper"] and claim["statement"] and claim.get("size", "30m") in sizes
    # certified_* are theorems, decided without data
    measured = [claim for claim in claims if not claim["predicate"].startswith("certified_")]
    assert set(judge_claims(study, evidence(), measured)["verdict"]) == {"not run"}


def test_an_unknown_predicate_is_refused():
    with pytest.raises(UserError, match="no such predicate; did you mean exponent"):
        judge_claims("s", evidence(), [{"paper": "p", "statement": "s", "predicate": "exponents"}])


@pytest.mark.parametrize(
    "thresholds, sentence",
    [
        (
            {"method": "m", "eps": 0.1, "at_lest": 1},
            "exponent has no option at_lest; did you mean at_least?",
        ),
        ({"method": "m"}, "exponent needs eps"),
    ],
)
def test_thresholds_that_a_predicate_does_not_have_or_lacks_are_refused(thresholds, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        judge("exponent", evidence(), **thresholds)


@pytest.mark.parametrize("name", list_parts("predicates"))
def test_a_predicate_is_the_documented_function_of_its_file(name):
    """It takes evidence first, and everything else it takes is a threshold by name."""
    function = load_part("predicates", name, "test")
    first, *_ = inspect.signature(function).parameters
    assert first == "evidence" and function.__doc__
    if name not in ("within", "of_feature"):
        quantity = load_constant("predicates", name, "QUANTITY", None)
        assert quantity, "what is measured, for the table of claims"


def test_a_list_of_lists_selects_the_configuration_that_is_just_it():
    """It is stored item by item; one that goes on differently or further is another one."""
    stored = [("[1]", "[1, 2]", None), ("[1]", "[1, 2]", "[1, 2, 3]"), ("[1]", "[1, 3]", None)]
    rows = pd.DataFrame(stored, columns=[f"config.target.sets.{i}" for i in range(3)])
    chosen = filter_by_config(rows, {"target.sets": [[1], [1, 2]]})
    assert list(chosen.index) == [0]
    assert list(filter_by_config(rows, {"target.sets": [[1], [1, 2], [1, 2, 3]]}).index) == [1]
    assert filter_by_config(rows, {"target.other": [[1]]}).empty
