"""The page of the commands: the help of ``bfc`` and its subcommands, as typer documents it."""

from __future__ import annotations

import typer
from typer.cli import get_docs_for_click

from bfc.cli import application
from docs.generate.plain_text import escape_markup

INTRODUCTION = """# Commands

Training is `python -m bfc.train` (or `bfc-train`), whose arguments are the [keys](keys.md) of a
job. Everything around it is a subcommand of `bfc`; this page is the help of each.

| command | |
|---|---|
"""


def write_page() -> str:
    """The page, from the application that ``bfc`` runs."""
    group = typer.main.get_group(application())
    rows = []
    sections = []
    for name, command in group.commands.items():
        summary = " ".join((command.help or "").partition("\n\n")[0].split())
        rows.append(f"| [`bfc {name}`](#bfc-{name}) | {summary} |")
        context = typer.Context(command, info_name=f"bfc {name}")
        sections.append(get_docs_for_click(obj=command, ctx=context, name=f"bfc {name}", indent=1))
    body = "\n".join(rows) + "\n\n" + "\n".join(sections)
    return INTRODUCTION + escape_markup(body)
