"""Write the JSON file of named schedules from the YAML files of conf/schedule.

python -m bfc.schedules
"""

from __future__ import annotations

import argparse
import json

from bfc.paths import CONF
from bfc.schedules.named_schedules import FILE
from bfc.yaml_text import parse_yaml


def render() -> str:
    """The content of the file for the YAML files as they are."""
    schedules = {}
    for path in sorted((CONF / "schedule").glob("*.yaml")):
        keys = parse_yaml(path.read_text(encoding="utf-8"))
        del keys["_target_"]
        schedules[path.stem] = keys
    return json.dumps(schedules, indent=1) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(arguments)
    FILE.write_text(render(), encoding="utf-8")
    print(f"wrote {FILE}")


if __name__ == "__main__":
    main()
