"""Reading the files of a result folder: what the store itself and a reader of copied stores share.

Nothing here executes or unpickles what a file holds.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pyarrow

T = TypeVar("T")
REREADS = 3
EARLIER_KINDS = {"probe": "confirmation"}
"""Kinds of rows as earlier versions stored them → what they are called now."""
OWNER = "cell"
"""Key of a table's metadata: the cell that it belongs to.

A table that was copied into another cell's folder is noticed by it.
"""


def write_table(table: pyarrow.Table, path: Path) -> None:
    """Write a table with checksums, to a file whatever its name looks like."""
    import pyarrow.parquet

    # A name would be expanded, or taken for an address.
    with open(path, "wb") as file:
        pyarrow.parquet.write_table(table, file, write_page_checksum=True)


def current_kind(kind: Any) -> Any:
    """What a kind of training is called now."""
    return EARLIER_KINDS.get(kind, kind)


def reread(read: Callable[[], T]) -> T:
    """What ``read`` returns.

    It is called again where an NFS client finds that the file was replaced while it was open
    (ESTALE).
    """
    for _ in range(REREADS):
        try:
            return read()
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    return read()


def read_table(path: Path) -> tuple[pyarrow.Table, str | None]:
    """A table, and the cell it was written for; None where an earlier version wrote it.

    Raises OSError, ValueError, MemoryError or ``pyarrow.ArrowException`` where it is damaged. The
    file is opened once, since a running cell may replace it meanwhile.
    """
    import pyarrow.parquet

    with (
        # A name would be expanded, or taken for an address.
        open(path, "rb") as source,
        pyarrow.parquet.ParquetFile(source, page_checksum_verification=True) as file,
    ):
        owner = (file.schema_arrow.metadata or {}).get(OWNER.encode())
        table = file.read(use_threads=False)
    return table, None if owner is None else owner.decode(errors="replace")


class WrongContent(ValueError):
    """A JSON file holds something else than was expected."""


def read_json(path: Path, kind: type) -> Any:
    """The value of type ``kind`` in a JSON file.

    Raises OSError where the file cannot be read, :class:`WrongContent` where it holds another type,
    and another ValueError or RecursionError where it is no JSON.
    """
    value = json.loads(reread(lambda: path.read_text(encoding="utf-8")))
    if not isinstance(value, kind):
        raise WrongContent(kind.__name__)
    return value


def first_line(error: BaseException) -> str:
    """The first line of an error's message, its type where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]
