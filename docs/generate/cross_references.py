"""Turns the references in docstrings (``:class:`Name```) into links of the site.

A reference is resolved where it stands, as Python would resolve the name: in the class, the module
and its imports. One to something that has no place on the site (a private name, a class of
torch) is shown as code. Griffe, which mkdocstrings reads code with, calls this extension.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

from docs.generate.plain_text import escape_markup

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`~?([^`]+)`")
LITERAL = re.compile(r"``(.+?)``", re.S)


class CrossReferences(griffe.Extension):
    """Rewrites every docstring of a package once all of it is loaded."""

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **_: Any) -> None:
        """Called by griffe for each package."""
        rewrite_below(pkg)


def rewrite_below(scope: griffe.Object) -> None:
    """Rewrite the docstring of an object and of everything that is defined in it."""
    if scope.docstring is not None:
        scope.docstring.value = rewrite(scope.docstring.value, scope)
    for member in scope.members.values():
        if not member.is_alias:
            rewrite_below(member)


def rewrite(text: str, scope: griffe.Object) -> str:
    """Markdown of a docstring: roles become links, and literals code on one line."""
    linked = ROLE.sub(lambda match: make_link(match.group(1), scope), escape_markup(text))
    return LITERAL.sub(lambda match: f"`{' '.join(match.group(1).split())}`", linked)


def make_link(name: str, scope: griffe.Object) -> str:
    """A link to what a name means in ``scope``, or the name as code."""
    name = " ".join(name.split())
    place = find_place(name, scope)
    return f"[`{name}`][{place}]" if place else f"`{name}`"


def find_place(name: str, scope: griffe.Object) -> str | None:
    """The path under which the site shows a name; None where it shows none."""
    target = find_object(name, scope)
    if target is None:
        return None
    if target.is_alias:
        try:
            target = target.final_target
        except (griffe.AliasResolutionError, griffe.CyclicAliasError):
            return None
    is_shown = target.is_module or target.docstring is not None
    parts = target.path.split(".")
    is_private = any(part.startswith("_") for part in parts)
    is_ours = parts[0] in ("bfc", "analysis")
    return target.path if is_ours and is_shown and not is_private else None


def find_object(name: str, scope: griffe.Object) -> Any:
    """What a dotted name means in ``scope``; None where it cannot be found."""
    first, _, rest = name.partition(".")
    collection = scope.modules_collection
    if first in collection:
        path = name
    else:
        try:
            path = scope.resolve(first) + (f".{rest}" if rest else "")
        except griffe.NameResolutionError:
            return None
    try:
        return collection[path]
    except (KeyError, griffe.AliasResolutionError, griffe.CyclicAliasError):
        return None
