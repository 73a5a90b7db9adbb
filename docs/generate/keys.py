"""The page of the keys: every option of every config group, from its class and its YAML.

Defaults are those of the YAML, and of the class for keys that the YAML leaves out. What is allowed
is what the class itself says when it refuses a value: it is constructed with values of every kind
that could be wrong, and the sentences of the refusals are shown.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import griffe
import yaml

from bfc.errors import UserError, format_value
from bfc.experiment.components import GROUPS, class_paths, component
from bfc.field_types import describe, written_types
from docs.generate.cross_references import CrossReferences
from docs.generate.places import ROOT
from docs.generate.plain_text import escape_markup

INTRODUCTION = """# Keys

A job is one option of every group: `target=parity` chooses an option, `target.d=32` sets one of its
keys. *Default* is the value in the YAML of the option; a key with a plus is left out there, and set
as `+target.key=value`. *Allowed* is what the class says where it refuses a value.
"""
PROBES: tuple[Any, ...] = (
    *(-(10**9), 10**18, -1e300, 1e300, 0.5, "no such name", True, None),
    *([], [-(10**9)], [10**18], [-1e300], ["no such name"], [[]]),
)
"""Values of which every key refuses some."""
OTHER_GROUPS = ("hydra/launcher",)
"""Groups of Hydra's that have YAML files here; their keys stand with the comments of the files."""


def write_page() -> str:
    """The page of all groups."""
    package = griffe.load("bfc", search_paths=[ROOT], extensions=griffe.Extensions())
    CrossReferences().on_package(pkg=package, loader=None)  # type: ignore[arg-type]
    parts = [INTRODUCTION]
    for group in GROUPS:
        parts.append(f"\n## {group}\n")
        for file in sorted((ROOT / "conf" / group).glob("*.yaml")):
            parts += write_option(group, file, package)
    for group in OTHER_GROUPS:
        parts.append(f"\n## {group}\n")
        for file in sorted((ROOT / "conf" / group).glob("*.yaml")):
            parts += write_plain_option(group, file)
    return "\n".join(parts) + "\n"


def write_option(group: str, file: Path, package: griffe.Module) -> Iterator[str]:
    """The section of one option."""
    text = file.read_text(encoding="utf-8")
    node = yaml.safe_load(text) or {}
    yield f"\n### {group}={file.stem} {{ #{group}-{file.stem} }}\n"
    yield read_header(text) + "\n"
    path = class_paths(group).get(file.stem)
    if path is None:
        return
    module, _, name = path.rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    yield f"Class [`{name}`][{cls.__module__}.{cls.__qualname__}].\n"
    comments = read_comments(text)
    documentation = package[f"{cls.__module__}.{cls.__qualname__}".removeprefix("bfc.")]
    rows = []
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        key = f"{group}.{field.name}"
        meaning = comments.get(field.name) or read_docstring(documentation, field.name)
        mark = "" if field.name in node else "+"
        default = format_default(field, node)
        allowed = "; ".join(find_allowed(group, node, field.name, cls))
        rows.append(f"| `{mark}{key}` | {default} | {cell(allowed)} | {cell(meaning)} |")
    if rows:
        yield "| key | default | allowed | |\n|---|---|---|---|"
        yield from rows


def write_plain_option(group: str, file: Path) -> Iterator[str]:
    """The section of an option without a class of ours: its keys with their comments."""
    text = file.read_text(encoding="utf-8")
    node = yaml.safe_load(text) or {}
    comments = read_comments(text)
    prefix = group.replace("/", ".")
    yield f"\n### {group}={file.stem} {{ #{group.replace('/', '-')}-{file.stem} }}\n"
    yield read_header(text) + "\n"
    yield "| key | default | |\n|---|---|---|"
    for key, value in node.items():
        if key not in ("_target_", "defaults"):
            default = f"`{format_value(value)}`"
            yield f"| `{prefix}.{key}` | {default} | {cell(comments.get(key, ''))} |"


def cell(text: str) -> str:
    """A text as the cell of a table."""
    return escape_markup(" ".join(text.split())).replace("|", "\\|")


def read_header(text: str) -> str:
    """The comment at the head of a YAML file."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return escape_markup(" ".join(lines))


def read_comments(text: str) -> dict[str, str]:
    """Key of the first level → the comment behind it, and on the lines below."""
    comments: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if match := re.match(r"(\w+):", line):
            key = match.group(1)
            _, mark, comment = line.partition("  #")
            _, mark, comment = (" ", "#", comment) if mark else line.partition(" # ")
            comments[key] = comment.strip()
        elif key and (match := re.match(r"\s+#\s*(.*)", line)):
            comments[key] += f" {match.group(1)}"
        elif not line.startswith(" "):
            key = ""
    return comments


def read_docstring(documentation: griffe.Object, name: str) -> str:
    """The first paragraph of what a class or one of its bases says of a field."""
    member = documentation.all_members.get(name)
    if member is None or member.docstring is None:
        return ""
    return member.docstring.value.partition("\n\n")[0]


def format_default(field: dataclasses.Field[Any], node: Mapping[str, Any]) -> str:
    """The default of a key as it is written in an override."""
    if field.name in node:
        value = node[field.name]
    elif field.default is not dataclasses.MISSING:
        value = field.default
    elif field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        return "–"
    if field.name == "phases":
        return "see the file"
    return f"`{format_value(value)}`"


def find_allowed(group: str, node: Mapping[str, Any], name: str, cls: type) -> list[str]:
    """What the class says is allowed for one key when it refuses a value for it."""
    sentences: list[str] = []
    prefix = f"{group}.{name}="
    for value in PROBES:
        try:
            component(group, {**node, name: value})
        except UserError as error:
            message = str(error)
        except Exception:  # a probe that a class does not foresee says nothing of what is allowed
            continue
        else:
            continue
        if message.startswith(prefix) and ": must be " in message:
            sentence = message.rpartition(": must be ")[2].partition("; did you")[0]
            sentences.append(sentence.partition("; must be written")[0])
    kind = describe(written_types(cls)[name])
    ranges = list(dict.fromkeys(s for s in sentences if s != kind))
    return ranges or [kind]
