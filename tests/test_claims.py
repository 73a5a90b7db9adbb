"""Verdicts on claims: what they require and where they are judged, and the claims of sweeps/."""

from __future__ import annotations

import inspect
import re

import pandas as pd
import pytest
from claim_tables import (
    INF,
    NAN,
    evidence,
    in_cell,
    judge,
    trainings,
    with_risks,
)

from analysis.claims import claims_of, describe_demand, judge_claims, list_methods
from analysis.evidence import Evidence
from analysis.filters import filter_by_config
from analysis.registry import list_parts, load_constant, load_part
from analysis.verdicts import Measurement, Part
from analysis.verdicts import judge as judge_measurement
from bfc.errors import UserError
from bfc.paths import SWEEPS
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.estimates import WithStandardError
from bfc.yaml_text import parse_yaml

STUDIES = sorted(path.stem for path in SWEEPS.glob("*.yaml"))


@pytest.mark.parametrize(
    "thresholds, predicate, sentence",
    [
        (
            {"over": "a", "under": "b", "eps": 0.01, "at_least": 1.5, "from_L": 3},
            None,
            "a over b, ε = 0.01, from L = 3, at least 1.5",
        ),
        (
            {"over": "a", "over_where": {"x.lr": 0.1}, "under": "b", "under_where": {"x.lr": 2}},
            None,
            "a (x with learning rate 0.1) over b (x with learning rate 2)",
        ),
        (
            {"over": "a", "over_where": {"x.w": [8]}, "under": "b", "under_where": {"x.w": [8]}},
            None,
            "a over b (both: x with w [8])",
        ),
        (
            {
                "where": {"target": "t", "x.b": 1},
                "predicate": "median_value",
                "thresholds": {"method": "a", "column": "level3/gram/2", "at_most": 1},
            },
            "within",
            "median: a, Gram error of level 2 after the phase of level 3, at most 1 "
            "(target = t, x with b 1)",
        ),
        (
            {"method": "a", "from_d": 8, "to_d": 8, "against": "task.noise"},
            None,
            "a, d = 8, against noise of the task",
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
    assert describe_demand({"method": "a"}, "growing_in_d").endswith(
        ": a, relative test risk, at least 1"
    )


@pytest.mark.parametrize("study", STUDIES)
def test_a_demand_names_no_stored_column_and_no_key_of_a_configuration(study):
    for claim in claims_of(study):
        text = describe_demand(claim.get("thresholds", {}), claim["predicate"])
        for name in list_methods(claim.get("thresholds", {})):
            text = text.replace(name, "")
        assert not re.search(r"[a-z0-9]/[a-z0-9]|[a-z]\.[a-z]|at_least|_where|overlap/", text), text


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
    assert judged["predicted"] == "median: m, relative test risk (task with noise 1)"


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
    sizes = parse_yaml((SWEEPS / f"{study}.yaml").read_text())["study"]["sizes"]
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


@pytest.mark.parametrize("stored", [[True, False], ["True", "False"], [True, "False"]])
def test_a_flag_is_selected_where_other_studies_make_texts_of_its_column(stored):
    rows = pd.DataFrame({"config.learner.shared": pd.Series(stored, dtype=object)})
    assert list(filter_by_config(rows, {"learner.shared": True}).index) == [0]
    assert list(filter_by_config(rows, {"learner.shared": False}).index) == [1]
