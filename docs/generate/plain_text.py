"""Prose of help, comments and docstrings as Markdown, where placeholders and formulas stay text."""

from __future__ import annotations

import re

CODE = re.compile(r"(```.*?```|``.+?``|`[^`]+`)", re.S)
TAG = re.compile(r"<(?=[A-Za-z/!])")
SUBSCRIPT = re.compile(r"_\*|_(?=\{)")
"""The beginning of a subscript in a formula: ``W_{2,4}``, ``M_*``."""


def escape_markup(text: str) -> str:
    """The text with ``<`` and subscripts escaped where Markdown would read markup; code stays."""
    parts = CODE.split(text)
    parts[::2] = [_escape_prose(part) for part in parts[::2]]
    return "".join(parts)


def _escape_prose(text: str) -> str:
    tagless = TAG.sub("&lt;", text)
    return SUBSCRIPT.sub(lambda match: re.sub(r"([_*])", r"\\\1", match.group()), tagless)
