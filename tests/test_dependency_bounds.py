"""The bounds of dependencies, and the search for the one that breaks the suite."""

from __future__ import annotations

import re
import tomllib

import pytest
from dependency_bounds import ROOT, direct_dependencies, find_culprits

VERSIONS = {
    "oldest": {"numpy": "2.0.0", "pandas": "2.2.2", "rich": "13.0.0"},
    "newest": {"numpy": "2.4.6", "pandas": "3.1.1", "rich": "13.0.0"},
}
BOUNDS = r"[\w.-]+(\[\w+\])?>=[\d.]+,<[\d.]+(; .*)?"


def test_every_dependency_has_an_oldest_and_a_first_version_that_is_too_new():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for texts in (project["dependencies"], *project["optional-dependencies"].values()):
        for text in texts:
            assert re.fullmatch(BOUNDS, text), text
    assert {"torch", "hydra-core", "pytest", "mkdocs"} <= set(direct_dependencies())


@pytest.mark.parametrize(
    ("end", "culprit", "sentences"),
    [
        ("oldest", "pandas", ["pandas 2.2.2 breaks the suite: the failed tests pass with 3.1.1"]),
        ("newest", "numpy", ["numpy 2.4.6 breaks the suite: the failed tests pass with 2.0.0"]),
        ("oldest", "torch", []),
    ],
)
def test_the_dependency_whose_other_version_helps_is_named(end, culprit, sentences):
    tried = []

    def passes_with(name: str, version: str) -> bool:
        tried.append(name)
        return name == culprit

    names = ["numpy", "pandas", "rich", "absent"]
    assert list(find_culprits(names, VERSIONS, end, passes_with)) == sentences
    assert tried == ["numpy", "pandas"], "rich is the same at both ends"
