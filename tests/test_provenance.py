"""The command that makes what a claim was judged from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.provenance import find_command

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
    assert find_command("s", ["a"], tmp_path) == COMMAND + command


def test_of_several_cells_it_has_every_size_and_the_most_seeds(tmp_path) -> None:
    ask(tmp_path, "a", ("demo", 4), ("demo", 9))
    ask(tmp_path, "b", ("demo", 4), ("demo", 12))
    ask(tmp_path, "c", ("demo", 4))
    ask(tmp_path, "d", ("30m", 8))
    expected = f"{COMMAND}demo measure.seeds=12 && {COMMAND}30m"
    assert find_command("s", "dcba", tmp_path) == expected


def test_other_studies_and_requests_without_a_size_say_nothing(tmp_path) -> None:
    ask(tmp_path, "a", ("30m", 4), study="other")
    ask(tmp_path, "b", (None, 4))
    assert find_command("s", ["a", "b", "absent"], tmp_path) == ""
