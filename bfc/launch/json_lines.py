"""Files of JSON lines that several processes write and any process may read at any time.

A disk may fill up in the middle of a line, and a network file system may show half of one; readers
therefore skip whatever is not a whole entry.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO


def append_line(path: Path, entry: Mapping[str, Any]) -> None:
    """Append an entry in one write; a line that a full disk cut off is ended first."""
    with open(path, "ab+") as file:
        separator = b"" if _ends_with_newline(file) else b"\n"
        file.write(separator + json.dumps(entry).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _ends_with_newline(file: BinaryIO) -> bool:
    """Whether a new line can begin at the end of the file, as in an empty one."""
    if not file.tell():
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Every valid entry of a file; none where there is no file."""
    try:
        text = path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if _is_valid(entry):
            yield entry


def _is_valid(entry: Any) -> bool:
    """Whether an entry has a time and, where it is about a job, its number and state."""
    if not isinstance(entry, dict) or not isinstance(entry.get("time"), (int, float)):
        return False
    if "job" not in entry:
        return True
    return isinstance(entry["job"], int) and isinstance(entry.get("state"), str)


def replace_text(path: Path, text: str) -> None:
    """Write a file so that readers see either the old or the new text."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
