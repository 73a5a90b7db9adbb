"""The tables of exponents over cells: exact where a made-up sweep leaves no choice, equal to the
library call on the same trainings, and outspoken where there is nothing to fit.
"""

import numpy as np
import pandas as pd
import pytest
from collected_tables import collected
from falling_risks import EPS, falling, trainings

from analysis import line_fits
from analysis.evidence import Evidence
from analysis.line_crossing import classify_crossing
from analysis.nstar_tables import (
    EXPONENTS,
    LOCAL,
    fit_lines,
    tabulate_exponents,
    tabulate_local_exponents,
    tabulate_nstar,
)
from analysis.paper import draw
from analysis.plots.nstar_against_d import nstar_against_d
from analysis.risks import RISKS, tabulate_risks
from analysis.series import format_exponent
from analysis.style import assign_line_styles
from bfc.stats.exponent_fit import fit_exponent
from bfc.stats.simulation import World


def power(d, exponent=1.0, scale=20.0, most=4.0):
    """A cell on the power law, its grid from a quarter of n* to ``most`` times it."""
    centre = scale * d**exponent
    return {"d": d, "rows": falling(centre, np.round(centre * np.geomspace(0.25, most, 49)))}


def tables(collection):
    nstar, keys = tabulate_nstar(collection)
    fits = fit_lines(collection, nstar)
    return nstar, tabulate_exponents(nstar, keys, fits), fits


def test_a_power_law_is_recovered_with_its_line_and_level_local_exponents():
    nstar, table, fits = tables(collected(*(power(d, 1.7) for d in (8, 12, 16, 24, 32))))
    (row,) = table.to_dict("records")
    assert (
        row["exponent"] == pytest.approx(1.7, abs=0.03) and 1.3 < row["lo"] < 1.7 < row["hi"] < 2.1
    )
    assert (row["n_d"], row["censored_d"], row["excluded"], row["reason"]) == (5, 0, 0, "")
    assert row["prefactor"] * 16**1.7 == pytest.approx(20 * 16**1.7, rel=0.1)
    drawn = np.log(row["prefactor"]) + row["exponent"] * np.log(nstar["d"])
    np.testing.assert_allclose(np.log(nstar["nstar"]), drawn, atol=0.03)
    local = tabulate_local_exponents(nstar, fits)
    assert list(local) == list(LOCAL) and local[["d_lo", "d_hi"]].to_numpy().tolist() == [
        [8, 12],
        [12, 16],
        [16, 24],
        [24, 32],
    ]
    np.testing.assert_allclose(local["exponent"], 1.7, atol=0.15)
    assert (local["lo"] < 1.7).all() and (local["hi"] > 1.7).all()


def test_the_table_says_what_the_library_call_says():
    world, rng = World(d=(8, 11, 16, 23, 32, 45), eps=EPS), np.random.default_rng(0)
    rows = {
        d: world.train(rng, d, mu, np.exp(mu + np.linspace(-1, 1, 20)))
        for d, mu in zip(world.d, world.draw(rng), strict=True)
    }
    _, table, _ = tables(
        collected(
            *(
                {"d": d, "rows": rows_of_d.assign(kind="training", outcome="unjudged")}
                for d, rows_of_d in rows.items()
            )
        )
    )
    fit = fit_exponent(pd.concat(rows.values()), EPS)
    (row,) = table.to_dict("records")
    models = fit.models.set_index("model")
    rivals = models.drop("power")
    assert [row[key] for key in ("exponent", "lo", "hi", "growth")] == [
        fit.exponent,
        fit.lo,
        fit.hi,
        fit.growth,
    ]
    assert [row[key] for key in ("tau_lo", "tau", "tau_hi")] == list(fit.tau)
    for prefix, regression in (("glm", fit.glm), ("smooth", fit.smooth)):
        assert [row[f"{prefix}_{key}"] for key in ("exponent", "lo", "hi")] == [
            regression.exponent,
            regression.lo,
            regression.hi,
        ]
    assert row["rival"] == rivals["score"].idxmax() and row["rival_score"] == rivals["score"].max()
    assert (
        row["best_model"] == models["score"].idxmax()
        and row["power_bic"] == models.loc["power", "bic"]
    )
    assert row["rival_aicc"] == models.loc[row["rival"], "aicc"]
    assert np.isfinite(row["glm_exponent"]) and row["warnings"] == "; ".join(fit.warnings)


def test_the_best_rival_needs_no_score_and_the_best_model_does():
    models = pd.DataFrame(
        {
            "model": ["hinge", "power", "mixed"],
            "score": np.nan,
            "aicc": [1.0, 2, 3],
            "bic": [9.0, 8, 7],
        }
    )
    row = line_fits._compare_models(models)
    assert (row["rival"], row["best_model"], row["power_bic"], row["rival_bic"]) == (
        "mixed",
        "",
        8,
        7,
    )
    row = line_fits._compare_models(models.assign(score=[-3.0, -1, np.nan]))
    assert (row["rival"], row["best_model"]) == ("hinge", "power")
    assert (
        line_fits._compare_models(models.assign(score=[-1.0, -3, np.nan]))["best_model"] == "hinge"
    )
    assert line_fits._compare_models(models.iloc[:0])["best_model"] == ""


def test_a_censored_cell_informs_the_exponent_and_is_counted():
    """n* at d = 64 is known only to lie above three times what the others predict: the exponent
    moves up."""
    near = [power(d) for d in (8, 12, 16)]
    far = {"d": 64, "rows": trainings({n: [0.5] * 8 for n in (1000, 2000, 4000)})}
    (without_censored,) = tables(collected(*near))[1].to_dict("records")
    nstar, table, _ = tables(collected(*near, far))
    (row,) = table.to_dict("records")
    assert (row["n_d"], row["censored_d"]) == (3, 1) and nstar["censored"].tolist() == [
        "",
        "",
        "",
        "right",
    ]
    assert (
        row["lo"] > without_censored["lo"] + 0.1
        and row["exponent"] > without_censored["exponent"] + 0.1
        and "d=64" in row["warnings"]
    )


def test_where_nothing_is_reached_the_reason_is_a_sentence_and_the_figure_stands():
    def line(method, values, outcome, d=(8, 16), **columns):
        return [
            {
                "d": value,
                "method": method,
                "rows": trainings({n: [risk] * 4 for n, risk in values}, outcome).assign(**columns),
            }
            for value in d
        ]

    never, always = [(500, 0.5), (1000, 0.4)], [(50, 0.001), (100, 0.001)]
    collection = collected(
        *line("k", never, "plateau"),
        *line("q", never, "data_limited"),
        *line("z", always, "success"),
        *line("o", never, "optimisation_limited"),
        *line("y", never, "plateau")[:1],
        *line("y", never, "data_limited")[1:],
    )
    nstar, table, fits = tables(collection)
    exponents = table.set_index("method")
    assert exponents["exponent"].isna().all() and not set(EXPONENTS) - {"method"} - set(exponents)
    assert (
        exponents.loc["k", "reason"]
        == "never reached at any d (plateau)"
        == exponents.loc["k", "growth"]
    )
    assert exponents.loc["q", "reason"] == "not reached at any d (data limited at the largest n)"
    assert "mixed" in exponents.loc["y", "reason"] and "never" not in exponents.loc["y", "reason"]
    assert exponents.loc["z", "reason"] == "below the grid at every d"
    assert (
        "optimisation-limited" in exponents.loc["o", "reason"]
        and exponents.loc["o", "excluded"] == 16
        and exponents.loc["o", "n_d"] == 0
    )
    shown = {}
    for method in "kqzo":
        crossing = classify_crossing(nstar[nstar["method"] == method]).crossing
        shown[method] = format_exponent(exponents.loc[[method]], crossing)
    assert shown == {
        "k": "never (plateau)",
        "q": "not reached",
        "z": "below the grid",
        "o": "no exponent",
    }
    stuck = nstar[nstar["method"] == "o"]
    assert (
        stuck["nstar"].isna().all()
        and set(stuck["outcome"]) == {"optimisation_limited"}
        and (stuck["excluded"] == 8).all()
    )
    (chart,) = nstar_against_d(
        Evidence(
            nstar,
            table,
            pd.DataFrame(),
            tabulate_local_exponents(nstar, fits),
            styles=assign_line_styles(nstar),
        )
    )
    draw(chart)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((1.234, 1.0, 1.5), "1.23 [1.00, 1.50]"),
        ((-0.5, -1.0, 0.1), "−0.50 [−1.00, 0.10]"),
        ((np.nan, 1.0, np.inf), "above 1.00"),
        ((np.nan, -np.inf, 2.0), "below 2.00"),
        ((np.nan, 1.0, 2.0), "1.00 to 2.00"),
        ((np.nan, -np.inf, np.inf), "no exponent"),
    ],
)
def test_an_exponent_is_shown_with_all_that_bounds_it(row, expected):
    assert format_exponent(pd.DataFrame([row], columns=["exponent", "lo", "hi"])) == expected


def test_keys_that_follow_d_vary_and_constant_ones_are_kept():
    collection = collected(
        *(
            {**power(d), "optimizer.lr": 0.1 * (d > 9), "optimizer.batch": batch, "method": name}
            for d in (8, 16)
            for name, batch in (("m", 32), ("q", 64))
        )
    )
    table = tables(collection)[1].set_index("method")
    assert set(table["optimizer.lr"]) == {"varies"}


def test_no_exponents_without_a_range_of_d():
    nstar, table, fits = tables(collected(power(8)))
    assert (
        table.empty
        and fits == {}
        and tabulate_local_exponents(nstar, fits).empty
        and len(nstar) == 1
    )


def test_one_d_of_a_line_among_others_is_said_to_be_one():
    table = tables(collected(power(8), power(16), {**power(8), "method": "q"}))[1].set_index(
        "method"
    )
    assert table.loc["q", "reason"] == "no exponent: one d" and np.isfinite(
        table.loc["m", "exponent"]
    )


def test_cells_of_two_studies_are_fitted_once(monkeypatch):
    calls = []
    monkeypatch.setattr(
        line_fits,
        "fit_exponent",
        lambda rows, eps, **more: calls.append((len(rows), eps)) or fit_exponent(rows, eps, **more),
    )
    cells = [{**power(d), "cell_id": f"c{d}"} for d in (8, 16)]
    other = [{**cell, "study": "other"} for cell in cells]
    _, table, _ = tables(
        collected(*cells, *other, {**power(8), "study": "other", "method": "q", "eps": (EPS,)})
    )
    assert (
        len(table) == 3
        and [eps for _, eps in calls] == [EPS, EPS]
        and calls[0][0] > 1.9 * calls[1][0]
    )


def test_studies_of_a_single_n_show_risks():
    rows = trainings({500: [0.001 * (i + 1) for i in range(20)] + [np.nan]})
    collection = collected(
        {"d": 8, "rows": rows, "eps": (0.1, 0.011)},
        {"d": 8, "method": "q", "rows": rows.iloc[:3], "eps": (0.1,)},
    )
    nstar, _ = tabulate_nstar(collection)
    table = tabulate_risks(collection.trainings.assign(line="m"), nstar)
    assert (
        list(table) == list(RISKS)
        and table["n"].tolist() == [500, 500]
        and table["seeds"].tolist() == [21, 3]
    )
    assert (
        table["median"].tolist() == [0.011, 0.002]
        and table["reached"][0] == "20/21 at 0.1, 11/21 at 0.011"
    )
    assert table["lo"][0] == pytest.approx(0.006) and table["hi"][0] == pytest.approx(0.016)
    two_n = trainings({500: [0.1] * 3, 1000: [0.001] * 3})
    assert tabulate_risks(
        collected({"d": 8, "rows": two_n}, {"d": 8, "method": "q", "rows": rows}).trainings, nstar
    ).empty
