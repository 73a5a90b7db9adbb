"""The pages show what their code prints, and the comparison sees where they do not."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from types import ModuleType

import pytest
from commands import ROOT
from doc_commands import PAGES, marked_blocks, output_of
from printed_output import BETWEEN_COLUMNS, find_missing_line

PRINTED = """\
id 1386ecb  d=6  30 rows
other
n* = 106, grows as d^1.35 (0.80 to 1.96)
┃ method ┃   n* ┃ interval ┃
│ kernel │  583 │  531–641 │
"""


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        (PRINTED.translate(BETWEEN_COLUMNS), None),
        ("method  n*  interval\nkernel  583  531–641", None),
        ("kernel  599  531–641", "kernel  599  531–641"),
        ("n* = 107, grows as d^1.34 (0.79 to 1.95)\n", None),
        ("id … d=6  30   rows", None),
        ("n* = 109, grows as d^1.35 (0.80 to 1.96)", "n* = 109, grows as d^1.35 (0.80 to 1.96)"),
        ("id 1387ecb  d=6  30 rows", "id 1387ecb  d=6  30 rows"),
        ("id 1386ecb  d=6  31 rows", "id 1386ecb  d=6  31 rows"),
        ("other\nid 1386ecb  d=6  30 rows", "id 1386ecb  d=6  30 rows"),
        ("n* = 106, falls as d^1.35 (0.80 to 1.96)", "n* = 106, falls as d^1.35 (0.80 to 1.96)"),
    ],
)
def test_a_line_that_was_not_printed_is_found(shown, missing):
    assert find_missing_line(shown, PRINTED) == missing


def pages_with_output() -> list:
    """Those with commands train as they stand, which takes a minute: only with --exhaustive."""
    cases = []
    for page in PAGES:
        kinds = {kind for kind, _ in marked_blocks(page)}
        if "output" in kinds:
            marks = [] if "python" in kinds else [pytest.mark.exhaustive]
            cases.append(pytest.param(page, id=page.stem, marks=marks))
    return cases


@pytest.mark.parametrize("page", pages_with_output())
def test_a_page_shows_what_its_code_prints(page: Path, tmp_path, monkeypatch):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    module = ModuleType("a_page")  # in which classes look up their annotations
    monkeypatch.setitem(sys.modules, "a_page", module)
    printed = ""
    pieces = marked_blocks(page)
    last = max(i for i, (kind, _) in enumerate(pieces) if kind == "output")
    for kind, text in pieces[: last + 1]:
        if kind == "output":
            missing = find_missing_line(text, printed)
            assert missing is None, f"{page.name} shows\n{missing}\nand its code prints\n{printed}"
            printed = ""
        elif kind == "python":
            out = io.StringIO()
            with contextlib.chdir(tmp_path), contextlib.redirect_stdout(out):
                exec(compile(text, page.name, "exec", dont_inherit=True), vars(module))
            printed += out.getvalue()
        elif kind == "command":
            printed += output_of(text, tmp_path)
