"""Verdicts on claims: a table of evidence and what follows from it, and every study's claims as
they stand under sweeps/."""

from __future__ import annotations

import inspect
import math
import re

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis.claims import COLUMNS, claims_of, describe_demand, judge_claims
from analysis.evidence import Evidence
from analysis.registry import list_parts, load_constant, load_part
from analysis.risks import compute_median_interval
from bfc.errors import UserError
from bfc.paths import SWEEPS

INF, NAN = math.inf, math.nan
STUDIES = sorted(path.stem for path in SWEEPS.glob("*.yaml"))


def evidence(nstar=(), exponents=(), trainings=()):
    return Evidence(
        pd.DataFrame(
            list(nstar),
            columns=[
                "method",
                "d",
                "L",
                "eps",
                "nstar",
                "lo",
                "hi",
                "censored",
                "outcome",
                "largest_n",
            ],
        ).assign(degree=4),
        pd.DataFrame(list(exponents), columns=["method", "eps", "exponent", "lo", "hi"]),
        pd.DataFrame(
            list(trainings), columns=["method", "d", "n", "seed", "kind", "risk", "a", "b", "c"]
        ),
    )


def verdict(predicate, data, /, **thresholds):
    claim = {"paper": "p", "statement": "s", "predicate": predicate, "thresholds": thresholds}
    table = judge_claims("none", data, [claim])
    assert list(table) == list(COLUMNS) and len(table) == 1
    return table.iloc[0]


@pytest.mark.parametrize(
    "row, band, want",
    [
        ((1.0, 0.8, 1.2), {"at_most": 1.3}, "reproduced"),
        ((1.0, 0.8, 1.4), {"at_most": 1.3}, "undecided"),
        ((1.6, 1.4, 1.8), {"at_most": 1.3}, "contradicted"),
        ((3.1, 2.8, 3.4), {"at_least": 2.7}, "reproduced"),
        ((3.1, 2.6, 3.4), {"at_least": 2.7}, "undecided"),
        ((2.0, 1.6, 2.4), {"at_least": 2.7}, "contradicted"),
        ((1.0, NAN, NAN), {"at_most": 1.3}, "undecided"),
        ((NAN, NAN, NAN), {"at_most": 1.3}, "undecided"),
    ],
)
def test_an_exponent_is_judged_by_its_whole_interval(row, band, want):
    data = evidence(exponents=[("m", 0.01, *row), ("m", 0.1, 9, 9, 9), ("other", 0.01, 9, 9, 9)])
    assert verdict("exponent", data, method="m", eps=0.01, **band)["verdict"] == want


@pytest.mark.parametrize(
    "cells, want",
    [
        ([("right", "plateau"), ("right", "plateau")], "reproduced"),
        ([("right", "plateau"), ("right", "data_limited")], "undecided"),
        ([("right", "plateau"), ("", "success")], "contradicted"),
        ([], "undecided"),
        ([("right", "plateau"), ("", "beyond")], "undecided"),
        ([("right", "plateau"), ("", "optimisation_limited")], "undecided"),
    ],
)
def test_never_needs_a_plateau_in_every_cell(cells, want):
    """An n* beyond the largest n, or none at all, is neither reached nor a plateau."""
    size = {"beyond": 10.0, "optimisation_limited": NAN}
    rows = [
        ("m", d, 3, 0.01, size.get(cell[1], 9.0), NAN, INF, *cell, 9)
        for d, cell in enumerate(cells)
    ]
    assert verdict("never", evidence(rows), method="m", eps=0.01)["verdict"] == want


def test_the_smallest_ratio_of_sample_sizes_decides():
    def cell(method, d, nstar, width, censored="", L=3):
        return (
            method,
            d,
            L,
            0.01,
            nstar,
            nstar / width,
            nstar * width if not censored else INF,
            censored,
            "success",
            900,
        )

    good = [
        cell("slow", 8, 400, 1.1),
        cell("fast", 8, 100, 1.1),
        cell("slow", 16, 900, 1.1, "right"),
        cell("fast", 16, 100, 1.1),
    ]
    found = verdict("nstar_ratio", evidence(good), over="slow", under="fast", eps=0.01, at_least=2)
    assert (
        found["verdict"] == "reproduced" and found["measured"] == 4 and "d = 8" in found["remark"]
    )
    close = [*good, cell("slow", 32, 220, 1.2), cell("fast", 32, 100, 1.2)]
    assert (
        verdict("nstar_ratio", evidence(close), over="slow", under="fast", eps=0.01, at_least=2)[
            "verdict"
        ]
        == "undecided"
    )
    equal_at_two = [*good, cell("slow", 8, 100, 1.0, L=2), cell("fast", 8, 100, 1.0, L=2)]
    assert (
        verdict(
            "nstar_ratio", evidence(equal_at_two), over="slow", under="fast", eps=0.01, at_least=2
        )["verdict"]
        == "contradicted"
    )
    kept = verdict(
        "nstar_ratio",
        evidence(equal_at_two),
        over="slow",
        under="fast",
        eps=0.01,
        at_least=2,
        from_L=3,
    )
    assert kept["verdict"] == "reproduced"
    unknown = [
        *good,
        cell("slow", 32, NAN, 1.0),
        cell("fast", 32, 100, 1.1),
        cell("slow", 64, 100, 1.1),
        cell("fast", 64, NAN, 1.0),
    ]
    assert (
        verdict("nstar_ratio", evidence(unknown), over="slow", under="fast", eps=0.01, at_least=2)[
            "measured"
        ]
        == 4
    )
    assert (
        verdict(
            "nstar_ratio", evidence(unknown[-2:]), over="slow", under="fast", eps=0.01, at_least=2
        )["verdict"]
        == "undecided"
    )
    assert (
        verdict("nstar_ratio", evidence(), over="slow", under="fast", eps=0.01, at_least=2)[
            "verdict"
        ]
        == "undecided"
    )


def test_ratios_are_taken_at_one_degree():
    """Degree 4 needs less than degree 6 of either method: neither is compared with the other."""
    found = [("slow", 400), ("fast", 100), ("slow", 900), ("fast", 300)]
    data = evidence(
        [(method, 8, 1, 0.01, n, 0.98 * n, 1.02 * n, "", "success", 999) for method, n in found]
    )
    data.nstar["degree"] = [4, 4, 6, 6]
    found = verdict("nstar_ratio", data, over="slow", under="fast", eps=0.01, at_least=2)
    assert found["measured"] == 3 and "degree 6, of 2" in found["remark"]


def test_what_is_demanded_reads_as_a_sentence():
    assert (
        describe_demand({"over": "a", "under": "b", "eps": 0.01, "at_least": 1.5, "from_L": 3})
        == "a over b, ε = 0.01, from L = 3, at least 1.5"
    )
    assert (
        describe_demand({"method": "a", "columns": ["x/1", "y/1"], "factors": [4, 1.5]})
        == "a, x/1 > y/1, by factors 4, 1.5"
    )
    assert (
        describe_demand({"method": "a", "eps": 0.1, "at_most": 2}, "exponent")
        == "exponent of n* in d: a, ε = 0.1, at most 2"
    )
    assert describe_demand({"method": "a"}, "growing_in_d").endswith(": a, risk, at least 1"), (
        "a default that is judged is said, too"
    )


def trainings(values, method="m", d=32, n=512, kind="training"):
    return [(method, d, n, seed, kind, *row) for seed, row in enumerate(values)]


def test_medians_and_ratios_are_taken_seed_by_seed_at_the_largest_d_and_n():
    risks = [(0.001 * (1 + 0.01 * i), NAN, NAN, NAN) for i in range(20)]
    rows = (
        trainings(risks)
        + trainings([(9.0, NAN, NAN, NAN)] * 9, n=64)
        + trainings([(9.0, NAN, NAN, NAN)] * 9, d=8, n=9999)
    )
    rows += trainings([(9.0, NAN, NAN, NAN)] * 9, n=99999, kind="confirmation")
    found = verdict("median_value", evidence(trainings=rows), method="m", at_most=0.002)
    assert found["verdict"] == "reproduced" and found["measured"] == pytest.approx(0.001095)
    slow = trainings([(50 * r[0], NAN, NAN, NAN) for r in risks], method="slow")
    found = verdict(
        "median_ratio", evidence(trainings=rows + slow), over="slow", under="m", at_least=10
    )
    assert (
        found["verdict"] == "reproduced"
        and found["lo"] == pytest.approx(50)
        and found["hi"] == pytest.approx(50)
    )
    assert (
        verdict("median_ratio", evidence(trainings=rows), over="slow", under="m", at_least=10)[
            "verdict"
        ]
        == "undecided"
    )


def test_shares_of_seeds_count_strict_and_factored_falls():
    values = [(0.0, 0.4, 0.04, 0.02)] * 46 + [(0.0, 0.4, 0.04, 0.05)] * 2
    data = evidence(trainings=trainings(values))
    assert verdict("share_falling", data, method="m", columns=["a", "b", "c"], at_least=0.95)[
        "measured"
    ] == pytest.approx(46 / 48)
    assert (
        verdict("share_falling", data, method="m", columns=["a", "b", "c"], at_least=0.95)[
            "verdict"
        ]
        == "reproduced"
    )
    assert (
        verdict(
            "share_falling",
            data,
            method="m",
            columns=["a", "b", "c"],
            factors=[4, 3],
            at_least=0.95,
        )["verdict"]
        == "contradicted"
    )
    assert (
        verdict("share_falling", data, method="m", columns=["a", "b"], factors=[9], at_least=0.95)[
            "verdict"
        ]
        == "reproduced"
    )
    assert (
        verdict("share_falling", data, method="x", columns=["a", "b"], at_least=0.95)["verdict"]
        == "undecided"
    )


def split(rows, target, cell, size=None):
    """The same trainings with the columns that tell cells apart."""
    return [
        {
            **dict(
                zip(("method", "d", "n", "seed", "kind", "risk", "a", "b", "c"), row, strict=True)
            ),
            "target": target,
            "cell_id": cell,
            "line": cell,
            "config.task.size": size,
            "config.task.judge": "total",
        }
        for row in rows
    ]


def test_a_claim_within_a_part_of_a_study_sees_that_part_only():
    one, two = ([(value, NAN, NAN, NAN)] * 9 for value in (0.01, 0.5))
    rows = split(trainings(one), "deep", "x") + split(trainings(two), "flat", "y")
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
    data = Evidence(
        nstar,
        pd.DataFrame(
            {
                "line": ["x", "y"],
                "method": "m",
                "eps": 0.01,
                "exponent": [1.0, 3.0],
                "lo": 1.0,
                "hi": 3.0,
            }
        ),
        pd.DataFrame(rows),
    )
    for target, value, line in (("deep", 0.01, 1.0), ("flat", 0.5, 3.0)):
        part = {
            "where": {"target": target},
            "predicate": "median_value",
            "thresholds": {"method": "m"},
        }
        assert verdict("within", data, **part)["measured"] == value
        part = {
            "where": {"target": target, "task.size": None},
            "predicate": "median_value",
            "thresholds": {"method": "m"},
        }
        assert verdict("within", data, **part)["verdict"] == "undecided"
        part = {
            "where": {"target": target},
            "predicate": "exponent",
            "thresholds": {"method": "m", "eps": 0.01},
        }
        assert verdict("within", data, **part)["measured"] == line
        part = {
            "where": {"target": target},
            "predicate": "never",
            "thresholds": {"method": "m", "eps": 0.01},
        }
        assert verdict("within", data, **part)["verdict"] == (
            "reproduced" if target == "deep" else "undecided"
        )
    found = verdict(
        "within",
        data,
        where={"task.noise": 1},
        predicate="median_value",
        thresholds={"method": "m"},
    )
    assert (
        found["remark"] == "nothing was measured with task.noise"
        and found["predicted"] == "task.noise = 1, median: m, risk"
    )


def test_agnostic_risks_are_judged_against_the_best_in_the_class():
    """OPT = .2 at size .5, the bound .2 · 1.1 + .01 = .23."""
    for risk, want in ((0.22, "reproduced"), (0.24, "contradicted")):
        data = Evidence(
            pd.DataFrame(),
            pd.DataFrame(),
            pd.DataFrame(split(trainings([(risk, NAN, NAN, NAN)] * 9), "t", "x", 0.5)),
        )
        found = verdict("agnostic_bound", data, method="m", gamma=0.1, eps=0.1)
        assert found["verdict"] == want and found["measured"] == pytest.approx(risk / 0.23)
    assert (
        verdict("agnostic_bound", data, method="other", gamma=0.1, eps=0.1)["verdict"]
        == "undecided"
    )
    assert (
        verdict("agnostic_bound", evidence(), method="m", gamma=0.1, eps=0.1)["verdict"]
        == "undecided"
    )


@pytest.mark.parametrize("count", [6, 16, 48, 257])
def test_median_intervals_cover(count):
    """Coverage of the order-statistic interval of a skewed law over 2000 samples: at least nominal
    less three standard errors."""
    samples = np.random.default_rng(count).lognormal(size=(2000, count))
    ends = np.array([compute_median_interval(row)[1:] for row in samples])
    covered = ((ends[:, 0] <= 1) & (1 <= ends[:, 1])).mean()
    assert 0.935 < covered <= 1 and (count < 16 or covered < 0.99)


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_states_claims_that_can_be_judged(study):
    claims = claims_of(study)
    assert claims
    sizes = yaml.safe_load((SWEEPS / f"{study}.yaml").read_text())["study"]["sizes"]
    for claim in claims:
        inspect.signature(load_part("predicates", claim["predicate"], study)).bind(
            evidence(), **claim["thresholds"]
        )
        assert claim["paper"] and claim["statement"] and claim.get("size", "30m") in sizes
    measured = [
        claim for claim in claims if not claim["predicate"].startswith("certified_")
    ]  # those are theorems, decided without data
    assert set(judge_claims(study, evidence(), measured)["verdict"]) == {"undecided"}


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
        judge_claims(
            "s",
            evidence(),
            [{"paper": "p", "statement": "s", "predicate": "exponent", "thresholds": thresholds}],
        )


@pytest.mark.parametrize("name", list_parts("predicates"))
def test_a_predicate_is_the_documented_function_of_its_file(name):
    """It takes evidence first, and everything else it takes is a threshold by name."""
    function = load_part("predicates", name, "test")
    first, *_ = inspect.signature(function).parameters
    assert first == "evidence" and function.__doc__
    assert name == "within" or load_constant("predicates", name, "QUANTITY", None), (
        "what is measured, for the table of claims"
    )
