"""The pages of the modules: one for each module, and a table of all.

What stands on them is the docstrings; mkdocstrings reads them from the source without importing it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from docs.generate.cross_references import ROLE
from docs.generate.places import API, ROOT, api_page
from docs.generate.plain_text import escape_markup

INTRODUCTION = """# Modules

Every module with the paragraph that says what it is for. Imports point downwards only, in the
order of [the layers](../../concepts.md#where-the-code-is).
"""


def write_pages() -> dict[str, str]:
    """Path → content of the pages of all modules and of their table."""
    pages = {}
    table = [INTRODUCTION]
    for package in list_packages():
        table.append(f"\n## {package}\n\n{first_sentence(package)}\n")
        rows = []
        for module in list_modules(package):
            rows.append(f"| [{module}]({module}.md) | {first_sentence(module)} |")
        if rows:
            table += ["| module | |\n|---|---|", *rows]
        for module in (package, *list_modules(package)):
            pages[api_page(module)] = write_module(module)
    pages[f"{API}/index.md"] = "\n".join(table) + "\n"
    return pages


def write_module(module: str) -> str:
    """The page of one module, with the way back, since the navigation lists no modules."""
    head = f"---\ntitle: {module}\nhide: [navigation]\n---\n"
    return f"{head}\n[All modules](index.md)\n\n::: {module}\n"


def list_packages() -> Iterator[str]:
    """The packages of the program, dotted, outer ones first."""
    for top in ("bfc", "analysis"):
        for path in sorted((ROOT / top).rglob("__init__.py")):
            yield ".".join(path.parent.relative_to(ROOT).parts)


def list_modules(package: str) -> list[str]:
    """The modules that lie directly in a package and are not private."""
    folder = ROOT / Path(*package.split("."))
    names = sorted(path.stem for path in folder.glob("*.py"))
    return [f"{package}.{name}" for name in names if not name.startswith("_")]


def first_sentence(module: str) -> str:
    """The first paragraph's first sentence of a module's docstring."""
    path = ROOT / Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    sentence = paragraph.partition(". ")[0].rstrip(".")
    plain = ROLE.sub(r"`\1`", escape_markup(sentence))
    return plain.replace("``", "`").replace("|", "\\|")
