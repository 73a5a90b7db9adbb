"""The ``bfc`` command: everything around the one training entry point (planning, watching,
collecting, checking). A subcommand is one file ``bfc/commands/<name>.py`` whose function ``main``
is a typer command: its docstring is the help, its annotated parameters are the options. It is found
by existing, and imports what is heavy inside ``main``, so that ``bfc --help`` stays quick; there it
stands under the heading that it names as ``PANEL``."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import typer

import bfc.commands

CONTEXT = {"help_option_names": ["-h", "--help"]}
PANELS = ("Run", "Watch a launch", "Results", "Theory", "This machine")
"""Headings in the order of ``bfc --help``; others follow."""


def application() -> typer.Typer:
    """The typer application with every module of :mod:`bfc.commands` as a subcommand."""
    app = typer.Typer(
        name="bfc",
        no_args_is_help=True,
        context_settings=CONTEXT,
        pretty_exceptions_enable=False,
        help="Sample complexity of hierarchical learning: plan, run, watch and report studies. "
        "Training itself: python -m bfc.train --help",
    )
    app.callback()(_root)
    modules = [
        importlib.import_module(f"bfc.commands.{name}")
        for _, name, _ in pkgutil.iter_modules(bfc.commands.__path__)
    ]
    for module in sorted(modules, key=lambda module: [*PANELS, module.PANEL].index(module.PANEL)):
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        app.command(name, context_settings=CONTEXT, rich_help_panel=module.PANEL)(module.main)
    return app


def _root() -> None:
    pass


def main() -> None:
    """Entry point of the console script; a user's mistake is one sentence and status 2."""
    try:
        application()()
    except Exception as error:
        from bfc.hydra_plugins.hydra_errors import explain, refuse

        sentence = explain(error)
        if sentence is None:
            raise
        sys.exit(refuse(sentence))


if __name__ == "__main__":
    main()
