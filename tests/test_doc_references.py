"""Pages of the documentation that say "`name` in `file`" name what that file defines."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = re.compile(r"`([\w.]+)`\s+in\s+`((?:bfc|analysis|benchmarks|tests)/[\w/]+\.py)`")


def find_references() -> list[tuple[str, str, str]]:
    """Page, name and file of every reference."""
    references = []
    for page in PAGES:
        for name, file in REFERENCE.findall(page.read_text(encoding="utf-8")):
            references.append((page.name, name, file))
    return references


@pytest.mark.parametrize("page, name, file", find_references())
def test_a_name_that_a_page_places_in_a_file_is_there(page: str, name: str, file: str) -> None:
    path = ROOT / file
    if not path.exists() and page.startswith(("add_", "change_")):
        pytest.skip("a file that the page has its reader write")
    text = path.read_text(encoding="utf-8")
    for part in name.split("."):
        is_defined = re.search(rf"^\s*(?:(?:def|class) {part}\b|{part}\b.*=)", text, re.M)
        is_imported = re.search(rf"^from .*import .*\b{part}\b", text, re.M)
        assert is_defined or is_imported, f"{page}: {file} has no {name}"


def test_the_pages_place_names_in_files() -> None:
    assert len(find_references()) > 10
