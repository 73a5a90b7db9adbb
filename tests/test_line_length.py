"""Files that ruff does not read keep to 100 columns, too; tables and links in Markdown may not."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_COLUMNS = 100
SUFFIXES = {".yaml", ".yml", ".toml", ".js", ".css", ".html", ".mplstyle", ".sh"}
NAMES = {"Makefile", "run"}
OTHERS = ROOT / "docs" / "assets" / "iframe-worker"
"""Files that were written elsewhere."""


def _list_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    ours = [path for path in paths if OTHERS not in path.parents]
    return [path for path in ours if path.suffix in SUFFIXES or path.name in NAMES]


def test_no_line_exceeds_the_columns_of_the_project() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    files = _list_files()
    assert len(files) > 50
    long_lines = []
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if len(line) > MAX_COLUMNS:
                long_lines.append(f"{path.relative_to(ROOT)}:{number}")
    assert not long_lines
