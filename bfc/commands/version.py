"""``bfc version``: what to quote when reporting figures or a fault."""

from __future__ import annotations

PANEL = "This machine"


def main() -> None:
    """Print the versions of this program, Python and torch, and the commit it runs from."""
    import json

    from bfc.environment import environment, resolve_device

    print(json.dumps(environment(resolve_device("cpu")), indent=2))
