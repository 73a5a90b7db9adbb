"""Hydra's errors as one sentence each. Hydra reports a mistyped key or option over several lines with advice that does not fit a
checked configuration; here they read like every other refusal of this program."""

from __future__ import annotations

import re
import sys

import yaml

from bfc.errors import nearest
from bfc.launch.folders import CONF

_KEY = re.compile(r"Could not (?:override|append to config|delete from config)[^']*'([^']+)'")
_OPTION = re.compile(r"Could not find '([^']+)'")
_AVAILABLE = re.compile(r"Available options in '[^']*':((?:\s*\n?\t\S+)*)")


def refuse(message: str) -> int:
    """Print the sentence on standard error; the exit status to leave with."""
    print(f"bfc: {' '.join(message.split())}", file=sys.stderr)
    return 2


def sentence(error: BaseException) -> str:
    """What is wrong, what is allowed and the nearest valid name, from a Hydra or OmegaConf error."""
    text = str(error)
    if match := _OPTION.search(text):
        group, _, option = match.group(1).rpartition("/")
        available = _AVAILABLE.search(text)
        return f"{group}={option}: no such option; {nearest(option, available.group(1).split() if available else options(group))}"
    if match := _KEY.search(text):
        key = match.group(1).split("@")[0]
        parent, _, name = key.rpartition(".")
        return f"{key}: no such key; {nearest(name, _keys(parent) or _keys(''))}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def options(group: str) -> list[str]:
    """The YAML files of a config group."""
    return [path.stem for path in (CONF / group).glob("*.yaml")]


def _keys(parent: str) -> list[str]:
    """Keys allowed under ``parent``: those of the option chosen on the command line (or by default), or the root's."""
    root = yaml.safe_load((CONF / "config.yaml").read_text())
    chosen = {name: option for entry in root["defaults"] if isinstance(entry, dict) for name, option in entry.items()}
    if not parent:
        return [*(name for name in chosen if "/" not in name), *(name for name in root if name not in ("defaults", "hydra"))]
    for argument in sys.argv[1:]:
        name, _, option = argument.lstrip("+").partition("=")
        if name == parent:
            chosen[name] = option.split(",")[0]
    path = CONF / parent / f"{chosen.get(parent, '')}.yaml"
    return [name for name in yaml.safe_load(path.read_text()) if name != "_target_"] if path.exists() else []
