"""Prose of help, comments and docstrings as Markdown: placeholders in angles are no tags."""

from __future__ import annotations

import re

CODE = re.compile(r"(```.*?```|``.+?``|`[^`]+`)", re.S)
TAG = re.compile(r"<(?=[A-Za-z/!])")


def escape_tags(text: str) -> str:
    """The text with ``<`` written out where Markdown would take it for a tag; code stays."""
    parts = CODE.split(text)
    parts[::2] = [TAG.sub("&lt;", part) for part in parts[::2]]
    return "".join(parts)
