"""Write the JSON file of named schedules from ``conf/schedule``: ``python -m bfc.schedules``."""

from __future__ import annotations

import json

import yaml

from bfc.paths import CONF
from bfc.schedules.named_schedules import FILE


def render() -> str:
    """The content of the file for the YAML files as they are."""
    schedules = {}
    for path in sorted((CONF / "schedule").glob("*.yaml")):
        keys = yaml.safe_load(path.read_text(encoding="utf-8"))
        del keys["_target_"]
        schedules[path.stem] = keys
    return json.dumps(schedules, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(render())
    print(f"wrote {FILE}")
