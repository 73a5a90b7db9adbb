"""What a paper needs: LaTeX of claims and exponents, a methods paragraph, figures of a width.

Figures are drawn again only where their data changed.
"""

import re

import pytest
from synthetic import write_cell

from analysis.figures import name_figures
from analysis.load import load_results
from analysis.paper_export import export_paper, format_claims
from analysis.paper_files import draw_files
from bfc.errors import UserError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("paper") / "results"
    for d in (8, 12, 16):
        write_cell(root, f"a{d}", d=d, centre=20.0 * d, study="bfc_sample_complexity")
    return root


def test_everything_a_paper_needs_is_written(store, tmp_path):
    files = export_paper(store, tmp_path / "paper", claims=[1, 2])
    claims = files.claims.read_text()
    assert claims.count(r"\\") == 1 + 2, "a head and two claims"
    assert r"\toprule" in claims and "bottomrule" in claims
    exponents = files.exponents.read_text()
    assert re.search(r"quadratic\\_densenet & 3 & staged .* & 0.01 & \d\.\d\d", exponents)
    assert r"$\varepsilon$" in exponents and "ε" not in exponents
    methods = files.methods.read_text()
    assert "(3 cells, 216 trainings with 8 to 8 seeds" in methods and "torch 2.13.0" in methods
    assert {path.suffix for path in files.figures} == {".pdf"} and len(files.figures) > 1
    assert all(path.is_file() for path in files.figures)
    assert not (store / ".claims").exists(), "an export is not a look"


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"width": "colum"}, "width colum: no such width; did you mean column?"),
        ({"formats": ["jpg"]}, "format jpg: no such format"),
        ({"claims": [99]}, "claim 99: must be between 1 and"),
    ],
)
def test_what_cannot_be_exported_is_refused(store, tmp_path, options, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        export_paper(store, tmp_path / "paper", **options)
    assert not (tmp_path / "paper").exists()


def test_a_claim_without_a_number_is_a_row_all_the_same(store, tmp_path):
    files = export_paper(store, tmp_path / "paper", formats=["svg"])
    assert "not run" in files.claims.read_text()
    assert format_claims(load_results(store).nstar.iloc[:0]).count(r"\\") == 1


def test_a_figure_is_drawn_again_only_where_its_data_changed(store, tmp_path):
    evidence = load_results(store).studies["bfc_sample_complexity"]
    figures = name_figures(evidence)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    draw_files(figures, first, ["svg"])
    kept, changed = figures[0].name, figures[1].name
    for name in (kept, changed):
        (first / f"{name}.svg").write_text("drawn before")
    record = first / "drawn.json"
    record.write_text(record.read_text().replace(f'"{changed}": "', f'"{changed}": "other'))
    draw_files(figures, second, ["svg"], earlier=first)
    assert (second / f"{kept}.svg").read_text() == "drawn before"
    assert (second / f"{changed}.svg").read_text().startswith("<?xml")
