"""Predicates and figure of the neural-representation studies on tables whose truth is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from analysis.evidence import Evidence, NotMeasured
from analysis.per_seed_nstar import find_crossings
from analysis.plots.nstar_over_law import nstar_over_law
from analysis.predicates.collapse import collapse
from analysis.predicates.exponent_gap import exponent_gap
from analysis.predicates.log_slope import log_slope
from analysis.predicates.nstar_slope import nstar_slope
from analysis.reference_laws import LAWS, get_law
from analysis.style import LineStyle
from analysis.verdicts import judge
from bfc.errors import UserError
from bfc.stats.claim_verdicts import Verdict


def curves(
    constant: float, scatter: float = 0.02, seeds: int = 5, dims=(6, 8, 12), top: float = 2.0
) -> Evidence:
    """Seeds whose risk falls as a power of n through .1 at constant · P2, log-normal scatter."""
    random = np.random.default_rng(0)
    rows = []
    for d in dims:
        center = constant * LAWS["P2"](d, 4)
        grid = center * np.geomspace(0.5, top, 9)
        for seed in range(seeds):
            crossing = center * math.exp(scatter * random.normal())
            curve = {"method": "m", "kind": "curve", "d": d, "degree": 4, "seed": seed}
            curve["fresh"] = False
            rows += [{**curve, "n": n, "risk": 0.1 * (n / crossing) ** -2} for n in grid]
    return Evidence(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(rows))


def test_crossings_are_read_seed_by_seed():
    table = find_crossings(curves(3.0, 0.0), "m", 0.1)
    np.testing.assert_allclose(table["median"], [3 * LAWS["P2"](d, 4) for d in (6, 8, 12)])
    assert table["lowers"].tolist() == table["uppers"].tolist() == table["sizes"].tolist()
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
    judgement = judge(collapse(curves(constant, scatter, 8), "m", 0.1, "P2", *band))
    assert judgement.verdict == verdict and judgement.lo < judgement.measured < judgement.hi
    assert abs(math.log(judgement.measured / constant)) < 3 * scatter


def test_a_law_that_does_not_hold_is_seen_at_the_ends():
    """n* ∝ P2 is no law d² ln d: the geometric mean may lie in a band that single d leave."""
    data = curves(4.0, 0.01, dims=(6, 8, 12, 16, 24))
    judgement = judge(collapse(data, "m", 0.1, "d^2 ln d", 0.7, 1.2))
    assert judgement.verdict == Verdict.CONTRADICTED
    assert " at d = 6, " in judgement.remark and " at d = 24; " in judgement.remark
    assert "median of those of single seeds; tables and figures" in judgement.remark


def test_two_seeds_decide_nothing_and_an_unknown_law_is_refused():
    assert judge(collapse(curves(3.0, 0.2, 2), "m", 0.1, "P2", 2, 4)).verdict is Verdict.UNDECIDED
    with pytest.raises(UserError, match=r"law=d\^9: no such law"):
        get_law("d^9")
    assert get_law("harmonics")(6, 4) == 182 and get_law("top harmonics")(8, 4) == 294
    assert get_law("P2")(12, 4) == 90


def exponents(*rows: tuple[str, float, float, float]) -> Evidence:
    table = pd.DataFrame(
        [{"method": m, "eps": 0.1, "exponent": e, "lo": lo, "hi": hi} for m, e, lo, hi in rows]
    )
    return Evidence(pd.DataFrame(), table, pd.DataFrame())


def test_the_gap_of_two_exponents():
    data = exponents(("a", 3.2, 2.9, 3.6), ("b", 2.4, 2.0, 2.7))
    gap = judge(exponent_gap(data, "a", "b", 0.1, 0.2))
    ends = (0.8 - math.hypot(0.3, 0.3), 0.8 + math.hypot(0.4, 0.4))
    assert (gap.measured, gap.lo, gap.hi) == pytest.approx((0.8, *ends))
    assert gap.verdict == Verdict.REPRODUCED
    with pytest.raises(NotMeasured, match="no line of b against d"):
        exponent_gap(exponents(("a", 3.2, 2.9, 3.6)), "a", "b", 0.1, 0.2)


def test_one_of_several_lines_of_a_method():
    data = exponents(("a", 3.2, 2.9, 3.6), ("b", 2.4, 2.0, 2.7), ("b", 3.4, 3.0, 3.7))
    lines = data.exponents.assign(line=["a", "narrow", "wide"])
    trainings = pd.DataFrame(
        {
            "method": "b",
            "kind": "training",
            "cell_id": ["narrow", "wide"],
            "line": ["narrow", "wide"],
            "d": 8,
            "n": 9,
            "config.learner.width": [8, 64],
        }
    )
    evidence = Evidence(pd.DataFrame(), lines, trainings)
    with pytest.raises(NotMeasured, match=r"configurations of b .* differ in learner"):
        exponent_gap(evidence, "a", "b", 0.1, 0.2)
    narrow = judge(exponent_gap(evidence, "a", "b", 0.1, 0.2, under_where={"learner.width": 8}))
    assert narrow.measured == pytest.approx(0.8)


def test_a_collapse_of_some_cells_of_a_method():
    constants = {"inside": 3.75, "none": 3.0}
    tables = []
    for validation, constant in constants.items():
        trainings = curves(constant).trainings
        tables.append(trainings.assign(**{"config.measure.validation": validation}))
    mixed = Evidence(pd.DataFrame(), pd.DataFrame(), pd.concat(tables))
    for validation, constant in constants.items():
        where = {"measure.validation": validation}
        part = judge(collapse(mixed, "m", 0.1, "P2", 1, 9, where=where))
        assert part.measured == pytest.approx(constant, rel=0.05)
    absent = judge(collapse(mixed, "m", 0.1, "P2", 1, 9, where={"measure.validation": "free"}))
    assert absent.verdict is Verdict.NOT_RUN


@pytest.mark.parametrize(
    "slope, verdict", [(-0.25, Verdict.REPRODUCED), (-0.5, Verdict.CONTRADICTED)]
)
def test_a_slope_in_a_configured_number(slope, verdict):
    random = np.random.default_rng(1)
    rows = []
    for seed in range(6):
        for width in (64, 256, 1024):
            row = {"method": "m", "kind": "training", "seed": seed, "config.learner.width": width}
            row["all/x"] = width**slope * math.exp(0.02 * random.normal())
            rows.append(row)
    evidence = Evidence(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(rows))
    fitted = judge(log_slope(evidence, "m", "all/x", "learner.width", -0.3, -0.22))
    assert fitted.verdict == verdict
    assert fitted.lo < slope < fitted.hi and fitted.hi - fitted.lo < 0.05
    absent = judge(log_slope(evidence, "m", "all/y", "learner.width", -1, 0))
    assert absent.verdict is Verdict.NOT_RUN


@pytest.mark.parametrize(
    "against, verdict",
    [("learner.widths", Verdict.REPRODUCED), ("n", Verdict.REPRODUCED), ("deep", Verdict.NOT_RUN)],
)
def test_a_slope_in_a_list_of_one_number_or_in_n(against, verdict):
    rows = []
    for seed in range(6):
        for width in (64, 256, 1024):
            row = {"method": "m", "kind": "training", "seed": seed, "n": width}
            row |= {"config.learner.widths": f"[{width}]", "config.deep": f"[{width}, 8]"}
            rows.append({**row, "all/x": width**-0.25 * (1 + 0.01 * seed)})
    evidence = Evidence(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(rows))
    fitted = judge(log_slope(evidence, "m", "all/x", against, -0.3, -0.22))
    assert fitted.verdict is verdict
    assert verdict is Verdict.NOT_RUN or fitted.measured == pytest.approx(-0.25)
    few = judge(log_slope(evidence, "m", "all/x", against, -0.3, -0.22, from_n=1000))
    assert few.verdict is Verdict.NOT_RUN


def test_the_figure_divides_by_the_law():
    rows = []
    for method, name in (("a", "P2"), ("b", "harmonics")):
        for d in (6, 8):
            size = get_law(name)(d, 4)
            row = {"method": method, "line": method, "d": d, "degree": 4, "eps": 0.1}
            row |= {"nstar": 2 * size, "lo": size, "hi": 3 * size}
            rows.append({**row, "censored": "", "validation": "none"})
    styles = {"a": LineStyle("#000000", "o", "-"), "b": LineStyle("#111111", "s", "-")}
    evidence = Evidence(pd.DataFrame(rows), pd.DataFrame(), pd.DataFrame(), styles=styles)
    (chart,) = nstar_over_law(evidence, {"a": "P2", "b": "harmonics"})
    panels = itertools.chain(*chart.columns)
    series = list(itertools.chain(*(panel.series for panel in panels)))
    assert len(series) == 2
    for line in series:
        assert np.allclose(line.data["y"], 2) and np.allclose(line.data["lo"], 1)
    assert not list(nstar_over_law(evidence, {"c": "P2"}))


def test_n_star_against_a_rank():
    """n* = c_d r^0.6 at three ranks r and two d; the rank is the length of a list."""
    rows = []
    for d, rank, seed in itertools.product((6, 8), (1, 2, 4), range(3)):
        size = 20 * d * rank**0.6
        curve = {"method": "m", "kind": "curve", "d": d, "degree": 4, "seed": seed}
        curve |= {"fresh": False, "config.target.degrees": str([4] * rank)}
        for n in size * np.geomspace(0.5, 2, 9):
            rows.append({**curve, "n": n, "risk": 0.1 * (n / (size * (1 + 0.01 * seed))) ** -2})
    evidence = Evidence(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(rows))
    slope = judge(nstar_slope(evidence, "m", 0.1, "target.degrees", 0.5, 0.7))
    assert slope.remark.startswith("6 cells; n* is the median of those of single seeds")
    few = [row for row in rows if row["config.target.degrees"] != "[4, 4]"]
    four = Evidence(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(few))
    wide = nstar_slope(four, "m", 0.1, "target.degrees", 0.5, 0.7)
    assert wide.parts[0].scarce == "4 cells", "one degree of freedom is left"
    assert slope.measured == pytest.approx(0.6, abs=1e-6) and slope.verdict == Verdict.REPRODUCED
    absent = judge(nstar_slope(evidence, "m", 0.1, "target.rank", 0.5, 0.7))
    assert absent.verdict is Verdict.NOT_RUN
