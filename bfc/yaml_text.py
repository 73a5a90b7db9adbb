"""Reading YAML by LibYAML, where PyYAML comes with it: ten times as fast as PyYAML's own parser.

Files of studies have hundreds of lines, and a large store has a configuration per cell.
"""

from __future__ import annotations

from typing import Any


def parse_yaml(text: str | bytes) -> Any:
    """What ``yaml.safe_load`` gives, with its errors: YAMLError, ValueError, RecursionError."""
    import yaml  # here, since the library works without it

    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
