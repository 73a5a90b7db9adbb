"""The ``bfc`` command: everything around the one training entry point (planning, watching, collecting, checking). A subcommand is one
file ``bfc/commands/<name>.py`` whose function ``main`` is a typer command: its docstring is the help, its annotated parameters are
the options. It is found by existing, and imports what is heavy inside ``main``, so that ``bfc --help`` stays quick."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import typer

import bfc.commands
from bfc.errors import UserError

CONTEXT = {"help_option_names": ["-h", "--help"]}


def application() -> typer.Typer:
    """The typer application with every module of :mod:`bfc.commands` as a subcommand."""
    app = typer.Typer(name="bfc", no_args_is_help=True, context_settings=CONTEXT, pretty_exceptions_enable=False,
                      help="Sample complexity of hierarchical learning: plan, run, watch and report studies. "
                           "Training itself: python -m bfc.train --help")
    app.callback()(_root)
    for module in sorted(name for _, name, _ in pkgutil.iter_modules(bfc.commands.__path__)):
        command = importlib.import_module(f"bfc.commands.{module}").main
        app.command(module.replace("_", "-"), context_settings=CONTEXT)(command)
    return app


def _root() -> None:
    pass


def main() -> None:
    """Entry point of the console script; a user's mistake is one sentence and status 2."""
    try:
        application()()
    except UserError as error:
        print(f"bfc: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
