"""The list of claims: none is deleted or changed, and each is a sentence that can be read alone.

It names its target, the d that it speaks of and its thresholds, says where it stands in its paper
and what must have been measured for it, and some size of its study measures that."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from bfc.paths import CONF, SWEEPS
from bfc.studies import claims_of

COMMITTED = json.loads((Path(__file__).parent / "data/claims_of_the_papers.json").read_text())
"""Per claim, in the order of its study: its id, its thresholds and when these were set."""
STUDIES = sorted(path.stem for path in SWEEPS.glob("*.yaml"))
CLAIMS = [(study, claim) for study in STUDIES for claim in claims_of(study)]
THRESHOLD_SET = {"before", "after", "unknown"}
"""Whether a threshold, or a setting of what it judges, was chosen after a look at results."""
NUMBERS = ("at_least", "at_most", "eps", "risk", "factors", "gamma", "law")
"""Thresholds of predicates that say how much is claimed, and not of what."""


def identify(study: str, statement: str) -> str:
    """The id of a claim: it changes where the sentence does, and not with its line breaks."""
    digest = hashlib.sha256(" ".join(statement.split()).encode()).hexdigest()
    return f"{study}/{digest[:10]}"


def read_numbers_of(thresholds: Mapping[str, Any]) -> dict[str, Any]:
    """The :data:`NUMBERS` of a claim, those of a claim within a claim included."""
    own = {name: thresholds[name] for name in NUMBERS if name in thresholds}
    nested = thresholds.get("thresholds")
    return own | (read_numbers_of(nested) if isinstance(nested, Mapping) else {})


def describe_claim(study: str, claim: Mapping[str, Any]) -> dict[str, Any]:
    """What the committed list holds of a claim."""
    return {
        "id": identify(study, claim["statement"]),
        "thresholds": read_numbers_of(claim["thresholds"]),
        "threshold_set": claim["threshold_set"],
    }


IDS = [identify(study, claim["statement"]) for study, claim in CLAIMS]
each_claim = pytest.mark.parametrize("study, claim", CLAIMS, ids=IDS)


def test_no_claim_of_the_papers_is_deleted_or_changed():
    """Neither a sentence, nor a threshold, nor when it was set, nor the order in a study."""
    described = [describe_claim(study, claim) for study, claim in CLAIMS]
    ids = [entry["id"] for entry in COMMITTED]
    assert len(ids) == len(set(ids)) == 153
    assert [entry for entry in described if entry["id"] in ids] == COMMITTED


def test_ids_are_unique():
    assert [name for name, count in Counter(IDS).items() if count > 1] == []


def test_an_id_follows_the_words_and_not_the_line_breaks():
    assert identify("a", "one two") == identify("a", " one\n  two\n")
    assert identify("a", "one two") != identify("a", "one three")
    assert identify("a", "one two") != identify("b", "one two")


DISPLAY_NAMES = {
    "quadratic_densenet": "composition of quadratics",
    "random_polynomial": "random polynomial",
    "images": "images of digits",
    "radial": r"hinge|cos\(2π‖x‖\)",
    "low_rank": "degree-[0-9] (target|polynomial)|polynomials of|fourth power",
    "quadratic_feature": "functions of one quadratic feature",
    "leap": "staircase|monomials? of",
    "sight": "SIGHT",
    "index": "index model",
    "quadratic_of_quadratics": "quadratic of quadratics",
    "hierarchy": "random hierarchy model",
    "relu_network": "ReLU network",
    "parity": "product of three coordinates",
}
"""Target → what a sentence calls it, as a regular expression."""
RANGE = r"\bd = [0-9]|d from [0-9]|(every|measured) (measured )?d\b|limit for large d|at no d"
"""How a sentence names the d that it speaks of."""
WORDS = {
    0.1: "tenth",
    0.5: "half",
    1: "at least as many|no lower|at least the median|at most 1",
    2: "twice",
}
"""Thresholds that sentences write in words."""


def list_targets(study: str) -> set[str]:
    """The targets of a study, those of its blocks included."""
    base = yaml.safe_load((SWEEPS / f"{study}.yaml").read_text())
    overrides = [entry for entry in base["defaults"] if isinstance(entry, Mapping)]
    targets = {entry["override /target"] for entry in overrides if "override /target" in entry}
    for blocks in base["study"]["sizes"].values():
        targets |= {block["target"] for block in blocks if "target" in block}
    return targets


@each_claim
def test_a_sentence_names_its_target_and_the_d_that_it_speaks_of(study, claim):
    statement = " ".join(claim["statement"].split())
    targets = list_targets(study)
    assert any(re.search(DISPLAY_NAMES[target], statement) for target in targets), targets
    if targets == {"images"}:
        assert f"{claim['at']['n']} labels" in statement
    else:
        assert re.search(RANGE, statement)


@each_claim
def test_a_sentence_states_its_thresholds_and_its_place(study, claim):
    statement = " ".join(claim["statement"].split())
    for name, value in read_numbers_of(claim["thresholds"]).items():
        for number in value if isinstance(value, list) else [value]:
            if name != "law":
                assert is_stated(number, statement), (name, number)
    for name, value in claim.get("at", {}).items():
        assert is_stated(value, statement), (name, value)
    steps = claim.get("requires", {}).get("steps")
    if isinstance(steps, int):
        assert f"{steps} steps" in statement


def is_stated(number: float, statement: str) -> bool:
    """Whether a sentence has a number, as digits, in per cent or in words."""
    digits = {float(text) for text in re.findall(r"-?[0-9]+(?:\.[0-9]+)?", statement)}
    percent = {float(text) / 100 for text in re.findall(r"([0-9.]+) %", statement)}
    if any(math.isclose(number, other) for other in digits | percent):
        return True
    return number in WORDS and re.search(WORDS[number], statement) is not None


def test_numbers_are_found_as_digits_in_per_cent_and_in_words():
    assert is_stated(0.95, "in at least 95 % of the seeds") and is_stated(2, "at least twice")
    assert is_stated(-0.3, "between -0.30 and -0.22") and not is_stated(3, "30 times, d = 13")


@each_claim
def test_a_claim_says_where_it_stands_and_when_its_threshold_was_set(study, claim):
    assert isinstance(claim["place"], str) and claim["place"].strip()
    assert claim["threshold_set"] in THRESHOLD_SET


@each_claim
def test_some_size_measures_what_a_claim_requires(study, claim):
    required = {**claim.get("at", {}), **claim.get("requires", {})}
    required.pop("steps", None)
    assert required.keys() <= {"n", "d", "L", "seeds"}
    if required:
        sizes = measured_by_size(study)
        assert any(suffices(measured, required) for measured in sizes.values()), (required, sizes)


def suffices(measured: Mapping[str, set[int]], required: Mapping[str, Any]) -> bool:
    """Whether one size has every required value, and at least the required number of seeds."""
    for key, values in required.items():
        demanded = set(values) if isinstance(values, list) else {values}
        if key == "seeds":
            if max(measured["seeds"], default=0) < max(demanded):
                return False
        elif not demanded <= measured[key]:
            return False
    return True


@cache
def measured_by_size(study: str) -> dict[str, dict[str, set[int]]]:
    """Size → the n, d, L and numbers of seeds that its blocks ask for, as its file spells them."""
    base = yaml.safe_load((SWEEPS / f"{study}.yaml").read_text())
    sizes = {}
    for size, blocks in base["study"]["sizes"].items():
        measured: dict[str, set[int]] = {"n": set(), "d": set(), "L": set(), "seeds": set()}
        for block in blocks:
            measured["d"] |= read_numbers(look_up(base, block, "target.d"))
            measured["L"] |= read_numbers(look_up(base, block, "target.L"))
            measured["seeds"] |= read_numbers(look_up(base, block, "measure.seeds"))
            measured["n"] |= read_n(base, block)
        sizes[size] = measured
    return sizes


def read_n(base: Mapping[str, Any], block: Mapping[str, Any]) -> set[int]:
    """The n of a block's trainings, or the largest n of its baselines."""
    if "baseline" not in block:
        return read_numbers(look_up(base, block, "measure.n"))
    if "baseline.n_max" in block:
        return read_numbers(block["baseline.n_max"])
    names = block["baseline"].split(",")
    files = [yaml.safe_load((CONF / f"baseline/{name}.yaml").read_text()) for name in names]
    return {defaults["n_max"] for defaults in files}


def look_up(base: Mapping[str, Any], block: Mapping[str, Any], key: str) -> Any:
    """The value of a key in a block, else in the study's file; None where neither has it."""
    group, name = key.split(".")
    return block.get(key, (base.get(group) or {}).get(name))


def read_numbers(value: Any) -> set[int]:
    """The whole numbers of a value: ``32``, ``[8, 16]`` or an override such as ``"8,16"``."""
    return {int(text) for text in re.findall(r"\d+", str(value))}


def test_numbers_are_read_from_values_and_from_overrides():
    assert read_numbers(32) == {32}
    assert read_numbers([8, 16]) == read_numbers("8,16") == read_numbers("[8,16]") == {8, 16}
    assert read_numbers("fresh") == read_numbers(None) == set()


def test_what_a_size_measures_is_told_from_what_it_does_not():
    demo, large = (measured_by_size("bfc_kernels")[size] for size in ("demo", "30m"))
    assert demo["n"] == {512, 1024} and large["n"] == {512, 4096} and large["d"] == {32}
    assert suffices(large, {"n": [512, 4096], "d": 32, "seeds": 8})
    assert not suffices(large, {"seeds": 9}) and not suffices(demo, {"n": 4096})
