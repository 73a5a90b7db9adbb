"""From a synthetic store to a report: tables, figures, the page, and what is printed."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
from synthetic import write_cell, write_sweep

from analysis.report import main, write_report
from analysis.report_text import describe_growth
from bfc.errors import UserError


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A store like a real sweep and its report: (results, out, report)."""
    root = tmp_path_factory.mktemp("sweep")
    write_sweep(root / "results")
    return (
        root / "results",
        root / "out",
        write_report(root / "results", root / "out", formats=("png", "svg")),
    )


NSTAR_COLUMNS = "study cell_id method target d L degree eps nstar lo hi censored outcome"
DEPTH_COLUMNS = "study method target d L degree eps nstar lo hi censored"
EXPONENT_COLUMNS = "study method target L eps exponent lo hi n_d censored_d reason"
MODEL_COLUMNS = (
    "growth tau glm_exponent glm_lo glm_hi smooth_exponent power_score rival rival_score "
    "power_aicc power_bic best_model excluded"
)


def first_columns(table: pd.DataFrame, names: str) -> bool:
    return list(table.columns)[: len(names.split())] == names.split()


def line_of(table: pd.DataFrame, schedule: str) -> pd.DataFrame:
    """The rows of a schedule at ε = 0.01."""
    rows = table[table["method"] == f"{schedule} quadratic_densenet"]
    return rows[rows["eps"] == 0.01]


def test_report_writes_tables_with_their_columns(sweep):
    _, out, _ = sweep
    nstar = pd.read_csv(out / "nstar.csv")
    assert first_columns(nstar, NSTAR_COLUMNS) and len(nstar) == 2 * (5 * 3 + 6 + 12)
    local = line_of(pd.read_csv(out / "local.csv"), "staged")
    assert local["L_lo"].isna().sum() == 4, "one between neighbouring d"
    assert local["L_lo"].notna().sum() == 3, "one between neighbouring depths"
    depth = pd.read_csv(out / "depth.csv")
    assert first_columns(depth, DEPTH_COLUMNS)
    assert set(depth["study"]) == {"depth"} and sorted(depth["L"].unique()) == [2, 3, 4, 5]
    trainings = pd.read_parquet(out / "trainings.parquet")
    assert len(trainings) == len(pd.read_csv(out / "trainings.csv"))


def test_report_writes_exponents_with_the_comparison_of_models(sweep):
    _, out, _ = sweep
    exponents = pd.read_csv(out / "exponents.csv")
    assert first_columns(exponents, EXPONENT_COLUMNS)
    assert set(MODEL_COLUMNS.split()) <= set(exponents)
    staged = line_of(exponents, "staged").iloc[0]
    assert staged["lo"] < 0.7 and 0.5 < staged["exponent"] < 1.1 and staged["n_d"] == 5
    assert "polynomial with exponent" in staged["growth"]
    assert staged["glm_lo"] < staged["glm_hi"]
    layerwise = line_of(exponents, "layerwise").iloc[0]
    assert np.isnan(layerwise["exponent"]) and layerwise["censored_d"] == 5
    assert "never" in layerwise["reason"]


def test_report_draws_every_figure_in_the_formats_asked_for(sweep):
    _, out, made = sweep
    stems = {path.stem for path in (out / "figures").glob("*.csv")}
    assert stems == {
        "synthetic-nstar-quadratic-densenet-L3",
        "synthetic-risk-quadratic-densenet-L3",
        "synthetic-correction-quadratic-densenet-L3",
        "depth-depth-quadratic-densenet",
        "depth-risk-quadratic-densenet-d16",
    }
    for stem in stems:
        for kind in ("png", "svg", "csv"):
            assert (out / "figures" / f"{stem}.{kind}").stat().st_size > 1000
        assert not (out / "figures" / f"{stem}.pdf").exists()
    assert made.figure.is_file() and made.page == out / "index.html"


def test_page_needs_no_network_and_shows_what_matters(sweep):
    _, out, _ = sweep
    text = (out / "index.html").read_text()
    bare = re.sub(r"data:[a-z/+]+;base64,[A-Za-z0-9+/=]+", "", text)
    bare = re.sub(r"<script.*</script>", "", bare, flags=re.S)
    assert "http:" not in bare and "https:" not in bare and "//" not in bare
    for needed in (
        "prefers-color-scheme: dark",
        "@media print",
        "never (plateau)",
        "never reached at any d (plateau)",
        "polynomial",
        "warnings",
        "τ",
        "&gt; ",
        "Validation labels were not counted",
        "Feature correction",
        "Outcomes",
        "Cost",
        "torch 2.13.0",
        "application/octet-stream",
    ):
        assert needed in text, needed
    for link in re.findall(r'href="([^"#][^"]*)"', bare):
        assert link == "" or (out / link).is_file(), link


def test_texts_of_a_results_folder_are_escaped(tmp_path):
    hostile = {"method": "<script>alert(1)</script> $x$ [bold]", "study": "../<b>&"}
    write_cell(tmp_path / "r", "a", **hostile)
    write_cell(tmp_path / "r", "b", d=16, **hostile)
    made = write_report(tmp_path / "r", tmp_path / "out")
    text = made.page.read_text()
    assert "<script>alert" not in text and "<b>" not in text
    assert {p.name for p in tmp_path.iterdir()} == {"r", "out"}


def test_claims_are_judged_and_shown_with_their_study(tmp_path):
    for d in (8, 16, 32):
        write_cell(tmp_path / "r", f"a{d}", d=d, centre=20.0 * d)
    thresholds = {"method": "staged quadratic_densenet", "eps": 0.01, "at_most": 3}
    claim = {
        "paper": "a paper",
        "statement": "staged needs few labels",
        "predicate": "exponent",
        "thresholds": thresholds,
    }
    made = write_report(tmp_path / "r", tmp_path / "out", claims={"synthetic": [claim]})
    assert list(made.claims["verdict"]) == ["reproduced"]
    claims = pd.read_csv(tmp_path / "out" / "claims.csv")
    assert list(claims["claim"]) == ["staged needs few labels"]
    text = made.page.read_text()
    texts = ("1 reproduced</span>", 'class="sentence">staged needs few labels', "Growth of n*")
    places = [text.index(part) for part in texts]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "config",
    [
        {"seeds": 1},
        {"floor": 0.5},
        {"centre": 4.0, "grid": [64, 128]},
        {"grid": [128]},
        {"kind": "curve", "validation": "none"},
        {"eps": (0.5,)},
    ],
    ids=["one seed", "all fail", "all succeed", "one n", "baseline only", "one eps"],
)
def test_small_or_hopeless_stores_still_make_a_page(tmp_path, config):
    write_cell(tmp_path / "r", "a", **config)
    write_cell(tmp_path / "r", "b", **{**config, "d": 16})
    assert write_report(tmp_path / "r", tmp_path / "out").page.is_file()


def test_nan_risks_and_a_single_d_make_a_page(tmp_path):
    folder = write_cell(tmp_path / "r", "a", probes=True)
    rows = pd.read_parquet(folder / "trainings.parquet")
    rows = rows.assign(risk=np.nan, outcome="diverged", diverged=True)
    rows.to_parquet(folder / "trainings.parquet")
    made = write_report(tmp_path / "r", tmp_path / "out")
    assert made.nstar["outcome"].eq("diverged").all()
    assert made.exponents.empty and made.depth.empty


def test_a_study_of_a_single_n_shows_risks_instead_of_bounds(tmp_path, capsys):
    for name in ("staged", "layer"):
        write_cell(tmp_path / "r", name, method=f"{name} network", grid=[400], study="chain")
    write_cell(tmp_path / "r", "other")
    assert main([str(tmp_path / "r"), "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "chain: risk" in printed and "chain: n*" not in printed and "synthetic: n*" in printed
    text = (tmp_path / "out" / "index.html").read_text()
    assert text.count("Median relative test risk</h3>") == 1
    assert text.count("<summary>Sample complexity n*(d, ε) of every cell") == 1
    risk = pd.read_csv(tmp_path / "out" / "risk.csv")
    assert set(risk["cell_id"]) == {"staged", "layer"} and set(risk["n"]) == {400}
    assert (risk["lo"] <= risk["median"]).all()
    assert len(pd.read_csv(tmp_path / "out" / "nstar.csv")) == 6


def test_the_terminal_says_how_n_star_grows_and_what_tells_lines_apart():
    row = {
        "line": "m",
        "target": "t",
        "axis": "d",
        "d": "varies",
        "L": 3,
        "eps": 0.01,
        "growth": "polynomial with exponent 1.0 (0.9–1.1)",
    }
    (line,) = describe_growth(pd.DataFrame([row]))
    assert line == f"m, ε = 0.01: {row['growth']}"
    both = describe_growth(pd.DataFrame([row, {**row, "L": 4}]))
    assert both[1] == f"m, L 4, ε = 0.01: {row['growth']}"
    varying = pd.DataFrame([{**row, "learner.width": "varies"}])
    (moving,) = describe_growth(varying, ["learner.width"])
    assert moving.endswith("(with d also changes: learner.width)")


def test_second_report_replaces_the_first_and_a_failed_one_leaves_it(tmp_path, monkeypatch):
    write_cell(tmp_path / "r", "a")
    out = tmp_path / "deep" / "out"
    write_report(tmp_path / "r", out)
    (out / "figures" / "stale.png").write_text("old")
    (out / "notes.txt").write_text("a file of the user")
    before = write_report(tmp_path / "r", out).page.read_text()
    assert not (out / "figures" / "stale.png").exists() and (out / "notes.txt").exists()
    monkeypatch.setattr("analysis.report_writer.render_page", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(tmp_path / "r", out)
    assert (out / "index.html").read_text() == before
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_main_prints_the_tables_and_the_paths(tmp_path, capsys):
    for d in (8, 16):
        write_cell(tmp_path / "r", f"staged{d}", d=d)
        layerwise = {"method": "layerwise quadratic_densenet", "centre": 400, "floor": 0.033}
        write_cell(tmp_path / "r", f"layer{d}", d=d, **layerwise)
    write_cell(tmp_path / "r", "other", study="depth")
    out = str(tmp_path / "out")
    arguments = [str(tmp_path / "r"), "-o", out, "--study", "synthetic", "--formats", "png"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    for needed in (
        "staged quadratic_densenet",
        "never (plateau)",
        "95 % interval",
        "exponent",
        "> 2,025",
        str(tmp_path / "out" / "index.html"),
        ".png",
    ):
        assert needed in printed, needed
    assert "depth: n*" not in printed
    assert set(pd.read_csv(tmp_path / "out" / "nstar.csv")["study"]) == {"synthetic"}


def test_printed_rows_of_two_targets_can_be_told_apart(tmp_path, capsys):
    """The same method at the same d, n* and exponents alike."""
    for target in ("parity", "low_rank"):
        for d in (6, 8):
            folder = write_cell(tmp_path / "r", f"{target}{d}", d=d)
            config = folder / "config.yaml"
            named = f"target_name: {target}\n"
            config.write_text(
                config.read_text().replace("target_name: quadratic_densenet\n", named)
            )
    assert main([str(tmp_path / "r"), "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    nstar, exponents = printed.split("n* ∝ d^exponent")
    for table in (nstar, exponents):
        assert "parity" in table and "low_rank" in table
    rows = [line for line in nstar.splitlines() if line.startswith("│")]
    assert len(rows) == 8 and len(set(rows)) == 8


def test_settings_that_vary_are_printed_with_n_star(tmp_path, capsys):
    for d, lr in ((6, 0.01), (8, 0.03)):
        write_cell(tmp_path / "r", f"{d}", d=d, config={"optimizer.lr": lr})
    assert main([str(tmp_path / "r"), "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "optimizer.lr=0.01" in printed and "optimizer.lr=0.03" in printed
    assert "(with d also changes: " in printed
    page = (tmp_path / "out" / "index.html").read_text()
    assert "number of d" in page and "censored d" in page


def test_main_reports_in_one_sentence_why_there_is_no_page(tmp_path, capsys):
    (tmp_path / "junk").mkdir()
    for results in (tmp_path / "absent", tmp_path):
        assert main([str(results), "-o", str(tmp_path / "out")]) != 0
        assert capsys.readouterr().err.count("\n") == 1
    write_cell(tmp_path, "a")
    assert main([str(tmp_path), "-o", str(tmp_path / "out"), "--study", "synthetik"]) != 0
    assert "did you mean synthetic?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_plotly_a_report_names_the_extra_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(UserError) as refusal:
        write_report(tmp_path / "results", tmp_path / "out")
    assert str(refusal.value) == (
        "report: the package plotly is not installed; pip install 'bfc[page]'"
    )
    assert not list(tmp_path.iterdir())
