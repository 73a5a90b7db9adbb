"""The table of the field: what its entries say, who is first, its files and its comparison."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from table_scenes import EPS, ROW, SIZES, add_feature, list_cells, make_table, simulate

from analysis.field_table.comparison import list_changes, list_shown, read_snapshot
from analysis.field_table.entries import Agreement, Entry, EntryStatus, estimate_entry
from analysis.field_table.features import estimate_features
from analysis.field_table.files import (
    COLUMNS,
    CSV,
    FEATURE_COLUMNS,
    FEATURES_CSV,
    FEATURES_LATEX,
    JSON,
    LATEX,
    to_json,
    write_files,
)
from analysis.field_table.picture import draw_picture
from analysis.field_table.requests import ColumnRequest, EntryRequest
from analysis.field_table.table import FieldTable, Provenance
from analysis.field_table.wording import (
    describe_absence,
    describe_entry,
    describe_features,
    format_count,
)
from bfc.errors import UserError
from bfc.stats.fewest_samples import compare_densities, compare_methods
from bfc.types import Theory

COLUMN_NAMES = ("fast", "slow", "stuck", "knowing")


@pytest.fixture(scope="module")
def table() -> FieldTable:
    return make_table()


def find(table: FieldTable, row: str, column: str) -> Entry:
    return next(e for e in table.entries if (e.row, e.column) == (row, column))


def test_an_entry_holds_the_exponent_and_n_star_at_the_reference(table: FieldTable) -> None:
    fast, slow = find(table, "first", "fast"), find(table, "first", "slow")
    assert fast.status is slow.status is EntryStatus.EXPONENT
    assert fast.fit.lo < 1.0 < fast.fit.hi and slow.fit.lo < 2.0 < slow.fit.hi
    assert fast.reference.lo < 8 * 16 < fast.reference.hi
    assert fast.num_sizes == len(SIZES) and fast.seconds == pytest.approx(0.5 * 8 * 17 * 6)


def test_features_have_their_n_star_by_level_or_by_name(table: FieldTable) -> None:
    (forms,) = find(table, "first", "fast").features
    assert forms.feature == "forms" and forms.nstar.value == pytest.approx(128 / 2, rel=0.25)
    (level,) = find(table, "first", "slow").features
    assert level.feature == "level 2" and level.nstar.value == pytest.approx(256, rel=0.25)
    assert find(table, "first", "stuck").features == ()
    (text,) = describe_features(find(table, "first", "slow"))
    assert text == f"level 2: {level.nstar.value:.0f}"


def test_of_several_phases_the_last_that_measured_a_feature_counts() -> None:
    cell = simulate("a", 8, 64.0)
    early = add_feature(cell, "one/overlap/subspace", 0.01)["one/overlap/subspace"]
    late = add_feature(cell, "two/overlap/subspace", 2.0)["two/overlap/subspace"]
    phases = {"one/overlap/subspace": early, "two/overlap/subspace": late}
    (feature,) = estimate_features(cell.assign(**phases, **{"three/overlap/subspace": np.nan}))
    assert feature.nstar.value == pytest.approx(32, rel=0.25)
    assert estimate_features(cell) == ()


def test_synonyms_are_found_where_the_deepest_units_are_blind_to_them() -> None:
    cell = simulate("a", 8, 64.0)
    shallow = 1 - add_feature(cell, "overlap", 4.0)["overlap"]
    deep = 1 - add_feature(cell, "overlap", 0.5)["overlap"]
    columns = {"all/synonyms1/2": shallow, "all/synonyms1/3": deep}
    (feature,) = estimate_features(cell.assign(**columns))
    assert feature.feature == "synonyms of level 1"
    (expected,) = estimate_features(cell.assign(**{"all/subspace/2": deep}))
    assert feature.nstar.value == expected.nstar.value


def test_empty_entries_say_why(table: FieldTable) -> None:
    assert describe_absence(find(table, "first", "knowing")) == "needs 2.0 h"
    assert describe_absence(find(table, "second", "slow")) == "out of memory"
    assert "not for <this> method" in describe_absence(find(table, "second", "fast"))
    assert describe_absence(find(table, "first", "stuck")) == ""


def test_what_was_seen_instead_of_an_exponent_is_said(table: FieldTable) -> None:
    assert find(table, "first", "stuck").status is EntryStatus.NEVER
    assert find(table, "first", "knowing").status is EntryStatus.NOT_RUN
    assert find(table, "second", "fast").status is EntryStatus.CANNOT_RUN
    assert find(table, "second", "slow").status is EntryStatus.FAILED
    assert find(table, "second", "slow").reason == "out of memory"


def test_theory_is_compared_by_the_kind_of_its_bound(table: FieldTable) -> None:
    assert find(table, "first", "fast").agreement is Agreement.COMPATIBLE
    assert find(table, "first", "slow").agreement is Agreement.BELOW
    slow = find(table, "first", "slow")
    for bound, agreement in (
        ("upper", Agreement.COMPATIBLE),
        ("lower", Agreement.BELOW),
        ("rate", Agreement.BELOW),
    ):
        entry = Entry("r", "c", slow.status, fit=slow.fit, theory=Theory(3.0, bound, "a paper"))
        assert entry.agreement is agreement
    above = Entry("r", "c", slow.status, fit=slow.fit, theory=Theory(1.0, "lower", "a paper"))
    assert above.agreement is Agreement.COMPATIBLE


def test_every_entry_can_be_read_alone(table: FieldTable) -> None:
    rows = {row.name: row for row in table.request.rows}
    columns = {column.name: column for column in table.request.columns}
    for entry in table.entries:
        text = describe_entry(entry, rows[entry.row], columns[entry.column])
        assert text.startswith(f"{columns[entry.column].title[0].upper()}")
        assert rows[entry.row].title in text and text.endswith(".")
    knowing = find(table, "first", "knowing")
    text = describe_entry(knowing, rows["first"], columns["knowing"])
    assert "needs 2.0 h of one core" in text and "knows the coordinates" in text


def test_an_entry_with_a_failed_cell_says_so_beside_what_is_measured() -> None:
    request = EntryRequest(
        "first", "fast", list_cells("fast"), failure="out of memory", seconds_left=7200.0
    )
    groups = {f"fast-{d}": simulate(f"fast-{d}", d, 8.0 * d) for d in SIZES[:-1]}
    entry = estimate_entry(request, ROW, groups, EPS)
    assert entry.status is EntryStatus.EXPONENT and entry.is_incomplete
    text = describe_entry(entry, ROW, ColumnRequest("fast", "fast method"))
    assert "needs 2.0 h more" in text and "One of its cells failed (out of memory)" in text


@pytest.mark.parametrize(
    ("number", "text"), [(1024.0, "1,024"), (12345.0, "12,340"), (173.4, "173"), (np.inf, "∞")]
)
def test_counts_are_written_in_four_digits(number: float, text: str) -> None:
    assert format_count(number) == text


def test_the_method_with_the_fewest_samples_has_a_probability(table: FieldTable) -> None:
    (ranking,) = table.rankings
    assert ranking.row.name == "first" and ranking.size == 32
    assert ranking.best == "fast" and ranking.probabilities["fast"] > 0.99
    assert sum(ranking.probabilities.values()) == pytest.approx(1)
    first = {profile.column.name: profile.first for profile in table.profiles}
    assert first == {"fast": ("first target",), "slow": (), "stuck": (), "knowing": ()}


def test_probabilities_agree_with_a_simulation() -> None:
    generator = np.random.default_rng(1)
    means, deviations = np.array([5.0, 5.2, 6.0]), np.array([0.3, 0.1, 0.8])
    draws = generator.normal(means, deviations, size=(200_000, 3))
    shares = np.bincount(draws.argmin(axis=1), minlength=3) / len(draws)
    posteriors = {}
    for name, mean, deviation in zip("abc", means, deviations, strict=True):
        x = np.linspace(mean - 6 * deviation, mean + 6 * deviation, 301)
        posteriors[name] = x, 7.0 * stats.norm.pdf(x, mean, deviation)
    probabilities = compare_densities(posteriors)
    assert np.allclose(list(probabilities.values()), shares, atol=0.005)


def test_equal_methods_are_equally_probable_and_unmeasured_ones_left_out() -> None:
    cell = simulate("a", 8, 200.0)
    nothing = cell.assign(outcome="optimisation_limited", risk=1.0)
    probabilities = compare_methods({"a": cell, "b": cell, "c": nothing}, EPS)
    assert set(probabilities) == {"a", "b"} and probabilities["a"] == pytest.approx(0.5, abs=1e-3)
    assert compare_methods({}, EPS) == {}


def test_the_files_hold_every_entry(table: FieldTable, tmp_path: Path) -> None:
    write_files(table, tmp_path)
    draw_picture(table, tmp_path / "table.png")
    with open(tmp_path / CSV, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(table.entries) and tuple(rows[0]) == COLUMNS
    content = json.loads((tmp_path / JSON).read_text(encoding="utf-8"))
    assert content["commits"][0] == "0123456789abcdef" and len(content["entries"]) == len(rows)
    stuck = next(entry for entry in content["entries"] if entry["column"] == "stuck")
    assert stuck["nstar_hi"] == "inf" and stuck["exponent"] is None
    latex = (tmp_path / LATEX).read_text(encoding="utf-8")
    assert latex.startswith(r"\begin{tabular}") and latex.count(r"\\") == 3
    with open(tmp_path / FEATURES_CSV, newline="", encoding="utf-8") as file:
        features = list(csv.DictReader(file))
    assert tuple(features[0]) == FEATURE_COLUMNS
    assert [feature["feature"] for feature in features] == ["forms", "level 2"]
    (stored,) = next(e for e in content["entries"] if e["column"] == "slow")["features"]
    assert stored["nstar"] == pytest.approx(float(features[1]["nstar"]))
    latex = (tmp_path / FEATURES_LATEX).read_text(encoding="utf-8")
    assert latex.count(r"\\") == 3 and "level 2" in latex
    assert (tmp_path / "table.png").stat().st_size > 5000


def test_an_unchanged_table_has_not_moved(table: FieldTable, tmp_path: Path) -> None:
    write_files(table, tmp_path)
    now = to_json(table)
    assert list_changes(read_snapshot(tmp_path, "demo"), now) == []


def change(table: FieldTable, column: str, **values) -> dict:
    content = to_json(table)
    for entry in content["entries"]:
        if entry["row"] == "first" and entry["column"] == column:
            entry.update(values)
    return content


def test_moves_beyond_the_joint_interval_are_listed(table: FieldTable) -> None:
    now = to_json(table)
    slow = find(table, "first", "slow").fit
    width = slow.exponent - slow.lo
    near = change(table, "slow", exponent=slow.exponent - width, lo=slow.lo - width)
    assert list_changes(near, now) == []
    far = slow.exponent - 3 * width
    (move,) = list_changes(change(table, "slow", exponent=far, lo=far - width, hi=far + width), now)
    assert (move.row, move.column) == ("first", "slow") and "the exponent was" in move.sentence
    (move,) = list_changes(change(table, "stuck", status="more than"), now)
    assert move.sentence == "the status was more than and is never"
    assert list_changes(change(table, "stuck", status="not run"), now) == []
    nstar = {"nstar": 10.0, "nstar_lo": 9.0, "nstar_hi": 11.0}
    earlier = change(table, "fast", features=[{"feature": "forms", **nstar}])
    (move,) = list_changes(earlier, now)
    assert move.column == "fast" and move.sentence.startswith("n* of forms was 10 [9, 11] and is")
    missing = change(table, "fast")
    missing["entries"] = missing["entries"][1:]
    assert list_changes(missing, now) == []


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"entries": 3}'])
def test_what_is_no_snapshot_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="--compare"):
        read_snapshot(path, "demo")
    with pytest.raises(UserError, match="--compare"):
        read_snapshot(tmp_path / "absent", "demo")


def test_a_snapshot_of_another_size_is_refused(table: FieldTable, tmp_path: Path) -> None:
    write_files(table, tmp_path)
    with pytest.raises(UserError, match="must be of size 4h, not demo"):
        read_snapshot(tmp_path, "4h")
    assert list_shown(tmp_path) == (["first"] * 4 + ["second"] * 4, list(COLUMN_NAMES) * 2)
    assert list_shown(tmp_path / "absent") == ([], [])


def test_the_citation_names_the_code_that_trained(table: FieldTable) -> None:
    assert "commits 0123456789 and fedcba9876+" in table.citation
    environments = [
        {"commit": "b", "diff": "x", "hardware": "p"},
        {"commit": "a", "diff": "", "hardware": "p"},
        {},
    ]
    values = {"version": "1", "command": "c", "budget": "5m", "date": "2026-01-01"}
    made = Provenance.from_environments(environments, **values)
    assert made.commits == ["a", "b+"] and made.hardware == ["p"]
