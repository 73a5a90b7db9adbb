"""The command that makes what a claim was judged from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.power import describe_time
from analysis.prospects import Stock
from analysis.provenance import find_command, find_extension, read_requests

COMMAND = "python -m bfc.train -m +sweeps=s study.size="


def ask(folder: Path, cell: str, *requests: tuple[str | None, int], study: str = "s") -> None:
    """A cell that was asked for by these sizes, with so many seeds."""
    (folder / cell).mkdir(parents=True, exist_ok=True)
    content = [
        {"study": study, "size": size, "seeds": list(range(seeds))} for size, seeds in requests
    ]
    (folder / cell / "requests.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("requests", "command"),
    [
        ([("demo", 4)], "demo"),
        ([("demo", 4), ("30m", 8)], "30m"),
        ([("demo", 4), ("demo", 9)], "demo measure.seeds=9"),
        ([("demo", 4), ("30m", 8), ("30m", 20), ("30m", 40)], "30m measure.seeds=40"),
    ],
)
def test_it_is_that_of_the_last_request(tmp_path, requests, command) -> None:
    ask(tmp_path, "a", *requests)
    assert find_command("s", ["a"], read_requests("s", ["a"], tmp_path)) == COMMAND + command


def test_of_several_cells_it_has_every_size_and_the_most_seeds(tmp_path) -> None:
    ask(tmp_path, "a", ("demo", 4), ("demo", 9))
    ask(tmp_path, "b", ("demo", 4), ("demo", 12))
    ask(tmp_path, "c", ("demo", 4))
    ask(tmp_path, "d", ("30m", 8))
    expected = f"{COMMAND}demo measure.seeds=12 && {COMMAND}30m"
    assert find_command("s", "dcba", read_requests("s", "dcba", tmp_path)) == expected


def test_other_studies_and_requests_without_a_size_say_nothing(tmp_path) -> None:
    ask(tmp_path, "a", ("30m", 4), study="other")
    ask(tmp_path, "b", (None, 4))
    assert (
        find_command("s", ["a", "b", "absent"], read_requests("s", ["a", "b", "absent"], tmp_path))
        == ""
    )


STOCK = {"a": Stock(8, 10.0), "b": Stock(4, 100.0), "c": Stock(20, 1000.0), "d": Stock(8, 1e6)}


def test_an_extension_has_the_price_of_all_cells_that_its_command_extends(tmp_path) -> None:
    """4 more for a (8 stored) are 12 for every cell of its size; c has more, d is of another."""
    for cell, stored in STOCK.items():
        ask(tmp_path, cell, ("full" if cell == "d" else "demo", stored.seeds))
    extension = find_extension("s", ["a"], 4, read_requests("s", STOCK, tmp_path), STOCK)
    assert extension.text == f"{COMMAND}demo measure.seeds=12"
    time = describe_time(4 * 10.0 + 8 * 100.0)
    assert extension.price == f"{time} for the 2 stored cells of this size"


def test_the_seeds_of_an_extension_suffice_for_the_cell_with_the_most(tmp_path) -> None:
    ask(tmp_path, "a", ("30m", 8))
    ask(tmp_path, "b", ("demo", 4), ("30m", 4))
    ask(tmp_path, "c", ("demo", 20))
    stock = {name: STOCK[name] for name in "abc"}
    extension = find_extension("s", "ab", 3, read_requests("s", stock, tmp_path), stock)
    assert extension.text == f"{COMMAND}30m measure.seeds=11"
    assert extension.price.endswith("any others of it come on top"), "30m may hold more cells"


def test_what_cannot_be_extended_by_seeds_has_no_such_command(tmp_path) -> None:
    ask(tmp_path, "a", ("demo", 8))
    ask(tmp_path, "b", (None, 4))
    rounds = [{"study": "s", "size": "demo", "seeds": [0], "rounds": 3}]
    ask(tmp_path, "c")
    (tmp_path / "c" / "requests.json").write_text(json.dumps(rounds))
    for cells in ("", "b", "ab", "ac"):
        assert find_extension("s", cells, 4, read_requests("s", STOCK, tmp_path), STOCK) is None
