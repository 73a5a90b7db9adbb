"""The rows, columns and sizes of the table are read, checked and composed."""

from pathlib import Path

import pytest
import yaml

from bfc.application.table.additions import add_to_table, split_additions
from bfc.application.table.entries import (
    NO_NATIVE,
    check_entries,
    is_about,
    list_arguments,
    plan_entries,
)
from bfc.application.table.layout import FOLDER, TableLayout, read_layout
from bfc.errors import UserError


@pytest.fixture(scope="module")
def layout() -> TableLayout:
    return read_layout()


def test_every_file_of_the_table_is_read_in_the_order_of_the_field(layout: TableLayout) -> None:
    order = yaml.safe_load((FOLDER / "field.yaml").read_text(encoding="utf-8"))
    assert list(layout.rows) == order["rows"] and list(layout.columns) == order["columns"]
    assert {path.stem for path in (FOLDER / "rows").glob("*.yaml")} == set(layout.rows)
    assert {path.stem for path in (FOLDER / "columns").glob("*.yaml")} == set(layout.columns)


def test_every_row_meets_the_rules_of_entry(layout: TableLayout) -> None:
    for row in layout.rows.values():
        for size, values in row.values.items():
            if row.swept == f"target.{row.axis}":
                assert row.reference in values, (row.name, size)
            if row.swept == "target.d":
                assert len(values) >= 6 and max(values) >= 4 * min(values), (row.name, size)
            else:
                assert len(values) >= 4, (row.name, size)


def test_every_entry_of_every_size_composes_or_says_why_not(
    layout: TableLayout, tmp_path: Path
) -> None:
    for size in layout.sizes:
        rows, columns = layout.select(size)
        if size != "demo":  # each row and each column once
            pairs = [(rows[:1], columns), (rows, columns[5:6])]
        else:
            pairs = [(rows, columns)]
        for some_rows, some_columns in pairs:
            for entry in plan_entries(layout, size, some_rows, some_columns, tmp_path):
                if entry.refusal:
                    assert entry.refusal == NO_NATIVE or ":" in entry.refusal
                else:
                    assert len(entry.jobs) == len(entry.row.values[size])
                    assert len(set(entry.cells)) == len(entry.cells)


def test_an_entry_is_measured_between_the_n_of_its_row(layout: TableLayout, tmp_path: Path) -> None:
    row = layout.rows["bfc_3"]
    columns = [layout.columns["staged"], layout.columns["rbf"]]
    staged, kernel = plan_entries(layout, "demo", [row], columns, tmp_path)
    smallest, largest = row.n["demo"]
    for job in staged.jobs:
        assert (job.job.measure.n_min, job.job.measure.n_max) == (smallest, largest)
    assert {job.job.baseline.n_max for job in kernel.jobs} == {largest}
    assert staged.theory is not None and staged.theory.exponent == 1.0
    assert kernel.theory is not None and kernel.theory.exponent == 4.0


def test_a_method_that_cannot_answer_a_target_is_refused_with_its_reason(
    layout: TableLayout, tmp_path: Path
) -> None:
    rows = [layout.rows["hierarchy"], layout.rows["stair4"]]
    columns = [layout.columns["staged"], layout.columns["lasso"]]
    entries = {
        (entry.row.name, entry.column.name): entry
        for entry in plan_entries(layout, "4h", rows, columns, tmp_path)
    }
    assert entries["stair4", "staged"].refusal == NO_NATIVE
    assert "8 classes" in entries["hierarchy", "lasso"].refusal


def test_names_that_do_not_exist_are_refused_with_the_nearest(layout: TableLayout) -> None:
    with pytest.raises(UserError, match=r"--row star4: no such row; did you mean stair4"):
        layout.select("demo", rows=["star4"])
    with pytest.raises(UserError, match=r"no such size; .*demo"):
        layout.select("deom")
    with pytest.raises(UserError, match="has no values for size demo"):
        layout.select("demo", rows=["radial"])


ROW = {
    "title": "parity of degree 3",
    "target": ["target=parity", "target.degree=3"],
    "values": {"demo": [8, 12]},
    "n": {"demo": [16, 64]},
    "reference": 8,
}


def write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def test_a_file_of_a_user_adds_a_row(tmp_path: Path) -> None:
    write(tmp_path / "rows" / "parity_3.yaml", ROW)
    assert list(read_layout([tmp_path]).rows)[-1] == "parity_3"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": {"demo": [12, 8]}}, r"values.demo=\[12, 8\]: must be increasing"),
        ({"n": {}}, "must be a mapping with demo"),
        ({"n": {"demo": [64, 16]}}, "n.demo"),
        ({"axis": "n"}, "axis"),
        ({"titel": "x"}, "no such key; did you mean title"),
        ({"target": []}, "a list of overrides"),
    ],
)
def test_a_mistake_in_a_file_is_one_sentence(tmp_path: Path, change: dict, message: str) -> None:
    write(tmp_path / "rows" / "parity_3.yaml", {**ROW, **change})
    with pytest.raises(UserError, match=message):
        read_layout([tmp_path])


def test_a_row_that_no_method_can_be_measured_on_is_a_mistake(tmp_path: Path) -> None:
    write(tmp_path / "rows" / "wrong.yaml", {**ROW, "target": ["target=parity", "target.degre=3"]})
    layout = read_layout([tmp_path])
    rows, columns = layout.select("demo", ["wrong"])
    with pytest.raises(UserError, match="row wrong: can be measured nowhere"):
        check_entries(plan_entries(layout, "demo", rows, columns, tmp_path))


def test_overrides_reach_the_methods_that_they_are_about(layout: TableLayout) -> None:
    staged, kernel = layout.columns["staged"], layout.columns["rbf"]
    assert is_about("measure.seeds=2", staged) and is_about("measure.seeds=2", kernel)
    assert is_about("baseline.ridge=0.1", kernel) and not is_about("baseline.ridge=0.1", staged)
    assert is_about("optimizer.lr=0.1", staged) and not is_about("+probe.rows=64", kernel)


def test_a_target_is_added_by_one_command(layout: TableLayout, tmp_path: Path) -> None:
    words = ["target=parity", "target.degree=3", "target.law=gaussian"]
    addition = add_to_table(layout, "demo", words, tmp_path)
    assert not list(tmp_path.iterdir())
    addition.write()
    extended = addition.layout
    name = next(name for name in extended.rows if name not in layout.rows)
    assert read_layout([tmp_path]).rows[name] == extended.rows[name]
    rows, columns = extended.select("demo")
    assert [row.name for row in rows] == [*layout.sizes["demo"].rows, name] and len(columns) == 4
    assert add_to_table(extended, "demo", words, tmp_path) is None


def test_a_method_is_added_by_one_command(layout: TableLayout, tmp_path: Path) -> None:
    words = ["method=laplace", "baseline.bandwidth=2.0"]
    addition = add_to_table(layout, "demo", words, tmp_path)
    addition.write()
    extended = addition.layout
    name = next(name for name in extended.columns if name not in layout.columns)
    column = extended.columns[name]
    assert column.method == ("learner=none", "baseline=laplace", "baseline.bandwidth=2.0")
    assert read_layout([tmp_path]).columns[name] == column
    assert add_to_table(extended, "demo", words, tmp_path) is None
    trained = add_to_table(layout, "demo", ["method=mlp", "learner.widths=[32]"], tmp_path)
    assert "schedule=joint" in list(trained.layout.columns.values())[-1].method


def test_overrides_of_the_run_are_no_part_of_what_is_added() -> None:
    words = ["target=parity", "compute.device=cpu", "target.degree=3", "measure.rounds=1"]
    added, overrides = split_additions(words)
    assert added == ["target=parity", "target.degree=3"]
    assert overrides == ["compute.device=cpu", "measure.rounds=1"]
    assert split_additions(["parity"]) == (["parity"], [])


def test_another_row_of_the_same_name_is_refused(layout: TableLayout, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the table has another row parity already"):
        add_to_table(layout, "demo", ["target=parity"], tmp_path)


def test_further_rows_and_columns_follow_those_of_the_size(layout: TableLayout) -> None:
    rows, columns = layout.select_with("demo", {"quadratic_feature", "radial", "gone"}, {"lasso"})
    assert [row.name for row in rows] == [*layout.sizes["demo"].rows, "quadratic_feature"]
    assert [column.name for column in columns] == [*layout.sizes["demo"].columns, "lasso"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["target=parrity"], "parity"),
        (["target=parity", "target.degree=0"], "target.degree"),
        (["method=lapalce"], "no such method"),
        (["parity"], "must begin with target="),
        ([], "must begin with target="),
    ],
)
def test_what_cannot_be_added_writes_nothing(
    layout: TableLayout, tmp_path: Path, words: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        add_to_table(layout, "demo", words, tmp_path)
    assert not list(tmp_path.rglob("*.yaml"))


def test_later_overrides_win(layout: TableLayout) -> None:
    row, column = layout.rows["index_he2"], layout.columns["spectral_chain"]
    arguments = list_arguments(layout, "4h", row, column)
    assert arguments.index("baseline=spectral_chain") < arguments.index("baseline.keep=[1]")
    assert arguments[-1].startswith("target.d=8,")
