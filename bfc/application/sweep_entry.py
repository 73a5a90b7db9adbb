"""The way from the ``bfc`` commands to the one training entry point, and what all commands about a
launch share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from bfc.paths import SITE, named

Overrides = Annotated[
    list[str],
    typer.Argument(
        help="what `python -m bfc.train -m` would be given, for instance +sweeps=bfc_chain "
        "study.size=30m hydra/launcher=slurm"
    ),
]
Name = Annotated[
    str | None, typer.Argument(help="the launch, or a part of its name; without it the newest")
]


def site_store() -> str:
    """The store that the site overlay names (docs/slurm.md), else ``results``."""
    file = SITE / "site" / "slurm.yaml"
    if not file.is_file():
        return "results"
    from omegaconf import DictConfig, OmegaConf

    overlay = OmegaConf.load(file)
    own = overlay.get("results") if isinstance(overlay, DictConfig) else None
    return named(own) if own else "results"


Results = Annotated[
    str,
    typer.Option(
        "--results",
        "-r",
        help="the store; by default results, or what the site overlay says",
        default_factory=site_store,
        show_default=False,
    ),
]


def sweep(overrides: Sequence[str]) -> None:
    """``python -m bfc.train -m`` with these overrides, in this process."""
    from bfc.train import main

    sys.argv = [sys.argv[0], "-m", *overrides]
    main()
