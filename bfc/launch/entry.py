"""The way from the ``bfc`` commands to the one training entry point, and what all commands about a launch share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

Overrides = Annotated[list[str], typer.Argument(help="what `python -m bfc.train -m` would be given, for instance +sweeps=bfc_chain "
                                                     "study.size=30m hydra/launcher=slurm")]
Name = Annotated[str | None, typer.Argument(help="the launch, or a part of its name; without it the newest")]
Results = Annotated[str, typer.Option("--results", "-r", help="the store")]


def sweep(overrides: Sequence[str]) -> None:
    """``python -m bfc.train -m`` with these overrides, in this process."""
    from bfc.train import main

    sys.argv = [sys.argv[0], "-m", *overrides]
    main()
