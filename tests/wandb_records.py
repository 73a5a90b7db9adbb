"""Reads what an offline run of W&B wrote."""

import json
import re
import struct
from pathlib import Path

BLOCK_BYTES, HEADER_BYTES = 32768, 7
WHOLE_OR_LAST = (1, 4)
"""Kinds of chunks that complete a record."""


def records(path: Path) -> list:
    """The records of an offline run, protocol buffers in a LevelDB log.

    The log has blocks of 32 KiB with chunks of (crc, length, kind, data). A torn record at the end,
    of a run that is being written, is left out.
    """
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record

    data = path.read_bytes()
    position = HEADER_BYTES
    record_bytes = b""
    complete = []
    while position + HEADER_BYTES <= len(data):
        if BLOCK_BYTES - position % BLOCK_BYTES < HEADER_BYTES:
            position += BLOCK_BYTES - position % BLOCK_BYTES
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        position += HEADER_BYTES
        if kind == 0 or position + length > len(data):
            break
        record_bytes += data[position : position + length]
        position += length
        if kind in WHOLE_OR_LAST:
            try:
                complete.append(Record.FromString(record_bytes))
            except DecodeError:
                break
            record_bytes = b""
    return complete


def records_of_kind(path: Path, kind: str) -> list:
    """The records of one kind, for instance ``run``, ``summary`` or ``exit``."""
    return [getattr(record, kind) for record in records(path) if record.HasField(kind)]


def to_values(items) -> dict:
    """Items of a record: (nested) key → value."""
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def offline_runs(folder: Path) -> dict[str, list[Path]]:
    """Run id → the offline runs written for it, the oldest first."""
    runs: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        runs.setdefault(path.stem.removeprefix("run-"), []).append(path)
    return runs


def history(path: Path) -> list[dict]:
    """The logged records, in order, without those that hold no row."""
    logged = [
        to_values(record.item) | {"_step": record.step.num}
        for record in records_of_kind(path, "history")
    ]
    return [values for values in logged if "risk" in values]


def summary(path: Path) -> dict:
    """The summary as it ended."""
    values: dict = {}
    for record in records_of_kind(path, "summary"):
        values |= to_values(record.update)
    return values


def exit_codes(path: Path) -> list[int]:
    return [record.exit_code for record in records_of_kind(path, "exit")]


def tables(path: Path) -> dict[str, dict]:
    """The tables of a run: name → columns and data."""
    contents = {}
    for file in path.parent.glob("files/media/table/tables/*.json"):
        name = re.sub(r"_\d+_[0-9a-f]+\.table$", "", file.stem)
        contents[name] = json.loads(file.read_text())
    return contents
