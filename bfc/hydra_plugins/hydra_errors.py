"""Hydra's errors as one sentence each. Hydra reports a mistyped key or option over several lines
with advice that does not fit a checked configuration; here they read like every other refusal of
this program."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

import yaml
from hydra.errors import HydraException, InstantiationException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from bfc.errors import UserError, describe_error, nearest
from bfc.paths import CONF

_KEY = re.compile(r"Could not (?:override|append to config|delete from config)[^']*'([^']+)'")
_OPTION = re.compile(r"Could not (?:find|load) '([^']+)'")
_AVAILABLE = re.compile(r"Available options in '[^']*':((?:\s*\n?\t\S+)*)")
_SEVERAL = re.compile(r"Ambiguous value for argument '([^']+)'")
_SWEEP = re.compile(r"Sweep parameters '(.+)' requires --multirun")
_ARGUMENT = re.compile(r"unexpected keyword argument '([^']+)'")
_NO_OPTION = "Config group override must be a string"
HYDRA_KEYS = ("launcher", "sweeper", "job", "run", "sweep", "mode", "verbose")


def refuse(message: str) -> int:
    """Print the sentence on standard error; the exit status to leave with."""
    print(f"bfc: {' '.join(message.split())}", file=sys.stderr)
    return 2


def explain(error: BaseException) -> str | None:
    """The sentence for an error that the reader can do something about; None for a fault of this
    program."""
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return sentence(error)
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem_mark.name}, line {error.problem_mark.line + 1}: cannot be read as YAML ({error.problem})"
    if isinstance(error, ValueError) and str(error).startswith(_NO_OPTION):
        return _no_option(sys.argv[1:])
    return describe_error(error)


def sentence(error: BaseException) -> str:
    """What is wrong, what is allowed and the nearest valid name, from a Hydra or OmegaConf error."""
    text = str(error)
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return _in_constructor(text, error.__cause__)
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: cannot be read as an override; must be key=value, +key=value or ~key, a list as key=[1,2] and a "
            "text with special characters in quotes"
        )
    if match := _SEVERAL.search(text):
        key, _, value = match.group(1).partition("=")
        return f"{match.group(1)}: is more than one value; must be one, a list as {key}=[{value}], or a sweep with -m"
    if match := _SWEEP.search(text):
        return f"{match.group(1)}: is a sweep; must be one value, or a sweep with -m"
    if match := _OPTION.search(text):
        group, _, option = match.group(1).rpartition("/")
        available = _AVAILABLE.search(text)
        return f"{group}={option}: no such option; {nearest(option, available.group(1).split() if available else options(group))}"
    if match := _KEY.search(text):
        key = match.group(1).split("@")[0]
        within = str(getattr(error.__cause__, "full_key", None) or key)
        if key.startswith("hydra.") and within.startswith(f"{key}."):
            return f"{within}: no such key; a new one must be added as +{within}=<value>"
        return unknown_key(key)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    key = getattr(error, "full_key", None)
    return f"{key}: {first}; must be a value" if key else first


def unknown_key(key: str) -> str:
    """The sentence about a key that does not exist."""
    parent, _, name = key.rpartition(".")
    allowed = _keys(parent)
    return f"{key}: no such key{f'; {nearest(name, allowed)}' if allowed else ''}"


def options(group: str) -> list[str]:
    """The YAML files of a config group."""
    return [path.stem for path in (CONF / group).glob("*.yaml")]


def _in_constructor(text: str, cause: BaseException) -> str:
    """What a launcher or sweeper did not accept."""
    where = next(
        (
            line.partition(":")[2].strip()
            for line in text.splitlines()
            if line.startswith("full_key:")
        ),
        "",
    )
    if match := _ARGUMENT.search(str(cause)):
        return unknown_key(f"{where}.{match.group(1)}")
    return (
        str(cause) if isinstance(cause, UserError) else f"{where}: {' '.join(str(cause).split())}"
    )


def _no_option(arguments: Sequence[str]) -> str:
    """A group that was given something else than the name of an option."""
    for argument in arguments:
        key, equals, value = argument.lstrip("+").partition("=")
        if equals and not key:
            return f"{argument}: has no key; must be key=value"
        if equals and (CONF / key).is_dir() and value not in options(key):
            return f"{argument}: no such option; {nearest(value, options(key))}"
    return "a group must be set to the name of one of its options"


def _keys(parent: str) -> list[str]:
    """Keys allowed under ``parent``: those of the option chosen on the command line (or by
    default), or the root's; empty where they are not known here."""
    root = yaml.safe_load((CONF / "config.yaml").read_text())
    entries = [entry for entry in root["defaults"] if isinstance(entry, dict)]
    chosen = {
        name.removeprefix("override "): option
        for entry in entries
        for name, option in entry.items()
    }
    if not parent:
        return [
            *(name for name in chosen if "/" not in name),
            *(name for name in root if name not in ("defaults", "hydra")),
        ]
    if parent == "hydra":
        return list(HYDRA_KEYS)
    group = parent.replace(".", "/")
    for argument in sys.argv[1:]:
        name, _, option = argument.lstrip("+").partition("=")
        if name == group:
            chosen[name] = option.split(",")[0]
    path = CONF / group / f"{chosen.get(group, '')}.yaml"
    return (
        [name for name in yaml.safe_load(path.read_text()) if name != "_target_"]
        if path.exists()
        else []
    )
