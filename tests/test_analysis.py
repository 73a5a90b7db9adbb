"""A results folder is read back: its table of trainings, and which of its cells are one line.

A synthetic store is written cell by cell, as the program writes it. It contains broken folders and
cells that differ.
"""

import json

import pandas as pd
from synthetic import write_cell

from analysis.lines import find_varying_keys, label_lines
from analysis.nstar_tables import fit_lines, tabulate_exponents, tabulate_nstar
from bfc.store.cells import Cell
from bfc.store.reading import read_store


def test_trainings_table_has_a_row_per_training_with_the_flattened_configuration(tmp_path):
    write_cell(
        tmp_path, "a", config={"optimizer.schedule": {"warmup": 3}, "target.alpha": [1.0, 0.5]}
    )
    write_cell(tmp_path, "b", method="kernel", kind="curve", validation="none")
    results = read_store(tmp_path)
    assert len(results.trainings) == 2 * 9 * 8 and results.problems == []
    row = results.trainings.iloc[0]
    values = row[["cell_id", "kind", "seed", "studies"]]
    assert list(values) == ["a", "training", 0, "synthetic"]
    assert row["config.optimizer.schedule.warmup"] == 3
    assert row["config.target.alpha"] == "[1.0, 0.5]"
    baseline = results.trainings[results.trainings["cell_id"] == "b"]
    assert baseline["config.optimizer.lr"].isna().all()
    assert baseline["config.baseline.n_max"].notna().all()


DAMAGE = {
    "config.yaml": "a: [",
    "requests.json": "{}",
    "status.json": "\xff",
    "trainings.parquet": "nonsense",
}


def alias_bomb() -> str:
    """YAML whose aliases would expand to 9^12 values."""
    lines = []
    for level in range(12):
        value = f"*l{level - 1}" if level else "x"
        lines.append(f"l{level}: &l{level} [{', '.join([value] * 9)}]")
    return "\n".join(lines)


def test_broken_and_foreign_folders_are_reported_and_skipped(tmp_path):
    write_cell(tmp_path, "good")
    for name in ("config.yaml", "requests.json", "status.json", "trainings.parquet"):
        write_cell(tmp_path, f"without-{name}", drop=(name,))
    for name, text in DAMAGE.items():
        (write_cell(tmp_path, f"damaged-{name}") / name).write_text(text, encoding="latin-1")
    head = "method: m\ntarget_name: t\nd: 1\nL: 1\ndegree: 1\n"
    configurations = {
        "object": "!!python/object/apply:os.system ['touch owned']",
        "endless": f"{head}x: &a {{b: *a}}\n",
        "bomb": f"{head}{alias_bomb()}\n",
        "scalar": "7",
    }
    for name, text in configurations.items():
        (write_cell(tmp_path, name) / "config.yaml").write_text(text)
    tables = {
        "words": {"n": ["many"], "seed": [0], "kind": ["training"], "risk": [1.0]},
        "columns": {"n": [1]},
    }
    for name, columns in tables.items():
        path = write_cell(tmp_path, name) / "trainings.parquet"
        pd.DataFrame(columns).to_parquet(path)
    (tmp_path / "empty").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "file.txt").write_text("not a folder")
    results = read_store(tmp_path)
    assert list(results.cells["cell_id"]) == ["good"]
    skipped = {problem.partition(":")[0] for problem in results.problems}
    folders = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert skipped == folders - {"good", ".hidden"} and len(results.problems) == len(skipped)
    assert not (tmp_path / "owned").exists()


def test_missing_environment_is_a_problem_but_costs_no_cell(tmp_path):
    write_cell(tmp_path, "a", drop=("environment.json",))
    results = read_store(tmp_path)
    assert len(results.cells) == 1 and results.problems == ["a: no environment.json"]


def test_unfinished_cells_are_used_and_reported_as_unfinished(tmp_path):
    write_cell(tmp_path, "a", state="running")
    results = read_store(tmp_path)
    assert len(results.cells) == 1 and "is interrupted" in results.problems[0]
    with Cell(tmp_path / "a").claim():
        assert "is running" in read_store(tmp_path).problems[0]


def test_cells_that_differ_are_different_lines(tmp_path):
    for d in (8, 16):
        for lr in (0.01, 0.03):
            test = int(1000 * d * lr)
            config = {"optimizer.lr": lr, "target.widths": [d // 2], "measure.test": test}
            write_cell(tmp_path, f"{d}-{lr}", d=d, config=config)
    results = read_store(tmp_path)
    cells = results.cells
    assert {"optimizer.lr", "target.widths", "measure.test"} <= set(find_varying_keys(cells))
    labels = label_lines(cells)
    assert sorted(set(labels)) == [
        "staged quadratic_densenet, lr=0.01",
        "staged quadratic_densenet, lr=0.03",
    ]
    nstar, keys = tabulate_nstar(results)
    assert not nstar.duplicated(["line", "d", "L", "eps"]).any() and "optimizer.lr" in keys
    exponents = tabulate_exponents(nstar, keys, fit_lines(results, nstar))
    assert sorted(exponents["optimizer.lr"].unique()) == [0.01, 0.03]


def test_keys_that_follow_d_split_no_line(tmp_path):
    for d in (8, 16, 32):
        write_cell(tmp_path, f"{d}", d=d, config={"target.widths": [d // 2], "learner.widths": [d]})
    results = read_store(tmp_path)
    assert set(label_lines(results.cells)) == {"staged quadratic_densenet"}
    assert "target.widths" in find_varying_keys(results.cells)
    nstar, keys = tabulate_nstar(results)
    exponents = tabulate_exponents(nstar, keys, fit_lines(results, nstar))
    assert set(exponents["target.widths"]) == {"varies"}


def test_networks_are_labelled_by_the_keys_of_the_learner(tmp_path):
    """Not by keys of other groups that vary together with them."""
    for width, outer in ((64, 5.0), (512, 6.0)):
        learner = {"learner.widths": [width], "optimizer.batch": width // 8}
        write_cell(tmp_path, f"{width}", config={"target.outer": outer, **learner})
    assert sorted(set(label_lines(read_store(tmp_path).cells))) == [
        "staged quadratic_densenet, widths=[512]",
        "staged quadratic_densenet, widths=[64]",
    ]


def test_a_copied_cell_is_another_line(tmp_path):
    write_cell(tmp_path, "a")
    write_cell(tmp_path, "b")
    assert label_lines(read_store(tmp_path).cells).nunique() == 2


def test_a_cell_of_two_studies_is_in_both_with_the_eps_of_either(tmp_path):
    folder = write_cell(tmp_path, "a")
    requests = [
        {"study": "one", "eps": [0.1]},
        {"study": "two", "eps": [0.05]},
        {"study": "two", "eps": [0.02]},
        {"study": None, "eps": [0.2]},
    ]
    (folder / "requests.json").write_text(json.dumps(requests))
    nstar, _ = tabulate_nstar(read_store(tmp_path))
    pairs = set(zip(nstar["study"], nstar["eps"], strict=True))
    assert pairs == {("one", 0.1), ("two", 0.05), ("two", 0.02), ("(no study)", 0.2)}
    assert len(read_store(tmp_path).trainings) == 72
    assert set(read_store(tmp_path).study("two").cells["study"]) == {"two"}
