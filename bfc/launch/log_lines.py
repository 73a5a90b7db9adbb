"""The end of the logs of a launch, which a worker shares among the jobs that it runs."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from bfc.launch.status import CellStatus

LINES_OF_JOB = 10
"""Lines of a log among which the last one about a cell is looked for."""
TAIL_BYTES = 4096
"""What is read of a log for every ten lines."""


def read_last_lines(
    path: Path | None, lines: int = 1, part: tuple[int, int | None] = (0, None)
) -> list[str]:
    """The last lines that are not blank of a log, or of the bytes of it from ``part``."""
    if path is None or not os.path.isfile(path):
        return []
    try:
        with open(path, "rb") as file:
            end = os.fstat(file.fileno()).st_size if part[1] is None else part[1]
            begin = max(part[0], end - TAIL_BYTES * max(1, lines // 10))
            file.seek(begin)
            text = file.read(max(0, end - begin)).decode(errors="replace")
    except OSError as error:
        return [f"{path}: cannot be read ({error.strerror or error})"]
    return [line for line in text.splitlines() if line.strip()][-lines:]


def read_last_line(status: CellStatus, cells: Collection[str]) -> str:
    """The last line about a cell: one that names it, else one that names none of ``cells``."""
    lines = read_last_lines(status.log, LINES_OF_JOB, status.log_part)
    for line in reversed(lines):
        if status.cell in line:
            return line
    for line in reversed(lines):
        if not any(cell in line for cell in cells):
            return line
    return ""
