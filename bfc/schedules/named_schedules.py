"""The schedules of ``conf/schedule`` by name, for programs that use the library without Hydra.

They are read from a JSON file in the package, since PyYAML may be absent where the library runs.
``python -m bfc.schedules`` writes that file anew from the YAML files.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from bfc.errors import UserError, nearest
from bfc.paths import PACKAGE
from bfc.schedules.phases import Phase
from bfc.schedules.schedule import Schedule

FILE = PACKAGE / "named_schedules.json"
"""Name → the keys of its YAML file, without ``_target_``."""


def load_schedule(name: str, /, **changes: Any) -> Schedule:
    """The schedule of ``conf/schedule/<name>.yaml`` with some of its fields changed.

    For instance ``load_schedule("bfc", k=2, steps=500)``. Raises
    :class:`bfc.errors.UserError` for a name
    or field that does not exist, with the nearest one that does, and for values out of range.
    """
    available = _read()
    if name not in available:
        raise UserError(
            f"schedule={name}: no such schedule; {nearest(name, available)}; a new file of "
            "conf/schedule is known after python -m bfc.schedules"
        )
    allowed = [f.name for f in fields(Schedule)]
    for key in changes:
        if key not in allowed:
            raise UserError(f"schedule.{key}: no such key; {nearest(key, allowed)}")
    values = {**available[name], **changes}
    phases = tuple(map(_phase, values.pop("phases")))
    return Schedule(phases, **values)


def _phase(node: Phase | Mapping[str, Any]) -> Phase:
    if isinstance(node, Phase):
        return node
    frozen = tuple(node.get("frozen", ()))
    return Phase(**{**node, "train": tuple(node["train"]), "frozen": frozen})


@functools.cache
def _read() -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return content
