"""How the tests are spread over the processes of pytest-xdist.

Tests that share a fixture of their module run in one process, which builds the fixture once: with
every test on its own, each process would build it, and again whenever it comes back to the file.
What takes longest begins first, so that no process works alone at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

LONGEST_FILES = (
    "test_slurm",
    "test_crash",
    "test_site",
    "test_tracker",
    "test_docs",
    "test_config",
    "test_tracker_service",
    "test_launch",
    "test_launches",
    "test_side_by_side",
    "test_reproduce",
    "test_package",
    "test_page_board",
    "test_page_figures",
    "test_page_tables",
    "test_table_command",
    "test_older_launches",
    "test_latent_threshold",
    "test_posterior",
)
"""Files in the order in which they begin; the others follow as they are collected."""


def spread_over_workers(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The tests in the order in which they begin, marked with the group that they run in."""
    for item in items:
        if _uses_fixture_of_module(item) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    return sorted(items, key=_rank)


def _uses_fixture_of_module(item: pytest.Item) -> bool:
    """Whether a test uses a fixture of scope "module" that its own file defines."""
    file = item.nodeid.partition("::")[0]
    definitions = item.session._fixturemanager.getfixturedefs
    for name in getattr(item, "fixturenames", ()):
        for definition in definitions(name, item) or ():
            if definition.scope == "module" and definition.baseid == file:
                return True
    return False


def _rank(item: pytest.Item) -> int:
    stem = item.path.stem
    return LONGEST_FILES.index(stem) if stem in LONGEST_FILES else len(LONGEST_FILES)
