"""What a job and its tracker service say to each other: one JSON object per line, in both ways."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from bfc.types import Tracker


@dataclass(frozen=True)
class ShowRequest:
    """One run to be shown: a cell, or a study as a whole."""

    tracker: Mapping[str, Any]
    """The tracker as :func:`describe_tracker` gives it."""
    results: str
    """The results folder, absolute."""
    study: str | None
    cells: tuple[str, ...]
    """The cell, or every cell that the study is made from."""
    closed: bool
    """Whether the cell has ended."""
    whole_study: bool
    folder: str
    """The working directory of the job, to which relative paths of the tracker refer."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> ShowRequest:
        values = json.loads(line)
        return cls(**{**values, "cells": tuple(values["cells"])})


class RequestStatus(StrEnum):
    """What became of a request."""

    SHOWN = "shown"
    UNCHANGED = "unchanged"
    """Nothing was sent: it was shown before, or there is nothing to show."""
    FAILED = "failed"


@dataclass(frozen=True)
class Answer:
    """The reply to one request."""

    status: RequestStatus
    address: str | None = None
    """Where the run can be looked at; None where nowhere, or not yet."""
    error: str = ""
    """One line, where the request failed."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: bytes) -> Answer:
        values = json.loads(line)
        return cls(RequestStatus(values["status"]), values["address"], values["error"])


def build_request(
    tracker: Tracker,
    results: str | Path,
    study: str | None,
    cells: Sequence[str],
    closed: bool = True,
    whole_study: bool = False,
) -> ShowRequest:
    """A request of this process."""
    return ShowRequest(
        tracker=describe_tracker(tracker),
        results=str(Path(results).resolve()),
        study=study,
        cells=tuple(cells),
        closed=closed,
        whole_study=whole_study,
        folder=os.getcwd(),
    )


def describe_tracker(tracker: Any) -> dict[str, Any]:
    """A tracker as plain values: its class and its settings."""
    settings = {field.name: getattr(tracker, field.name) for field in fields(tracker) if field.init}
    kind = type(tracker)
    return {"_target_": f"{kind.__module__}.{kind.__qualname__}", **settings}
