"""The ``bfc`` command: everything around the one training entry point.

A subcommand is one file ``bfc/commands/<name>.py``, found by existing. Its function ``main`` is a
typer command: the docstring is the help, annotated parameters are the options. It stands under the
heading that the file names as ``PANEL``. Files import what is heavy inside ``main``, so that
``bfc --help`` stays quick.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from types import ModuleType

import typer

import bfc.commands
from bfc.messages import show_messages
from bfc.streams import secure_streams

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
    for module in sorted(_import_commands(), key=_panel_position):
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        app.command(name, context_settings=CONTEXT, rich_help_panel=module.PANEL)(module.main)
    return app


def _import_commands() -> list[ModuleType]:
    names = [name for _, name, _ in pkgutil.iter_modules(bfc.commands.__path__)]
    return [importlib.import_module(f"bfc.commands.{name}") for name in names]


def _panel_position(module: ModuleType) -> int:
    return [*PANELS, module.PANEL].index(module.PANEL)


def _root() -> None:
    """Begin every command; with it typer treats each as a subcommand, even a single one."""
    show_messages()


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit status 2."""
    secure_streams()
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
