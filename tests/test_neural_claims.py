"""Predicates and figure of the neural-representation studies on tables whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analysis.evidence import Evidence, Verdict
from analysis.per_seed_nstar import find_crossings
from analysis.plots.nstar_over_law import nstar_over_law
from analysis.predicates.collapse import collapse
from analysis.predicates.exponent_gap import exponent_gap
from analysis.predicates.log_slope import log_slope
from analysis.predicates.nstar_slope import nstar_slope
from analysis.reference_laws import LAWS, get_law
from analysis.style import LineStyle
from bfc.errors import UserError


def curves(
    constant: float, scatter: float = 0.02, seeds: int = 5, dims=(6, 8, 12), top: float = 2.0
) -> Evidence:
    """Seeds whose risk falls as a power of n through .1 at constant · P2, log-normal scatter."""
    random, rows = np.random.default_rng(0), []
    for d in dims:
        for seed in range(seeds):
            at = constant * LAWS["P2"](d, 4) * math.exp(scatter * random.normal())
            grid = LAWS["P2"](d, 4) * constant * np.geomspace(0.5, top, 9)
            about = {
                "method": "m",
                "kind": "curve",
                "d": d,
                "degree": 4,
                "seed": seed,
                "fresh": False,
            }
            rows += [{**about, "n": n, "risk": 0.1 * (n / at) ** -2} for n in grid]
    return Evidence(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(rows))


def test_crossings_are_read_seed_by_seed():
    table = find_crossings(curves(3.0, 0.0), "m", 0.1)
    np.testing.assert_allclose(table["median"], [3 * LAWS["P2"](d, 4) for d in (6, 8, 12)])
    np.testing.assert_allclose(table["lo"], table["hi"])
    assert (table["reached"] == 5).all() and find_crossings(curves(3.0), "other", 0.1).empty
    short = find_crossings(curves(3.0, 0.5, top=1.05), "m", 0.1)
    assert (short["reached"] < 5).any() and (short["seeds"] == 5).all()


@pytest.mark.parametrize(
    "constant, scatter, band, verdict",
    [
        (3.0, 0.02, (2.5, 3.5), Verdict.REPRODUCED),
        (3.0, 0.02, (3.5, 4.5), Verdict.CONTRADICTED),
        (3.0, 0.02, (1.0, 2.0), Verdict.CONTRADICTED),
        (3.0, 0.02, (3.0, 3.5), Verdict.UNDECIDED),
        (3.0, 0.3, (2.9, 3.1), Verdict.UNDECIDED),
    ],
)
def test_a_collapse_is_judged_by_its_interval(constant, scatter, band, verdict):
    found = collapse(curves(constant, scatter), "m", 0.1, "P2", *band)
    assert found.verdict == verdict and found.lo < found.measured < found.hi
    assert abs(math.log(found.measured / constant)) < 3 * scatter


def test_a_law_that_does_not_hold_is_seen_at_the_ends():
    """n* ∝ P2 is no law d² ln d: the geometric mean may lie in a band that single d leave."""
    found = collapse(curves(4.0, 0.01, dims=(6, 8, 12, 16, 24)), "m", 0.1, "d^2 ln d", 0.7, 1.2)
    assert found.verdict == Verdict.CONTRADICTED and "6: " in found.remark and "24: " in found.remark


def test_what_is_missing_is_said():
    assert collapse(curves(3.0, seeds=2), "m", 0.1, "P2", 0, 9).verdict == Verdict.UNDECIDED
    with pytest.raises(UserError, match=r"law=d\^9: no such law"):
        get_law("d^9")
    assert (
        get_law("harmonics")(6, 4) == 182
        and get_law("top harmonics")(8, 4) == 294
        and get_law("P2")(12, 4) == 90
    )


def exponents(*rows: tuple[str, float, float, float]) -> Evidence:
    table = pd.DataFrame(
        [{"method": m, "eps": 0.1, "exponent": e, "lo": lo, "hi": hi} for m, e, lo, hi in rows]
    )
    return Evidence(pd.DataFrame(), table, pd.DataFrame())


def test_the_gap_of_two_exponents():
    found = exponent_gap(exponents(("a", 3.2, 2.9, 3.6), ("b", 2.4, 2.0, 2.7)), "a", "b", 0.1, 0.2)
    assert (found.measured, found.lo, found.hi) == pytest.approx(
        (0.8, 0.8 - math.hypot(0.3, 0.3), 0.8 + math.hypot(0.4, 0.4))
    )
    assert found.verdict == Verdict.REPRODUCED
    assert exponent_gap(exponents(("a", 3.2, 2.9, 3.6)), "a", "b", 0.1, 0.2).verdict == Verdict.UNDECIDED


def test_one_of_several_lines_of_a_method():
    lines = exponents(
        ("a", 3.2, 2.9, 3.6), ("b", 2.4, 2.0, 2.7), ("b", 3.4, 3.0, 3.7)
    ).exponents.assign(line=["a", "narrow", "wide"])
    rows = [
        {
            "method": "b",
            "kind": "training",
            "cell_id": line,
            "line": line,
            "n": 9,
            "config.learner.width": m,
        }
        for line, m in (("narrow", 8), ("wide", 64))
    ]
    evidence = Evidence(pd.DataFrame(), lines, pd.DataFrame(rows))
    assert exponent_gap(evidence, "a", "b", 0.1, 0.2).verdict == Verdict.UNDECIDED
    assert exponent_gap(
        evidence, "a", "b", 0.1, 0.2, under_where={"learner.width": 8}
    ).measured == pytest.approx(0.8)


def test_a_collapse_of_some_cells_of_a_method():
    held, whole = curves(3.75), curves(3.0)
    mixed = Evidence(
        pd.DataFrame(),
        pd.DataFrame(),
        pd.concat(
            [
                held.trainings.assign(**{"config.measure.validation": "inside"}),
                whole.trainings.assign(**{"config.measure.validation": "none"}),
            ]
        ),
    )
    for value, constant in (("inside", 3.75), ("none", 3.0)):
        found = collapse(mixed, "m", 0.1, "P2", 1, 9, where={"measure.validation": value})
        assert found.measured == pytest.approx(constant, rel=0.05)
    assert (
        collapse(mixed, "m", 0.1, "P2", 1, 9, where={"measure.validation": "free"}).verdict
        == Verdict.UNDECIDED
    )


@pytest.mark.parametrize("slope, verdict", [(-0.25, Verdict.REPRODUCED), (-0.5, Verdict.CONTRADICTED)])
def test_a_slope_in_a_configured_number(slope, verdict):
    random = np.random.default_rng(1)
    rows = [
        {
            "method": "m",
            "kind": "training",
            "seed": s,
            "config.learner.width": m,
            "all/x": m**slope * math.exp(0.02 * random.normal()),
        }
        for s in range(6)
        for m in (64, 256, 1024)
    ]
    evidence = Evidence(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(rows))
    found = log_slope(evidence, "m", "all/x", "learner.width", -0.3, -0.22)
    assert found.verdict == verdict and found.lo < slope < found.hi and found.hi - found.lo < 0.05
    assert log_slope(evidence, "m", "all/y", "learner.width", -1, 0).verdict == Verdict.UNDECIDED


def test_the_figure_divides_by_the_law():
    rows = [
        {
            "method": m,
            "line": m,
            "d": d,
            "degree": 4,
            "eps": 0.1,
            "nstar": 2 * get_law(name)(d, 4),
            "lo": get_law(name)(d, 4),
            "hi": 3 * get_law(name)(d, 4),
            "censored": "",
            "validation": "none",
        }
        for m, name in (("a", "P2"), ("b", "harmonics"))
        for d in (6, 8)
    ]
    looks = {"a": LineStyle("#000000", "o", "-"), "b": LineStyle("#111111", "s", "-")}
    evidence = Evidence(pd.DataFrame(rows), pd.DataFrame(), pd.DataFrame(), styles=looks)
    (chart,) = nstar_over_law(evidence, {"a": "P2", "b": "harmonics"})
    drawn = [series.data for column in chart.columns for panel in column for series in panel.series]
    assert len(drawn) == 2 and all(
        np.allclose(data["y"], 2) and np.allclose(data["lo"], 1) for data in drawn
    )
    assert not list(nstar_over_law(evidence, {"c": "P2"}))


def test_n_star_against_a_rank():
    """n* = c_d r^0.6 at three ranks and two d: the slope within its interval, lists by their
    length."""
    rows = [
        {
            "method": "m",
            "kind": "curve",
            "d": d,
            "degree": 4,
            "seed": s,
            "fresh": False,
            "config.target.degrees": str([4] * r),
            "n": n,
            "risk": 0.1 * (n / (20 * d * r**0.6 * (1 + 0.01 * s))) ** -2,
        }
        for d in (6, 8)
        for r in (1, 2, 4)
        for s in range(3)
        for n in 20 * d * r**0.6 * np.geomspace(0.5, 2, 9)
    ]
    evidence = Evidence(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(rows))
    found = nstar_slope(evidence, "m", 0.1, "target.degrees", 0.5, 0.7)
    assert found.measured == pytest.approx(0.6, abs=1e-6) and found.verdict == Verdict.REPRODUCED
    assert nstar_slope(evidence, "m", 0.1, "target.rank", 0.5, 0.7).verdict == Verdict.UNDECIDED
