"""Hydra's errors in one sentence each.

Hydra reports a mistyped key or option over several lines, with advice that does not fit a checked
configuration; here it reads like every other refusal of this program.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Sequence

import yaml
from hydra.errors import HydraException, InstantiationException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from bfc.errors import UserError, describe_error, nearest
from bfc.experiment.components import GROUPS, RENAMED_KEYS, explain_derived_key
from bfc.hydra_plugins.choices import (
    STUDIES,
    find_chosen_class,
    find_chosen_options,
    list_allowed_keys,
    list_keys,
    list_options,
)
from bfc.paths import CONF
from bfc.streams import print_line

_KEY = re.compile(r"Could not (?:override|delete from config)[^']*'([^']+)'")
_OPTION = re.compile(r"Could not (?:find|load) '([^']+)'")
_AVAILABLE = re.compile(r"Available options in '[^']*':((?:\s*\n?\t\S+)*)")
_PRESENT = re.compile(r"An item is already at '([^']+)'")
_OTHER_VALUE = re.compile(
    r"Could not delete from config\. The value of '([^']+)' is (.*) and not (.*)\."
)
_NO_DEFAULT = re.compile(r"Could not delete '([^'=]+)(?:=([^']*))?'\. No match in the defaults")
_CHOSEN_TWICE = re.compile(r"^Multiple values for ([^\s.]+)\.")
_SEVERAL = re.compile(r"Ambiguous value for argument '(.+)'$", re.M)
_SWEEP = re.compile(r"Sweep parameters '(.+)' requires --multirun")
_ARGUMENT = re.compile(r"unexpected keyword argument '([^']+)'")
_NO_OPTION = "Config group override must be a string"
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_FLAG_SENTENCES = {
    "Only one of": (
        "--cfg, --info, --multirun (-m), --run and --shell-completion exclude each other; "
        "`bfc plan` shows the jobs of a sweep, --cfg job one composed job"
    ),
    "The --resolve flag": "--resolve: must be used with --cfg, as in --cfg job --resolve",
}
"""Beginning of what Hydra says of options that do not go together → the sentence."""
_FLAGS = re.compile("|".join(_FLAG_SENTENCES))
EXIT_REFUSED = 2


def refuse(message: str) -> int:
    """Print a sentence on standard error; returns the exit status to leave with."""
    print_line(f"bfc: {' '.join(message.split())}", to_stderr=True)
    return EXIT_REFUSED


def explain(error: BaseException, arguments: Sequence[str] | None = None) -> str | None:
    """The sentence for an error that a user can do something about; None for a bug.

    ``arguments``: the overrides that were composed; default those of the command line.
    """
    if arguments is None:
        arguments = sys.argv[1:]
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return explain_hydra(error, arguments)
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{mark.name}, line {mark.line + 1}: cannot be read as YAML ({error.problem})"
    if isinstance(error, ValueError) and str(error).startswith(_NO_OPTION):
        return _explain_group_value(arguments)
    if isinstance(error, ValueError) and (match := _FLAGS.match(str(error))):
        return _FLAG_SENTENCES[match.group()]
    return describe_error(error)


def explain_hydra(error: BaseException, arguments: Sequence[str]) -> str:
    """What is wrong, what is allowed and the nearest valid name, from an error of Hydra."""
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return _explain_constructor(str(error), error.__cause__, arguments)
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: cannot be read as an override; must be key=value, +key=value or "
            "~key, a list as key=[1,2] and a text with special characters in quotes"
        )
    return (
        _explain_value(str(error))
        or _explain_sign(str(error), arguments)
        or _explain_name(error, arguments)
        or _explain_other(error)
    )


def _explain_value(text: str) -> str | None:
    """The sentence about several values where one is expected."""
    if match := _SEVERAL.search(text):
        key, _, value = match.group(1).partition("=")
        hint = "; decimals have a point" if _DECIMAL_COMMA.fullmatch(value) else ""
        takes_options = key.lstrip("+") in (*GROUPS, STUDIES)
        as_list = "" if takes_options else f", a list as {key}=[{value}]"
        return (
            f"{match.group(1)}: is more than one value; must be one{as_list}, or a sweep with "
            f"-m{hint}"
        )
    if match := _SWEEP.search(text):
        return f"{match.group(1)}: is a sweep; must be one value, or a sweep with -m"
    return None


def _explain_sign(text: str, arguments: Sequence[str]) -> str | None:
    """The sentence about + where something is there already, and ~ where it is not."""
    if match := _PRESENT.search(text):
        argument = _find_argument(match.group(1), arguments)
        plain = argument.lstrip("+")
        return f"{argument}: {match.group(1)} is there already; must be written {plain}, without +"
    if match := _OTHER_VALUE.search(text):
        key, value, other = match.groups()
        return f"~{key}={other}: {key} is {value}; must be ~{key} to remove it whatever it is"
    if match := _NO_DEFAULT.search(text):
        group, option = match.groups()
        chosen = find_chosen_options(group, arguments).get(group, "not chosen")
        given = f"~{group}" if option is None else f"~{group}={option}"
        return f"{given}: {group} is {chosen}; must be a group that has this option"
    if match := _CHOSEN_TWICE.search(text):
        return _explain_second_choice(match.group(1), arguments)
    return None


def _explain_second_choice(group: str, arguments: Sequence[str]) -> str:
    """The sentence about a group whose option is given twice, or added where there is one."""
    choices = [text for text in arguments if text.lstrip("+").partition("=")[0] == group]
    if len(choices) > 1:
        return f"{' '.join(choices)}: {group} is given {len(choices)} times; must be given once"
    argument = _find_argument(group, arguments)
    plain = argument.lstrip("+")
    return f"{argument}: {group} is there already; must be written {plain}, without +"


def _find_argument(key: str, arguments: Sequence[str]) -> str:
    """The last override of a key as it was given."""
    given = [text for text in arguments if text.lstrip("+~").partition("=")[0] == key]
    return given[-1] if given else key


def _explain_name(error: BaseException, arguments: Sequence[str]) -> str | None:
    """The sentence about an option or a key that does not exist."""
    text = str(error)
    if match := _OPTION.search(text):
        group, _, option = match.group(1).rpartition("/")
        available = _AVAILABLE.search(text)
        options = available.group(1).split() if available else list_options(group)
        return f"{group}={option}: no such option; {nearest(option, options)}"
    if match := _KEY.search(text):
        key = match.group(1).split("@")[0]
        full_key = str(getattr(error.__cause__, "full_key", None) or key)
        if key.startswith("hydra.") and full_key.startswith(f"{key}."):
            return f"{full_key}: no such key; a new one must be added as +{full_key}=<value>"
        return describe_unknown_key(key, arguments)
    return None


def _explain_other(error: BaseException) -> str:
    """The first line of any other error, with its key where it has one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    key = getattr(error, "full_key", None)
    return f"{key}: {first}; must be a value" if key else first


def describe_unknown_key(key: str, arguments: Sequence[str] | None = None) -> str:
    """The sentence about a key that does not exist, or no longer under this name.

    ``arguments``: the overrides that were composed; default those of the command line.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if key in RENAMED_KEYS:
        return f"{key}: is now called {RENAMED_KEYS[key]}"
    parent, _, name = key.rpartition(".")
    if omitted := _describe_omitted_key(key, arguments):
        return omitted
    if derived := _describe_derived_key(key, arguments):
        return derived
    if parent == "study":
        return f"{key}: no such key without a study; must come with +sweeps=<study>"
    allowed = list_allowed_keys(parent, arguments)
    if key in GROUPS:
        options = ", ".join(sorted(list_options(key)))
        return (
            f"{_find_argument(key, arguments)}: must be the name of an option; allowed: {options}"
        )
    others = [other for other in allowed if other != name]
    hint = f"; {nearest(name, others)}" if others else ""
    return f"{key}: no such key{_describe_option(parent, name, arguments)}{hint}"


def _describe_option(group: str, name: str, arguments: Sequence[str]) -> str:
    """The option of a group that lacks a key and those that have it, where it was chosen."""
    option = find_chosen_options(group, arguments).get(group)
    if option is None or f"{group}={option}" not in arguments:
        return ""
    others = [other for other in list_options(group) if name in list_keys(group, other)]
    if not others or option in others:
        return ""
    return f" with {group}={option}, only with {group}={' or '.join(sorted(others))}"


def _describe_omitted_key(key: str, arguments: Sequence[str]) -> str | None:
    """The sentence about a key that the option's class has and its YAML leaves out."""
    parent, _, name = key.rpartition(".")
    cls = find_chosen_class(parent, arguments)
    option = find_chosen_options(parent, arguments).get(parent, "")
    if cls is None or name not in [f.name for f in dataclasses.fields(cls) if f.init]:
        return None
    if name in list_keys(parent, option):
        return None
    values = [text.partition("=")[2] for text in arguments if text.startswith(f"{key}=")]
    value = values[-1] if values else "<value>"
    return f"{key}: {option}.yaml leaves it at its default; set it with +{key}={value}"


def _describe_derived_key(key: str, arguments: Sequence[str]) -> str | None:
    """The sentence about a key that follows from others in the chosen option."""
    parent, _, name = key.rpartition(".")
    cls = find_chosen_class(parent, arguments)
    option = find_chosen_options(parent, arguments).get(parent)
    rule = explain_derived_key(cls, name) if cls is not None else None
    return f"{key}: no such key with {parent}={option}; {rule}" if rule else None


def _explain_constructor(text: str, cause: BaseException, arguments: Sequence[str]) -> str:
    """What a launcher or sweeper did not accept."""
    if isinstance(cause, UserError):
        return str(cause)
    key = ""
    for line in text.splitlines():
        if line.startswith("full_key:"):
            key = line.partition(":")[2].strip()
            break
    if match := _ARGUMENT.search(str(cause)):
        return describe_unknown_key(f"{key}.{match.group(1)}", arguments)
    return f"{key}: {' '.join(str(cause).split())}"


def _explain_group_value(arguments: Sequence[str]) -> str:
    """The sentence about a group that was given something else than the name of an option."""
    for argument in arguments:
        key, equals, value = argument.lstrip("+").partition("=")
        if equals and not key:
            return f"{argument}: has no key; must be key=value"
        if equals and (CONF / key).is_dir() and value not in list_options(key):
            return f"{argument}: no such option; {nearest(value, list_options(key))}"
    return "a group must be set to the name of one of its options"
