"""Reads what an offline run of W&B wrote."""

import json
import re
import struct
from pathlib import Path

BLOCK, HEADER = 32768, 7


def records(path: Path) -> list:
    """The records of an offline run: a LevelDB log (blocks of 32 KiB; chunks of crc, length, type)
    of protocol buffers; a torn record at the end, of a run that is being written, is left out."""
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole, found = path.read_bytes(), HEADER, b"", []
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        if kind == 0 or at + HEADER + length > len(data):
            break
        whole += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):
            try:
                found.append(Record.FromString(whole))
            except DecodeError:
                break
            whole = b""
    return found


def plain(items) -> dict:
    """Items of a record: (nested) key → value."""
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def runs(folder: Path) -> dict[str, list[Path]]:
    """Run id → the offline runs written for it, the oldest first."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        found.setdefault(path.stem.removeprefix("run-"), []).append(path)
    return found


def history(path: Path) -> list[dict]:
    """The logged records, in order, without those that hold no row."""
    told = [
        plain(record.history.item) | {"_step": record.history.step.num}
        for record in records(path)
        if record.HasField("history")
    ]
    return [row for row in told if "risk" in row]


def written(path: Path, kind: str) -> dict[str, dict]:
    """The tables beside a run: name → columns and data."""
    found = {}
    for file in path.parent.glob(f"files/media/{kind}/tables/*.json"):
        found[re.sub(r"_\d+_[0-9a-f]+\.table$", "", file.stem)] = json.loads(file.read_text())
    return found
