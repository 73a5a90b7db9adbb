"""Where the site shows a file of the program."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
API = "reference/api"
FOLDERS = {
    "conf": "reference/keys.md",
    "sweeps": "reference/studies.md",
    "bfc/commands": "reference/commands.md",
    "analysis/plots": "reference/gallery.md",
}
"""Folder of the program → the page that is made from its files."""


def link_of_source(path: str) -> str | None:
    """The page of a module or a folder, or the section of an option of a config group.

    ``path``: of the file, from the root of the project. None for a file that the site does not
    show.
    """
    if path in FOLDERS:
        return FOLDERS[path]
    parts = Path(path).with_suffix("").parts
    if parts[0] == "conf" and len(parts) > 2:
        return f"reference/keys.md#{'-'.join(parts[1:])}"
    if parts[0] in ("bfc", "analysis"):
        return api_page(".".join(part for part in parts if part != "__init__"))
    return None


def api_page(module: str) -> str:
    """The page of a module, from the folder of the pages."""
    return f"{API}/{module}.md"
