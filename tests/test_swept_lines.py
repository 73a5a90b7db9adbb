"""Lines along the depth L: at fixed d, and where d follows L; their tables, figures and claims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from collected_tables import collected
from falling_risks import EPS, falling

from analysis.evidence import Evidence, NotMeasured
from analysis.filters import find_fit
from analysis.nstar_tables import (
    fit_lines,
    select_depth_rows,
    tabulate_exponents,
    tabulate_local_exponents,
    tabulate_nstar,
)
from analysis.page_tables import make_local_factor_table
from analysis.paper import draw
from analysis.plots.nstar_against_d import nstar_against_d
from analysis.plots.nstar_against_depth import nstar_against_depth
from analysis.plots.schedules_against_depth import schedules_against_depth
from analysis.predicates.exponent import exponent
from analysis.predicates.level_factor import level_factor
from analysis.style import assign_line_styles
from analysis.swept_lines import VARIES, split_lines
from analysis.verdicts import judge
from analysis.web.study_views import make_depth_growth_table
from bfc.stats.claim_verdicts import Verdict


def deep_cell(L: int, d: int, factor: float = 3.0, method: str = "m"):
    """A cell with n* = 20 · factor^L."""
    centre = 20 * factor**L
    rows = falling(centre, np.round(centre * np.geomspace(0.25, 4, 25)))
    return {"d": d, "L": L, "rows": rows, "method": method}


def make_evidence(collection) -> Evidence:
    nstar, keys = tabulate_nstar(collection)
    fits = fit_lines(collection, nstar)
    lines = nstar[["cell_id", "line", "method", "target", "L", "degree"]].drop_duplicates()
    trainings = collection.trainings[["cell_id", "d", "n", "seed", "risk", "kind"]]
    config = {"_target_": "bfc.targets.hierarchy.Hierarchy", "m": 3, "v": 8}
    columns = {f"config.target.{name}": value for name, value in config.items()}
    return Evidence(
        nstar,
        tabulate_exponents(nstar, keys, fits),
        trainings.merge(lines, on="cell_id").assign(**columns),
        tabulate_local_exponents(nstar, fits),
        select_depth_rows(nstar),
        styles=assign_line_styles(nstar),
    )


FOLLOWING = collected(*(deep_cell(L, 2**L) for L in range(2, 9)))
FIXED = collected(*(deep_cell(L, 16, 2.0) for L in range(2, 7)))


def test_where_d_follows_l_a_line_runs_along_both():
    evidence = make_evidence(FOLLOWING)
    along_d, along_depth = evidence.exponents.to_dict("records")
    assert [row["axis"] for row in (along_d, along_depth)] == ["d", "L"]
    assert {along_d["d"], along_d["L"], along_depth["d"], along_depth["L"]} == {VARIES}
    assert along_d["exponent"] == pytest.approx(np.log2(3), abs=0.05)
    assert np.exp(along_depth["rate"]) == pytest.approx(3, abs=0.1)
    assert along_depth["growth_verdict"] == "faster" and along_d["growth_verdict"] != "faster"
    steps = evidence.local.groupby("axis")
    assert list(steps.get_group("d")["d_lo"]) == [4, 8, 16, 32, 64, 128]
    assert list(steps.get_group("L")["L_hi"]) == [3, 4, 5, 6, 7, 8]
    np.testing.assert_allclose(np.exp(steps.get_group("L")["rate"]), 3, rtol=0.1)
    factors = make_local_factor_table(steps.get_group("L")).rows
    assert [row[-2].text for row in factors][:2] == ["2 to 3", "3 to 4"]
    assert list(evidence.depth["fixed_d"].unique()) == [VARIES]
    (table,) = make_depth_growth_table(evidence.exponents).rows
    assert any("3.00" in cell.text for cell in table)


def test_at_one_d_a_line_runs_along_the_depth_alone():
    evidence = make_evidence(FIXED)
    (row,) = evidence.exponents.to_dict("records")
    assert (row["axis"], row["d"], row["L"]) == ("L", 16, VARIES)
    assert np.exp(row["rate"]) == pytest.approx(2, abs=0.07)
    assert set(evidence.local["axis"]) == {"L"} and evidence.local["d_lo"].isna().all()
    np.testing.assert_allclose(np.exp(evidence.local["rate"]), 2, rtol=0.1)
    assert list(evidence.depth["L"]) == [2, 3, 4, 5, 6]


def test_lines_at_one_depth_are_lines_along_d_as_before():
    cells = [deep_cell(3, d, method=method) for d in (8, 16) for method in ("m", "q")]
    nstar, _ = tabulate_nstar(collected(*cells))
    keys = [line for line, _ in split_lines(nstar)]
    assert {(key.axis, key.d, key.L, key.line) for key in keys} == {
        ("d", VARIES, 3, "m"),
        ("d", VARIES, 3, "q"),
    }


@pytest.mark.parametrize("collection", [FOLLOWING, FIXED], ids=["following", "fixed"])
def test_figures_are_drawn_along_the_depth(collection):
    evidence = make_evidence(collection)
    (chart,) = nstar_against_depth(evidence)
    assert len(chart.columns) == 1
    draw(chart)
    charts = list(nstar_against_d(evidence))
    assert len(charts) == (1 if collection is FOLLOWING else 0)
    for chart in charts:
        assert chart.name == f"nstar-t-L{VARIES}" and "goes with every d" in chart.caption
        draw(chart)


def test_claims_ask_for_the_factor_per_level_or_the_exponent_in_d():
    evidence = make_evidence(FOLLOWING)
    finding = judge(level_factor(evidence, "m", EPS, at_least=2.5, at_most=3.5))
    assert finding.verdict is Verdict.REPRODUCED and finding.measured == pytest.approx(3, abs=0.1)
    assert judge(level_factor(evidence, "m", EPS, at_most=2)).verdict is Verdict.CONTRADICTED
    assert judge(exponent(evidence, "m", EPS)).measured == pytest.approx(np.log2(3), abs=0.05)
    with pytest.raises(NotMeasured, match="no line of m against d"):
        find_fit(make_evidence(FIXED), "m", EPS, None)


def test_an_exponent_of_several_lines_says_why_the_figures_show_others():
    """Two sizes of a study measured d = 16 with other test sizes, which makes two lines."""
    settings = [(8, 4096), (16, 4096), (16, 8192), (32, 8192)]
    cells = [{**deep_cell(3, d), "measure.test": test} for d, test in settings]
    evidence = make_evidence(collected(*cells))
    assert len(evidence.exponents) == 2
    remark = judge(exponent(evidence, "m", EPS)).remark
    assert "one fit over all d" in remark and "each of its 2 lines alone" in remark
    alone = make_evidence(collected(*(deep_cell(3, d) for d in (8, 16, 32))))
    assert judge(exponent(alone, "m", EPS)).remark == ""


def test_a_table_without_cells_has_no_lines():
    assert list(split_lines(pd.DataFrame(columns=["study", "target", "d", "L", "eps"]))) == []


def test_schedules_are_compared_target_by_target_with_the_best_of_each_depth():
    cells = []
    for target in ("t", "u"):
        for L in (2, 3):
            cells.append({**deep_cell(L, 2**L, 3.0, "joint m"), "target": target})
            cells.append({**deep_cell(L, 2**L, 6.0, "layerwise m"), "target": target})
    evidence = make_evidence(collected(*cells))
    schedule = evidence.trainings["line"].str.partition(" ")[0]
    trainings = evidence.trainings.assign(**{"config.schedule.name": schedule})
    (chart,) = schedules_against_depth(replace(evidence, trainings=trainings))
    draw(chart)
    drawn = chart.to_table()
    layerwise = drawn[(drawn["series"] == "layerwise m") & (drawn["form"] == "points")]
    assert len(chart.columns) == 2
    assert layerwise["y"].tolist() == pytest.approx([4, 8, 4, 8], rel=0.05)
    assert list(schedules_against_depth(evidence)) == []
