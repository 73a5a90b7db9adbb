"""n* of features: the same numbers as for a risk of 1 − overlap, in the tables, on the page and for
claims."""

from __future__ import annotations

import pandas as pd
import pytest
from synthetic import write_cell

from analysis.claims import judge_claims
from analysis.feature_tables import list_features
from analysis.load import load_results
from analysis.page_tables import make_feature_table
from analysis.report import write_report
from bfc.stats.exponent_fit import fit_exponent


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two d at which features are found at a third of the n of the risk, and a kernel without."""
    root = tmp_path_factory.mktemp("store")
    for d, centre in ((8, 120.0), (16, 240.0), (32, 480.0)):
        folder = write_cell(root, f"rfm{d}", method="RFM", d=d, centre=centre)
        file = folder / "trainings.parquet"
        rows = pd.read_parquet(file)
        missing = (0.2 * 3**-1.6 * rows["risk"] / 0.01).clip(upper=1)
        rows.assign(**{"overlap/subspace": 1 - missing}).to_parquet(file)
        write_cell(root, f"kernel{d}", method="kernel", d=d, centre=4 * centre)
    return root


def test_nstar_of_a_feature_is_that_of_one_minus_its_overlap(root):
    results = load_results(root)
    table = results.nstar_feature
    assert set(table["feature"]) == {"subspace"} and set(table["method"]) == {"RFM"}
    assert sorted(set(table["eps"])) == [0.1, 0.2]
    stored = results.stored.trainings
    for d, centre in ((8, 40.0), (16, 80.0), (32, 160.0)):
        [row] = table[(table["d"] == d) & (table["eps"] == 0.2)].to_dict("records")
        rows = stored[(stored["method"] == "RFM") & (stored["d"] == d)]
        plain = rows[["d", "n", "seed"]].assign(risk=1 - rows["overlap/subspace"])
        assert row["nstar"] == pytest.approx(
            fit_exponent(plain, 0.2).nstar["nstar"].iloc[0], rel=0.02
        )
        assert row["nstar"] == pytest.approx(centre, rel=0.25)
    fits = results.exponents_feature
    fit = fits[fits["eps"] == 0.2].iloc[0]
    assert fit["lo"] < 1 < fit["hi"]


def test_the_risk_is_what_it_was(root):
    nstar = load_results(root).nstar
    assert len(nstar) == 2 * 2 * 3 and "feature" not in nstar
    at_risk = nstar[(nstar["method"] == "RFM") & (nstar["eps"] == 0.01)]
    assert at_risk["nstar"].tolist() == pytest.approx([120, 240, 480], rel=0.25)


CLAIM = {"paper": "p", "place": "1", "statement": "s"}


def test_claims_about_features(root):
    (evidence,) = load_results(root).studies.values()
    first = {"method": "RFM", "feature": "subspace", "eps": 0.01, "at_least": 2}
    grows = {"method": "RFM", "eps": 0.2, "at_least": 0.5, "at_most": 1.5}
    inner = {"feature": "subspace", "predicate": "exponent", "thresholds": grows}
    within = {"where": {"target.d": 16}, "predicate": "feature_first", "thresholds": first}
    claims = [
        {**CLAIM, "predicate": "feature_first", "thresholds": first},
        {**CLAIM, "predicate": "of_feature", "thresholds": inner},
        {**CLAIM, "predicate": "feature_first", "thresholds": {**first, "feature": "forms"}},
        {**CLAIM, "predicate": "feature_first", "thresholds": {**first, "method": "kernel"}},
        {**CLAIM, "predicate": "within", "thresholds": within},
    ]
    judged = judge_claims("s", evidence, claims)
    assert judged["measured"].tolist()[:2] == pytest.approx([3, 1], rel=0.3)
    assert judged["verdict"].tolist()[2:4] == ["not run"] * 2
    assert "no method measured the overlap of forms" in judged["remark"].iloc[2]
    assert judged["measured"].iloc[4] == pytest.approx(3, rel=0.4)


def test_tables_of_features_are_written_and_shown(root, tmp_path):
    report = write_report(root, tmp_path / "out", claims={})
    assert len(pd.read_csv(tmp_path / "out" / "nstar_feature.csv")) == 6
    assert len(pd.read_csv(tmp_path / "out" / "exponents_feature.csv")) == 2
    assert "Features: n* at which they are found" in report.page.read_text()


def test_nstar_of_the_risk_stands_beside_that_of_the_feature(root):
    """In every row, at every ε, as the table of n* has it; the kernel learns no feature."""
    (evidence,) = load_results(root).studies.values()
    table = make_feature_table(evidence.features, evidence.nstar, [])
    place = table.columns.index("n* of the risk")
    assert len(table.rows) == 6
    shown = {row[place].text for row in table.rows}
    rows = evidence.nstar[evidence.nstar["method"] == "RFM"]
    expected = set()
    for _, cell in rows.groupby("cell_id", sort=False):
        entries = [f"{row.nstar:,.0f} (ε = {row.eps:g})" for row in cell.itertuples()]
        expected.add(", ".join(entries))
    assert shown == expected and len(shown) == 3


def test_a_store_without_features_has_empty_tables(tmp_path):
    write_cell(tmp_path / "store", "a")
    results = load_results(tmp_path / "store")
    assert results.nstar_feature.empty and results.exponents_feature.empty
    assert list_features(results.stored.trainings) == []
    report = write_report(tmp_path / "store", tmp_path / "out", claims={})
    assert "Features: n* at" not in report.page.read_text()
